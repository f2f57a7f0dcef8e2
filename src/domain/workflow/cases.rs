//! Test cases that are kept with a definition: an event, what the world answers to the steps, and
//! what must come of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{Field, Fields, Findings};
use super::parse::Reading;
use super::step::{Draft, gather};
use super::tree::id_of;
use crate::domain::event_type;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::run::{Decision, Failure, FailureClass, Status};
use crate::domain::time::Timestamp;

/// How many steps a case may answer for or expect something of.
const STEPS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 200;

/// One test case.
#[derive(Clone, Debug, PartialEq)]
pub struct TestCase {
    /// Names it among the cases of its workflow.
    pub name: String,
    /// What the run begins with.
    pub event: CaseEvent,
    /// What the world answers, by the ids of steps or their paths.
    pub mocks: BTreeMap<String, Mock>,
    /// What must come of it.
    pub expect: Expectation,
    /// The case as it was written.
    pub source: Value,
}

/// What the run of a test case begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseEvent {
    /// An event that is written out.
    Given {
        /// The canonical type; that of the first trigger without it.
        kind: Option<String>,
        /// What it is about.
        subject: Option<String>,
        /// When it happened, which is when the test plays.
        time: Option<Timestamp>,
        /// The type's own data.
        payload: Value,
    },
    /// An event that was accepted, by its id.
    Stored(String),
}

/// What the world answers to one step.
#[derive(Clone, Debug, PartialEq)]
pub enum Mock {
    /// The step's output.
    Output(Value),
    /// Every attempt fails so.
    Fails(Box<Failure>),
    /// The event that a wait is for.
    Event(Value),
    /// No event comes.
    NoEvent,
    /// What is decided about a step that needs approval.
    Decided {
        /// How.
        decision: Decision,
        /// Who.
        by: String,
        /// What they say of it.
        comment: String,
    },
    /// The newest output that was recorded of the step, or of its activity.
    Recorded,
}

/// What must come of a test case; a part that is absent may be anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Whether the trigger lets the event through.
    pub matches: bool,
    /// How the run ends.
    pub status: Option<Status>,
    /// How steps stand, by their paths.
    pub steps: BTreeMap<String, StepExpectation>,
    /// The steps that are undone, in that order.
    pub undone: Option<Vec<String>>,
}

impl Default for Expectation {
    fn default() -> Expectation {
        let (status, steps, undone) = Default::default();
        Expectation { matches: true, status, steps, undone }
    }
}

/// What must come of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepExpectation {
    /// How it stands: `succeeded`, `skipped` …
    pub status: Option<String>,
    /// A part of its rendered input.
    pub input: Option<Value>,
    /// A part of its output.
    pub output: Option<Value>,
}

/// Where mocks stand, which decides what they may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With a definition, where a test says the same everywhere and always.
    Definition,
    /// In a request, which may ask for what was recorded.
    Request,
}

/// Reads what a request says that the world answers, by the ids of steps.
///
/// # Errors
/// Returns every problem, each with the RFC 6901 pointer to its place below `at`.
pub fn read_mocks(raw: &Value, at: &str) -> Result<BTreeMap<String, Mock>, Vec<Problem>> {
    let findings = Findings::default();
    let field = Field { value: raw, at: at.to_owned(), name: "mocks", findings: &findings };
    let mocks = mocks(&field, Place::Request);
    let (problems, _) = findings.into_parts();
    if problems.is_empty() { Ok(mocks) } else { Err(problems) }
}

impl<'a> Reading<'a> {
    /// Reads the test cases of a definition, whose steps must exist.
    pub(super) fn tests(&self, body: &mut Fields<'a>, drafts: &[Draft]) -> Vec<TestCase> {
        let Some(field) = body.take(&["tests"]) else { return Vec::new() };
        let Some(list) = field.list() else { return Vec::new() };
        let most = self.limits().tests_max;
        if list.len() > most {
            let detail = format!("{} test cases are too many, the limit is {most}", list.len());
            self.findings.problem(field.problem("too_many_tests", detail));
            return Vec::new();
        }
        let mut all = Vec::new();
        gather(drafts, &mut all);
        let ids: Vec<&str> = all.iter().map(|draft| draft.id.as_str()).collect();
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for element in field.elements(list) {
            let Some(case) = read_case(&element) else { continue };
            if !names.insert(case.name.clone()) {
                let detail = format!("another test case is called `{}`", case.name);
                let at = pointer_to(&element.at, "name");
                self.findings.problem(Problem::new(at, "duplicate_name", detail));
            }
            self.check_steps(&case, &element.at, &ids);
            cases.push(case);
        }
        cases
    }

    fn check_steps(&self, case: &TestCase, at: &str, ids: &[&str]) {
        let mocks = case.mocks.keys().map(|path| ("mocks", path));
        let expected = case.expect.steps.keys().map(|path| ("expect/steps", path));
        for (place, path) in mocks.chain(expected) {
            if ids.contains(&id_of(path)) {
                continue;
            }
            let at = pointer_to(&format!("{at}/{place}"), path);
            let problem = Problem::new(at, "unknown_step", format!("there is no step `{path}`"));
            self.findings.problem(match nearest(id_of(path), ids.iter().copied()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    }
}

fn read_case(field: &Field<'_>) -> Option<TestCase> {
    let mut fields = field.object()?;
    let name = fields.need(&["name"], "such as \"an urgent ticket is escalated\"");
    let event = fields.take(&["event"]);
    let stored = fields.take(&["eventId"]);
    let mocks_field = fields.take(&["mocks"]);
    let expect = fields.take(&["expect"]);
    fields.close();
    let name = name.and_then(|name| {
        let text = name.text()?;
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            let detail = format!("a name has 1 to {NAME_BYTES_MAX} bytes");
            return name.report(name.problem("out_of_range", detail));
        }
        Some(text.to_owned())
    });
    let event = match (event, stored) {
        (Some(event), Some(stored)) => {
            let detail = "`event` and `eventId` say the same thing differently";
            event.report(stored.problem("ambiguous", detail))
        }
        (Some(event), None) => read_event(&event),
        (None, Some(stored)) => stored.text().map(|id| CaseEvent::Stored(id.to_owned())),
        (None, None) => {
            let payload = Value::Object(Map::new());
            Some(CaseEvent::Given { kind: None, subject: None, time: None, payload })
        }
    };
    let mocks = mocks_field.map(|field| mocks(&field, Place::Definition)).unwrap_or_default();
    let expect = expect.map_or(Some(Expectation::default()), |field| read_expectation(&field));
    let source = field.value.clone();
    Some(TestCase { name: name?, event: event?, mocks, expect: expect?, source })
}

fn read_event(field: &Field<'_>) -> Option<CaseEvent> {
    let mut fields = field.object()?;
    let kind = fields.take(&["type"]).map(|kind| kind.text().map(str::to_owned));
    let subject = fields.take(&["subject"]).map(|it| it.text().map(str::to_owned));
    let time = fields.take(&["time"]).map(|time| {
        let parsed = time.text()?.parse::<Timestamp>();
        parsed
            .map_err(|fault| time.report::<()>(time.problem("invalid_time", fault.to_string())))
            .ok()
    });
    let payload = fields.take(&["payload"]).map(|payload| payload.value.clone());
    fields.close();
    Some(CaseEvent::Given {
        kind: kind.map_or(Some(None), |kind| {
            kind.map(|kind| Some(event_type::canonical(&kind).into_owned()))
        })?,
        subject: subject.map_or(Some(None), |subject| subject.map(Some))?,
        time: time.map_or(Some(None), |time| time.map(Some))?,
        payload: payload.unwrap_or_else(|| Value::Object(Map::new())),
    })
}

fn mocks(field: &Field<'_>, place: Place) -> BTreeMap<String, Mock> {
    let mut found = BTreeMap::new();
    for (path, mock) in entries(field) {
        if let Some(mock) = read_mock(&mock, place) {
            found.insert(path, mock);
        }
    }
    found
}

/// Returns the values of an object by the paths of steps.
fn entries<'a>(field: &Field<'a>) -> Vec<(String, Field<'a>)> {
    let Value::Object(map) = field.value else {
        let detail = "expected an object by the ids of steps";
        field.report::<()>(field.problem("wrong_type", detail));
        return Vec::new();
    };
    if map.len() > STEPS_MAX {
        let detail = format!("{} steps are too many, the limit is {STEPS_MAX}", map.len());
        field.report::<()>(field.problem("too_many_steps", detail));
        return Vec::new();
    }
    let entry = |(path, value): (&'a String, &'a Value)| {
        let at = pointer_to(&field.at, path);
        (path.clone(), Field { value, at, name: field.name, findings: field.findings })
    };
    map.iter().map(entry).collect()
}

fn read_mock(field: &Field<'_>, place: Place) -> Option<Mock> {
    let hint = "one of {output}, {error: {code, message, class}}, {event}, {decision}";
    if field.value == "recorded" {
        if place == Place::Request {
            return Some(Mock::Recorded);
        }
        let detail = "what is recorded changes with time, and a test must not";
        let problem = field.problem("not_allowed", detail);
        return field.report(problem.with_hint("write the output down: {output: …}"));
    }
    let Value::Object(map) = field.value else {
        return field.report(field.problem("wrong_type", "expected an object").with_hint(hint));
    };
    let known = ["output", "error", "event", "decision"];
    let given: Vec<&str> = known.into_iter().filter(|name| map.contains_key(*name)).collect();
    let extra = map.keys().find(|key| {
        let beside = given == ["decision"] && matches!(key.as_str(), "by" | "comment");
        !known.contains(&key.as_str()) && !beside
    });
    if let Some(extra) = extra {
        let problem = Problem::new(pointer_to(&field.at, extra), "unknown_key", "not known here");
        return field.report(problem.with_hint(hint));
    }
    let [kind] = given[..] else {
        return field.report(field.problem("ambiguous", "say one thing").with_hint(hint));
    };
    let value = &map[kind];
    let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind {
        "output" => Some(Mock::Output(value.clone())),
        "event" if value.is_null() => Some(Mock::NoEvent),
        "event" => Some(Mock::Event(value.clone())),
        "error" => {
            let at = pointer_to(&field.at, "error");
            let inner = Field { value, at, name: "error", findings: field.findings };
            read_failure(&inner).map(|failure| Mock::Fails(Box::new(failure)))
        }
        _ => {
            let at = pointer_to(&field.at, "decision");
            let inner = Field { value, at, name: "decision", findings: field.findings };
            let decision = inner
                .choice(&[("approved", Decision::Approved), ("rejected", Decision::Rejected)])?;
            Some(Mock::Decided { decision, by: text("by"), comment: text("comment") })
        }
    }
}

fn read_failure(field: &Field<'_>) -> Option<Failure> {
    let mut fields = field.object()?;
    let code = fields.take(&["code"]).map_or(Some("failed"), |code| code.text());
    let message = fields.take(&["message"]).map_or(Some(""), |message| message.text());
    let class = fields.take(&["class"]);
    fields.close();
    let class = class.map_or(Some(FailureClass::Terminal), |class| {
        let parsed = serde_json::from_value(class.value.clone()).ok();
        parsed.or_else(|| {
            let detail = format!("{} is no class of failures", class.value);
            let problem = class.problem("not_allowed", detail);
            class.report(problem.with_hint("such as terminal, retryable or inDoubt"))
        })
    });
    Some(Failure::new(class?, code?, message?))
}

/// Reads a failure that a request makes up.
///
/// # Errors
/// Returns every problem, each with the RFC 6901 pointer to its place below `at`.
pub fn failure_of(raw: &Value, at: &str) -> Result<Failure, Vec<Problem>> {
    let findings = Findings::default();
    let field = Field { value: raw, at: at.to_owned(), name: "error", findings: &findings };
    let failure = read_failure(&field);
    let (problems, _) = findings.into_parts();
    failure.filter(|_| problems.is_empty()).ok_or(problems)
}

fn read_expectation(field: &Field<'_>) -> Option<Expectation> {
    let mut fields = field.object()?;
    let matches = fields.take(&["matches"]).map_or(Some(true), |matches| matches.truth());
    let status = fields
        .take(&["status"])
        .map(|status| status.choice(&Status::ALL.map(|known| (known.as_str(), known))));
    let steps = fields.take(&["steps"]);
    let undone = fields.take(&["undone"]).map(|undone| {
        let elements = undone.elements(undone.list()?);
        elements.iter().map(|it| it.text().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    fields.close();
    let mut expected = BTreeMap::new();
    for (path, step) in steps.iter().flat_map(entries) {
        expected.insert(path, read_step(&step)?);
    }
    Some(Expectation {
        matches: matches?,
        status: status.map_or(Some(None), |status| status.map(Some))?,
        steps: expected,
        undone: undone.map_or(Some(None), |undone| undone.map(Some))?,
    })
}

const STEP_STATUSES: [(&str, ()); 8] = [
    ("pending", ()),
    ("running", ()),
    ("retrying", ()),
    ("waiting", ()),
    ("succeeded", ()),
    ("failed", ()),
    ("skipped", ()),
    ("cancelled", ()),
];

fn read_step(field: &Field<'_>) -> Option<StepExpectation> {
    let mut fields = field.object()?;
    let status = fields.take(&["status"]).map(|status| {
        status.choice(&STEP_STATUSES)?;
        status.text().map(str::to_lowercase)
    });
    let input = fields.take(&["input"]).map(|input| input.value.clone());
    let output = fields.take(&["output"]).map(|output| output.value.clone());
    fields.close();
    let status = status.map_or(Some(None), |status| status.map(Some))?;
    Some(StepExpectation { status, input, output })
}

impl TestCase {
    /// Returns the case as it stands in a definition.
    #[must_use]
    pub fn native(&self) -> Value {
        self.source.clone()
    }
}
