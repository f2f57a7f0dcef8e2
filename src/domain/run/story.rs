//! Runs that are played by short plans.
//!
//! A plan names one step a word: a letter, then marks. `!` fails, `?` ends in doubt, `~` fails once
//! and then works; `-` has no compensation, `+` is undone by the platform, `%` cannot be undone;
//! `>` goes on after a failure, `#` aborts; `0` is skipped; `z` sleeps an hour.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::workflow::tree::id_of;
use crate::domain::workflow::{Action, OnFailure, Retry, Step, UNDO_RETRY, Undo, Workflow};

/// A run that is played by its plan.
pub(super) struct Story {
    pub(super) workflow: Workflow,
    pub(super) marks: Vec<String>,
    pub(super) run: Run,
    pub(super) journal: Vec<Record>,
    pub(super) log: Vec<String>,
    pub(super) now: Timestamp,
    /// What is said of every step that is stuck.
    pub(super) resolution: Resolution,
}

impl Story {
    /// Plays a plan to its end.
    pub(super) fn of(plan: &str) -> Story {
        let mut story = Story::begin(plan);
        story.play();
        story
    }

    /// Creates the run of a plan.
    pub(super) fn begin(plan: &str) -> Story {
        let words: Vec<&str> = plan.split_whitespace().collect();
        let workflow = workflow(words.iter().map(|word| step(word)).collect());
        let (run, record) = Run::create(&workflow, origin());
        Story {
            workflow,
            marks: words.iter().map(|word| (*word).to_owned()).collect(),
            run,
            journal: vec![record],
            log: Vec::new(),
            now: Timestamp::from_millis(1_000_000),
            resolution: Resolution::Skip,
        }
    }

    /// Creates the run again after its workflow was changed.
    pub(super) fn remake(&mut self) {
        let (run, record) = Run::create(&self.workflow, origin());
        (self.run, self.journal) = (run, vec![record]);
    }

    /// Lets every step work from here.
    pub(super) fn mend(&mut self) {
        self.marks.iter_mut().for_each(String::clear);
    }

    pub(super) fn send(&mut self, input: Input) -> Vec<Record> {
        let decided = decide(&self.workflow, &self.run, input.clone(), self.now);
        let records = self.run.advance(&self.workflow, input, self.now);
        assert!(records.iter().map(|record| &record.entry).eq(&decided));
        self.journal.extend(records.iter().cloned());
        records
    }

    pub(super) fn play(&mut self) {
        for _ in 0..100 {
            if self.run.status().is_final() {
                return;
            }
            self.step();
        }
        panic!("no end: {:?}", self.journal);
    }

    /// Answers the first thing that is owed; the earliest timer when only timers are.
    pub(super) fn step(&mut self) {
        let owed = self.run.outstanding();
        let effect = owed.first().expect("a run that goes on is owed something");
        let input = match effect.clone() {
            Effect::Start => Input::Start,
            Effect::Execute { step, attempt } => self.execute(step, attempt),
            Effect::Undo { step, attempt } => self.undo(step, attempt),
            Effect::Wake { at, timer } => {
                self.now = self.now.max(at);
                Input::TimerFired { at, timer }
            }
            Effect::AwaitEvent { step } => {
                self.log.push(format!("event {step}"));
                Input::EventCame { step, event: json!({ "id": "e2", "payload": { "n": 1 } }) }
            }
            Effect::AwaitDecision { step } => {
                self.log.push(format!("ask {step}"));
                let decision = match self.marks_of(&step).contains('!') {
                    true => Decision::Rejected,
                    false => Decision::Approved,
                };
                let (by, comment) = ("ada".to_owned(), String::new());
                Input::Decided { step, decision, by, comment }
            }
            Effect::AwaitResolution { step } => {
                self.log.push(format!("tell {step}"));
                let resolution = self.resolution.clone();
                let (by, comment) = ("ada".to_owned(), String::new());
                Input::Resolved { step, resolution, by, comment }
            }
            Effect::AwaitRun { step, attempt, run } => {
                self.log.push(format!("end of {step}"));
                Input::ChildEnded { step, attempt, run, result: Ok(json!({ "n": 1 })) }
            }
            Effect::AwaitWorker { step, attempt, work } => {
                self.log.push(format!("worker of {step}"));
                Input::WorkEnded { step, attempt, work, result: Ok(json!({ "n": 1 })) }
            }
            Effect::Withdraw { step, attempt } => {
                self.log.push(format!("withdraw {step}"));
                Input::Withdrawn { step, attempt }
            }
            Effect::StopRun { step, run } => {
                self.log.push(format!("stop {step}"));
                Input::ChildAsked { step, run }
            }
        };
        self.send(input);
    }

    pub(super) fn execute(&mut self, step: String, attempt: u32) -> Input {
        self.log.push(step.clone());
        let marks = self.marks_of(&step);
        let failure = match () {
            () if marks.contains('!') => Failure::terminal("refused", "no"),
            () if marks.contains('?') => Failure::in_doubt("timeout", "no answer"),
            () if marks.contains('~') && attempt == 1 => Failure::retryable("busy", "later"),
            () => {
                let output = json!({ "by": step });
                return Input::Completed { step, attempt, output, undo: json!({ "before": 1 }) };
            }
        };
        Input::Failed { step, attempt, failure }
    }

    /// Returns the marks of a step, of one of items by its id.
    fn marks_of(&self, path: &str) -> String {
        let id = id_of(path);
        let all = self.workflow.all_steps();
        let place = all.iter().position(|step| step.id == id);
        place.and_then(|place| self.marks.get(place)).cloned().unwrap_or_default()
    }

    pub(super) fn undo(&mut self, step: String, attempt: u32) -> Input {
        self.log.push(format!("undo {step}"));
        if self.marks_of(&step).contains('%') {
            let failure = Failure::retryable("busy", "later");
            return Input::UndoFailed { step, attempt, failure };
        }
        Input::Undone { step, attempt, output: Value::Null }
    }

    pub(super) fn undos(&self) -> Vec<&str> {
        self.log.iter().map(String::as_str).filter(|line| line.starts_with("undo")).collect()
    }
}

fn step(word: &str) -> Step {
    let id = word.trim_start_matches('z').chars().next().unwrap().to_string();
    let action = if word.starts_with('z') {
        Action::Sleep { duration: template(&json!("1h")) }
    } else {
        call(template(&json!({})))
    };
    Step {
        id,
        title: String::new(),
        approval: None,
        after: Vec::new(),
        condition: word.contains('0').then(never),
        action,
        retry: Retry::DEFAULT,
        timeout: Duration::from_secs(30),
        on_failure: match word {
            _ if word.contains('>') => OnFailure::Continue,
            _ if word.contains('#') => OnFailure::Abort,
            _ => OnFailure::Compensate,
        },
        in_doubt: None,
        compensate: match word {
            _ if word.contains('-') => Undo::None,
            _ if word.contains('+') => Undo::Auto,
            _ => undo(template(&json!({}))),
        },
    }
}

pub(super) fn undo(input: Template) -> Undo {
    let (version, retry, timeout) = (None, UNDO_RETRY, None);
    Undo::Call { activity: "undo".into(), version, input, retry, timeout }
}

pub(super) fn call(input: Template) -> Action {
    Action::Call { activity: "act".into(), version: None, input }
}

pub(super) fn workflow(steps: Vec<Step>) -> Workflow {
    Workflow {
        name: "plan".into(),
        title: "Plan".into(),
        description: String::new(),
        tags: Vec::new(),
        annotations: Vec::new(),
        priority: Default::default(),
        triggers: Vec::new(),
        concurrency: None,
        timeout: None,
        retention: Default::default(),
        steps,
        on_failure: Vec::new(),
        thena: None,
        tests: Vec::new(),
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        id: RunId::new(0, Timestamp::from_millis(1_000_000), 7),
        version: 1,
        tenant: TenantFacts { id: TenantId(1), slug: "acme".into(), name: "Acme".into() },
        trigger: json!({ "id": "e1", "type": "ticket:created", "subject": "T1" }),
        vars: json!({}),
    }
}

pub(super) fn template(value: &Value) -> Template {
    Template::parse(value, "").expect("the template is valid")
}

/// A condition that never holds.
pub(super) fn never() -> Filter {
    let filter = json!({ "trigger.id": { "~eq": "another" } });
    Filter::parse(&filter, "").expect("the filter is valid")
}
