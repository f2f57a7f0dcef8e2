//! The way back from a fault: the file is opened again, and tried, until it takes writes.

use super::Writer;
use crate::domain::condition::Condition;
use crate::store::redb_store::tables::HEARTBEAT;
use crate::store::seam::Health;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const REOPEN_WAIT_MIN: Duration = Duration::from_millis(10);
const REOPEN_WAIT_MAX: Duration = Duration::from_secs(1);

impl Writer {
    /// Opens the file again and again until it takes writes; meanwhile it may serve reads.
    pub(super) fn recover(&mut self, mut reason: String) {
        tracing::warn!("The store failed and is opened again: {reason}");
        self.blame(&reason);
        let mut wait = REOPEN_WAIT_MIN;
        if !self.is_back_in_place() {
            return;
        }
        let mut opened = self.open_again();
        loop {
            if opened.is_ok() {
                match self.probe() {
                    Ok(()) => return self.reopened(),
                    Err(error) => reason = error,
                }
                self.blame(&reason);
                // The failed probe spoiled the handle, for reading too.
                opened = self.open_again();
            }
            let health = match &opened {
                Ok(()) => {
                    self.shared.board.lift(Condition::Reopening);
                    Health::ReadOnly(reason.clone())
                }
                Err(error) => {
                    self.shared.board.raise(Condition::Reopening, error.clone());
                    reason.clone_from(error);
                    Health::Reopening
                }
            };
            *self.shared.health.write() = health;
            self.shared.queue.shut(&reason);
            if self.shared.queue.closed_within(wait) {
                return;
            }
            wait = (wait * 2).min(REOPEN_WAIT_MAX);
            if opened.is_err() {
                opened = self.open_again();
            }
        }
    }

    /// Writes on the board what a failure says of the disk. When it is full, the reserve gives way,
    /// so that what follows has room.
    fn blame(&self, reason: &str) {
        let condition = Condition::of_error(reason);
        let board = &self.shared.board;
        if condition == Condition::DiskFull && self.shared.reserve.release() {
            let detail = format!("the disk is full, and the reserve is in use: {reason}");
            board.raise(condition, detail);
        } else if !(board.holds(Condition::DiskFull) && condition == Condition::IoError) {
            // A handle that failed says no more than that it did.
            board.raise(condition, reason.to_owned());
        }
    }

    /// Waits while the file is not where it was opened: opened again, it could not even be read.
    /// Answers false when the store is closed meanwhile.
    fn is_back_in_place(&self) -> bool {
        while let Err(reason) = self.shared.check_identity() {
            for of_the_file in [Condition::Reopening, Condition::IoError] {
                self.shared.board.lift(of_the_file);
            }
            *self.shared.health.write() = Health::ReadOnly(reason);
            if self.shared.queue.closed_within(REOPEN_WAIT_MAX) {
                return false;
            }
        }
        true
    }

    fn open_again(&self) -> Result<(), String> {
        let mut database = self.shared.database.write();
        // The old handle must be gone first: the file's lock is its own.
        drop(database.take());
        *database = Some((self.reopen)().map_err(|error| error.to_string())?);
        Ok(())
    }

    fn reopened(&mut self) {
        self.restless = true;
        let ends = self.ends();
        self.log.iter_mut().for_each(|log| log.settle(&ends));
        let board = &self.shared.board;
        board.count_reopening();
        for over in [
            Condition::Reopening,
            Condition::IoError,
            Condition::FileTooLarge,
            Condition::ReadOnlyFileSystem,
        ] {
            board.lift(over);
        }
        // With a reserve, room for what has begun is not yet room for new work.
        if self.shared.settings.reserve_bytes == 0 {
            board.lift(Condition::DiskFull);
        }
        *self.shared.health.write() = Health::Healthy;
        self.shared.queue.open();
        tracing::info!("The store takes writes again");
    }

    /// Finds out whether writing works, by writing as much as what failed, which leaves room for
    /// it; then reads what the file says.
    fn probe(&mut self) -> Result<(), String> {
        let ballast = vec![0; self.failed_bytes];
        let beat = |ballast: Option<&[u8]>| -> Result<(), String> {
            let tx = self.shared.begin_write()?;
            let in_table = || -> Result<(), redb::Error> {
                let mut table = tx.open_table(HEARTBEAT)?;
                match ballast {
                    Some(ballast) => drop(table.insert("ballast", ballast)?),
                    None => drop(table.remove("ballast")?),
                }
                Ok(())
            };
            in_table().map_err(|error| error.to_string())?;
            tx.commit().map_err(|error| error.to_string())
        };
        catch_unwind(AssertUnwindSafe(|| beat(Some(&ballast)).and_then(|()| beat(None))))
            .unwrap_or_else(|_| Err("writing panicked".into()))?;
        self.load().map_err(|error| error.to_string())
    }
}
