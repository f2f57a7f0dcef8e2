//! Which activities are throttled, and the uses that count.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::activity::{Catalogue, Throttle, ThrottleKey};
use crate::domain::destination::UseLog;
use crate::domain::time::Timestamp;
use crate::store::destinations::{ThrottleRow, UsesRow};

/// How many logs are kept in memory; more are only in the store.
const LOGS_MAX: usize = 10_000;

/// What is throttled in one tenant.
#[derive(Default)]
pub(super) struct Throttles {
    by_activity: HashMap<String, Throttle>,
    logs: HashMap<String, Kept>,
}

/// A log, and up to which use the store knows of it.
#[derive(Default)]
struct Kept {
    log: UseLog,
    covered: u64,
}

/// What is to be written before a use is made.
pub(super) struct Unwritten {
    pub(super) row: UsesRow,
    /// Up to which use the row covers.
    pub(super) covers: u64,
}

/// Returns the name of what is counted together.
pub(super) fn id_of(throttle: &Throttle, activity: &str, destination: &str) -> String {
    match throttle.key {
        ThrottleKey::Tenant => "tenant".to_owned(),
        ThrottleKey::Activity => format!("activity {activity}"),
        ThrottleKey::Destination => format!("activity {activity} at {destination}"),
    }
}

impl Throttles {
    /// Takes over what somebody set in place of what the activities say of themselves.
    pub(super) fn set(&mut self, catalogue: &Catalogue, rows: Vec<ThrottleRow>) {
        let own = catalogue.iter().filter_map(|spec| {
            let throttle = spec.throttle.clone()?;
            Some((spec.identifier.clone(), throttle))
        });
        self.by_activity = own.collect();
        for row in rows {
            match ThrottleKey::named(&row.key).filter(|_| row.enabled) {
                Some(key) => {
                    let window = Duration::from_millis(row.window_ms);
                    let throttle = Throttle { limit: row.limit, window, key };
                    self.by_activity.insert(row.activity, throttle);
                }
                None => drop(self.by_activity.remove(&row.activity)),
            }
        }
    }

    pub(super) fn of(&self, activity: &str) -> Option<Throttle> {
        self.by_activity.get(activity).cloned()
    }

    /// Returns the log of a name, read from the store when it is first asked for.
    pub(super) fn log(
        &mut self,
        id: &str,
        started_at: Timestamp,
        written: impl FnOnce() -> Option<UsesRow>,
    ) -> &mut UseLog {
        if !self.logs.contains_key(id) {
            if self.logs.len() >= LOGS_MAX {
                self.logs.clear(); // What was written of them is in the store.
            }
            let row = written().unwrap_or_default();
            let log = UseLog::restored(&row.uses, row.spare, started_at);
            self.logs.insert(id.to_owned(), Kept { log, covered: 0 });
        }
        &mut self.logs.entry(id.to_owned()).or_default().log
    }

    /// Returns the log of a name that was asked for before.
    pub(super) fn known(&mut self, id: &str) -> Option<&mut UseLog> {
        self.logs.get_mut(id).map(|kept| &mut kept.log)
    }

    /// Returns what the store has to know before the use with this number is made.
    pub(super) fn unwritten(
        &self,
        id: &str,
        (number, limit, now): (u64, u32, Timestamp),
    ) -> Option<Unwritten> {
        let kept = self.logs.get(id).filter(|kept| number > kept.covered)?;
        // One write for several uses; after a crash so many more count as made.
        let spare = (limit / 10).min(100);
        let row = UsesRow { uses: kept.log.written(now), spare };
        Some(Unwritten { row, covers: kept.log.begun() + u64::from(spare) })
    }

    pub(super) fn note_written(&mut self, id: &str, covers: u64) {
        if let Some(kept) = self.logs.get_mut(id) {
            kept.covered = kept.covered.max(covers);
        }
    }
}
