//! A step as a card: closed with what it does in a line, open with its fields.

use serde_json::{Value, json};

use super::super::parts::rules::{Rule, brief, rules};
use super::changes::{is_off, suggested_undo};
use super::control::{Control, Making, yaml_of};
use super::retry::{Plot, plot};
use crate::app::editing::Sample;
use crate::domain::activity::{ActivitySpec, Catalogue, Compensation};
use crate::domain::problem::Problem;
use crate::domain::workflow::Retry;
use crate::domain::workflow::outline::{Outlined, inner_lists};

const SUMMARY_CHARS_MAX: usize = 110;

/// How a step is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// There is nothing to undo.
    Nothing,
    /// It stays done because its author says so.
    Stays,
    /// It has an effect that nothing undoes, and nobody said that this is meant.
    Unsaid,
    /// The platform puts back what it changed, or its app does.
    Auto,
    /// Another activity undoes it.
    Call {
        /// The activity.
        activity: String,
        /// What it is given.
        inputs: Vec<(String, String)>,
    },
    /// The steps inside say for themselves.
    Inside,
}

/// A step in the list.
#[derive(Clone, Debug)]
pub struct Card {
    /// Where it stands.
    pub at: String,
    /// The list that it stands in, with the place behind it.
    pub after: String,
    /// Its place from the beginning, such as `2` or `2.1`.
    pub number: String,
    /// Its place in its list, from 1.
    pub place: usize,
    /// In how many steps it stands.
    pub depth: usize,
    /// Its id.
    pub id: String,
    /// Its id as it is written.
    pub was: String,
    /// What people read first.
    pub title: String,
    /// The activity, or its kind.
    pub what: String,
    /// What it does, in a line.
    pub summary: String,
    /// What is special about it.
    pub chips: Vec<String>,
    /// When it runs.
    pub condition: Vec<Rule>,
    /// Whether it is switched off.
    pub is_off: bool,
    /// How it is undone.
    pub undo: WayBack,
    /// Whether it is the first of its list.
    pub is_first: bool,
    /// Whether it is the last of its list.
    pub is_last: bool,
    /// When the list runs that it begins.
    pub when: String,
    /// What is wrong with it.
    pub faults: usize,
    /// Its fields, when it is open.
    pub body: Option<Body>,
}

/// The fields of an open card.
#[derive(Clone, Debug)]
pub struct Body {
    /// What makes the step what it is.
    pub kind: &'static str,
    /// The activity that it calls.
    pub activity: String,
    /// What that does.
    pub about: String,
    /// The fields that are needed or filled in.
    pub main: Vec<Control>,
    /// The others.
    pub more: Vec<Control>,
    /// The condition.
    pub condition: Control,
    /// What follows a failure: when it is tried again, when it is given up.
    pub failing: Vec<Control>,
    /// The attempts along a line.
    pub plot: Option<Plot>,
    /// `default`, `auto`, `none` or `custom`; empty where nothing can be undone.
    pub undo: &'static str,
    /// What leaving it unsaid means.
    pub undo_default: &'static str,
    /// The activity that undoes it.
    pub undo_activity: String,
    /// What that is given, as YAML.
    pub undo_input: String,
    /// The activity that would undo it.
    pub suggestion: Option<String>,
    /// The approval that it waits for.
    pub approval: Control,
    /// What is wrong with it and has no field.
    pub problems: Vec<String>,
    /// Whether ways can be added to it.
    pub has_ways: bool,
    /// The fields that a reference can be put into: path and label.
    pub targets: Vec<(String, String)>,
}

/// What all cards are made with.
pub struct Drawing<'d> {
    /// What activities there are.
    pub catalogue: &'d Catalogue,
    /// What expressions see.
    pub sample: &'d Sample,
    /// What the check says.
    pub problems: &'d [Problem],
    /// The pointer of the card that is open.
    pub open: &'d str,
    /// The fields that are shown as expressions.
    pub fx: &'d [&'d str],
}

impl Drawing<'_> {
    /// Makes a card of every step.
    pub fn cards(&self, document: &Value, steps: &[Outlined]) -> Vec<Card> {
        steps.iter().map(|step| self.card(document, step)).collect()
    }

    fn spec(&self, step: &Value) -> Option<&ActivitySpec> {
        let name = step["activity"].as_str()?;
        let plain = name.split('@').next().unwrap_or(name);
        self.catalogue.find(self.catalogue.bare(plain)).map(|spec| &**spec)
    }

    fn card(&self, document: &Value, step: &Outlined) -> Card {
        let value = &step.value;
        let (list, index) = step.at.rsplit_once('/').unwrap_or(("", "0"));
        let index: usize = index.parse().unwrap_or_default();
        let length = document.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        let is_here = |problem: &&Problem| is_inside(&problem.pointer, &step.at, value);
        let title = value["title"].as_str().filter(|title| !title.is_empty());
        Card {
            at: step.at.clone(),
            after: format!("{list}/{}", index + 1),
            number: number(&step.at),
            place: index + 1,
            depth: step.depth,
            was: match &value["id"] {
                Value::String(id) => id.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            },
            id: step.id.clone(),
            title: title.unwrap_or(&step.id).to_owned(),
            what: what(step),
            summary: summary(step),
            chips: chips(value),
            is_off: is_off(value),
            condition: if is_off(value) { Vec::new() } else { rules(&value["if"]) },
            undo: self.way_back(step),
            is_first: index == 0,
            is_last: index + 1 >= length,
            when: if index == 0 { when(document, list) } else { String::new() },
            faults: self.problems.iter().filter(is_here).count(),
            body: (self.open == step.at).then(|| self.body(step)),
        }
    }

    /// Tells how a step is undone.
    pub fn way_back(&self, step: &Outlined) -> WayBack {
        let own = self.spec(&step.value).map(|spec| spec.compensation);
        match (&step.value["compensate"], own) {
            (Value::Object(call), _) => WayBack::Call {
                activity: call.get("activity").map(brief).unwrap_or_default(),
                inputs: pairs(call.get("input").unwrap_or(&Value::Null)),
            },
            (Value::String(word), _) if word == "none" => WayBack::Stays,
            (Value::String(word), _) if word == "auto" => WayBack::Auto,
            (_, Some(Compensation::Automatic)) => WayBack::Auto,
            (_, Some(Compensation::Manual | Compensation::Offered)) => WayBack::Unsaid,
            _ if !inner_lists(&step.value, "").is_empty() => WayBack::Inside,
            _ => WayBack::Nothing,
        }
    }

    fn body(&self, step: &Outlined) -> Body {
        let value = &step.value;
        let making = Making {
            scope: &self.sample.scope,
            fx: self.fx,
            problems: self.problems,
            at: &step.at,
        };
        let spec = self.spec(value);
        let (main, more) = fields(&making, step, spec);
        let standard = spec.map_or(Retry::DEFAULT, |spec| spec.retry.clone());
        let calls = step.kind == "activity";
        let failing = if calls { failing(&making, value, spec) } else { Vec::new() };
        let targets = main.iter().chain(&more).map(|it| (it.name.clone(), it.label.clone()));
        let known: Vec<&str> = self.catalogue.iter().map(|spec| spec.identifier.as_str()).collect();
        let suggestion = suggested_undo(value, &known);
        let undo = &value["compensate"];
        let own = spec.map(|spec| spec.compensation);
        let mut problems = making.problems_at(&step.at);
        let shown = main.iter().chain(&more).chain(&failing).flat_map(|it| &it.problems);
        let shown: Vec<String> = shown.cloned().collect();
        problems.retain(|problem| !shown.contains(problem));
        Body {
            kind: step.kind,
            activity: value["activity"].as_str().unwrap_or_default().to_owned(),
            about: spec.map(|spec| spec.description.clone()).unwrap_or_default(),
            targets: targets.collect(),
            main,
            more,
            condition: making.control(&json!({"type": "object"}), &value["if"], "if", false),
            plot: calls.then(|| plot(&value["retry"], &standard)),
            failing,
            undo: match undo {
                _ if !calls => "",
                Value::Object(_) => "custom",
                Value::String(word) if word == "auto" => "auto",
                Value::String(word) if word == "none" => "none",
                _ => "default",
            },
            undo_default: match own {
                Some(Compensation::Automatic) => "the platform puts back what it changed",
                Some(Compensation::NotNeeded) => "it only reads, so nothing has to be undone",
                Some(Compensation::Offered) => "nothing; `auto` lets its app take it back",
                Some(Compensation::Manual) | None => "nothing undoes it",
            },
            undo_activity: undo["activity"].as_str().unwrap_or_default().to_owned(),
            undo_input: yaml_of(&undo["input"]),
            suggestion: suggestion.and_then(|it| Some(it["activity"].as_str()?.to_owned())),
            approval: making.control(
                &json!({"type": "object", "description": "Who has to agree before the step begins."}),
                &value["approval"],
                "approval",
                false,
            ),
            problems,
            has_ways: matches!(step.kind, "branch" | "parallel"),
        }
    }
}

/// A problem belongs to the innermost step that it stands in.
fn is_inside(pointer: &str, at: &str, step: &Value) -> bool {
    let Some(rest) = pointer.strip_prefix(at) else { return false };
    let inner = inner_lists(step, at);
    let is_deeper = inner.iter().any(|list| pointer.starts_with(&format!("{}/", list.at)));
    (rest.is_empty() || rest.starts_with('/')) && !is_deeper
}

/// Makes the fields that say what a step does: those needed or filled in, and the others.
fn fields(
    making: &Making<'_>,
    step: &Outlined,
    spec: Option<&ActivitySpec>,
) -> (Vec<Control>, Vec<Control>) {
    let value = &step.value;
    let made = match step.kind {
        "activity" => {
            let schema = spec.map_or(Value::Null, |spec| spec.input_schema.clone());
            if value["input"].is_string() {
                vec![making.control(&json!({"type": "object"}), &value["input"], "input", true)]
            } else {
                making.object(&schema, &value["input"], "input")
            }
        }
        kind => steering(making, kind, value),
    };
    made.into_iter().partition(|control| control.required || control.is_set)
}

fn steering(making: &Making<'_>, kind: &str, value: &Value) -> Vec<Control> {
    let text = |about: &str, example: &str| json!({"type": "string", "description": about, "examples": [example]});
    match kind {
        "sleep" => {
            let about = "How long, such as 30s, 4h or 2d; or {until: time}.";
            vec![making.control(&text(about, "4h"), &value["sleep"], "sleep", true)]
        }
        "waitFor" => {
            let schema = json!({"required": ["event"], "properties": {
                "event": text("The type of the event that it waits for.", "ticket:comment:added"),
                "filter": {"type": "object", "description": "Which of them, as a filter."},
                "timeout": text("How long it waits at most.", "4h"),
                "onTimeout": {"enum": ["fail", "continue"], "description": "What follows when none came."},
                "lookBack": text("From when on events count: `run`, `none` or a span.", "run"),
            }});
            let held = match &value["waitFor"] {
                Value::String(event) => json!({"event": event}),
                other => other.clone(),
            };
            making.object(&schema, &held, "waitFor")
        }
        "run" => {
            let schema = json!({"required": ["workflow"], "properties": {
                "workflow": text("The name of the workflow.", "escalate-urgent"),
                "input": {"type": "object", "description": "The payload that it begins with."},
                "wait": {"type": "boolean", "description": "Whether this step ends when that run ends."},
            }});
            making.object(&schema, &value["run"], "run")
        }
        "forEach" => {
            let schema = json!({"required": ["items"], "properties": {
                "items": text("The list, as an expression.", "{{ trigger.payload.items }}"),
                "as": text("What an item is called inside.", "item"),
                "concurrency": {"type": "integer", "description": "How many items at a time."},
            }});
            let mut held = value["forEach"].clone();
            held.as_object_mut().map(|held| held.shift_remove("steps"));
            making.object(&schema, &held, "forEach")
        }
        "branch" => {
            let ways = value["branch"].as_array().map_or(&[][..], Vec::as_slice);
            let ways = ways.iter().enumerate().filter(|(_, way)| way.get("if").is_some());
            let schema = json!({"type": "object", "description": "When this way is taken."});
            ways.map(|(index, way)| {
                making.control(&schema, &way["if"], &format!("branch/{index}/if"), true)
            })
            .collect()
        }
        _ => Vec::new(), // Nothing but the steps inside.
    }
}

fn failing(making: &Making<'_>, value: &Value, spec: Option<&ActivitySpec>) -> Vec<Control> {
    let retry = spec.map_or(Retry::DEFAULT, |spec| spec.retry.clone());
    let schema = json!({"properties": {
        "attempts": {"type": "integer", "description": "All attempts, the first included.",
            "examples": [retry.attempts]},
        "initial": {"type": "string", "description": "The pause before the second.", "examples": ["1s"]},
        "factor": {"type": "number", "description": "What each pause is multiplied by.", "examples": ["2"]},
        "max": {"type": "string", "description": "No pause is longer.", "examples": ["1m"]},
        "jitter": {"type": "boolean", "description": "Shortens each pause by chance."},
    }});
    let mut made = making.object(&schema, &value["retry"], "retry");
    let timeout = json!({"type": "string", "description": "How long an attempt may take.",
        "examples": ["30s"]});
    made.push(making.control(&timeout, &value["timeout"], "timeout", false));
    let then = json!({"enum": ["compensate", "abort", "continue"],
        "description": "compensate undoes finished steps in reverse and stops; abort stops and \
                        undoes nothing; continue goes on."});
    made.push(making.control(&then, &value["onFailure"], "onFailure", false));
    made
}

/// Writes `/steps/1/branch/0/steps/2` as `2.1.3`.
fn number(at: &str) -> String {
    let numbers = at.split('/').filter_map(|segment| segment.parse::<usize>().ok());
    numbers.map(|number| (number + 1).to_string()).collect::<Vec<_>>().join(".")
}

fn what(step: &Outlined) -> String {
    match step.kind {
        "activity" => step.value["activity"].as_str().unwrap_or_default().to_owned(),
        "" => "nothing yet".to_owned(),
        kind => kind.to_owned(),
    }
}

fn summary(step: &Outlined) -> String {
    let value = &step.value;
    let text = match step.kind {
        "activity" => {
            let pairs = pairs(&value["input"]);
            pairs
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .join(" · ")
        }
        "sleep" => format!("for {}", brief(&value["sleep"])),
        "waitFor" => match &value["waitFor"] {
            Value::String(event) => format!("for {event}"),
            other => {
                format!("for {}, at most {}", brief(&other["event"]), brief(&other["timeout"]))
            }
        },
        "run" => format!("starts {}", brief(&value["run"]["workflow"])),
        "forEach" => format!("of {}", brief(&value["forEach"]["items"])),
        "branch" => "takes the first way whose condition holds".to_owned(),
        "parallel" => "all lists at the same time".to_owned(),
        _ => "choose what it does".to_owned(), // It has no kind yet.
    };
    match text.char_indices().nth(SUMMARY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn chips(step: &Value) -> Vec<String> {
    let word = |value: &Value| (!value.is_null()).then(|| brief(value));
    let attempts = word(&step["retry"]["attempts"]).map(|count| format!("{count} attempts"));
    let timeout = word(&step["timeout"]).map(|timeout| format!("timeout {timeout}"));
    let approval = step["approval"].is_object().then(|| "needs approval".to_owned());
    let then = match step["onFailure"].as_str() {
        Some("abort") => Some("on failure: stop, undo nothing".to_owned()),
        Some("continue") => Some("on failure: go on".to_owned()),
        _ => None, // It is undone, as usual.
    };
    [attempts, timeout, approval, then].into_iter().flatten().collect()
}

fn pairs(input: &Value) -> Vec<(String, String)> {
    let fields = input.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), brief(value))).collect()
}

/// Tells when a list inside a step runs.
fn when(document: &Value, list: &str) -> String {
    let around = list.strip_suffix("/steps").unwrap_or(list);
    let parent = around
        .rsplit_once('/')
        .and_then(|(place, _)| place.strip_suffix("/branch").or(place.strip_suffix("/parallel")))
        .or_else(|| around.strip_suffix("/forEach"));
    let Some(parent) = parent else { return String::new() };
    let lists = document.pointer(parent).map(|step| inner_lists(step, parent)).unwrap_or_default();
    let found = lists.into_iter().find(|inner| inner.at == list);
    found.map(|inner| inner.when).unwrap_or_default()
}
