//! What was proved, where and when, as a person files it and as a program reads it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::check::Findings;
use super::{Course, Plan};
use crate::domain::time::Timestamp;
use crate::subject::machine::{self, Disk};

const SHOWN_MAX: usize = 20;
const PIECE_BYTES: usize = 1 << 20;

/// When a proof was taken, and how long that took.
pub struct Taken {
    /// Its end.
    pub at: Timestamp,
    /// Its length, in seconds.
    pub seconds: f64,
}

/// Everything that somebody needs to judge the proof or to repeat it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    taken_at: String,
    seconds: f64,
    version: &'static str,
    binary_sha256: String,
    machine: String,
    kernel: String,
    file_system: Disk,
    seed: u64,
    kills: u64,
    kills_during_recovery: u64,
    events_sent: usize,
    events_acknowledged: usize,
    lost: usize,
    doubled: usize,
    undone: usize,
    undo_incomplete: usize,
    sleeps: usize,
    woke_early: usize,
    wrong: usize,
    recovery_ms: Recovery,
    violations: Vec<String>,
    verdict: &'static str,
}

/// How long a start after a kill took until it took work, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Recovery {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Certificate {
    /// Puts together what was found.
    pub(super) fn new(
        plan: &Plan,
        taken: Taken,
        course: Course,
        found: Findings,
    ) -> anyhow::Result<Certificate> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let lists = [
            ("lost", &found.lost),
            ("doubled", &found.doubled),
            ("not undone", &found.undo_incomplete),
            ("woke early", &found.early),
            ("wrong", &found.wrong),
        ];
        let violations = lists
            .iter()
            .flat_map(|(what, list)| list.iter().map(move |one| format!("{what}: {one}")))
            .take(SHOWN_MAX)
            .collect();
        Ok(Certificate {
            taken_at: taken.at.to_string(),
            seconds: (taken.seconds * 10.0).round() / 10.0,
            version: env!("CARGO_PKG_VERSION"),
            binary_sha256: own_hash()?,
            machine: machine::describe(&plan.directory),
            kernel: kernel.trim().to_owned(),
            file_system: machine::disk(&plan.directory),
            seed: plan.seed,
            kills: course.kills,
            kills_during_recovery: course.kills_during_recovery,
            events_sent: found.sent,
            events_acknowledged: found.acknowledged,
            lost: found.lost.len(),
            doubled: found.doubled.len(),
            undone: found.undone,
            undo_incomplete: found.undo_incomplete.len(),
            sleeps: found.sleeps,
            woke_early: found.early.len(),
            wrong: found.wrong.len(),
            recovery_ms: Recovery::of(course.recoveries),
            violations,
            verdict: if found.is_clean() { "kept" } else { "broken" },
        })
    }

    /// Returns whether every promise was kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.verdict == "kept"
    }

    /// Writes it for a person.
    ///
    /// # Errors
    /// Fails when `out` does.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Disk { device, kind, options } = &self.file_system;
        let Recovery { p50, p99, max } = self.recovery_ms;
        let rows = [
            ("taken", format!("{}, in {:.0} s", self.taken_at, self.seconds)),
            ("version", format!("ergane {}", self.version)),
            ("binary", format!("sha256 {}", self.binary_sha256)),
            ("machine", self.machine.clone()),
            ("kernel", self.kernel.clone()),
            ("file system", format!("{kind} on {device}, {options}")),
            ("seed", self.seed.to_string()),
            (
                "kills",
                format!("{}, {} of them during recovery", self.kills, self.kills_during_recovery),
            ),
            (
                "events",
                format!("{} sent, {} acknowledged", self.events_sent, self.events_acknowledged),
            ),
            ("lost", self.lost.to_string()),
            ("doubled", self.doubled.to_string()),
            ("undone", format!("{}, {} incomplete", self.undone, self.undo_incomplete)),
            ("sleeps", format!("{}, {} early", self.sleeps, self.woke_early)),
            ("wrong", self.wrong.to_string()),
            ("recovery", format!("p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")),
        ];
        writeln!(out, "Certificate of a crash proof\n")?;
        for (name, value) in rows {
            writeln!(out, "{name:12} {value}")?;
        }
        for violation in &self.violations {
            writeln!(out, "  {violation}")?;
        }
        let said = match self.is_kept() {
            true => "every promise was kept",
            false => "PROMISES WERE BROKEN",
        };
        writeln!(out, "\nverdict      {said}")
    }
}

impl Recovery {
    fn of(mut times: Vec<Duration>) -> Recovery {
        times.sort();
        let at = |share: f64| {
            let place = (times.len() as f64 * share) as usize;
            let time = times.get(place.min(times.len().saturating_sub(1)));
            time.map_or(0.0, |time| (time.as_secs_f64() * 10_000.0).round() / 10.0)
        };
        Recovery { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// Returns the checksum of the program that is running.
fn own_hash() -> anyhow::Result<String> {
    let path = std::env::current_exe()?;
    let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recoveries_are_told_by_their_middle_and_their_end() {
        let Recovery { p50, p99, max } =
            Recovery::of((1..=100).map(Duration::from_millis).collect());
        assert_eq!((p50, p99, max), (51.0, 100.0, 100.0));
        assert_eq!(Recovery::of(Vec::new()).max, 0.0);
    }
}
