//! The checks of one tenant: its keys, what it is connected to, its runs.

use std::time::Duration;

use super::{Finding, some_of};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A key that was not used for so long is probably not needed.
const UNUSED_DAYS: u32 = 90;
/// Of fewer runs no share is told.
const RUNS_MIN: u64 = 10;
/// More runs than this that wait for room are a backlog.
const QUEUED_MAX: u64 = 10_000;

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// Whether it came from the configuration.
    pub prepared: bool,
}

/// Everything that the checks of a tenant look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantFacts {
    /// Its name in commands.
    pub slug: String,
    /// Its keys.
    pub keys: Vec<KeyFacts>,
    /// Subscriptions that were disabled because they failed, by id.
    pub webhooks_disabled: Vec<String>,
    /// Connections that the other system does not believe.
    pub disbelieved: Vec<String>,
    /// Destinations that are left alone because calls failed.
    pub open_circuits: Vec<String>,
    /// How many steps wait for somebody, and since when the first does.
    pub incidents: (usize, Option<Timestamp>),
    /// Schedules that have missed times since they fired last.
    pub schedules_missed: Vec<String>,
    /// Workflows with the runs that failed and all that ended.
    pub workflows: Vec<(String, u64, u64)>,
    /// Runs that were set aside since the start.
    pub quarantined: u64,
    /// Runs that are said to be at work and that nothing works at.
    pub idle: Vec<RunId>,
    /// Runs that wait for room.
    pub queued: u64,
}

/// Examines a tenant: each check once, whatever came out.
#[must_use]
pub fn examine_tenant(facts: &TenantFacts, now: Timestamp) -> Vec<Finding> {
    let findings = [
        prepared_key(facts, now),
        endless_keys(facts),
        unused_keys(facts, now),
        webhooks(facts),
        connections(facts),
        circuits(facts),
        incidents(facts, now),
        schedules(facts),
        failing(facts),
        quarantine(facts),
        idle(facts),
        backlog(facts),
    ];
    let told = |finding| Finding { tenant: Some(facts.slug.clone()), ..finding };
    findings.into_iter().map(told).collect()
}

fn names<'k>(keys: impl Iterator<Item = &'k KeyFacts>) -> Vec<String> {
    keys.map(|key| format!("{} ({})", key.id, key.name)).collect()
}

fn prepared_key(facts: &TenantFacts, now: Timestamp) -> Finding {
    let check = "key-prepared";
    let lately = |key: &&KeyFacts| {
        key.prepared && key.last_used_at.is_some_and(|used| now.since(used) < DAY)
    };
    match facts.keys.iter().find(lately) {
        Some(key) => Finding::warn(
            check,
            format!("the owner key from the configuration, {}, is still in use", key.id),
            &format!("ergane key create <name>, then ergane key revoke {}", key.id),
        ),
        None => Finding::ok(check, "no key from the configuration was used in the last day"),
    }
}

fn endless_keys(facts: &TenantFacts) -> Finding {
    let endless = names(facts.keys.iter().filter(|key| key.expires_at.is_none()));
    match endless.is_empty() {
        true => Finding::ok("keys-endless", "every key ends some day"),
        false => Finding::warn(
            "keys-endless",
            format!("{} keys never end: {}", endless.len(), some_of(&endless)),
            "ergane key create <name> --expires-at <time>, then ergane key revoke <id>",
        ),
    }
}

fn unused_keys(facts: &TenantFacts, now: Timestamp) -> Finding {
    let idle =
        |key: &&KeyFacts| now.since(key.last_used_at.unwrap_or(key.created_at)) > DAY * UNUSED_DAYS;
    let unused = names(facts.keys.iter().filter(idle));
    match unused.is_empty() {
        true => Finding::ok("keys-unused", format!("every key was used within {UNUSED_DAYS} days")),
        false => Finding::warn(
            "keys-unused",
            format!("not used for {UNUSED_DAYS} days: {}", some_of(&unused)),
            "ergane key revoke <id>",
        ),
    }
}

/// Grades a list of names of which each is a trouble.
fn each(check: &'static str, found: &[String], fine: &str, what: &str, cure: &str) -> Finding {
    match found.is_empty() {
        true => Finding::ok(check, fine),
        false => Finding::warn(check, format!("{what}: {}", some_of(found)), cure),
    }
}

fn webhooks(facts: &TenantFacts) -> Finding {
    each(
        "webhooks",
        &facts.webhooks_disabled,
        "every subscription is served",
        "disabled because they failed",
        "curl -X POST …/v1/webhooks/<id>/enable, once the subscriber answers",
    )
}

fn connections(facts: &TenantFacts) -> Finding {
    each(
        "connections",
        &facts.disbelieved,
        "every connection is believed",
        "not believed by the other system",
        "curl -X PATCH …/v1/connections/<name> with new secrets",
    )
}

fn circuits(facts: &TenantFacts) -> Finding {
    each(
        "circuits",
        &facts.open_circuits,
        "calls go everywhere",
        "left alone because calls failed",
        "look at /destinations",
    )
}

fn incidents(facts: &TenantFacts, now: Timestamp) -> Finding {
    let (count, oldest) = facts.incidents;
    let cure = "look at /runs?status=waiting, or curl …/v1/incidents";
    match oldest {
        Some(oldest) if now.since(oldest) > DAY => {
            let detail = format!("{count} steps wait for somebody, the first since {oldest}");
            Finding::warn("incidents", detail, cure)
        }
        Some(_) => Finding::ok("incidents", format!("{count} wait for somebody, none for a day")),
        None => Finding::ok("incidents", "no step waits for somebody"),
    }
}

fn schedules(facts: &TenantFacts) -> Finding {
    each(
        "schedules",
        &facts.schedules_missed,
        "none has missed its time",
        "missed times since they fired last",
        "look at /schedules",
    )
}

fn failing(facts: &TenantFacts) -> Finding {
    let often =
        |(_, failed, ended): &&(String, u64, u64)| *ended >= RUNS_MIN && failed * 2 > *ended;
    let failing: Vec<String> = facts
        .workflows
        .iter()
        .filter(often)
        .map(|(name, failed, ended)| format!("{name} ({failed} of {ended})"))
        .collect();
    let cure = "ergane run list --status failed --workflow <name>";
    each("workflows", &failing, "none fails more often than not", "fail more often than not", cure)
}

fn quarantine(facts: &TenantFacts) -> Finding {
    match facts.quarantined {
        0 => Finding::ok("quarantine", "no run was set aside since the start"),
        runs => Finding::fail(
            "quarantine",
            format!("{runs} runs were set aside because they crashed or cannot be read"),
            "ergane run list --status failed, and ergane logs --level error",
        ),
    }
}

fn idle(facts: &TenantFacts) -> Finding {
    let runs: Vec<String> = facts.idle.iter().map(RunId::to_string).collect();
    match runs.is_empty() {
        true => Finding::ok("stuck", "every run is at work or says what it waits for"),
        false => Finding::fail(
            "stuck",
            format!("nothing works at {}, and they state no reason", some_of(&runs)),
            "ergane run cancel <id>, or start the appliance again",
        ),
    }
}

fn backlog(facts: &TenantFacts) -> Finding {
    match facts.queued {
        queued if queued > QUEUED_MAX => Finding::warn(
            "backlog",
            format!("{queued} runs wait for room"),
            "ergane config show | grep runs_active_max",
        ),
        queued => Finding::ok("backlog", format!("{queued} runs wait for room")),
    }
}
