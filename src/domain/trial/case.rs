//! Test cases played and judged: what came of them against what must.

use serde::Serialize;
use serde_json::{Value, json};

use super::stage::{Origin, Played, Script, play};
use crate::domain::activity::Catalogue;
use crate::domain::event::{Actor, Event};
use crate::domain::id::{RunId, TenantId};
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::run::TenantFacts;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::domain::workflow::cases::{CaseEvent, TestCase};

/// What a case is played against.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// The definition.
    pub workflow: &'a Workflow,
    /// The activities, as data.
    pub catalogue: &'a Catalogue,
    /// When it plays, unless its event says when that happened.
    pub now: Timestamp,
}

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseOutcome {
    /// All was as expected.
    Passed,
    /// Something was not.
    Failed,
    /// Its event is not known here.
    Skipped,
}

/// One case with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseResult {
    /// Its place among the cases.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: CaseOutcome,
    /// What was not as expected, or why it was not played.
    pub misses: Vec<Miss>,
    /// How the run ended; none when no run would have begun.
    pub status: Option<&'static str>,
    /// Inputs that do not fit their activity's schema.
    pub problems: Vec<Problem>,
}

/// One thing that was not as expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// Where in the definition the expectation stands.
    pub pointer: String,
    /// What was expected.
    pub expected: Value,
    /// What was found.
    pub actual: Value,
    /// The same for a person.
    pub detail: String,
}

impl CaseResult {
    /// Returns what failed as problems of the definition.
    #[must_use]
    pub fn faults(&self) -> Vec<Problem> {
        if self.outcome != CaseOutcome::Failed {
            return Vec::new();
        }
        let fault = |miss: &Miss| {
            let detail = format!("the test `{}` fails: {}", self.name, miss.detail);
            Problem::new(&*miss.pointer, "test_failed", detail)
        };
        self.misses.iter().map(fault).collect()
    }
}

/// Plays one case; `stored` is the event that it names, if it was found.
#[must_use]
pub fn play_case(
    seat: Seat<'_>,
    index: usize,
    case: &TestCase,
    stored: Option<Event>,
) -> CaseResult {
    let at = format!("/tests/{index}");
    let mut result = CaseResult {
        index,
        name: case.name.clone(),
        outcome: CaseOutcome::Passed,
        misses: Vec::new(),
        status: None,
        problems: Vec::new(),
    };
    let Some(event) = event_of(seat, case, stored) else {
        result.outcome = CaseOutcome::Skipped;
        result.misses.push(Miss {
            pointer: format!("{at}/eventId"),
            expected: Value::Null,
            actual: Value::Null,
            detail: "its event is not known here".to_owned(),
        });
        return result;
    };
    let now = event.time;
    let matches = would_start(seat.workflow, &event);
    let mut judge = Judge { at, misses: Vec::new() };
    judge.equal("/expect/matches", json!(case.expect.matches), json!(matches));
    if case.expect.matches && matches {
        let event = event.by_hand(seat.workflow, now);
        let origin = Origin {
            id: RunId::new(0, now, 0),
            version: 1,
            tenant: TenantFacts { id: TenantId(0), slug: "test".into(), name: "Test".into() },
            trigger: event.to_value(),
            vars: json!({}),
        };
        let script = Script { mocks: case.mocks.clone(), ..Script::default() };
        let played = play(seat.workflow, seat.catalogue, origin, now, &script);
        judge.run(case, &played);
        result.status = Some(played.run.status().as_str());
        result.problems = played.problems;
    }
    if !judge.misses.is_empty() {
        result.outcome = CaseOutcome::Failed;
        result.misses = judge.misses;
    }
    result
}

fn event_of(seat: Seat<'_>, case: &TestCase, stored: Option<Event>) -> Option<Event> {
    let CaseEvent::Given { kind, subject, time, payload } = &case.event else { return stored };
    let opening = seat.workflow.opening_kind().unwrap_or("workflow:started");
    Some(Event {
        id: "test".to_owned(),
        kind: kind.clone().unwrap_or_else(|| opening.to_owned()),
        source: "test".to_owned(),
        subject: subject.clone(),
        time: time.unwrap_or(seat.now),
        actor: Actor::default(),
        payload: payload.clone(),
        metadata: Default::default(),
        cause: None,
    })
}

/// Returns whether an event starts a run; workflows that wait for no event are started by hand.
fn would_start(workflow: &Workflow, event: &Event) -> bool {
    let kinds = workflow.event_kinds();
    if !kinds.contains(&event.kind.as_str()) {
        return kinds.is_empty() || workflow.opening_kind() == Some(event.kind.as_str());
    }
    let scope = Scope::of_event(event.to_value());
    workflow.filters_of(&event.kind).any(|filter| filter.matches(&scope))
}

struct Judge {
    at: String,
    misses: Vec<Miss>,
}

impl Judge {
    fn run(&mut self, case: &TestCase, played: &Played) {
        if let Some(status) = case.expect.status {
            let actual = played.run.status();
            self.equal("/expect/status", json!(status), json!(actual));
            if let (Some(error), true) = (&played.run.error, actual != status)
                && let Some(miss) = self.misses.last_mut()
            {
                miss.detail = format!("{}, for {}: {}", miss.detail, error.code, error.message);
            }
        }
        for (path, expected) in &case.expect.steps {
            let place = pointer_to("/expect/steps", path);
            let state = played.run.step(path);
            if let Some(status) = &expected.status {
                let actual = state.map_or("pending", |state| state.status.as_str());
                self.equal(&format!("{place}/status"), json!(status), json!(actual));
            }
            if let Some(input) = &expected.input {
                self.part(&format!("{place}/input"), input, played.run.input(path));
            }
            if let Some(output) = &expected.output {
                self.part(&format!("{place}/output"), output, played.run.output(path));
            }
        }
        if let Some(undone) = &case.expect.undone {
            self.equal("/expect/undone", json!(undone), json!(played.undone));
        }
    }

    fn equal(&mut self, place: &str, expected: Value, actual: Value) {
        if expected != actual {
            let detail = format!("expected {expected}, found {actual}");
            let pointer = format!("{}{place}", self.at);
            self.misses.push(Miss { pointer, expected, actual, detail });
        }
    }

    /// Compares what is expected with a value that may hold more: fields of objects that are not
    /// named may be anything.
    fn part(&mut self, place: &str, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::Object(wanted), Value::Object(found)) => {
                for (name, wanted) in wanted {
                    let actual = found.get(name).unwrap_or(&Value::Null);
                    self.part(&pointer_to(place, name), wanted, actual);
                }
            }
            (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
                for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                    self.part(&pointer_to(place, &index.to_string()), wanted, found);
                }
            }
            (wanted, found) => self.equal(place, wanted.clone(), found.clone()),
        }
    }
}
