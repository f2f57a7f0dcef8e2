//! Wakes those who watch events or a run when something of theirs has become durable. What that is
//! they read from the store, so a ring that is missed or doubled changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::store::ledger::{Commit, Moved};

/// Whom to wake, by what they watch.
#[derive(Default)]
pub(super) struct Bell {
    watched: AtomicUsize,
    by_place: Mutex<HashMap<Moved, watch::Sender<()>>>,
}

impl Bell {
    /// Begins to watch; read the store afterwards, and nothing is missed.
    pub(super) fn listen(self: &Arc<Bell>, place: Moved) -> Watch {
        let mut by_place = self.by_place.lock();
        let rings = by_place.entry(place).or_insert_with(|| watch::Sender::new(())).subscribe();
        self.watched.store(by_place.len(), Ordering::SeqCst);
        Watch { bell: Arc::clone(self), place, rings }
    }

    /// Wakes those who watch what a commit has moved; nearly always nobody does, and then it costs
    /// one load.
    pub(super) fn ring(&self, commit: &Commit<'_>) {
        if self.watched.load(Ordering::SeqCst) == 0 {
            return;
        }
        let by_place = self.by_place.lock();
        for place in commit.moved() {
            if let Some(sender) = by_place.get(&place) {
                sender.send_replace(());
            }
        }
    }

    fn leave(&self, place: Moved) {
        let mut by_place = self.by_place.lock();
        // The one that leaves still counts as a receiver here.
        if by_place.get(&place).is_some_and(|sender| sender.receiver_count() <= 1) {
            by_place.remove(&place);
        }
        self.watched.store(by_place.len(), Ordering::SeqCst);
    }
}

/// Watches the events of a tenant, or a run, until it is dropped.
pub struct Watch {
    bell: Arc<Bell>,
    place: Moved,
    rings: watch::Receiver<()>,
}

impl Watch {
    /// Waits until something has become durable since the last wait, or since the watch began.
    pub async fn news(&mut self) {
        if self.rings.changed().await.is_err() {
            // The bell keeps the sender for as long as it is watched.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bell.leave(self.place);
    }
}
