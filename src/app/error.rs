//! The few ways in which a use case refuses; one place turns them into HTTP, one into exit codes.

use std::time::Duration;

use crate::domain::problem::Problem;
use crate::domain::quota::Quota;
use crate::domain::time::Timestamp;

/// Why a use case did not do what was asked; nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing in this tenant.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// The kind of thing: `run`, `workflow`, `ticket` …
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// It was there, and was removed when its time was over.
    #[error("{detail}")]
    Gone {
        /// The kind of thing: `run`, `event`.
        what: &'static str,
        /// What was removed and by what.
        detail: String,
    },
    /// The input is wrong; every problem is listed.
    #[error("the input is not valid")]
    Invalid(Vec<Problem>),
    /// It does not fit the present state.
    #[error("{detail}")]
    Conflict {
        /// What kind of conflict; stable.
        code: &'static str,
        /// What conflicts, for a person.
        detail: String,
    },
    /// It would refuse what was fine before; every difference is listed.
    #[error("{detail}")]
    Incompatible {
        /// What is incompatible, and what to do.
        detail: String,
        /// Each difference, with its place.
        problems: Vec<Problem>,
    },
    /// It does not fit what is there; every misfit is listed.
    #[error("{detail}")]
    Unfit {
        /// What kind of conflict; stable.
        code: &'static str,
        /// What does not fit, and what to do.
        detail: String,
        /// Each misfit, with its place.
        problems: Vec<Problem>,
    },
    /// `If-Match` names another version than the present one.
    #[error("it was changed meanwhile; the present version is {etag}")]
    Stale {
        /// The present entity tag.
        etag: String,
    },
    /// No key, or one that is not valid.
    #[error("{0}")]
    Unauthenticated(String),
    /// The key lacks a scope.
    #[error("this needs the scope `{scope}`, which the key does not have")]
    Forbidden {
        /// The scope that is missing.
        scope: String,
    },
    /// The input is larger than a limit.
    #[error("{what} of {size} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// Too much was asked for in too short a time.
    #[error("{detail}")]
    Busy {
        /// What limit was met.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A quota of the tenant is used up; nothing was accepted.
    #[error("{detail}")]
    OverQuota {
        /// Which one.
        quota: Quota,
        /// How much there may be.
        limit: u64,
        /// How much there is.
        used: u64,
        /// The same as a sentence.
        detail: String,
        /// When to try again; none where somebody has to remove something first.
        retry_after: Option<Duration>,
    },
    /// The tenant is suspended: it may be looked at, and takes no work.
    #[error("the tenant is suspended since {since}; whoever owns the appliance can resume it")]
    Suspended {
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be written now; nothing that was accepted is lost.
    #[error("{detail}")]
    Unavailable {
        /// Why.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Nothing goes on by itself since the store was restored.
    #[error(
        "the appliance is paused since it was restored, and takes nothing that would set something \
         off; `ergane resume` lets it go on"
    )]
    Paused,
    /// The machine keeps it from being done; nothing that was accepted is lost.
    #[error("{detail}")]
    Troubled {
        /// What is wrong; stable.
        code: &'static str,
        /// What is wrong and what can be done about it.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of the program or of a stored record.
    #[error("{0}")]
    Internal(String),
}
