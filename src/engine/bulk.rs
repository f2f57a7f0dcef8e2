//! How bulk jobs go on: each alarm looks at the next members, and what is done to them commits
//! together with the place that the job has come to, so that none is acted on twice.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::domain::bulk::{BulkAction, BulkFault, BulkOutcome, BulkStatus, VersionWish};
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::run::{migration_refusals, missing_at_start, plan_retry, retry_refusal};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::store::bulk::BulkRow;
use crate::store::events::EventKey;
use crate::store::inbox::Notice;
use crate::store::runs::RunRow;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

use super::Withheld;
use super::intake::{Begun, IncomingEvent, accept, accept_for};
use super::tenant_state::TenantState;

/// How long a job waits when as many runs are at work as may be.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);

/// Why a member was not acted on.
enum Turned {
    Skipped(BulkFault),
    Failed(BulkFault),
}

impl From<StoreError> for Turned {
    /// One record that cannot be read must not hold up the others.
    fn from(error: StoreError) -> Turned {
        Turned::Failed(BulkFault::new("unreadable", error.to_string()))
    }
}

/// Looks at the next members of a job.
pub(super) fn ring(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    (due, id): (Timestamp, &str),
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let Some(mut job) = tx.view().bulk_job(id)? else { return Ok(()) };
    // An alarm that the row does not know of has been replaced; the row's own will ring.
    if job.status != BulkStatus::Running || job.next_at != Some(due) {
        return Ok(());
    }
    let settings = &tenant.shared.settings;
    let wakes = matches!(job.action, BulkAction::Retry | BulkAction::Migrate);
    if wakes && tenant.active() >= settings.runs_active_max {
        job.next_at = Some(tx.now() + CROWDED_PAUSE);
        return tx.put_bulk_job(&job);
    }
    let rate = job.options.per_second.clamp(1, settings.bulk_per_second_max.max(1));
    let batch = settings.bulk_batch_max.clamp(1, rate as usize);
    let members = tx.view().bulk_members(&job, batch)?;
    for member in &members {
        let mut own = Begun::default();
        let acted = tx.attempt(
            |tx| act(tenant, tx, &job, member, &mut own),
            |panic| Turned::Failed(BulkFault::new("panic", panic)),
        );
        let outcome = match acted {
            Ok(()) => {
                begun.started.extend(own.started);
                begun.displaced.extend(own.displaced);
                BulkOutcome::Done
            }
            Err(Turned::Skipped(fault)) => BulkOutcome::Skipped(fault),
            Err(Turned::Failed(fault)) => BulkOutcome::Failed(fault),
        };
        job.progress.note(&shown(&job, member), outcome);
    }
    if members.is_empty() || job.progress.seen >= job.total {
        end(tx, &mut job, BulkStatus::Finished)?;
    } else {
        let pause = Duration::from_secs(members.len() as u64) / rate;
        // Alarms are kept to the millisecond, and one that is due at once would never let others in.
        job.next_at = Some(tx.now() + pause.max(Duration::from_millis(1)));
    }
    tx.put_bulk_job(&job)
}

/// Ends a job and records what came of it.
fn end(tx: &mut TenantTx<'_, '_>, job: &mut BulkRow, status: BulkStatus) -> Result<(), StoreError> {
    job.status = status;
    job.next_at = None;
    job.ended_at = Some(tx.now());
    let (action, done, total) = (job.action.as_str(), job.progress.done, job.total);
    info!(job = %job.id, action, done, total, "The bulk job has ended");
    tx.append_audit(tx.tenant(), &job.audit_of_end(tx.now()))
}

/// Returns the id by which people know a member.
fn shown(job: &BulkRow, member: &str) -> String {
    match job.action {
        BulkAction::Replay => event_key(member).map_or_else(|| member.to_owned(), EventKey::to_id),
        BulkAction::Retry | BulkAction::Restart | BulkAction::Cancel | BulkAction::Migrate => {
            member.to_owned()
        }
    }
}

fn event_key(member: &str) -> Option<EventKey> {
    u64::from_str_radix(member, 16).ok().map(EventKey)
}

fn act(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    job: &BulkRow,
    member: &str,
    begun: &mut Begun,
) -> Result<(), Turned> {
    if job.action == BulkAction::Replay {
        return replay(tenant, tx, job, member, begun);
    }
    let id: Option<RunId> = member.parse().ok();
    let row = id.map(|id| tx.view().run(id)).transpose()?.flatten();
    let Some(row) = row else { return Err(skipped("gone", "there is no such run any more")) };
    match job.action {
        BulkAction::Retry => retry(tenant, tx, job, &row),
        BulkAction::Restart => restart(tenant, tx, job, &row, begun),
        BulkAction::Migrate => migrate(tenant, tx, job, &row),
        BulkAction::Cancel | BulkAction::Replay => cancel(tx, job, &row),
    }
}

fn retry(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    job: &BulkRow,
    row: &RunRow,
) -> Result<(), Turned> {
    let id = row.head.id;
    let (from, by) = (job.options.from.clone(), job.by.name.clone());
    if !BulkAction::Retry.acts_on().contains(&row.head.status) {
        let detail = format!("the run is {}", row.head.status.as_str());
        return Err(skipped("not_retryable", detail));
    }
    let wanted = wanted(tx.view(), job, row)?;
    let live = tenant.load_run(tx.view(), id)?.ok_or_else(|| skipped("gone", "no such run"))?;
    let workflow = match wanted {
        Some(version) => definition(tenant, tx.view(), &row.head.workflow, version)?,
        None => Arc::clone(&live.workflow),
    };
    if let Some(problem) = retry_refusal(&workflow, &live.run, from.as_deref()) {
        return Err(failed(&problem.code, problem.detail));
    }
    let plan = plan_retry(&workflow, &live.run, from.as_deref(), None);
    if let Some(missing) = plan.surely_missing().next() {
        return Err(failed(&missing.problem.code, missing.problem.detail.clone()));
    }
    tx.post(id, &Notice::Retry { by, from, version: wanted });
    Ok(())
}

fn migrate(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    job: &BulkRow,
    row: &RunRow,
) -> Result<(), Turned> {
    let head = &row.head;
    if head.status.is_final() {
        return Err(ended(row));
    }
    let version = wanted(tx.view(), job, row)?.unwrap_or(head.version);
    if version == head.version {
        return Err(skipped("same_version", "the run follows that version already"));
    }
    let to = definition(tenant, tx.view(), &head.workflow, version)?;
    let live = tenant.load_run(tx.view(), head.id)?.ok_or_else(|| skipped("gone", "no run"))?;
    if let Some(problem) = migration_refusals(&live.workflow, &to, &live.run).first() {
        return Err(failed(&problem.code, format!("{}: {}", problem.pointer, problem.detail)));
    }
    tx.post(head.id, &Notice::Migrate { by: job.by.name.clone(), version });
    Ok(())
}

fn cancel(tx: &mut TenantTx<'_, '_>, job: &BulkRow, row: &RunRow) -> Result<(), Turned> {
    if row.head.status.is_final() {
        return Err(ended(row));
    }
    let (by, compensate) = (job.by.name.clone(), job.options.compensate);
    tx.post(row.head.id, &Notice::Stop { by, compensate });
    Ok(())
}

fn restart(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    job: &BulkRow,
    row: &RunRow,
    begun: &mut Begun,
) -> Result<(), Turned> {
    let head = &row.head;
    if !head.status.is_final() {
        let detail = format!("the run is {}", head.status.as_str());
        return Err(skipped("still_running", detail));
    }
    let stored = tx.view().event(row.event)?;
    let Some(stored) = stored else { return Err(failed("gone", "its event is gone")) };
    let version = match wanted(tx.view(), job, row)? {
        Some(version) => version,
        None => latest(tx.view(), &head.workflow)?,
    };
    let workflow = definition(tenant, tx.view(), &head.workflow, version)?;
    let given = super::gates::given(tx.view(), &workflow, &stored.event)?;
    if let Some(missing) = missing_at_start(&workflow, given.seen(&stored.event)).first() {
        return Err(failed(&missing.problem.code, missing.problem.detail.clone()));
    }
    let event = IncomingEvent::repeating(stored.event, "restartOf", &head.id.to_string());
    start(tenant, tx, (&head.workflow, version), event, begun)
}

fn replay(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    job: &BulkRow,
    member: &str,
    begun: &mut Begun,
) -> Result<(), Turned> {
    let key = event_key(member);
    let stored = key.map(|key| tx.view().event(key)).transpose()?.flatten();
    let Some(stored) = stored else {
        return Err(skipped("gone", "there is no such event any more"));
    };
    let Event { id, .. } = &stored.event;
    let id = id.clone();
    let event = IncomingEvent::repeating(stored.event, "replayOf", &id);
    match &job.options.workflow {
        Some(name) => {
            let version = latest(tx.view(), name)?;
            start(tenant, tx, (name, version), event, begun)
        }
        None => {
            accept(tenant, tx, event, begun)?;
            Ok(())
        }
    }
}

fn start(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    workflow: (&str, u32),
    event: IncomingEvent,
    begun: &mut Begun,
) -> Result<(), Turned> {
    match accept_for(tenant, tx, workflow, event, begun) {
        Ok(_) => Ok(()),
        Err(Withheld::Because(reason)) => Err(failed("withheld", reason)),
        Err(Withheld::NoWorkflow) => Err(failed("version_not_found", "there is no such version")),
        Err(Withheld::Store(error)) => Err(error.into()),
    }
}

/// Returns the version that a run is to follow, `None` for its own.
fn wanted(view: TenantView<'_>, job: &BulkRow, row: &RunRow) -> Result<Option<u32>, Turned> {
    match job.options.version {
        VersionWish::Own => Ok(None),
        VersionWish::Number(version) => Ok(Some(version)),
        VersionWish::Latest => latest(view, &row.head.workflow).map(Some),
    }
}

fn latest(view: TenantView<'_>, name: &str) -> Result<u32, Turned> {
    let row = view.workflow(name)?.filter(|row| row.deleted_at.is_none());
    let gone = || failed("workflow_not_found", format!("there is no workflow `{name}` any more"));
    row.map(|row| row.version).ok_or_else(gone)
}

fn definition(
    tenant: &TenantState,
    view: TenantView<'_>,
    name: &str,
    version: u32,
) -> Result<Arc<Workflow>, Turned> {
    let found = tenant.definition(view, name, version)?;
    let detail = || format!("there is no version {version} of `{name}`");
    found.ok_or_else(|| failed("version_not_found", detail()))
}

fn ended(row: &RunRow) -> Turned {
    skipped("run_ended", format!("the run is {}", row.head.status.as_str()))
}

fn skipped(code: &str, detail: impl Into<String>) -> Turned {
    Turned::Skipped(BulkFault::new(code, detail))
}

fn failed(code: &str, detail: impl Into<String>) -> Turned {
    Turned::Failed(BulkFault::new(code, detail))
}
