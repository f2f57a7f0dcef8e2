//! Makes the spans of a run out of its journal: one for the run, and below it one for each step,
//! each attempt, each wait and each attempt to undo a step.

use std::collections::BTreeMap;

use super::{Attribute, RunTrace, Span, SpanKind, SpanStatus, TraceContext};
use crate::domain::run::{Decision, Entry, Outcome, Record, RunHead};
use crate::domain::time::Timestamp;

/// Whose spans are made, beside what its head says.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The run's head.
    pub head: &'a RunHead,
    /// The tenant's name.
    pub tenant: &'a str,
    /// The run's ids.
    pub trace: RunTrace,
    /// Where the event says that it came from.
    pub producer: Option<TraceContext>,
    /// Tells the activity of a step, by its path.
    pub activity: &'a dyn Fn(&str) -> Option<String>,
}

/// Returns the spans that have ended so far: the run's own once it is over. Nothing of a payload,
/// an output or a message of another system is in them: of failures the code alone.
#[must_use]
pub fn spans_of(subject: &Subject<'_>, records: &[Record]) -> Vec<Span> {
    let mut made = Spans { subject, open: BTreeMap::new(), done: Vec::new() };
    for record in records {
        made.follow(record);
    }
    made.end_of_run(records);
    made.done
}

/// What goes on: a step, an attempt of it, a wait or an attempt to undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Step,
    Attempt,
    Wait,
    Undo,
}

struct Begun {
    at: Timestamp,
    number: u32,
    word: &'static str,
}

struct Spans<'a> {
    subject: &'a Subject<'a>,
    open: BTreeMap<(String, What), Begun>,
    done: Vec<Span>,
}

impl Spans<'_> {
    fn follow(&mut self, Record { at, entry }: &Record) {
        let at = *at;
        match entry {
            Entry::StepScheduled { step, attempt, .. } => {
                self.begin(step, What::Step, at, *attempt, "step");
                self.begin(step, What::Attempt, at, *attempt, "attempt");
            }
            Entry::StepSucceeded { step, .. } => {
                self.end(step, What::Wait, at, SpanStatus::Unset);
                self.end(step, What::Attempt, at, SpanStatus::Ok);
                self.end(step, What::Step, at, SpanStatus::Ok);
            }
            Entry::StepFailed { step, attempt, failure } => {
                // One that could not even be prepared was never scheduled.
                self.begin(step, What::Step, at, *attempt, "step");
                let error = SpanStatus::Error(failure.code.clone());
                self.end(step, What::Wait, at, SpanStatus::Unset);
                self.end(step, What::Attempt, at, error);
            }
            Entry::StepContinued { step } => {
                self.end(step, What::Step, at, SpanStatus::Error("continued".to_owned()));
            }
            Entry::RetryArmed { step, attempt, .. } => {
                self.begin(step, What::Wait, at, *attempt, "retry");
            }
            Entry::SleepStarted { step, .. } => self.pause(step, at, "sleep"),
            Entry::WaitStarted { step, .. } => self.pause(step, at, "event"),
            Entry::ApprovalRequested { step, .. } => self.pause(step, at, "approval"),
            Entry::IncidentOpened { step, .. } => self.pause(step, at, "incident"),
            Entry::ChildStarted { step, .. } => self.pause(step, at, "run"),
            Entry::HandedOut { step, .. } => self.pause(step, at, "worker"),
            Entry::CallDeferred { step, .. } => self.pause(step, at, "destination"),
            Entry::SleepEnded { step } | Entry::WaitEnded { step, .. } => {
                self.end(step, What::Wait, at, SpanStatus::Ok);
                self.end(step, What::Step, at, SpanStatus::Ok);
            }
            Entry::ApprovalDecided { step, decision, .. } => {
                let status = match decision {
                    Decision::Approved => SpanStatus::Ok,
                    Decision::Rejected => SpanStatus::Error("rejected".to_owned()),
                };
                self.end(step, What::Wait, at, status);
            }
            Entry::IncidentResolved { step, .. }
            | Entry::CallResumed { step, .. }
            | Entry::CallWithdrawn { step, .. }
            | Entry::TakenBack { step, .. } => self.end(step, What::Wait, at, SpanStatus::Unset),
            Entry::LoopStarted { step, .. } | Entry::ParallelStarted { step } => {
                self.begin(step, What::Step, at, 1, "step");
            }
            Entry::GroupEnded { step, .. } => self.end(step, What::Step, at, SpanStatus::Ok),
            Entry::UndoScheduled { step, attempt, .. } => {
                self.begin(step, What::Undo, at, *attempt, "undo");
            }
            Entry::UndoSucceeded { step, .. } => self.end(step, What::Undo, at, SpanStatus::Ok),
            Entry::UndoFailed { step, failure, .. } | Entry::UndoAbandoned { step, failure } => {
                self.end(step, What::Undo, at, SpanStatus::Error(failure.code.clone()));
            }
            _ => {} // Decisions of a moment take no time.
        }
    }

    fn pause(&mut self, step: &str, at: Timestamp, word: &'static str) {
        self.begin(step, What::Step, at, 1, "step");
        self.begin(step, What::Wait, at, self.done.len().try_into().unwrap_or(u32::MAX), word);
    }

    /// A step that has begun goes on through its attempts and pauses.
    fn begin(&mut self, step: &str, what: What, at: Timestamp, number: u32, word: &'static str) {
        if what == What::Attempt {
            self.end(step, What::Wait, at, SpanStatus::Unset);
        }
        self.open.entry((step.to_owned(), what)).or_insert(Begun { at, number, word });
    }

    fn end(&mut self, step: &str, what: What, at: Timestamp, status: SpanStatus) {
        let Some(begun) = self.open.remove(&(step.to_owned(), what)) else { return };
        let Begun { at: start, number, word } = begun;
        let Subject { trace, activity, .. } = self.subject;
        let of_step = trace.span(&format!("step/{step}"));
        let (id, parent, name) = match what {
            What::Step => (of_step, trace.root(), format!("step {step}")),
            What::Attempt => {
                (trace.attempt(step, number), of_step, format!("attempt {number} of {step}"))
            }
            What::Wait => {
                let id = trace.span(&format!("wait/{step}/{}", start.millis()));
                (id, of_step, format!("wait for {word}"))
            }
            What::Undo => (trace.undo(step, number), trace.root(), format!("undo {step}")),
        };
        let called = activity(step);
        let kind = match (what, &called) {
            (What::Attempt | What::Undo, Some(_)) => SpanKind::Client,
            _ => SpanKind::Internal,
        };
        let mut attributes = self.attributes();
        attributes.push(("ergane.step", step.into()));
        attributes.push(("ergane.span", word.into()));
        if let Some(activity) = called {
            attributes.push(("ergane.activity", Attribute::Text(activity)));
        }
        if matches!(what, What::Attempt | What::Undo) {
            attributes.push(("ergane.attempt", number.into()));
        }
        if let SpanStatus::Error(code) = &status {
            attributes.push(("error.type", code.as_str().into()));
        }
        let (trace, links) = (trace.trace, Vec::new());
        let parent = Some(parent);
        self.done.push(Span {
            trace,
            id,
            parent,
            name,
            kind,
            start,
            end: at,
            attributes,
            status,
            links,
        });
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let head = self.subject.head;
        vec![
            ("ergane.tenant", self.subject.tenant.into()),
            ("ergane.workflow", head.workflow.as_str().into()),
            ("ergane.workflow.version", head.version.into()),
            ("ergane.run", Attribute::Text(head.id.to_string())),
        ]
    }

    /// Ends whatever is open when the run is over, and the run.
    fn end_of_run(&mut self, records: &[Record]) {
        let Subject { head, trace, producer, .. } = *self.subject;
        let Some(end) = head.ended_at.filter(|_| head.status.is_final()) else { return };
        let failed = head.error.as_ref().map(|error| SpanStatus::Error(error.code.clone()));
        let open: Vec<(String, What)> = self.open.keys().cloned().collect();
        for (step, what) in open {
            self.end(&step, what, end, failed.clone().unwrap_or(SpanStatus::Unset));
        }
        let mut attributes = self.attributes();
        attributes.push(("ergane.status", head.status.as_str().into()));
        attributes.push(("ergane.event.type", head.event_kind.as_str().into()));
        attributes.push(("ergane.event.id", head.event_id.as_str().into()));
        attributes.push(("ergane.attempts", head.attempts.into()));
        if let Some(error) = &head.error {
            attributes.push(("error.type", error.code.as_str().into()));
        }
        let succeeded = records.iter().rev().any(|record| {
            matches!(record.entry, Entry::Finished { outcome: Outcome::Succeeded, .. })
        });
        let status = match failed {
            Some(failed) => failed,
            None if succeeded => SpanStatus::Ok,
            None => SpanStatus::Unset,
        };
        self.done.push(Span {
            trace: trace.trace,
            id: trace.root(),
            parent: trace.parent,
            name: format!("run {}", head.workflow),
            kind: SpanKind::Consumer,
            start: head.created_at,
            end,
            attributes,
            status,
            links: producer.into_iter().collect(),
        });
    }
}
