//! Folds what happens to steps around others, and to steps that wait for the world.

use serde_json::{Value, json};

use super::doing::{Closing, Doing, Gate, Nest, NestKind, StopAsked};
use super::entry::Entry;
use super::state::Run;
use super::status::StepStatus;
use super::step::{Decided, StepState};
use crate::domain::time::Timestamp;

impl Run {
    pub(super) fn apply_group(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        match entry {
            Entry::BranchChosen { choice, .. } => {
                step.open(NestKind::Branch { choice: *choice }, at);
                self.does(path, Doing::Group);
            }
            Entry::LoopStarted { items, .. } => {
                let kind =
                    NestKind::Loop { items: items.clone(), next: 0, open: Default::default() };
                step.open(kind, at);
                self.scope.set_step(path, "input", Value::Array(items.clone()));
                self.does(path, Doing::Group);
            }
            Entry::ParallelStarted { .. } => {
                step.open(NestKind::Parallel, at);
                self.does(path, Doing::Group);
            }
            Entry::ItemStarted { item, .. } => {
                if let Some(Nest { kind: NestKind::Loop { next, open, .. }, .. }) = &mut step.nest {
                    *next = item + 1;
                    open.insert(*item);
                }
            }
            Entry::ItemEnded { item, .. } => {
                if let Some(Nest { kind: NestKind::Loop { open, .. }, .. }) = &mut step.nest {
                    open.remove(item);
                }
            }
            Entry::GroupClosing { lanes, halted, undo, failed, .. } => {
                let lanes = lanes.as_ref().map(|lanes| lanes.iter().copied().collect());
                let closing = Closing { lanes, undo: *undo, failed: failed.clone() };
                if let Some(nest) = &mut step.nest {
                    nest.closings.push(closing);
                }
                for inner in halted {
                    if let Some(index) = self.step_index(inner) {
                        self.halt(index);
                    }
                }
            }
            Entry::GroupEnded { output, .. } => {
                self.step_ended(path, StepStatus::Succeeded, output.clone(), at);
            }
            _ => unreachable!("only entries about a step around others come here"),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of entry")]
    pub(super) fn apply_wait(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        match entry {
            Entry::WaitStarted { values, until, .. } => {
                step.waits(at);
                let doing = Doing::Awaiting { values: values.clone(), until: *until, since: at };
                self.does(path, doing);
            }
            Entry::WaitEnded { event, .. } => {
                step.started_at.get_or_insert(at);
                let output = match event {
                    Value::Null => json!({ "timedOut": true }),
                    event => event.clone(),
                };
                if let Some(id) = event["id"].as_str() {
                    self.last_awaited = Some(id.to_owned());
                }
                self.step_ended(path, StepStatus::Succeeded, output, at);
            }
            Entry::ApprovalRequested {
                approvers, reason, until, remind_at, escalate_at, ..
            } => {
                step.waits(at);
                let gate = Gate {
                    approvers: approvers.clone(),
                    reason: reason.clone(),
                    asked_at: at,
                    until: *until,
                    remind_at: *remind_at,
                    escalate_at: *escalate_at,
                };
                self.does(path, Doing::Deciding(Box::new(gate)));
            }
            Entry::ApprovalReminded { .. } => {
                if let Doing::Deciding(gate) = &mut step.doing {
                    gate.remind_at = None;
                }
            }
            Entry::ApprovalEscalated { to, .. } => {
                if let Doing::Deciding(gate) = &mut step.doing {
                    gate.escalate_at = None;
                    gate.approvers.extend(to.iter().cloned());
                }
            }
            Entry::ApprovalDecided { decision, by, comment, .. } => {
                let gate = match std::mem::take(&mut step.doing) {
                    Doing::Deciding(gate) => *gate,
                    _ => Gate::default(), // A version that a replay follows may not have it.
                };
                let (by, comment) = (by.clone(), comment.clone());
                step.decided = Some(Decided { decision: *decision, by, comment, at, gate });
                step.status = StepStatus::Pending;
                self.does(path, Doing::Nothing);
            }
            Entry::ChildStarted { attempt, run, stop, .. } => {
                step.status = StepStatus::Waiting;
                let stop = if *stop { StopAsked::Wanted } else { StopAsked::Not };
                self.does(path, Doing::AwaitingRun { attempt: *attempt, run: *run, stop });
            }
            Entry::ChildStopping { .. } => {
                if let Doing::AwaitingRun { stop, .. } = &mut step.doing {
                    *stop = StopAsked::Told;
                }
            }
            _ => unreachable!("only entries about a step that waits come here"),
        }
    }
}

impl StepState {
    fn open(&mut self, kind: NestKind, at: Timestamp) {
        self.status = StepStatus::Running;
        self.started_at.get_or_insert(at);
        self.nest = Some(Nest { kind, closings: Vec::new() });
    }

    fn waits(&mut self, at: Timestamp) {
        self.status = StepStatus::Waiting;
        self.started_at.get_or_insert(at);
    }
}
