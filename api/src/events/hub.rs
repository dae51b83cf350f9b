//! The bells of the runs that have not ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;

/// How far a run's log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Last sequence number.
    pub last_seq: u64,
    /// No event follows.
    pub ended: bool,
}

/// One bell per run that has not ended; a run without one has ended, and its log is complete.
#[derive(Debug, Default)]
pub struct Hub(Mutex<HashMap<String, Arc<watch::Sender<Mark>>>>);

impl Hub {
    /// The bell of a run that is made, or found again at the start.
    pub fn open(&self, run_id: &str) -> Arc<watch::Sender<Mark>> {
        Arc::clone(
            self.lock().entry(run_id.to_owned()).or_insert_with(|| Arc::new(watch::Sender::new(Mark::default()))),
        )
    }

    /// Whoever wants to be woken; `None`: the run has ended.
    pub fn listen(&self, run_id: &str) -> Option<watch::Receiver<Mark>> {
        self.lock().get(run_id).map(|bell| bell.subscribe())
    }

    /// The last event is in the log.
    pub fn end(&self, run_id: &str) {
        if let Some(bell) = self.lock().remove(run_id) {
            bell.send_modify(|mark| mark.ended = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<watch::Sender<Mark>>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
