//! Who may run now, who waits, who is turned away.
//!
//! ```text
//! admit() -> Place --slot().await--> Slot --drop--> the next place gets it
//!    |                  (FIFO)
//!    +-> Full (429, nothing was written)
//! ```
//!
//! Places and slots are values: dropped in whatever state, they give back exactly what they hold, so none is ever lost.
//! Invariant: `running <= max_concurrent` except right after the limit fell; then nothing new starts until it holds again.

use crate::config::Limits;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::oneshot;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the execution queue is full")]
pub struct Full;

/// Numbers for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Slots in use.
    pub running: usize,
    /// Places that wait for a slot.
    pub queued: usize,
    /// The limits.
    pub limits: Limits,
}

/// The gate.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    running: usize,
    places: usize,
    next_ticket: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Slot>)>,
}

/// The right to wait for a slot.
#[derive(Debug)]
pub struct Place {
    gate: Admission,
    ticket: Option<u64>,
    spent: bool,
}

/// The right to run.
#[derive(Debug)]
pub struct Slot(Option<Admission>);

enum Turn {
    Now(Slot),
    Later(oneshot::Receiver<Slot>),
}

impl Admission {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Inner { limits, running: 0, places: 0, next_ticket: 0, waiting: VecDeque::new() })))
    }

    /// A place, or the news that all are taken.
    pub fn admit(&self) -> Result<Place, Full> {
        let mut inner = self.lock();
        if inner.running + inner.places >= inner.limits.max_concurrent + inner.limits.max_queue {
            return Err(Full);
        }
        inner.places += 1;
        Ok(Place { gate: self.clone(), ticket: None, spent: false })
    }

    /// A place for what was admitted by an earlier worker; never refused.
    pub fn readmit(&self) -> Place {
        self.lock().places += 1;
        Place { gate: self.clone(), ticket: None, spent: false }
    }

    /// New limits, from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().limits = limits;
        self.pump();
    }

    /// What is taken now.
    pub fn load(&self) -> Load {
        let inner = self.lock();
        Load { running: inner.running, queued: inner.places, limits: inner.limits }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands free slots to whoever waits longest.
    fn pump(&self) {
        loop {
            let waiter = {
                let mut inner = self.lock();
                if inner.running >= inner.limits.max_concurrent {
                    return;
                }
                let Some((_, waiter)) = inner.waiting.pop_front() else { return };
                inner.places -= 1;
                inner.running += 1;
                waiter
            };
            // Outside the lock: a receiver that is gone drops the slot here, which takes the lock.
            drop(waiter.send(Slot(Some(self.clone()))));
        }
    }
}

impl Place {
    /// Takes its turn now, first come first served, and waits for a slot. Dropping the future gives the place back.
    pub fn slot(mut self) -> impl Future<Output = Slot> + Send + use<> {
        // Before the first poll: tasks that wait may be polled in any order.
        let turn = self.turn();
        async move {
            let slot = match turn {
                Turn::Now(slot) => slot,
                // The gate outlives every place (each holds it), and only `pump` and `drop` take a sender out.
                Turn::Later(receiver) => receiver.await.unwrap_or(Slot(None)),
            };
            // Alive until here: it gives the place back where this future is dropped while it waits.
            drop(self);
            slot
        }
    }

    fn turn(&mut self) -> Turn {
        let mut inner = self.gate.lock();
        if inner.waiting.is_empty() && inner.running < inner.limits.max_concurrent {
            inner.places -= 1;
            inner.running += 1;
            self.spent = true;
            return Turn::Now(Slot(Some(self.gate.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        let ticket = inner.next_ticket;
        inner.next_ticket += 1;
        inner.waiting.push_back((ticket, sender));
        self.ticket = Some(ticket);
        Turn::Later(receiver)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        let removed = {
            let mut inner = self.gate.lock();
            match self.ticket {
                None => {
                    inner.places -= 1;
                    None
                }
                Some(ticket) => match inner.waiting.iter().position(|(t, _)| *t == ticket) {
                    Some(at) => {
                        inner.places -= 1;
                        inner.waiting.remove(at)
                    }
                    // Already handed a slot, which takes care of itself.
                    None => None,
                },
            }
        };
        drop(removed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            {
                let mut inner = gate.lock();
                inner.running -= 1;
            }
            gate.pump();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    #[derive(Debug, Clone)]
    enum Step {
        Admit,
        Wait(usize),
        DropPlace(usize),
        DropWaiting(usize),
        DropSlot(usize),
        Limits(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Admit),
            4 => (0usize..8).prop_map(Step::Wait),
            1 => (0usize..8).prop_map(Step::DropPlace),
            2 => (0usize..8).prop_map(Step::DropWaiting),
            3 => (0usize..8).prop_map(Step::DropSlot),
            1 => (1usize..5, 1usize..5).prop_map(|(a, b)| Step::Limits(a, b)),
        ]
    }

    type Waiting = Pin<Box<dyn Future<Output = Slot>>>;

    /// Gives every waiter that got a slot its slot; none may be overtaken by a later one, in whatever order they are
    /// polled.
    fn poll(waiting: &mut Vec<(u64, Waiting)>, slots: &mut Vec<Slot>) {
        let mut context = Context::from_waker(Waker::noop());
        let mut last = None;
        for at in (0..waiting.len()).rev() {
            if let Poll::Ready(slot) = waiting[at].1.as_mut().poll(&mut context) {
                slots.push(slot);
                last = last.max(Some(waiting[at].0));
                drop(waiting.remove(at));
            }
        }
        assert!(waiting.iter().all(|(turn, _)| Some(*turn) > last), "overtaken by {last:?}");
    }

    proptest! {
        #[test]
        fn no_slot_and_no_place_is_ever_lost(steps in proptest::collection::vec(step(), 0..200), early in any::<bool>()) {
            let gate = Admission::new(Limits { max_concurrent: 2, max_queue: 3 });
            let (mut places, mut waiting, mut slots): (Vec<Place>, Vec<(u64, Waiting)>, Vec<Slot>) = Default::default();
            let mut turn = 0;
            for step in steps {
                match step {
                    Step::Admit => {
                        let load = gate.load();
                        let room = load.running + load.queued < load.limits.max_concurrent + load.limits.max_queue;
                        match gate.admit() {
                            Ok(place) => { prop_assert!(room); places.push(place); }
                            Err(Full) => prop_assert!(!room),
                        }
                    }
                    Step::Wait(n) if n < places.len() => {
                        turn += 1;
                        waiting.push((turn, Box::pin(places.remove(n).slot())));
                    }
                    Step::DropPlace(n) if n < places.len() => drop(places.remove(n)),
                    // Sometimes dropped after the slot was sent and before it was taken.
                    Step::DropWaiting(n) if n < waiting.len() => drop(waiting.remove(n)),
                    Step::DropSlot(n) if n < slots.len() => drop(slots.remove(n)),
                    Step::Limits(max_concurrent, max_queue) => gate.set_limits(Limits { max_concurrent, max_queue }),
                    _ => {}
                }
                if early { poll(&mut waiting, &mut slots); }
            }
            poll(&mut waiting, &mut slots);
            // What waits now does so because every slot is taken.
            let load = gate.load();
            prop_assert_eq!(load.running, slots.len());
            prop_assert_eq!(load.queued, places.len() + waiting.len());
            prop_assert!(waiting.is_empty() || load.running >= load.limits.max_concurrent);
            drop(places); drop(waiting); drop(slots);
            let load = gate.load();
            prop_assert_eq!((load.running, load.queued), (0, 0));
        }
    }
}
