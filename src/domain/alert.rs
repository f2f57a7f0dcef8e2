//! Alerts: conditions that somebody should hear of, once when they come and once when they go.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What an alert is about; the words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// The store takes no writes.
    StoreNotWritable,
    /// Little space is left.
    DiskLow,
    /// No backup is new enough.
    BackupOverdue,
    /// Many runs have failed lately.
    RunsFailing,
    /// A step waits for somebody.
    IncidentOpened,
    /// Not every step of a run could be undone.
    CompensationIncomplete,
    /// A run was set aside.
    RunQuarantined,
    /// Many destinations are left alone.
    CircuitsOpen,
    /// A schedule has missed a time.
    ScheduleMissed,
    /// The certificate ends soon.
    CertificateEnding,
    /// The clock leapt.
    ClockJumped,
    /// A subscription was disabled.
    WebhookDisabled,
    /// Many errors were logged.
    ErrorsBurst,
    /// A check of the doctor fails that has no alert of its own.
    CheckFailed,
    /// Somebody tries whether notices arrive.
    Test,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [AlertKind; 15] = [
        AlertKind::StoreNotWritable,
        AlertKind::DiskLow,
        AlertKind::BackupOverdue,
        AlertKind::RunsFailing,
        AlertKind::IncidentOpened,
        AlertKind::CompensationIncomplete,
        AlertKind::RunQuarantined,
        AlertKind::CircuitsOpen,
        AlertKind::ScheduleMissed,
        AlertKind::CertificateEnding,
        AlertKind::ClockJumped,
        AlertKind::WebhookDisabled,
        AlertKind::ErrorsBurst,
        AlertKind::CheckFailed,
        AlertKind::Test,
    ];

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            AlertKind::StoreNotWritable => "store-not-writable",
            AlertKind::DiskLow => "disk-low",
            AlertKind::BackupOverdue => "backup-overdue",
            AlertKind::RunsFailing => "runs-failing",
            AlertKind::IncidentOpened => "incident-opened",
            AlertKind::CompensationIncomplete => "compensation-incomplete",
            AlertKind::RunQuarantined => "run-quarantined",
            AlertKind::CircuitsOpen => "circuits-open",
            AlertKind::ScheduleMissed => "schedule-missed",
            AlertKind::CertificateEnding => "certificate-ending",
            AlertKind::ClockJumped => "clock-jumped",
            AlertKind::WebhookDisabled => "webhook-disabled",
            AlertKind::ErrorsBurst => "errors-burst",
            AlertKind::CheckFailed => "check-failed",
            AlertKind::Test => "test",
        }
    }
}

/// What is the matter at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub kind: AlertKind,
    /// The tenant, where it is about one.
    pub tenant: Option<String>,
    /// What tells it from others of its kind; may be empty.
    pub subject: String,
    /// What is the matter, for a person.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// A condition that came, and perhaps went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Names it.
    pub id: String,
    /// What it is about.
    pub kind: AlertKind,
    /// The tenant, where it is about one.
    pub tenant: Option<String>,
    /// What tells it from others of its kind.
    pub subject: String,
    /// What was the matter last.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// When it came.
    pub raised_at: Timestamp,
    /// When it went.
    pub resolved_at: Option<Timestamp>,
    /// Whether somebody is told of it: not when it comes again and again.
    pub told: bool,
    /// When somebody was told of it, or of what came before it.
    pub told_at: Timestamp,
}

/// What the book did about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// It came.
    Raised,
    /// It went.
    Resolved,
}

impl Turn {
    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Turn::Raised => "raised",
            Turn::Resolved => "resolved",
        }
    }
}

/// How a book tells again and again from once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long nobody is told again of what came, went and comes again.
    pub quiet: Duration,
    /// How many alerts that went are remembered.
    pub kept_max: usize,
}

type Key = (AlertKind, Option<String>, String);

/// The alerts that are raised, and the last that were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertBook {
    open: Vec<Alert>,
    recent: VecDeque<Alert>,
}

impl AlertBook {
    /// Compares what is the matter with what was, and returns what came and what went.
    pub fn look(
        &mut self,
        now: Timestamp,
        conditions: Vec<Condition>,
        patience: Patience,
    ) -> Vec<(Turn, Alert)> {
        let mut now_there: BTreeMap<Key, Condition> = BTreeMap::new();
        for condition in conditions {
            let key = (condition.kind, condition.tenant.clone(), condition.subject.clone());
            now_there.entry(key).or_insert(condition);
        }
        let mut turns = Vec::new();
        let mut stay = Vec::new();
        for mut alert in std::mem::take(&mut self.open) {
            match now_there.remove(&key_of(&alert)) {
                Some(condition) => {
                    alert.detail = condition.detail;
                    alert.cure = condition.cure;
                    stay.push(alert);
                }
                None => {
                    alert.resolved_at = Some(now);
                    turns.push((Turn::Resolved, alert.clone()));
                    self.recent.push_front(alert);
                }
            }
        }
        self.open = stay;
        for condition in now_there.into_values() {
            let alert = self.raised(now, condition, patience.quiet);
            turns.push((Turn::Raised, alert.clone()));
            self.open.push(alert);
        }
        self.recent.truncate(patience.kept_max);
        turns
    }

    fn raised(&self, now: Timestamp, condition: Condition, quiet: Duration) -> Alert {
        let Condition { kind, tenant, subject, detail, cure } = condition;
        let id = format!("alert_{}_{}_{}", kind.word(), now.millis(), self.open.len());
        let mut alert = Alert {
            id,
            kind,
            tenant,
            subject,
            detail,
            cure,
            raised_at: now,
            resolved_at: None,
            told: true,
            told_at: now,
        };
        let key = key_of(&alert);
        let before = self.recent.iter().find(|it| key_of(it) == key);
        if let Some(before) = before.filter(|it| now.since(it.told_at) < quiet) {
            alert.told = false;
            alert.told_at = before.told_at;
        }
        alert
    }

    /// Returns the alerts that are raised, the newest first.
    #[must_use]
    pub fn open(&self) -> Vec<Alert> {
        let mut open = self.open.clone();
        open.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        open
    }

    /// Returns the alerts that went, the last first.
    pub fn recent(&self) -> impl Iterator<Item = &Alert> {
        self.recent.iter()
    }
}

fn key_of(alert: &Alert) -> Key {
    (alert.kind, alert.tenant.clone(), alert.subject.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { quiet: Duration::from_secs(3_600), kept_max: 3 };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn disk(detail: &str) -> Condition {
        Condition {
            kind: AlertKind::DiskLow,
            tenant: None,
            subject: String::new(),
            detail: detail.to_owned(),
            cure: None,
        }
    }

    fn words(turns: &[(Turn, Alert)]) -> Vec<(&'static str, bool)> {
        turns.iter().map(|(turn, alert)| (turn.word(), alert.told)).collect()
    }

    #[test]
    fn a_condition_is_told_when_it_comes_and_when_it_goes_and_not_in_between() {
        let mut book = AlertBook::default();
        assert_eq!(words(&book.look(at(0), vec![disk("9 %")], PATIENCE)), [("raised", true)]);
        assert!(book.look(at(1), vec![disk("8 %")], PATIENCE).is_empty());
        assert_eq!(book.open()[0].detail, "8 %", "what is the matter is kept up to date");
        assert_eq!(words(&book.look(at(2), vec![], PATIENCE)), [("resolved", true)]);
        assert!(book.look(at(3), vec![], PATIENCE).is_empty());
        assert_eq!(book.recent().next().and_then(|it| it.resolved_at), Some(at(2)));
    }

    #[test]
    fn what_comes_again_and_again_is_told_once_in_the_quiet_time() {
        let mut book = AlertBook::default();
        let mut told = 0;
        for minute in 0..120 {
            let conditions = if minute % 2 == 0 { vec![disk("low")] } else { vec![] };
            let turns = book.look(at(minute), conditions, PATIENCE);
            told += turns.iter().filter(|(turn, it)| *turn == Turn::Raised && it.told).count();
        }
        assert_eq!(told, 2, "once in each hour");
        let again = book.look(at(600), vec![disk("low")], PATIENCE);
        assert_eq!(words(&again), [("raised", true)]);
    }

    #[test]
    fn alerts_of_one_kind_are_told_apart_by_tenant_and_subject() {
        let of = |tenant: &str, subject: &str| Condition {
            tenant: Some(tenant.to_owned()),
            subject: subject.to_owned(),
            ..disk("x")
        };
        let mut book = AlertBook::default();
        let all = vec![of("a", "1"), of("a", "2"), of("b", "1"), of("b", "1")];
        assert_eq!(book.look(at(0), all, PATIENCE).len(), 3);
        let written = serde_json::to_string(&book).expect("a book is plain data");
        assert_eq!(serde_json::from_str::<AlertBook>(&written).expect("the same"), book);
    }

    #[test]
    fn the_words_are_those_of_the_json() {
        for kind in AlertKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.word());
        }
    }
}
