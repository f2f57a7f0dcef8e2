//! Brings the log to the disk from time to time, on a thread of its own.

use std::fs::File;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Syncs what was written; whoever writes waits for nothing.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Files with something that is not synced.
    dirty: Vec<Arc<File>>,
    fault: Option<String>,
    is_over: bool,
}

impl Syncer {
    pub(super) fn start(every: Duration) -> std::io::Result<Syncer> {
        let shared: Arc<Shared> = Arc::default();
        let own = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("log-sync".into()).spawn(move || own.run(every))?;
        Ok(Syncer { shared, thread: Some(thread) })
    }

    /// Has a file synced soon.
    pub(super) fn note(&self, file: &Arc<File>) {
        let mut state = self.shared.state.lock();
        if !state.dirty.iter().any(|known| Arc::ptr_eq(known, file)) {
            state.dirty.push(Arc::clone(file));
        }
    }

    /// Returns why something could not be synced since it was asked last.
    pub(super) fn fault(&self) -> Option<String> {
        self.shared.state.lock().fault.take()
    }
}

impl Shared {
    fn run(&self, every: Duration) {
        loop {
            let mut state = self.state.lock();
            if !state.is_over {
                self.changed.wait_for(&mut state, every);
            }
            let (dirty, is_over) = (std::mem::take(&mut state.dirty), state.is_over);
            drop(state);
            for file in dirty {
                if let Err(error) = file.sync_data() {
                    self.state.lock().fault = Some(error.to_string());
                }
            }
            if is_over {
                return;
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic of it is the loss of a log that is not the truth.
        }
    }
}
