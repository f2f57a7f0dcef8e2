//! What a look at the appliance finds: each check with what is the matter and the command that cures it.

mod appliance;
mod tenant;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use appliance::{ApplianceFacts, Backups, Limits, Verified, examine};
pub use tenant::{KeyFacts, TenantFacts, examine_tenant};

/// How a check came out, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// All is well.
    Ok,
    /// Somebody should look at it.
    Warn,
    /// Something does not work, or will not for long.
    Fail,
}

impl Grade {
    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check; stable.
    pub check: &'static str,
    /// How it came out.
    pub status: Grade,
    /// The tenant that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was found, for a person.
    pub detail: String,
    /// What to do about it, as a command where there is one.
    pub cure: Option<String>,
}

impl Finding {
    fn new(check: &'static str, status: Grade, detail: String, cure: &str) -> Finding {
        let cure = (!cure.is_empty()).then(|| cure.to_owned());
        Finding { check, status, tenant: None, detail, cure }
    }

    fn ok(check: &'static str, detail: impl Into<String>) -> Finding {
        Finding::new(check, Grade::Ok, detail.into(), "")
    }

    fn warn(check: &'static str, detail: impl Into<String>, cure: &str) -> Finding {
        Finding::new(check, Grade::Warn, detail.into(), cure)
    }

    fn fail(check: &'static str, detail: impl Into<String>, cure: &str) -> Finding {
        Finding::new(check, Grade::Fail, detail.into(), cure)
    }
}

/// Writes a number of bytes as people read it.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = number as f64;
    let mut unit = 0;
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        size /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// Names the first few of a list.
fn some_of(names: &[String]) -> String {
    const NAMED_MAX: usize = 5;
    let named = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
