//! Finds workflows that may start each other, or themselves, without end.

use serde_json::Value;

use super::{Action, Trigger, Workflow};
use crate::domain::desk::RecordKind;
use crate::domain::desk::emitted::update_kinds;
use crate::domain::event_type::{canonical, word};
use crate::domain::filter::Filter;
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;

/// How many workflows a cycle that is told of may have.
const CYCLE_MAX: usize = 6;
/// How many cycles are told of.
const CYCLES_MAX: usize = 5;
/// How many ways through the workflows are tried.
const STEPS_MAX: usize = 20_000;
/// Operators that only look at the present value, so that a constant decides them.
const DECIDABLE: [&str; 5] = ["~eq", "~neq", "~in", "~nin", "~isnull"];

/// An event that a step may emit, with the fields of the record that it sets to constants.
struct Emission<'w> {
    kind: String,
    record: Option<RecordKind>,
    constants: Vec<(&'w str, &'w Value)>,
}

/// Warns of every way in which `saved` may come to start itself again, through the `others` or
/// directly; the shortest first.
#[must_use]
pub fn warnings(saved: &Workflow, others: &[&Workflow]) -> Vec<Problem> {
    let others: Vec<&Workflow> =
        others.iter().copied().filter(|other| other.name != saved.name).collect();
    let mut cycles = Search { saved, others, cycles: Vec::new(), steps_left: STEPS_MAX };
    cycles.follow(saved, &mut Vec::new(), &mut saved.name.clone());
    let mut found = cycles.cycles;
    found.sort_by_key(String::len);
    found.truncate(CYCLES_MAX);
    found.into_iter().map(|cycle| warning(&cycle)).collect()
}

fn warning(cycle: &str) -> Problem {
    let detail = format!("it may start itself without end: {cycle}");
    let hint = "let a filter exclude what the steps make of the record, or the events whose \
                `actor.type` is WORKFLOW";
    Problem::new("/trigger", "loop", detail).with_hint(hint)
}

struct Search<'w> {
    saved: &'w Workflow,
    others: Vec<&'w Workflow>,
    cycles: Vec<String>,
    steps_left: usize,
}

impl<'w> Search<'w> {
    fn follow(&mut self, from: &'w Workflow, visited: &mut Vec<&'w str>, told: &mut String) {
        if visited.len() >= CYCLE_MAX || self.cycles.len() >= CYCLES_MAX {
            return;
        }
        visited.push(&from.name);
        self.follow_started(from, visited, told);
        for emission in emissions(from) {
            let others = self.others.clone();
            for next in std::iter::once(self.saved).chain(others) {
                let Some(left) = self.steps_left.checked_sub(1) else { return };
                self.steps_left = left;
                if !may_start(from, next, &emission) {
                    continue;
                }
                let length = told.len();
                told.push_str(&format!(" → {} → {}", emission.kind, next.name));
                if next.name == self.saved.name {
                    if !self.cycles.contains(told) {
                        self.cycles.push(told.clone());
                    }
                } else if !visited.contains(&next.name.as_str()) {
                    self.follow(next, visited, told);
                }
                told.truncate(length);
            }
        }
        visited.pop();
    }
}

impl<'w> Search<'w> {
    /// Follows the workflows that the steps start without an event.
    fn follow_started(
        &mut self,
        from: &'w Workflow,
        visited: &mut Vec<&'w str>,
        told: &mut String,
    ) {
        for step in from.all_steps() {
            let Action::Run { workflow: name, .. } = &step.action else { continue };
            let next = self.others.iter().copied().find(|other| other.name == *name);
            let Some(next) = next.filter(|next| !visited.contains(&next.name.as_str())) else {
                continue;
            };
            let length = told.len();
            told.push_str(&format!(" → run → {}", next.name));
            self.follow(next, visited, told);
            told.truncate(length);
        }
    }
}

/// Returns whether a workflow listens to the event and no filter excludes the constants in it.
fn may_start(from: &Workflow, next: &Workflow, emission: &Emission<'_>) -> bool {
    next.triggers.iter().any(|trigger| match trigger {
        Trigger::Event { kind, filter, .. } => {
            // One that starts when a state is entered would itself have to leave the state first.
            let waits_for_entry = from.name == next.name && looks_back(filter);
            *kind == emission.kind && !waits_for_entry && !excludes(filter, emission)
        }
        _ => false, // What waits for time is no endless loop.
    })
}

/// Returns whether one of the conditions that must hold is about what was before.
fn looks_back(filter: &Filter) -> bool {
    filter.source().as_object().into_iter().flatten().any(|(path, condition)| {
        let enters = ["~changedTo", "~changedFrom"];
        place_in_payload(path).starts_with("previous")
            || enters.iter().any(|operator| condition.get(operator).is_some())
    })
}

/// Returns the path without what leads to the payload.
fn place_in_payload(path: &str) -> &str {
    let inner = path.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
    let inner = inner.strip_prefix("context.event.message.").unwrap_or(inner);
    let inner = inner.strip_prefix("trigger.").unwrap_or(inner);
    inner.strip_prefix("payload.").unwrap_or(inner)
}

/// Returns whether one of the conditions that must hold fails for certain.
fn excludes(filter: &Filter, emission: &Emission<'_>) -> bool {
    let (Some(record), Some(conditions)) = (emission.record, filter.source().as_object()) else {
        return false;
    };
    conditions.iter().any(|(path, condition)| {
        let Some((own, field)) = place_in_payload(path).split_once('.') else { return false };
        let constant = emission.constants.iter().find(|(name, _)| *name == field);
        let (Some((_, value)), true) = (constant, own == word(record)) else { return false };
        let is_decidable = condition.as_object().is_some_and(|operators| {
            let is_plain = |text: &Value| !text.to_string().contains("{{");
            operators
                .iter()
                .all(|(name, expected)| DECIDABLE.contains(&name.as_str()) && is_plain(expected))
        });
        let alone = serde_json::json!({ path: condition });
        let event = serde_json::json!({ "payload": { own: { field: value } } });
        is_decidable
            && Filter::parse(&alone, "")
                .is_ok_and(|filter| !filter.matches(&Scope::of_event(event)))
    })
}

fn emissions(workflow: &Workflow) -> Vec<Emission<'_>> {
    let calls = workflow.all_steps().into_iter().filter_map(|step| match &step.action {
        Action::Call { activity, input, .. } => Some((activity.as_str(), input.source())),
        _ => None, // Nothing else changes a record or publishes an event.
    });
    calls.flat_map(|(activity, input)| emitted_by(activity, input)).collect()
}

fn emitted_by<'w>(activity: &str, input: &'w Value) -> Vec<Emission<'w>> {
    use RecordKind::{Account, Contact, Ticket};
    let one = |kind: &str| vec![kind.to_owned()];
    let updated = |own: &str| vec!["ticket:updated".to_owned(), own.to_owned()];
    let fields = || input.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let (record, kinds) = match activity.trim_end_matches("-platform") {
        "tickets:create-ticket" => (Some(Ticket), one("ticket:created")),
        "tickets:update-ticket" => (Some(Ticket), update_kinds(Ticket, fields())),
        "tickets:assign-ticket" => (None, updated("ticket:assigned")),
        "tickets:escalate-ticket" => (None, updated("ticket:escalated")),
        "tickets:add-tags" | "tickets:remove-tags" => (None, updated("ticket:tag:updated")),
        "tickets:archive-ticket" => (None, one("ticket:archived")),
        "tickets:unarchive-ticket" => (None, one("ticket:unarchived")),
        "tickets:delete-ticket" => (None, one("ticket:deleted")),
        "communications:create-comment" => (None, one("ticket:comment:added")),
        "communications:update-comment" => (None, one("ticket:comment:updated")),
        "communications:delete-comment" => (None, one("ticket:comment:deleted")),
        "communications:add-reaction" => (None, one("ticket:comment:reaction:added")),
        "accounts:create-account" => (Some(Account), one("account:created")),
        "accounts:update-account" => (Some(Account), update_kinds(Account, fields())),
        "accounts:create-note" => (None, one("account-note:created")),
        "accounts:create-task" => (None, one("account-task:created")),
        "accounts:create-activity" => (None, one("account-activity:created")),
        "contacts:create-customer-contact" => (Some(Contact), one("customer-contact:created")),
        "contacts:update-customer-contact" => (Some(Contact), update_kinds(Contact, fields())),
        "workflows:publish-event" => {
            let kind = input["type"].as_str().filter(|kind| !kind.contains("{{"));
            (None, kind.map(|kind| canonical(kind).into_owned()).into_iter().collect())
        }
        _ => (None, Vec::new()), // It only reads, or acts elsewhere.
    };
    let is_constant = |value: &Value| !value.to_string().contains("{{");
    let constants = || {
        let fields = input.as_object().into_iter().flatten();
        fields.filter(|(_, value)| is_constant(value)).map(|(name, value)| (name.as_str(), value))
    };
    let emission = |kind| Emission { kind, record, constants: constants().collect() };
    kinds.into_iter().map(emission).collect()
}
