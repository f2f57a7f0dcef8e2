//! What waits for the writer, and the gate that refuses while the store cannot take writes.

use super::compaction::Aside;
use super::rows::Rows;
use crate::store::seam::{CommitError, Epoch, Part, Seq, StoreError};
use parking_lot::{Condvar, Mutex};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// One thing that the writer is asked to make durable.
pub enum Request {
    /// Commits rows if the part still has this epoch and sequence.
    Commit {
        part: Part,
        epoch: Epoch,
        seq: Seq,
        rows: Rows,
        answer: oneshot::Sender<Result<Seq, CommitError>>,
    },
    /// Puts one row unless its key exists.
    Put { rows: Rows, answer: oneshot::Sender<Result<bool, CommitError>> },
    /// Makes a new owner of a part.
    Claim { part: Part, answer: SyncSender<Result<(Epoch, Seq), StoreError>> },
    /// Fixes where a tenant lives.
    Place { tenant: u32, part: Part, answer: SyncSender<Result<(), StoreError>> },
    /// Lets the log begin anew if it is off, before a backup that is its base.
    Renew { answer: SyncSender<Result<(), StoreError>> },
    /// Does something for a copy of the file, after the group that it came with.
    Aside(Aside),
}

impl Request {
    fn takes_a_slot(&self) -> bool {
        matches!(self, Request::Commit { .. } | Request::Put { .. })
    }

    /// Answers that nothing was applied.
    pub fn refuse(self, reason: &str) {
        let _ = match self {
            Request::Commit { answer, .. } => {
                answer.send(Err(CommitError::NotCommitted(reason.into()))).is_ok()
            }
            Request::Put { answer, .. } => {
                answer.send(Err(CommitError::NotCommitted(reason.into()))).is_ok()
            }
            Request::Claim { answer, .. } => {
                answer.send(Err(StoreError::Unavailable(reason.into()))).is_ok()
            }
            Request::Place { answer, .. } | Request::Renew { answer } => {
                answer.send(Err(StoreError::Unavailable(reason.into()))).is_ok()
            }
            // Whoever asked finds the answer's sender gone.
            Request::Aside(_) => true,
        };
    }

    /// Answers that nobody knows yet whether it was applied.
    pub fn doubt(self, reason: &str) {
        match self {
            Request::Commit { answer, .. } => {
                let _ = answer.send(Err(CommitError::Unknown(reason.into())));
            }
            Request::Put { answer, .. } => {
                let _ = answer.send(Err(CommitError::Unknown(reason.into())));
            }
            // A claim or a place that landed unnoticed does no harm: it is simply asked for again.
            request @ (Request::Claim { .. }
            | Request::Place { .. }
            | Request::Renew { .. }
            | Request::Aside(_)) => {
                request.refuse(reason);
            }
        }
    }
}

enum Gate {
    Open,
    Shut(String),
    Closed,
}

/// What the writer found when it looked for work.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Requests.
    Work,
    /// Nothing for as long as it wanted to wait.
    Idle,
    /// Nothing, and nothing will come.
    Closed,
}

/// The requests that wait, all parts together.
pub struct Queue {
    state: Mutex<(Vec<Request>, Gate)>,
    changed: Condvar,
    slots: Semaphore,
}

impl Queue {
    pub fn new(batches_max: usize) -> Queue {
        Queue {
            state: Mutex::new((Vec::new(), Gate::Open)),
            changed: Condvar::new(),
            slots: Semaphore::new(batches_max.max(1)),
        }
    }

    /// Waits for room, then queues the request that `make` makes.
    pub async fn push_when_free(&self, make: impl FnOnce() -> Request) {
        let slot = self.slots.acquire().await.expect("the slots are never closed");
        // Nothing may be awaited from here on: the slot travels with the request.
        slot.forget();
        self.push(make());
    }

    /// Queues a request, or refuses it while the gate is shut.
    pub fn push(&self, request: Request) {
        let mut state = self.state.lock();
        let reason = match &state.1 {
            Gate::Open => {
                state.0.push(request);
                drop(state);
                self.changed.notify_all();
                return;
            }
            Gate::Shut(reason) => reason.clone(),
            Gate::Closed => "the store is closed".into(),
        };
        drop(state);
        self.slots.add_permits(usize::from(request.takes_a_slot()));
        request.refuse(&reason);
    }

    /// Moves everything that waits into `into`, after waiting for it at most `patience`.
    pub fn take(&self, into: &mut Vec<Request>, patience: Option<Duration>) -> Taken {
        let mut state = self.state.lock();
        loop {
            if !state.0.is_empty() {
                std::mem::swap(&mut state.0, into);
                drop(state);
                let slots = into.iter().filter(|request| request.takes_a_slot()).count();
                self.slots.add_permits(slots);
                return Taken::Work;
            }
            if matches!(state.1, Gate::Closed) {
                return Taken::Closed;
            }
            match patience {
                None => self.changed.wait(&mut state),
                Some(patience) => {
                    if self.changed.wait_for(&mut state, patience).timed_out() {
                        return Taken::Idle;
                    }
                }
            }
        }
    }

    /// Refuses what waits and what comes, until the gate opens again.
    pub fn shut(&self, reason: &str) {
        let mut state = self.state.lock();
        if !matches!(state.1, Gate::Closed) {
            state.1 = Gate::Shut(reason.into());
        }
        let waiting = std::mem::take(&mut state.0);
        drop(state);
        for request in waiting {
            self.slots.add_permits(usize::from(request.takes_a_slot()));
            request.refuse(reason);
        }
    }

    /// Takes requests again, unless the store was closed meanwhile.
    pub fn open(&self) {
        let mut state = self.state.lock();
        if !matches!(state.1, Gate::Closed) {
            state.1 = Gate::Open;
        }
    }

    /// Refuses everything from now on; what waits is still served.
    pub fn close(&self) {
        self.state.lock().1 = Gate::Closed;
        self.changed.notify_all();
    }

    /// Waits, and answers true as soon as the store is closed.
    pub fn closed_within(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !matches!(state.1, Gate::Closed), patience);
        matches!(state.1, Gate::Closed)
    }
}
