//! What a run hands out to workers: written with the intent, withdrawn with the run, and given to
//! another worker when one is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::activities::UndoCall;
use crate::activities::worker::WorkerActivity;
use crate::domain::run::{Doing, Effect, Failure, FailureClass, Handed, Input, Run, Timer, Work};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Undo;
use crate::store::alarms::AlarmKind;
use crate::store::inbox::Notice;
use crate::store::seam::StoreError;
use crate::store::tasks::{TaskId, TaskRow};
use crate::store::tenant::TenantTx;

use super::live::LiveRun;
use super::tenant_state::TenantState;

impl LiveRun {
    /// Hands an attempt out, or fails it when no worker could use its input.
    pub(super) fn hand_out(
        &self,
        worker: &WorkerActivity,
        (step, attempt): (String, u32),
        work: Work,
        now: Timestamp,
    ) -> Input {
        let input = self.work_input(&step, work);
        if let Err(failure) = worker.check_input(&input) {
            return match work {
                Work::Step => Input::Failed { step, attempt, failure },
                Work::Undo => Input::UndoFailed { step, attempt, failure },
            };
        }
        let timeout = self.workflow.step_at(&step).map_or(Duration::ZERO, |step| step.timeout);
        let activity = worker.row().identifier.clone();
        Input::HandedOut { step, attempt, work, activity, until: now + timeout }
    }

    fn work_input(&self, step: &str, work: Work) -> serde_json::Value {
        if work == Work::Step {
            return self.run.input(step).clone();
        }
        let Some(state) = self.run.step(step) else { return serde_json::Value::Null };
        match self.workflow.step_at(step).map(|step| &step.compensate) {
            Some(Undo::Auto) => UndoCall::read(&state.undo).map(|call| call.input),
            _ => None, // It is written in the step.
        }
        .unwrap_or_else(|| state.compensation.input.clone())
    }

    /// Keeps the tasks in the store as the run stands.
    pub(super) fn keep_tasks(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        let owed = tasks_of(&self.run);
        if owed == self.tasks {
            return Ok(());
        }
        let gone: Vec<TaskId> =
            self.tasks.values().filter(|id| !owed.values().any(|it| it == *id)).copied().collect();
        for id in gone {
            if let Some(row) = tx.view().task(id)? {
                if let Some(lease) = &row.lease {
                    tx.lift_alarm(lease.alarm, AlarmKind::Lease, &id.to_string());
                }
                tx.remove_task(&row);
            }
        }
        for (step, id) in &owed {
            if self.tasks.get(step) == Some(id) {
                continue;
            }
            let Some(Doing::AwaitingWorker(handed)) = self.run.step(step).map(|it| &it.doing)
            else {
                continue;
            };
            let row = self.task_row(tenant, tx, step, handed)?;
            tx.put_task(&row);
            // So that the next of this run sees it before itself.
            self.tasks.insert(step.clone(), *id);
        }
        self.tasks = owed;
        Ok(())
    }

    fn task_row(
        &self,
        tenant: &TenantState,
        tx: &TenantTx<'_, '_>,
        step: &str,
        handed: &Handed,
    ) -> Result<TaskRow, StoreError> {
        let pinned = self.workflow.step_at(step).and_then(|step| match handed.work {
            Work::Step => step.action.pinned_version(),
            Work::Undo => step.compensate.pinned_version(),
        });
        let found = tenant.worker_activity(&handed.activity, pinned, self.run.created_at);
        let queue = found.as_ref().map_or(handed.activity.as_str(), |found| found.queue());
        let others = self.run.doings().filter(|(other, doing)| {
            *other != step
                && self.tasks.contains_key(*other)
                && matches!(doing, Doing::AwaitingWorker(it) if it.activity == handed.activity)
        });
        let others = u64::try_from(others.count()).unwrap_or(u64::MAX);
        Ok(TaskRow {
            run: self.run.id,
            step: step.to_owned(),
            attempt: handed.attempt,
            work: handed.work,
            workflow: self.run.workflow.clone(),
            activity: handed.activity.clone(),
            version: found.as_ref().map_or(1, |found| found.row().version),
            queue: queue.to_owned(),
            input: self.work_input(step, handed.work),
            key: match handed.work {
                Work::Step => self.run.idempotency_key(step),
                Work::Undo => self.run.undo_key(step),
            },
            priority: self.priority,
            // One of each run before a second of any.
            turn: tx.view().next_turn(queue, self.priority)?.saturating_add(others),
            queued_at: handed.since,
            until: handed.until,
            lease: None,
            leases: 0,
            withdrawn: false,
            ended: false,
        })
    }

    /// Takes back what no worker has; a worker that is at it is told, and awaited.
    pub(super) fn withdraw(
        &self,
        tx: &mut TenantTx<'_, '_>,
        step: String,
        attempt: u32,
    ) -> Result<Input, StoreError> {
        let id = TaskId::of(self.run.id, &step, attempt, Work::Step);
        let Some(row) = tx.view().task(id)? else { return Ok(Input::Withdrawn { step, attempt }) };
        if row.is_free() {
            return Ok(Input::Withdrawn { step, attempt });
        }
        tx.put_task(&TaskRow { withdrawn: true, ..row });
        Ok(Input::Withdrawing { step, attempt })
    }

    /// Counts an attempt that a worker is through with.
    pub(super) fn note_attempt<T>(
        &self,
        tenant: &TenantState,
        step: &str,
        result: &Result<T, Failure>,
    ) {
        let Some(Doing::AwaitingWorker(handed)) = self.run.step(step).map(|it| &it.doing) else {
            return;
        };
        let label = match result {
            Ok(_) => "succeeded",
            Err(failure) if failure.class == FailureClass::InDoubt => "unknown",
            Err(_) => "failed",
        };
        tenant.count_attempt(&handed.activity, label);
    }

    /// Ends an attempt whose time is over; one that no worker ever took surely did nothing.
    pub(super) fn late(
        &self,
        tx: &TenantTx<'_, '_>,
        at: Timestamp,
        timer: Timer,
    ) -> Result<Input, StoreError> {
        let Timer::Work { step } = &timer else { return Ok(Input::TimerFired { at, timer }) };
        let Some(Doing::AwaitingWorker(handed)) = self.run.step(step).map(|it| &it.doing) else {
            return Ok(Input::TimerFired { at, timer });
        };
        let (attempt, work) = (handed.attempt, handed.work);
        let id = TaskId::of(self.run.id, step, attempt, work);
        let is_untouched = tx.view().task(id)?.is_some_and(|row| row.leases == 0);
        if !is_untouched {
            return Ok(Input::TimerFired { at, timer });
        }
        let message = format!("no worker took `{}` in time", handed.activity);
        let result = Err(Failure::retryable("no_worker", message));
        Ok(Input::WorkEnded { step: step.clone(), attempt, work, result })
    }
}

/// Returns the tasks of a run by step.
pub(super) fn tasks_of(run: &Run) -> BTreeMap<String, TaskId> {
    let of = |effect: Effect| match effect {
        Effect::AwaitWorker { step, attempt, work } => {
            let id = TaskId::of(run.id, &step, attempt, work);
            Some((step, id))
        }
        _ => None, // Nothing for a worker.
    };
    run.outstanding().into_iter().filter_map(of).collect()
}

/// Looks at a worker's hold on a task: one without a sign of life is over, and another worker may
/// take the task.
pub(super) fn ring(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    id: &str,
) -> Result<(), StoreError> {
    let Ok(task) = id.parse::<TaskId>() else { return Ok(()) };
    let Some(mut row) = tx.view().task(task)? else { return Ok(()) };
    let Some(lease) = row.lease.as_mut().filter(|_| !row.ended) else { return Ok(()) };
    if lease.until > tx.now() {
        lease.alarm = lease.until;
        tx.set_alarm(lease.alarm, AlarmKind::Lease, id);
        tx.put_task(&row);
        return Ok(());
    }
    let worker = lease.worker.clone();
    row.lease = None;
    let is_hopeless = row.leases >= tenant.shared.settings.task_leases_max;
    if !row.withdrawn && !is_hopeless {
        tx.put_task(&row);
        return Ok(());
    }
    let message = match row.withdrawn {
        true => format!("`{worker}` gave no sign of life after it was to stop"),
        false => format!("{} workers took it and were not heard of again", row.leases),
    };
    row.ended = true;
    tx.put_task(&row);
    let (step, attempt, work) = (row.step, row.attempt, row.work);
    let result = Err(Failure::in_doubt("worker_lost", message));
    tx.post(row.run, &Notice::WorkEnded { step, attempt, work, result });
    Ok(())
}
