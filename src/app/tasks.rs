//! What workers do: take tasks, show a sign of life, and say what came of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::App;
use super::access::digest;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::activities::Activity;
use crate::domain::activity::ThrottleKey;
use crate::domain::activity::custom::{Carrier, CustomThrottle};
use crate::domain::id::RunId;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::run::{Failure, FailureClass, Work};
use crate::domain::time::Timestamp;
use crate::store::alarms::AlarmKind;
use crate::store::inbox::Notice;
use crate::store::ledger::Moved;
use crate::store::seam::StoreError;
use crate::store::tasks::{Lease, TaskId, TaskRow, TaskWindow};
use crate::store::tenant::{TenantTx, TenantView};

/// How often one who waits looks by itself: for the end of a throttle's window, and for a stop.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The activities that it carries out.
    pub activities: Vec<String>,
    /// Its name.
    pub worker: String,
    /// How many tasks at most.
    pub max: usize,
    /// How long it waits for the first.
    pub wait: Duration,
    /// How long it holds them after each sign of life; `None` for the usual time.
    pub lease: Option<Duration>,
}

/// A task as the worker that takes it sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenTask {
    /// Its id.
    pub id: String,
    /// Proves that it is held.
    pub token: String,
    /// The activity that is to be carried out.
    pub activity: String,
    /// The version of it.
    pub version: u32,
    /// `step`, or `undo` when the step is to be undone.
    pub work: Work,
    /// The rendered input.
    pub input: Value,
    /// The number of the attempt.
    pub attempt: u32,
    /// The run.
    pub run_id: RunId,
    /// The workflow.
    pub workflow: String,
    /// The path of the step.
    pub step: String,
    /// The same whenever the same work is given out again.
    pub idempotency_key: String,
    /// Until when it is held.
    pub lease_until: Timestamp,
    /// When the attempt is given up, whoever works at it.
    pub until: Timestamp,
}

/// What a worker hears when it shows a sign of life.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatView {
    /// Until when the task is held.
    pub lease_until: Timestamp,
    /// Whether the run no longer wants the work: it should be broken off, and failed.
    pub cancelled: bool,
}

/// A task that is not over, as the API lists it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// The activity that is to be carried out.
    pub activity: String,
    /// `queued`, or `taken` while a worker holds it.
    pub status: &'static str,
    /// `step`, or `undo` when the step is to be undone.
    pub work: Work,
    /// The run.
    pub run_id: RunId,
    /// The workflow.
    pub workflow: String,
    /// The path of the step.
    pub step: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// When it was handed out.
    pub since: Timestamp,
    /// When the attempt is given up.
    pub until: Timestamp,
    /// How many workers have taken it.
    pub taken: u32,
    /// Who holds it.
    pub worker: Option<String>,
    /// Until when.
    pub lease_until: Option<Timestamp>,
    /// What the worker said of its progress last.
    pub details: Value,
    /// Whether the run no longer wants the work.
    pub cancelled: bool,
}

/// How a worker failed.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkFailure {
    /// What kind of failure; stable.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// Whether to try again, and whether it may have acted.
    pub class: FailureClass,
    /// The pause that it asks for.
    pub retry_after: Option<Duration>,
    /// Anything more.
    pub details: Value,
}

/// A queue that is asked for, with what limits each of its activities.
struct Ask {
    queues: Vec<String>,
    throttles: BTreeMap<String, CustomThrottle>,
    worker: String,
    max: usize,
    lease: Duration,
    looked_at_max: usize,
}

impl App {
    /// Gives a worker tasks of its activities: the most urgent first, then one of each run, the
    /// oldest first. Waits for the first when there is none.
    ///
    /// # Errors
    /// `Busy` when too many workers wait already; fails when the store cannot be written.
    pub async fn poll_tasks(&self, who: &Principal, poll: Poll) -> Result<Vec<TakenTask>, Error> {
        let settings = self.engine().settings();
        let _waits = self.workers.enter(who.tenant, settings.task_polls_max)?;
        let mut watch = self.engine().watch(Moved::Tasks(who.tenant));
        let give_up = Instant::now() + poll.wait;
        loop {
            self.workers.seen(who.tenant, &poll.worker, &poll.activities, self.now());
            let ask = self.ask(who, &poll);
            // What a worker does cannot be taken back, so that tasks rest as calls do.
            let waiting = !self.engine().rests(who.tenant)
                && self.read(who, |view| {
                    let mut queues = ask.queues.iter();
                    Ok(queues.try_fold(false, |any, queue| {
                        Ok::<_, StoreError>(any || !view.tasks_queued(queue, 1)?.is_empty())
                    })?)
                })?;
            if waiting {
                // It is the run that changes by it, and its journal tells.
                let taken = self.write_of(who.tenant, move |tx| Ok(take(tx, &ask)?)).await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
            }
            let now = Instant::now();
            if now >= give_up || self.workers.is_closing() || self.engine().is_stopping() {
                return Ok(Vec::new());
            }
            let look_again = give_up.min(now + LOOK_EVERY);
            // Either way the store is asked again.
            let _ = tokio::time::timeout_at(look_again, watch.news()).await;
        }
    }

    fn ask(&self, who: &Principal, poll: &Poll) -> Ask {
        let settings = self.engine().settings();
        let installed = self.engine().installed(who.tenant);
        let (mut queues, mut throttles) = (Vec::new(), BTreeMap::new());
        for name in &poll.activities {
            let identifier = installed.catalogue().bare(name);
            let row = installed.brought(identifier, None, self.now());
            let queue = match row.map(|row| &row.carrier) {
                Some(Carrier::Worker { queue }) => queue.clone(),
                Some(_) | None => name.clone(), // It may be registered, or come back, later.
            };
            if let Some(throttle) = row.and_then(|row| row.throttle.clone()) {
                throttles.insert(identifier.to_owned(), throttle);
            }
            if !queues.contains(&queue) {
                queues.push(queue);
            }
        }
        let usual = Duration::from_millis(settings.task_lease_ms);
        let longest = Duration::from_millis(settings.task_lease_ms_max);
        let max = poll.max.min(settings.tasks_taken_max);
        Ask {
            queues,
            // Behind what a throttle holds back there may be what it does not.
            looked_at_max: if throttles.is_empty() { max } else { settings.tasks_taken_max },
            throttles,
            worker: poll.worker.clone(),
            max,
            lease: poll.lease.unwrap_or(usual).min(longest),
        }
    }

    /// Keeps a task with the worker that holds it, and tells whether the run still wants it.
    ///
    /// # Errors
    /// `NotFound` for what never was a task, `Conflict` when the worker does not hold it any more.
    pub async fn heartbeat_task(
        &self,
        who: &Principal,
        id: &str,
        token: &str,
        details: Option<Value>,
    ) -> Result<HeartbeatView, Error> {
        let (task, digest) = (task_id(id)?, digest(token));
        let view = self
            .write_of(who.tenant, move |tx| {
                let mut row = held(tx.view(), task, &digest, tx.now())?;
                let cancelled = row.withdrawn;
                let now = tx.now();
                let Some(lease) = &mut row.lease else { return Err(over(task)) };
                lease.until = now + Duration::from_millis(lease.lasts_ms);
                if let Some(details) = details {
                    lease.details = details;
                }
                let (lease_until, worker) = (lease.until, lease.worker.clone());
                tx.put_task(&row);
                Ok((HeartbeatView { lease_until, cancelled }, worker))
            })
            .await?;
        self.workers.seen(who.tenant, &view.1, &[], self.now());
        Ok(view.0)
    }

    /// Takes what a worker made.
    ///
    /// # Errors
    /// `NotFound` and `Conflict` as for a sign of life; `Invalid` for an output that does not fit
    /// the activity's schema, which the worker may put right while it holds the task.
    pub async fn complete_task(
        &self,
        who: &Principal,
        id: &str,
        token: &str,
        output: Value,
    ) -> Result<(), Error> {
        let (task, token) = (task_id(id)?, digest(token));
        let row = self.read(who, |view| held(view, task, &token, self.now()))?;
        let problems = self.misfits(who, &row, &output);
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        self.end_task(who, task, token, Ok(output)).await
    }

    /// Takes that a worker failed.
    ///
    /// # Errors
    /// `NotFound` and `Conflict` as for a sign of life.
    pub async fn fail_task(
        &self,
        who: &Principal,
        id: &str,
        token: &str,
        failed: WorkFailure,
    ) -> Result<(), Error> {
        let mut failure = Failure::new(failed.class, &failed.code, failed.message);
        if !failed.details.is_null() {
            failure = failure.with_details(failed.details);
        }
        if let Some(pause) = failed.retry_after {
            failure = failure.with_retry_after(pause);
        }
        self.end_task(who, task_id(id)?, digest(token), Err(failure)).await
    }

    async fn end_task(
        &self,
        who: &Principal,
        task: TaskId,
        token: String,
        result: Result<Value, Failure>,
    ) -> Result<(), Error> {
        self.write_of(who.tenant, move |tx| {
            let mut row = held(tx.view(), task, &token, tx.now())?;
            if let Some(lease) = &row.lease {
                tx.lift_alarm(lease.alarm, AlarmKind::Lease, &task.to_string());
            }
            // It stays until the run has taken the result, so that nobody else gets it meanwhile.
            row.ended = true;
            tx.put_task(&row);
            let (step, attempt, work) = (row.step, row.attempt, row.work);
            tx.post(row.run, &Notice::WorkEnded { step, attempt, work, result });
            Ok(())
        })
        .await
    }

    fn misfits(&self, who: &Principal, row: &TaskRow, output: &Value) -> Vec<Problem> {
        if row.work == Work::Undo {
            return Vec::new(); // Nobody reads what an undoing answers.
        }
        let installed = self.engine().installed(who.tenant);
        let found = installed.find(&row.activity, Some(row.version), row.queued_at);
        let Ok(Activity::Worker(worker)) = found else { return Vec::new() };
        let problems = worker.output_problems(output).into_iter();
        let at = |problem: Problem| Problem {
            pointer: format!("/output{}", problem.pointer),
            ..problem
        };
        problems.map(at).collect()
    }

    /// Lists the tasks that are not over, those of the oldest runs first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn tasks(
        &self,
        who: &Principal,
        activity: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<TaskView>, Error> {
        let mut after = page.after.as_deref().and_then(|id| id.parse::<TaskId>().ok());
        self.read(who, |view| {
            let mut data: Vec<TaskView> = Vec::new();
            loop {
                let rows = view.tasks_after(after, page.limit + 1)?;
                let is_last = rows.len() <= page.limit;
                after = rows.last().map(TaskRow::id);
                let wanted = rows.iter().filter(|row| {
                    !row.ended && activity.is_none_or(|activity| row.activity == activity)
                });
                data.extend(wanted.map(shown));
                if is_last || data.len() > page.limit {
                    break;
                }
            }
            let more = data.len() > page.limit;
            data.truncate(page.limit);
            let next_cursor = data.last().filter(|_| more).map(|task| task.id.clone());
            Ok(Page { data, next_cursor })
        })
    }
}

fn task_id(text: &str) -> Result<TaskId, Error> {
    text.parse().map_err(|()| Error::NotFound { what: "task", id: text.to_owned() })
}

/// Returns a task that is held by whoever has the token.
fn held(view: TenantView<'_>, id: TaskId, digest: &str, now: Timestamp) -> Result<TaskRow, Error> {
    let Some(row) = view.task(id)? else {
        let is_over = view.run(id.run)?.is_some();
        let unknown = || Error::NotFound { what: "task", id: id.to_string() };
        return Err(if is_over { over(id) } else { unknown() });
    };
    if row.ended {
        return Err(over(id));
    }
    let is_held =
        row.lease.as_ref().is_some_and(|lease| lease.digest == digest && lease.until > now);
    if is_held {
        return Ok(row);
    }
    let detail = match &row.lease {
        Some(lease) if lease.digest != digest => "another worker has it now",
        Some(_) | None => "the time to hold it is over, and any worker may take it",
    };
    let detail = format!("the task `{id}` is not held by this token: {detail}");
    Err(Error::Conflict { code: "task_lost", detail })
}

fn over(id: TaskId) -> Error {
    let detail = format!("the task `{id}` is over: it ended, ran out of time or was withdrawn");
    Error::Conflict { code: "task_over", detail }
}

fn shown(row: &TaskRow) -> TaskView {
    let lease = row.lease.as_ref();
    TaskView {
        id: row.id().to_string(),
        activity: row.activity.clone(),
        status: if lease.is_some() { "taken" } else { "queued" },
        work: row.work,
        run_id: row.run,
        workflow: row.workflow.clone(),
        step: row.step.clone(),
        attempt: row.attempt,
        since: row.queued_at,
        until: row.until,
        taken: row.leases,
        worker: lease.map(|lease| lease.worker.clone()),
        lease_until: lease.map(|lease| lease.until),
        details: lease.map_or(Value::Null, |lease| lease.details.clone()),
        cancelled: row.withdrawn,
    }
}

/// Gives out tasks from the heads of the queues.
fn take(tx: &mut TenantTx<'_, '_>, ask: &Ask) -> Result<Vec<TakenTask>, StoreError> {
    let mut heads: Vec<VecDeque<TaskRow>> = Vec::new();
    for queue in &ask.queues {
        let ids = tx.view().tasks_queued(queue, ask.looked_at_max)?;
        let rows: Result<Vec<_>, StoreError> = ids.iter().map(|id| tx.view().task(*id)).collect();
        heads.push(rows?.into_iter().flatten().collect());
    }
    let mut rooms = Rooms::default();
    let mut taken = Vec::new();
    while taken.len() < ask.max {
        let first = heads
            .iter_mut()
            .filter(|head| !head.is_empty())
            .min_by_key(|head| head.front().map(|row| (row.priority, row.queued_at)));
        let Some(row) = first.and_then(VecDeque::pop_front) else { break };
        if row.is_free() && row.until > tx.now() && rooms.has_room(tx, &row, ask)? {
            taken.push(hold(tx, row, ask));
        }
    }
    if !taken.is_empty() {
        rooms.keep(tx);
    }
    Ok(taken)
}

fn hold(tx: &mut TenantTx<'_, '_>, mut row: TaskRow, ask: &Ask) -> TakenTask {
    let token = format!("{:016x}{:016x}", tx.random(), tx.random());
    let lease_until = tx.now() + ask.lease;
    let id = row.id().to_string();
    row.leases += 1;
    row.lease = Some(Lease {
        digest: digest(&token),
        worker: ask.worker.clone(),
        taken_at: tx.now(),
        until: lease_until,
        alarm: lease_until,
        lasts_ms: u64::try_from(ask.lease.as_millis()).unwrap_or(u64::MAX),
        details: Value::Null,
    });
    tx.put_task(&row);
    tx.set_alarm(lease_until, AlarmKind::Lease, &id);
    TakenTask {
        id,
        token,
        activity: row.activity,
        version: row.version,
        work: row.work,
        input: row.input,
        attempt: row.attempt,
        run_id: row.run,
        workflow: row.workflow,
        step: row.step,
        idempotency_key: row.key,
        lease_until,
        until: row.until,
    }
}

/// How much the throttles of activities still allow.
#[derive(Default)]
struct Rooms(BTreeMap<String, TaskWindow>);

impl Rooms {
    fn has_room(
        &mut self,
        tx: &TenantTx<'_, '_>,
        row: &TaskRow,
        ask: &Ask,
    ) -> Result<bool, StoreError> {
        let Some(throttle) = ask.throttles.get(&row.activity) else { return Ok(true) };
        let name = match throttle.key {
            // Whoever carries it out is where it goes.
            ThrottleKey::Activity | ThrottleKey::Destination => row.activity.clone(),
            ThrottleKey::Tenant => String::new(),
        };
        let window = match self.0.entry(name) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let stored = tx.view().task_window(new.key())?;
                new.insert(stored)
            }
        };
        if tx.now() >= window.began_at + Duration::from_millis(throttle.window_ms) {
            *window = TaskWindow { began_at: tx.now(), taken: 0 };
        }
        if window.taken >= throttle.limit {
            return Ok(false);
        }
        window.taken += 1;
        Ok(true)
    }

    fn keep(self, tx: &mut TenantTx<'_, '_>) {
        for (name, window) in self.0 {
            tx.put_task_window(&name, window);
        }
    }
}

/// Reads how a worker failed.
///
/// # Errors
/// Returns what is wrong with it.
pub fn failure_class(name: &str) -> Result<FailureClass, Problem> {
    match name {
        "retryable" => Ok(FailureClass::Retryable),
        "terminal" => Ok(FailureClass::Terminal),
        "inDoubt" => Ok(FailureClass::InDoubt),
        other => {
            let detail =
                format!("`{other}` is no class; it must be retryable, terminal or inDoubt");
            Err(Problem::new(pointer_to("", "class"), "not_allowed", detail))
        }
    }
}

/// What a worker hears when its answer was taken.
#[must_use]
pub fn accepted() -> Value {
    json!({ "accepted": true })
}
