//! Whether the system lets this process have the threads that it needs, asked before it depends on
//! them: what fails later fails half-way.

use std::sync::mpsc::channel;
use std::thread;

use crate::store::seam::StoreError;

/// How many threads are needed beside those that are set: the writer, the watch, the log, the
/// housekeeping, and those that wait for files and passwords.
const OTHERS: usize = 12;

/// Starts as many threads as `workers` and what stands beside them, and ends them again.
///
/// # Errors
/// `Unavailable` when the system refuses one.
pub fn insist_on(workers: usize) -> Result<(), StoreError> {
    let needed = workers + OTHERS;
    let mut waiting = Vec::with_capacity(needed);
    for number in 0..needed {
        let (release, released) = channel::<()>();
        let begun = thread::Builder::new().spawn(move || released.recv().is_ok());
        let handle = begun.map_err(|error| {
            StoreError::Unavailable(format!(
                "the system allows {number} more threads, and {needed} are needed: {error}; raise \
                 the limit of the user (ulimit -u) or of the service (TasksMax)"
            ))
        })?;
        waiting.push((release, handle));
    }
    for (release, handle) in waiting {
        drop(release);
        let _ = handle.join(); // It did nothing that could fail.
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_usual_machine_has_threads_enough() {
        assert_eq!(super::insist_on(4), Ok(()));
    }
}
