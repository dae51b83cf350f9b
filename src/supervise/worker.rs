//! One helper thread for what may block: reading /proc, importing credentials, planning again.
//!
//! It is made once, at the start, because a thread cannot be made when pids have run out, which is exactly when
//! the observation is wanted. (tokio's blocking pool would panic then.) At rest it sleeps in a channel.

use std::{io, sync::mpsc, thread};

/// Work for the thread; its result goes back through whatever channel it captured.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Jobs that wait; more are refused.
const QUEUE: usize = 16;

/// The handle.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    jobs: mpsc::SyncSender<Job>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        thread::Builder::new().name("worker".to_owned()).stack_size(512 * 1024).spawn(move || {
            while let Ok(job) = queue.recv() {
                // A panic in a job must not end the thread for good.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a background job failed; this is a bug");
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Queues a job; false if too many wait already.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.try_send(Box::new(job)).is_ok()
    }
}
