//! Turns a stored run back into its state and shows it.

use std::sync::Arc;

use serde_json::Value;

use super::error::Error;
use super::views::{
    AttemptView, CompensationView, RunErrorView, RunSummary, RunView, StepErrorView, StepView,
    WaitingForView,
};
use crate::domain::event::Event;
use crate::domain::run::{
    Attempt, AttemptOutcome, Entry, Failure, FailureClass, Origin, Record, Run, RunHead, StepState,
    StepStatus, TenantFacts, UndoStatus, retry_refusal,
};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, Step, Undo, Workflow};
use crate::engine::Engine;
use crate::store::runs::RunRow;
use crate::store::tenant::TenantView;

/// A run with everything that it was rebuilt from.
pub(super) struct LoadedRun {
    pub(super) run: Run,
    pub(super) workflow: Arc<Workflow>,
    pub(super) event: Event,
    pub(super) journal: Vec<Record>,
    head: RunHead,
}

/// Rebuilds a run from the store.
pub(super) fn load(view: TenantView<'_>, row: RunRow) -> Result<LoadedRun, Error> {
    let head = row.head;
    let gone = |what: &str| Error::Internal(format!("run {}: {what} is gone", head.id));
    let event = view.event(row.event)?.ok_or_else(|| gone("its event"))?.event;
    let version = view.version(&head.workflow, head.version)?;
    let workflow = Engine::compile(&version.ok_or_else(|| gone("its workflow's version"))?)?;
    let mut journal = view.journal(head.id)?;
    let first = journal.iter().find_map(|record| match &record.entry {
        Entry::Created { version, .. } => Some(*version),
        _ => None, // Only the first record says which version the run began with.
    });
    let origin = Origin {
        id: head.id,
        version: first.unwrap_or(head.version),
        // Nothing is rendered again, so nobody sees what the tenant is called.
        tenant: TenantFacts { id: view.tenant(), slug: String::new(), name: String::new() },
        trigger: event.to_value(),
        vars: Value::Object(serde_json::Map::new()),
    };
    let run = if journal.is_empty() {
        let (run, created) = Run::create(&workflow, origin);
        journal.push(created);
        run
    } else {
        Run::replay(&workflow, origin, &journal)
    };
    Ok(LoadedRun { run, workflow, event, journal, head })
}

impl LoadedRun {
    /// Wraps a run that is in no store.
    pub(super) fn of(run: Run, workflow: Arc<Workflow>, event: Event) -> LoadedRun {
        LoadedRun { head: run.head(), run, workflow, event, journal: Vec::new() }
    }

    /// Shows the run as it stands at `now`.
    pub(super) fn view(&self, now: Timestamp) -> RunView {
        let steps = self.workflow.steps.iter();
        RunView {
            summary: summary(&self.head, now),
            steps: steps.map(|step| self.step(step)).collect(),
            compensations: self.compensations(),
            cancel_requested: self.run.cancel.is_some(),
            can_retry: retry_refusal(&self.workflow, &self.run, None).is_none(),
            trigger: Some(self.event.to_value()),
        }
    }

    fn step(&self, step: &Step) -> StepView {
        let not_begun = StepState::default();
        let state = self.run.step(&step.id).unwrap_or(&not_begun);
        let (activity, template) = match &step.action {
            Action::Call { activity, input, .. } => (activity.clone(), input.source().clone()),
            Action::Sleep { duration } => ("sleep".to_owned(), duration.source().clone()),
        };
        let waiting = self.run.waiting_for().filter(|it| it.step.as_ref() == Some(&step.id));
        let failed = matches!(state.status, StepStatus::Failed | StepStatus::Retrying);
        StepView {
            id: step.id.clone(),
            title: step.title.clone(),
            activity,
            status: state.status.as_str().to_owned(),
            template,
            input: present(self.run.input(&step.id)),
            output: present(self.run.output(&step.id)),
            error: state.failure().filter(|_| failed).map(failure_view),
            attempts: state.attempts.iter().map(attempt_view).collect(),
            compensation: self.undo_status(step, state).map(str::to_owned),
            skipped_because: state.trace.clone(),
            until: waiting.and_then(|waiting| waiting.until),
        }
    }

    fn undo_status(&self, step: &Step, state: &StepState) -> Option<&'static str> {
        match state.compensation.status {
            UndoStatus::Running | UndoStatus::Retrying => Some("running"),
            UndoStatus::Done => Some("done"),
            UndoStatus::Abandoned => Some("failed"),
            UndoStatus::None => {
                let index = self.run.step_index(&step.id)?;
                let ahead = self.run.ending.is_some() && self.run.outcome.is_none();
                let owed = self.run.standing.contains(&index) && step.compensate != Undo::None;
                (ahead && owed).then_some("pending")
            }
        }
    }

    /// The undone steps in the order in which they were undone.
    fn compensations(&self) -> Vec<CompensationView> {
        let undone = self.workflow.steps.iter().filter_map(|step| {
            let state = self.run.step(&step.id)?;
            (state.compensation.status != UndoStatus::None).then(|| compensation(step, state))
        });
        let mut undone: Vec<CompensationView> = undone.collect();
        undone.reverse();
        undone.sort_by_key(|undo| undo.attempts.first().map(|attempt| attempt.started_at));
        undone
    }
}

fn compensation(step: &Step, state: &StepState) -> CompensationView {
    let undo = &state.compensation;
    CompensationView {
        step: step.id.clone(),
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
            let waiting = WaitingForView {
                kind: waiting.kind.as_str().to_owned(),
                until: waiting.until,
                step: waiting.step.clone(),
                ..WaitingForView::default()
            };
            WaitingForView { reason: super::waiting::reason_of(&waiting), ..waiting }
        }),
        compensation: head.compensation.as_str().to_owned(),
        event_id: Some(head.event_id.clone()),
        event_type: Some(head.event_kind.clone()),
        subject: head.subject.clone(),
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
