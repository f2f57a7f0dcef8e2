//! Turns a stored run back into its state and shows it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::Error;
use super::views::{
    Aftermath, ApprovalView, AttemptView, CompensationView, IncidentView, LeftView, RunErrorView,
    RunSummary, RunView, StepErrorView, StepView, WaitingForView,
};
use crate::domain::event::Event;
use crate::domain::run::{
    Attempt, AttemptOutcome, Decision, Doing, Entry, Failure, FailureClass, NestKind, Origin,
    Phase, Record, Run, RunHead, StepState, StepStatus, TenantFacts, UndoStatus, retry_refusal,
};
use crate::domain::time::Timestamp;
use crate::domain::workflow::tree::item_prefix;
use crate::domain::workflow::{Action, OnFailure, Step, Undo, Workflow};
use crate::engine::Engine;
use crate::store::runs::{Given, RunRow};
use crate::store::tenant::TenantView;

/// A run with everything that it was rebuilt from.
pub(super) struct LoadedRun {
    pub(super) run: Run,
    pub(super) workflow: Arc<Workflow>,
    pub(super) event: Event,
    pub(super) given: Given,
    pub(super) journal: Vec<Record>,
    head: RunHead,
}

/// Rebuilds a run from the store.
pub(super) fn load(view: TenantView<'_>, row: RunRow) -> Result<LoadedRun, Error> {
    load_until(view, row, None).map(|(loaded, _)| loaded)
}

/// Rebuilds a run as it stood after the record `last` of its journal; tells how many there are.
pub(super) fn load_until(
    view: TenantView<'_>,
    row: RunRow,
    last: Option<usize>,
) -> Result<(LoadedRun, usize), Error> {
    let mut head = row.head;
    let gone = |what: &str| Error::Internal(format!("run {}: {what} is gone", head.id));
    let event = view.event(row.event)?.ok_or_else(|| gone("its event"))?.event;
    let version = view.version(&head.workflow, head.version)?;
    let workflow = Engine::compile(&version.ok_or_else(|| gone("its workflow's version"))?)?;
    let mut journal = view.journal(head.id)?;
    let total = journal.len().max(1);
    let is_past = last.is_some_and(|last| last < total);
    journal.truncate(last.unwrap_or(usize::MAX).max(1));
    let given = view.given(head.id)?;
    let first = journal.iter().find_map(|record| match &record.entry {
        Entry::Created { version, .. } => Some(*version),
        _ => None, // Only the first record says which version the run began with.
    });
    let origin = Origin {
        id: head.id,
        version: first.unwrap_or(head.version),
        // Nothing is rendered again, so nobody sees what the tenant is called.
        tenant: TenantFacts { id: view.tenant(), slug: String::new(), name: String::new() },
        trigger: given.seen(&event),
        vars: Value::Object(serde_json::Map::new()),
    };
    let run = if journal.is_empty() {
        let (run, created) = Run::create(&workflow, origin);
        journal.push(created);
        run
    } else {
        Run::replay(&workflow, origin, &journal)
    };
    if is_past {
        head = run.head();
    }
    Ok((LoadedRun { run, workflow, event, given, journal, head }, total))
}

impl LoadedRun {
    /// Wraps a run that is in no store.
    pub(super) fn of(run: Run, workflow: Arc<Workflow>, event: Event, given: Given) -> LoadedRun {
        LoadedRun { head: run.head(), run, workflow, event, given, journal: Vec::new() }
    }

    /// Shows the run as it stands at `now`.
    pub(super) fn view(&self, now: Timestamp) -> RunView {
        let mut steps = Vec::new();
        self.list(&self.workflow.steps, "", 0, &mut steps);
        blame_groups(&self.workflow, &mut steps);
        RunView {
            summary: summary(&self.head, now),
            steps,
            compensations: self.compensations(),
            cancel_requested: self.run.cancel.is_some(),
            can_retry: retry_refusal(&self.workflow, &self.run, None).is_none(),
            trigger: Some(self.given.seen(&self.event)),
            events_gathered: self.given.events,
            aftermath: self.aftermath(),
        }
    }

    /// Shows what failures have left.
    fn aftermath(&self) -> Aftermath {
        let mut on_failure = Vec::new();
        if self.run.steps.iter().any(|state| state.handles) {
            self.list(&self.workflow.on_failure, "", 0, &mut on_failure);
        }
        let incidents = self.run.incidents().map(|(step, incident)| IncidentView {
            run: self.run.id,
            step: step.to_owned(),
            workflow: self.run.workflow.clone(),
            kind: incident.kind.as_str().to_owned(),
            code: incident.code.clone(),
            message: incident.message.clone(),
            since: incident.since,
            subject: self.head.subject.clone(),
        });
        let left = self.run.left_to_undo(&self.workflow).into_iter().map(|step| self.left(step));
        Aftermath { incidents: incidents.collect(), compensation_left: left.collect(), on_failure }
    }

    fn left(&self, step: String) -> LeftView {
        let failure = self.run.step(&step).and_then(|state| state.compensation.failure.as_ref());
        let (code, message) = match failure {
            Some(failure) => (failure.code.clone(), failure.message.clone()),
            None => ("not_tried".to_owned(), "the run was set aside before".to_owned()),
        };
        LeftView { step, code, message }
    }

    /// Shows a list of steps, each with those inside it behind it.
    fn list(&self, steps: &[Step], prefix: &str, depth: usize, shown: &mut Vec<StepView>) {
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            shown.push(self.step(step, &path, depth));
            if let Action::Each(each) = &step.action {
                for item in 0..self.items_begun(&path) {
                    self.list(&each.steps, &item_prefix(&path, item), depth + 1, shown);
                }
            }
            for list in step.fixed_lists() {
                self.list(list, prefix, depth + 1, shown);
            }
        }
    }

    fn items_begun(&self, path: &str) -> usize {
        match self.run.step(path).and_then(|state| state.nest.as_ref()).map(|nest| &nest.kind) {
            Some(NestKind::Loop { next, .. }) => *next,
            _ => 0, // It has not begun.
        }
    }

    fn step(&self, step: &Step, path: &str, depth: usize) -> StepView {
        let not_begun = StepState::default();
        let state = self.run.step(path).unwrap_or(&not_begun);
        let (activity, template) = match &step.action {
            Action::Call { activity, input, .. } => (activity.as_str(), input.source().clone()),
            Action::Sleep { duration } => ("sleep", duration.source().clone()),
            Action::Wait(wait) => {
                let filter = wait.filter.source();
                ("waitFor", json!({ "event": wait.kind, "filter": filter }))
            }
            Action::Branch(_) => ("branch", Value::Null),
            Action::Each(each) => ("forEach", each.items.source().clone()),
            Action::Parallel { .. } => ("parallel", Value::Null),
            Action::Run { workflow, input, .. } => {
                ("run", json!({ "workflow": workflow, "input": input.source() }))
            }
        };
        let waiting = self.run.waiting_for().filter(|it| it.step.as_deref() == Some(path));
        let failed = matches!(state.status, StepStatus::Failed | StepStatus::Retrying);
        StepView {
            id: path.to_owned(),
            depth,
            title: step.title.clone(),
            activity: activity.to_owned(),
            status: state.status.as_str().to_owned(),
            template,
            input: present(self.run.input(path)),
            output: present(self.run.output(path)),
            error: state.failure().filter(|_| failed).map(failure_view),
            attempts: state.attempts.iter().map(attempt_view).collect(),
            compensation: self.undo_status(step, path, state).map(str::to_owned),
            skipped_because: state.trace.clone(),
            until: waiting.and_then(|waiting| waiting.until).or_else(|| due(&state.doing)),
            started_at: state.started_at,
            ended_at: state.ended_at,
            approval: self.approval(path, state),
        }
    }

    fn approval(&self, path: &str, state: &StepState) -> Option<ApprovalView> {
        let (gate, decided) = match (&state.doing, &state.decided) {
            (Doing::Deciding(gate), _) => (gate.as_ref(), None),
            (_, Some(decided)) => (&decided.gate, Some(decided)),
            (_, None) => return None,
        };
        Some(ApprovalView {
            run: self.run.id,
            step: path.to_owned(),
            workflow: self.run.workflow.clone(),
            status: match decided.map(|decided| decided.decision) {
                None => "pending",
                Some(Decision::Approved) => "approved",
                Some(Decision::Rejected) => "rejected",
            }
            .to_owned(),
            approvers: gate.approvers.clone(),
            reason: gate.reason.clone(),
            requested_at: gate.asked_at,
            until: gate.until,
            decided_by: decided.map(|decided| decided.by.clone()),
            decided_at: decided.map(|decided| decided.at),
            comment: decided
                .map(|decided| decided.comment.clone())
                .filter(|comment| !comment.is_empty()),
        })
    }

    fn undo_status(&self, step: &Step, path: &str, state: &StepState) -> Option<&'static str> {
        match state.compensation.status {
            UndoStatus::Running | UndoStatus::Retrying => Some("running"),
            UndoStatus::Done => Some("done"),
            UndoStatus::Abandoned => Some("failed"),
            UndoStatus::None => {
                let index = self.run.step_index(path)?;
                let ahead = self.run.phase == Phase::Unwinding && !self.run.ended_before();
                let owed = self.run.standing.contains(&index) && step.compensate != Undo::None;
                (ahead && owed).then_some("pending")
            }
        }
    }

    /// The undone steps in the order in which they were undone.
    fn compensations(&self) -> Vec<CompensationView> {
        let undone = self.run.steps.iter().filter_map(|state| {
            let step = self.workflow.step_at(&state.id)?;
            (state.compensation.status != UndoStatus::None).then(|| compensation(step, state))
        });
        let mut undone: Vec<CompensationView> = undone.collect();
        undone.reverse();
        // Within an instant the journal alone knows the order.
        let begun: HashMap<&str, usize> = self
            .journal
            .iter()
            .enumerate()
            .filter_map(|(place, record)| match &record.entry {
                Entry::UndoScheduled { step, .. } => Some((step.as_str(), place)),
                _ => None, // Nothing was begun to be undone.
            })
            .collect();
        undone.sort_by_key(|undo| {
            let began = undo.attempts.first().map(|attempt| attempt.started_at);
            (began, begun.get(undo.step.as_str()).copied())
        });
        undone
    }
}

/// Shows a step around others as failed when what ended it was the failure of one inside.
fn blame_groups(workflow: &Workflow, steps: &mut [StepView]) {
    for index in 0..steps.len() {
        if steps[index].status != "cancelled" {
            continue;
        }
        let depth = steps[index].depth;
        let inside = steps[index + 1..].iter().take_while(|step| step.depth > depth);
        let is_to_blame = |step: &StepView| {
            let definition = workflow.step_at(&step.id);
            step.status == "failed"
                && definition.is_some_and(|step| step.on_failure != OnFailure::Continue)
        };
        if inside.clone().any(is_to_blame) {
            steps[index].status = "failed".to_owned();
        }
    }
}

fn due(doing: &Doing) -> Option<Timestamp> {
    match doing {
        Doing::Pausing { due, .. } | Doing::UndoPausing { due, .. } => Some(*due),
        Doing::Sleeping { until } => Some(*until),
        Doing::Deferred(deferral) => Some(deferral.until),
        Doing::Awaiting { until, .. } => *until,
        Doing::Deciding(gate) => gate.until,
        Doing::AwaitingWorker(handed) => Some(handed.until),
        Doing::Nothing
        | Doing::Stuck(_)
        | Doing::Executing { .. }
        | Doing::AwaitingRun { .. }
        | Doing::Group
        | Doing::Undoing { .. } => None,
    }
}

fn compensation(step: &Step, state: &StepState) -> CompensationView {
    let undo = &state.compensation;
    CompensationView {
        step: state.id.clone(),
        activity: match &step.compensate {
            Undo::Call { activity, .. } => activity.clone(),
            Undo::Auto | Undo::None => "auto".to_owned(),
        },
        status: match undo.status {
            UndoStatus::Abandoned => "failed".to_owned(),
            other => other.as_str().to_owned(),
        },
        input: present(&undo.input),
        output: present(&undo.output),
        error: undo.failure.as_ref().map(failure_view),
        attempts: undo.attempts.iter().map(attempt_view).collect(),
    }
}

/// Shows what lists show of a run.
pub(super) fn summary(head: &RunHead, now: Timestamp) -> RunSummary {
    let began = head.started_at.unwrap_or(head.created_at);
    let ended = head.ended_at.unwrap_or(now);
    RunSummary {
        id: head.id,
        workflow: head.workflow.clone(),
        version: head.version,
        status: head.status.as_str().to_owned(),
        state: head.status.thena().to_owned(),
        waiting_for: head.waiting_for.as_ref().map(|waiting| {
            let view = WaitingForView {
                kind: waiting.kind.as_str().to_owned(),
                until: waiting.until,
                step: waiting.step.clone(),
                approvers: waiting.approvers.clone(),
                run: waiting.run,
                activity: waiting.activity.clone(),
                code: waiting.code.clone(),
                since: waiting.since,
                destination: waiting.destination.clone(),
                ..WaitingForView::default()
            };
            match waiting.reason {
                Some(reason) => super::waiting::held_back(view, reason),
                None => WaitingForView { reason: super::waiting::reason_of(&view), ..view },
            }
        }),
        compensation: head.compensation.as_str().to_owned(),
        event_id: Some(head.event_id.clone()),
        event_type: Some(head.event_kind.clone()),
        subject: head.subject.clone(),
        subject_name: None,
        attempts: head.attempts,
        created_at: head.created_at,
        started_at: head.started_at,
        ended_at: head.ended_at,
        duration_ms: i64::try_from(ended.since(began).as_millis()).unwrap_or(i64::MAX),
        steps_done: head.steps_done as usize,
        steps_total: head.steps_total as usize,
        current_step: head.current_step.clone(),
        error: head.error.as_ref().map(|error| RunErrorView {
            step: error.step.clone(),
            code: error.code.clone(),
            message: error.message.clone(),
        }),
    }
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        started_at: attempt.started_at,
        ended_at: attempt.ended_at,
        outcome: match attempt.outcome {
            AttemptOutcome::Running => "running",
            AttemptOutcome::Succeeded => "succeeded",
            AttemptOutcome::Failed => "failed",
            AttemptOutcome::InDoubt => "unknown",
        }
        .to_owned(),
        error: attempt.failure.as_ref().map(failure_view),
    }
}

fn failure_view(failure: &Failure) -> StepErrorView {
    StepErrorView {
        class: match failure.class {
            FailureClass::Retryable => "retryable",
            FailureClass::Terminal => "terminal",
            FailureClass::InDoubt => "inDoubt",
        }
        .to_owned(),
        code: failure.code.clone(),
        message: failure.message.clone(),
        details: (*failure.details).clone(),
    }
}

fn present(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}
