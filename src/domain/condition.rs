//! What the machine may do to the appliance: each condition with its name, its effect and its cure.

use serde::Serialize;

use super::time::Timestamp;

/// Something that keeps the appliance from all or part of its work; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It was asked to stop.
    Stopping,
    /// It does not take work yet.
    Starting,
    /// The store's file is no longer where it was opened.
    FileReplaced,
    /// The file is being opened again after a fault.
    Reopening,
    /// There is no room, or too little for new work.
    DiskFull,
    /// The file has met a quota or the size limit of the system.
    FileTooLarge,
    /// The file system takes no writes.
    ReadOnlyFileSystem,
    /// The disk answers with errors.
    IoError,
    /// A write has been on its way for too long.
    Stalled,
    /// The clock stands before what was recorded last.
    ClockBehind,
    /// The clock stands so far after what was recorded last that it is not believed.
    ClockAhead,
    /// An operator looks at what was restored before it goes on.
    Paused,
    /// The clock leapt forwards a while ago.
    ClockLeapt,
}

/// How far the appliance works in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes no new work.
    Refusing,
    /// It takes work, and part of it waits.
    Degraded,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Condition; 13] = [
        Condition::Stopping,
        Condition::Starting,
        Condition::FileReplaced,
        Condition::Reopening,
        Condition::DiskFull,
        Condition::FileTooLarge,
        Condition::ReadOnlyFileSystem,
        Condition::IoError,
        Condition::Stalled,
        Condition::ClockBehind,
        Condition::ClockAhead,
        Condition::Paused,
        Condition::ClockLeapt,
    ];

    /// Returns its stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Condition::Stopping => "stopping",
            Condition::Starting => "starting",
            Condition::FileReplaced => "file_replaced",
            Condition::Reopening => "reopening",
            Condition::DiskFull => "disk_full",
            Condition::FileTooLarge => "file_too_large",
            Condition::ReadOnlyFileSystem => "read_only_file_system",
            Condition::IoError => "io_error",
            Condition::Stalled => "stalled",
            Condition::ClockBehind => "clock_behind",
            Condition::ClockAhead => "clock_ahead",
            Condition::Paused => "paused",
            Condition::ClockLeapt => "clock_leapt",
        }
    }

    /// Returns the state of the store that it is shown as.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Condition::DiskFull
            | Condition::FileTooLarge
            | Condition::ReadOnlyFileSystem
            | Condition::IoError => "read_only",
            Condition::ClockLeapt => HEALTHY,
            other => other.code(),
        }
    }

    /// Returns how far the appliance works in it.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Condition::ClockBehind
            | Condition::ClockAhead
            | Condition::Paused
            | Condition::ClockLeapt => Effect::Degraded,
            _ => Effect::Refusing, // Whatever concerns the file or the process itself.
        }
    }

    /// Returns what somebody can do about it.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Condition::Stopping => "Start it again when it has ended.",
            Condition::Starting => "Wait; a large store is checked after a crash.",
            Condition::FileReplaced => {
                "Take a backup now: what can be read is whole. Then stop the process, put the \
                 store's file back and start again."
            }
            Condition::Reopening => "Wait a moment; what was accepted is safe.",
            Condition::DiskFull => {
                "Make room on the disk, or delete what is not needed; work is taken again by \
                 itself within seconds."
            }
            Condition::FileTooLarge => {
                "Raise the quota or the file size limit (ulimit -f) of the process."
            }
            Condition::ReadOnlyFileSystem => {
                "Look at the system's log for the reason, and mount the file system for writing."
            }
            Condition::IoError => {
                "Look at the system's log; if the disk is failing, take a backup and move to \
                 another."
            }
            Condition::Stalled => {
                "Look at the load of the disk; work is taken again as soon as it answers."
            }
            Condition::ClockBehind | Condition::ClockAhead => {
                "Set the clock right; if it is right, say so with `ergane clock accept`."
            }
            Condition::Paused => "Look at what was restored, then let it go on.",
            Condition::ClockLeapt => "Nothing; what was due meanwhile is caught up with.",
        }
    }

    /// Returns what a failed write or read says of the disk, by the system's number of the error.
    #[must_use]
    pub fn of_error(text: &str) -> Condition {
        let number = text.rsplit_once("os error ").and_then(|(_, rest)| {
            let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        match number {
            Some(ENOSPC | EDQUOT) => Condition::DiskFull,
            Some(EFBIG) => Condition::FileTooLarge,
            Some(EROFS | EPERM | EACCES) => Condition::ReadOnlyFileSystem,
            _ => Condition::IoError, // Anything else is a fault of the disk until it is known.
        }
    }
}

/// The state of a store that nothing is wrong with.
pub const HEALTHY: &str = "healthy";

/// Every state of a store, the one without fault first.
pub const STATES: [&str; 10] = [
    HEALTHY,
    "read_only",
    "reopening",
    "stalled",
    "clock_behind",
    "clock_ahead",
    "file_replaced",
    "paused",
    "starting",
    "stopping",
];

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

/// A condition that holds, since when, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which.
    #[serde(rename = "code", serialize_with = "as_code")]
    pub condition: Condition,
    /// What happened, for a person.
    pub detail: String,
    /// What to do about it, for a person.
    pub cure: &'static str,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Reason {
    /// Describes a condition.
    #[must_use]
    pub fn new(condition: Condition, detail: impl Into<String>, since: Timestamp) -> Reason {
        Reason { condition, detail: detail.into(), cure: condition.cure(), since }
    }
}

fn as_code<S: serde::Serializer>(condition: &Condition, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(condition.code())
}

/// What is asked of an appliance in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It makes something that was not there.
    New,
    /// It takes something away, or lets what has begun end.
    Relief,
}

impl Work {
    /// Returns what a change is, by the verb of its name (`ticket.create`).
    #[must_use]
    pub fn of_change(action: &str) -> Work {
        const RELIEF_NOUNS: [&str; 5] = ["session", "retention", "backup", "clock", "approval"];
        const RELIEF_VERBS: [&str; 17] = [
            "remove",
            "delete",
            "revoke",
            "uninstall",
            "cancel",
            "retire",
            "close",
            "end",
            "disable",
            "resolve",
            "compensate",
            "archive",
            "unthrottle",
            "reset",
            "approve",
            "reject",
            "purge",
        ];
        let (noun, verb) = action.split_once('.').unwrap_or((action, action));
        match RELIEF_NOUNS.contains(&noun) || RELIEF_VERBS.contains(&verb) {
            true => Work::Relief,
            false => Work::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_disk_is_told_apart_by_its_number() {
        for (text, condition) in [
            ("I/O error: No space left on device (os error 28)", Condition::DiskFull),
            ("Disk quota exceeded (os error 122)", Condition::DiskFull),
            ("File too large (os error 27)", Condition::FileTooLarge),
            ("Read-only file system (os error 30)", Condition::ReadOnlyFileSystem),
            ("Input/output error (os error 5)", Condition::IoError),
            ("Previous I/O error occurred", Condition::IoError),
        ] {
            assert_eq!(Condition::of_error(text), condition, "{text}");
        }
    }

    #[test]
    fn every_condition_has_a_name_of_its_own_a_known_state_and_a_cure() {
        let mut names: Vec<_> = Condition::ALL.iter().map(|one| one.code()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Condition::ALL.len());
        for condition in Condition::ALL {
            assert!(STATES.contains(&condition.state()) && condition.cure().ends_with('.'));
        }
    }

    #[test]
    fn what_takes_away_goes_on_where_what_makes_is_refused() {
        for (action, work) in [
            ("workflow.delete", Work::Relief),
            ("run.cancel", Work::Relief),
            ("retention.save", Work::Relief),
            ("session.begin", Work::Relief),
            ("workflow.save", Work::New),
            ("run.restart", Work::New),
            ("ticket.create", Work::New),
        ] {
            assert_eq!(Work::of_change(action), work, "{action}");
        }
    }
}
