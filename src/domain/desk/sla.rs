//! The clocks of a ticket's promises: what starts, pauses, meets and breaches them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::choice::CLOSED;
use super::emit::Emitted;
use super::sla_policy::{Metric, Policy};
use crate::domain::time::{Timestamp, format_duration};

/// More turns than intervals can end at one instant mean that something never comes to rest.
const TURNS_MAX: usize = 8;

/// How a ticket stands against its policy; the ticket shows it as `sla`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The policy's id.
    pub policy_id: String,
    /// The policy's name.
    pub policy_name: String,
    /// One clock for each promise.
    pub metrics: Vec<Clock>,
    /// When the next warning or breach is due, if nothing happens before.
    pub alarm_at: Option<Timestamp>,
}

/// The clock of one promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// What is promised.
    pub metric: Metric,
    /// How it stands.
    pub status: Status,
    /// Within how much counted time.
    pub target: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Since when it runs without a pause; `None` while it stands still.
    pub running_since: Option<Timestamp>,
    /// How much time was counted before that, in milliseconds.
    pub consumed_ms: u64,
    /// When it warns.
    pub warn_at: Option<Timestamp>,
    /// When it is breached.
    pub due_at: Option<Timestamp>,
    /// When it warned.
    pub warned_at: Option<Timestamp>,
    /// When it was breached.
    pub breached_at: Option<Timestamp>,
    /// When the promise was kept, late or not; for updates, the last one in the present interval.
    pub met_at: Option<Timestamp>,
}

/// How a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It runs.
    Running,
    /// It stands still, as the ticket's status asks for.
    Paused,
    /// The promise was kept in time.
    Met,
    /// The promise was not kept in time.
    Breached,
    /// The ticket was closed before it came to that.
    Stopped,
}

/// What a clock told.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// `ticket:sla:breach_warning` or `ticket:sla:breached`.
    pub kind: &'static str,
    /// What the event tells of the promise.
    pub told: Value,
}

/// What happened to a ticket, as far as its clocks care.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// The ticket before; `None` when it is new.
    pub before: Option<&'a Map<String, Value>>,
    /// The ticket now.
    pub ticket: &'a Map<String, Value>,
    /// The present instant.
    pub now: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Paused,
    Closed,
}

/// Returns the state that a ticket carries.
#[must_use]
pub fn state_of(ticket: Option<&Map<String, Value>>) -> Option<State> {
    let raw = ticket?.get("sla").filter(|raw| !raw.is_null())?;
    serde_json::from_value(raw.clone()).ok()
}

/// Returns the clocks as they stand now under `policy`, and what they told on the way; `None` where
/// nothing is promised. What was due before now is told, however late this is asked.
#[must_use]
pub fn advance(policy: Option<&Policy>, happening: &Happening<'_>) -> (Option<State>, Vec<Signal>) {
    let mut signals = Vec::new();
    let mut known = state_of(happening.before);
    if let Some(state) = &mut known {
        settle(state, policy, happening.now, &mut signals);
    }
    let Some(policy) = policy else { return (None, signals) };
    let mut state = known.unwrap_or_else(|| State {
        policy_id: String::new(),
        policy_name: String::new(),
        metrics: Vec::new(),
        alarm_at: None,
    });
    state.policy_id.clone_from(&policy.id);
    state.policy_name.clone_from(&policy.name);
    state.follow_targets(policy, happening);
    state.note(policy, happening);
    state.time(policy);
    settle(&mut state, Some(policy), happening.now, &mut signals);
    (Some(state), signals)
}

/// Returns the events of what a ticket's clocks told.
#[must_use]
pub fn events(ticket: &Map<String, Value>, signals: &[Signal]) -> Vec<Emitted> {
    let subject = ticket.get("id").and_then(Value::as_str).unwrap_or_default();
    let event = |signal: &Signal| Emitted {
        kind: signal.kind.to_owned(),
        subject: subject.to_owned(),
        payload: json!({ "ticket": ticket, "sla": signal.told }),
        metadata: Map::new(),
    };
    signals.iter().map(event).collect()
}

/// Tells everything that was due until `now`; an interval that ends begins another.
fn settle(state: &mut State, policy: Option<&Policy>, now: Timestamp, signals: &mut Vec<Signal>) {
    for _ in 0..TURNS_MAX {
        let (id, name) = (state.policy_id.clone(), state.policy_name.clone());
        let mut has_turned = false;
        for clock in &mut state.metrics {
            let told = |clock: &Clock| {
                json!({
                    "metric": clock.metric.name(), "policy": name, "policyId": id,
                    "target": clock.target, "startedAt": clock.started_at, "dueAt": clock.due_at,
                })
            };
            if clock.is_warning(now) {
                clock.warned_at = clock.warn_at;
                let told = told(clock);
                signals.push(Signal { kind: "ticket:sla:breach_warning", told });
            }
            match clock.due_at.filter(|due| clock.is_pending() && *due <= now) {
                Some(due) if clock.metric == Metric::Update && clock.met_at.is_some() => {
                    clock.begin(due);
                    has_turned = true;
                }
                Some(due) => {
                    clock.breached_at = Some(due);
                    clock.status = Status::Breached;
                    let told = told(clock);
                    signals.push(Signal { kind: "ticket:sla:breached", told });
                }
                None => {}
            }
        }
        state.alarm_at = state.metrics.iter().filter_map(Clock::next_alarm).min();
        let Some(policy) = policy.filter(|_| has_turned) else { return };
        state.time(policy);
    }
}

impl State {
    /// Gives each promise of the policy its clock, and no other: a promise that is new to a ticket
    /// counts from now, so that a new policy breaches nothing in the past.
    fn follow_targets(&mut self, policy: &Policy, happening: &Happening<'_>) {
        self.metrics.retain(|clock| policy.targets.contains_key(&clock.metric));
        for (metric, target) in &policy.targets {
            let target = format_duration(*target);
            match self.metrics.iter_mut().find(|clock| clock.metric == *metric) {
                Some(clock) => clock.target = target,
                None if *metric == Metric::NextResponse => {} // It waits for the customer.
                None => self.metrics.push(Clock::new(*metric, target, happening.now)),
            }
        }
        self.metrics.sort_by_key(|clock| clock.metric);
    }

    fn note(&mut self, policy: &Policy, happening: &Happening<'_>) {
        let now = happening.now;
        if happening.has_new("lastVendorReply") {
            self.replied(now);
        }
        if happening.has_new("lastCustomerComment") && happening.before.is_some() {
            self.asked(policy, now);
        }
        let phase = happening.phase(policy);
        for clock in &mut self.metrics {
            clock.enter(phase, policy, now);
        }
    }

    fn replied(&mut self, now: Timestamp) {
        for clock in &mut self.metrics {
            match clock.metric {
                Metric::FirstResponse | Metric::NextResponse if clock.met_at.is_none() => {
                    clock.keep(now);
                }
                // A missed interval ends with the late word; one that is kept goes on to its end.
                Metric::Update if clock.breached_at.is_some() => clock.begin(now),
                Metric::Update => clock.met_at = Some(now),
                Metric::FirstResponse | Metric::NextResponse | Metric::Resolution => {}
            }
        }
    }

    /// Further words of the customer do not start an open clock again.
    fn asked(&mut self, policy: &Policy, now: Timestamp) {
        let Some(target) = policy.targets.get(&Metric::NextResponse) else { return };
        let is_open = |metric: Metric| {
            self.metrics.iter().any(|clock| clock.metric == metric && clock.met_at.is_none())
        };
        if is_open(Metric::FirstResponse) || is_open(Metric::NextResponse) {
            return;
        }
        self.metrics.retain(|clock| clock.metric != Metric::NextResponse);
        self.metrics.push(Clock::new(Metric::NextResponse, format_duration(*target), now));
        self.metrics.sort_by_key(|clock| clock.metric);
    }

    fn time(&mut self, policy: &Policy) {
        for clock in &mut self.metrics {
            if clock.is_pending()
                && let Some(target) = policy.targets.get(&clock.metric)
            {
                clock.time(policy, *target);
            }
        }
        self.alarm_at = self.metrics.iter().filter_map(Clock::next_alarm).min();
    }
}

impl Clock {
    fn new(metric: Metric, target: String, now: Timestamp) -> Clock {
        Clock {
            metric,
            status: Status::Running,
            target,
            started_at: now,
            running_since: Some(now),
            consumed_ms: 0,
            warn_at: None,
            due_at: None,
            warned_at: None,
            breached_at: None,
            met_at: None,
        }
    }

    fn begin(&mut self, at: Timestamp) {
        *self = Clock::new(self.metric, std::mem::take(&mut self.target), at);
    }

    /// Returns whether it can still be breached.
    fn is_pending(&self) -> bool {
        self.breached_at.is_none() && matches!(self.status, Status::Running | Status::Paused)
    }

    fn is_warning(&self, now: Timestamp) -> bool {
        let is_kept = self.metric == Metric::Update && self.met_at.is_some();
        let is_due = self.warn_at.is_some_and(|warn_at| warn_at <= now);
        self.is_pending() && !is_kept && self.warned_at.is_none() && is_due
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        if !self.is_pending() {
            return None;
        }
        let is_silent =
            self.warned_at.is_some() || self.metric == Metric::Update && self.met_at.is_some();
        let warning = self.warn_at.filter(|_| !is_silent);
        warning.into_iter().chain(self.due_at).min()
    }

    fn keep(&mut self, now: Timestamp) {
        self.met_at = Some(now);
        self.running_since = None;
        self.status = if self.breached_at.is_some() { Status::Breached } else { Status::Met };
    }

    fn enter(&mut self, phase: Phase, policy: &Policy, now: Timestamp) {
        let is_kept = self.met_at.is_some() && self.metric != Metric::Update;
        match phase {
            Phase::Closed if is_kept || self.status == Status::Stopped => {}
            Phase::Closed => {
                self.hold(policy, now);
                match self.metric {
                    Metric::Resolution => self.keep(now),
                    _ if self.breached_at.is_some() => {}
                    _ => self.status = Status::Stopped,
                }
            }
            // A ticket that is opened again owes its solution again.
            Phase::Running | Phase::Paused if is_kept && self.metric != Metric::Resolution => {}
            Phase::Paused => {
                self.met_at = self.met_at.filter(|_| self.metric == Metric::Update);
                self.hold(policy, now);
                self.settle_status(Status::Paused);
            }
            Phase::Running => {
                self.met_at = self.met_at.filter(|_| self.metric == Metric::Update);
                self.running_since.get_or_insert(now);
                self.settle_status(Status::Running);
            }
        }
    }

    fn settle_status(&mut self, status: Status) {
        self.status = if self.breached_at.is_some() { Status::Breached } else { status };
    }

    fn hold(&mut self, policy: &Policy, now: Timestamp) {
        if let Some(since) = self.running_since.take() {
            let counted = policy.calendar.between(since, now).as_millis();
            self.consumed_ms += u64::try_from(counted).unwrap_or(u64::MAX);
        }
    }

    fn time(&mut self, policy: &Policy, target: Duration) {
        let left = target.saturating_sub(Duration::from_millis(self.consumed_ms));
        let reach = |amount| policy.calendar.after(self.running_since?, amount);
        let warning = policy.warn_before.and_then(|before| left.checked_sub(before));
        let (due_at, warn_at) = (reach(left), warning.and_then(reach));
        self.due_at = due_at;
        self.warn_at = warn_at;
    }
}

impl Happening<'_> {
    fn has_new(&self, name: &str) -> bool {
        let now = self.ticket.get(name).filter(|value| !value.is_null());
        now.is_some() && now != self.before.and_then(|before| before.get(name))
    }

    fn phase(&self, policy: &Policy) -> Phase {
        let is_closed = self.ticket.get("parentStatusName") == Some(&json!(CLOSED));
        let is_archived = self.ticket.get("isArchived") == Some(&json!(true));
        match (is_closed, is_archived || policy.pauses(self.ticket)) {
            (true, _) => Phase::Closed,
            (false, true) => Phase::Paused,
            (false, false) => Phase::Running,
        }
    }
}
