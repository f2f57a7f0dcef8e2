//! What the API answers and the pages show, in the shapes that users rely on.

use serde::Serialize;
use serde_json::Value;

use crate::domain::event::{Actor, Cause};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// One page of a list, and where the next one begins.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// At most `limit` items.
    pub data: Vec<T>,
    /// Give it back as `cursor` for the next page; `None` after the last.
    pub next_cursor: Option<String>,
}

/// A workflow version with its state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    /// The name that is unique in the tenant.
    pub name: String,
    /// Thena's `uniqueIdentifier`: the same for every version.
    pub unique_identifier: String,
    /// Thena's `uid`: names this version.
    pub uid: String,
    /// The name for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Counts from 1.
    pub version: u32,
    /// Whether events start it.
    pub active: bool,
    /// `event`, `schedule`, `lasting` or `manual`.
    pub trigger_kind: String,
    /// The event type that it listens to.
    pub event: Option<String>,
    /// The definition in canonical JSON.
    pub definition: Value,
    /// When the first version was saved.
    pub created_at: Timestamp,
    /// When this version was saved.
    pub updated_at: Timestamp,
    /// Who saved this version.
    pub created_by: String,
    /// What a check warned of.
    pub warnings: Vec<crate::domain::problem::Problem>,
    /// Runs of the workflow by outcome since it exists.
    pub totals: WorkflowTotals,
    /// The statuses of the last runs, newest first, for a strip.
    pub last_runs: Vec<RunTick>,
}

/// Counts of a workflow's runs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowTotals {
    /// Runs that were started.
    pub started: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
}

/// A run reduced to what a strip of ticks shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunTick {
    /// The run.
    pub id: RunId,
    /// Its status.
    pub status: String,
}

/// A run as lists show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The version that it follows.
    pub version: u32,
    /// One of the contract's statuses.
    pub status: String,
    /// Thena's status.
    pub state: String,
    /// Why it is not moving, and until when.
    pub waiting_for: Option<WaitingForView>,
    /// `none`, `done` or `incomplete`.
    pub compensation: String,
    /// The event that started it.
    pub event_id: Option<String>,
    /// The type of that event.
    pub event_type: Option<String>,
    /// What that event is about.
    pub subject: Option<String>,
    /// What people call that, where the event tells: a ticket's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    /// How many attempts were made at all its steps together.
    pub attempts: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first step began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it took, or has taken, in milliseconds.
    pub duration_ms: i64,
    /// Steps that are over, and all steps.
    pub steps_done: usize,
    /// All steps.
    pub steps_total: usize,
    /// The step where it stands.
    pub current_step: Option<String>,
    /// Why it failed.
    pub error: Option<RunErrorView>,
}

/// Why a run failed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunErrorView {
    /// The step that failed, if one did.
    pub step: Option<String>,
    /// What kind of failure; stable.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
}

/// What a run waits for.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingForView {
    /// `sleep`, `retry`, `concurrency`, `call` …
    pub kind: String,
    /// When it will move by itself, where that is known.
    pub until: Option<Timestamp>,
    /// The step that waits.
    pub step: Option<String>,
    /// Who may approve, for an approval.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// The run that it waits for, for a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The activity, for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// When it began, for a worker, an incident or a doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The worker that is at it, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The code of the failure behind it, for an incident or a doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where its call goes, for a destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Why, in a sentence; for a destination `breakerOpen`, `throttled`, `paused`, `budget` or
    /// `busy`.
    pub reason: String,
    /// Why, in a sentence, where the reason is a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The number of the attempt that is in flight or to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The runs of its concurrency key before it, the first first; of many the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<RunId>,
}

/// Further deliveries of an event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepeatsView {
    /// How many.
    pub count: u64,
    /// When the last came.
    pub last_at: Timestamp,
}

/// A run in full.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// What lists show.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
    /// Undone steps in the order in which they were undone.
    pub compensations: Vec<CompensationView>,
    /// Whether cancelling was asked for.
    pub cancel_requested: bool,
    /// Whether a retry is possible now.
    pub can_retry: bool,
    /// The event that started it, in full.
    pub trigger: Option<Value>,
    /// How many events were gathered for it; 0 when it was started by one alone.
    pub events_gathered: u32,
    /// What its failures have left.
    #[serde(flatten)]
    pub aftermath: Aftermath,
}

/// What the failures of a run have left.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aftermath {
    /// The steps that wait for somebody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentView>,
    /// The steps that could not be undone, in the order in which that would be tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compensation_left: Vec<LeftView>,
    /// The steps that followed its failure, once they have begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<StepView>,
}

/// A step that waits for somebody to say how its run goes on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentView {
    /// The run.
    pub run: RunId,
    /// The path of the step.
    pub step: String,
    /// The workflow.
    pub workflow: String,
    /// `incident`, or `doubt` when nobody knows whether the step acted.
    pub kind: String,
    /// The code of the failure behind it.
    pub code: String,
    /// What went wrong, for a person.
    pub message: String,
    /// When it began.
    pub since: Timestamp,
    /// What the event is about that started the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A step that could not be undone.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftView {
    /// The path of the step.
    pub step: String,
    /// The code of the failure that ended the last attempt; `not_tried` when there was none.
    pub code: String,
    /// Why, for a person.
    pub message: String,
}

/// One step of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its path: its id in the definition, in loops behind the loop and the item: `loop[2].notify`.
    pub id: String,
    /// In how many other steps it stands.
    pub depth: usize,
    /// Its name for people.
    pub title: String,
    /// The activity, or `sleep`, `waitFor`, `branch`, `forEach`, `parallel`, `run`.
    pub activity: String,
    /// One of `pending`, `running`, `retrying`, `waiting`, `succeeded`, `failed`, `skipped`,
    /// `cancelled`.
    pub status: String,
    /// The input as written in the definition.
    pub template: Value,
    /// The input as rendered.
    pub input: Option<Value>,
    /// What it answered.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<StepErrorView>,
    /// Every try.
    pub attempts: Vec<AttemptView>,
    /// `null`, or how its undo stands: `pending`, `running`, `done`, `failed`.
    pub compensation: Option<String>,
    /// The trace of the condition that skipped it.
    pub skipped_because: Option<Value>,
    /// When it will go on by itself: a sleep's end, the next attempt.
    pub until: Option<Timestamp>,
    /// When it first began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The approval that it needed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
}

/// An approval that a run asks for, or asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalView {
    /// The run that asks.
    pub run: RunId,
    /// The path of the step that it is about.
    pub step: String,
    /// The workflow.
    pub workflow: String,
    /// `pending`, `approved`, `rejected`, or `withdrawn` when the run ended first.
    pub status: String,
    /// Who may decide; empty for everybody who may decide approvals at all.
    pub approvers: Vec<String>,
    /// Why it is asked.
    pub reason: Option<String>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it is decided by itself.
    pub until: Option<Timestamp>,
    /// Who decided; `timeout` when nobody did in time.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// What they said of it.
    pub comment: Option<String>,
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepErrorView {
    /// `retryable`, `terminal` or `inDoubt`.
    pub class: String,
    /// What kind of failure; stable.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// What the activity knows of it.
    pub details: Value,
}

/// One try of a step or of its undo.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Counts from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// `running`, `succeeded`, `failed` or `unknown`.
    pub outcome: String,
    /// Why it failed.
    pub error: Option<StepErrorView>,
}

/// The undo of one step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompensationView {
    /// The step that was undone.
    pub step: String,
    /// What undid it: an activity, or `auto`.
    pub activity: String,
    /// `running`, `retrying`, `done` or `failed`.
    pub status: String,
    /// What it was given.
    pub input: Option<Value>,
    /// What it answered.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<StepErrorView>,
    /// Every try.
    pub attempts: Vec<AttemptView>,
}

/// One entry of a run's journal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntryView {
    /// Its place in the journal, from 1.
    pub number: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What was recorded: `{type, …}`.
    pub entry: Value,
}

/// An event with what it did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// The sender's id, or the one made here.
    pub id: String,
    /// The canonical type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who sent it.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Who made it happen.
    pub actor: Actor,
    /// The type's own data.
    pub payload: Value,
    /// Anything beside the payload.
    pub metadata: Value,
    /// The run that caused it.
    pub cause: Option<Cause>,
    /// The runs that it started.
    pub runs: Vec<RunId>,
    /// Workflows that matched and were not started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<WithheldView>,
}

/// A workflow that matched an event and was not started.
#[derive(Clone, Debug, Serialize)]
pub struct WithheldView {
    /// Its name.
    pub workflow: String,
    /// Why.
    pub reason: String,
}

/// Why one workflow did or did not start for an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The workflow's name.
    pub workflow: String,
    /// The version that was active when the event came, or is now.
    pub version: u32,
    /// `started`, `filtered`, `inactive`, `newer`, `limited`, `duplicate`, `delayed`, `batched`,
    /// `loop`, `other-team`, `other-type` or `unreadable`.
    pub outcome: String,
    /// In a sentence.
    pub reason: String,
    /// What was probably meant, for a workflow that listens to something alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The run that was started.
    pub run_id: Option<RunId>,
    /// The filter's tree with each leaf's wanted and real value.
    pub trace: Value,
    /// The records that were joined into the event before the filter saw it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<JoinedView>,
}

/// A record that was joined into an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinedView {
    /// The entity, such as `Ticket`.
    pub entity_type: String,
    /// Where it was written, below the event.
    pub path: String,
    /// The record's id, null when there is none.
    pub id: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An API key without its secret.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Names the key in lists and for revoking.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The first characters of the key.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<String>,
}

/// What the dashboard shows.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DashboardView {
    /// Events accepted in the last 24 hours.
    pub events_24h: u64,
    /// Runs started in the last 24 hours.
    pub runs_24h: u64,
    /// Runs succeeded in the last 24 hours.
    pub succeeded_24h: u64,
    /// Runs failed in the last 24 hours.
    pub failed_24h: u64,
    /// Runs in each status that is not final, now.
    pub queued: u64,
    /// Now running.
    pub running: u64,
    /// Now between attempts.
    pub retrying: u64,
    /// Now asleep or waiting.
    pub waiting: u64,
    /// Now being undone.
    pub compensating: u64,
    /// Steps that wait for somebody to settle a failure, up to 500.
    pub incidents: u64,
    /// Steps that wait for an approval, up to 500.
    pub approvals: u64,
    /// Runs started and failed in each of the last 24 hours, oldest first.
    pub hours: Vec<SpanView>,
    /// The same in each of the last 60 minutes, oldest first.
    pub minutes: Vec<SpanView>,
    /// Failed runs of the last day grouped by cause, largest first.
    pub attention: Vec<CauseView>,
    /// The schedules that fire next, the soonest first; none for whoever may not see schedules.
    pub upcoming: Vec<UpcomingView>,
    /// The workflows that were changed last; none for whoever may not see workflows.
    pub changed: Vec<ChangedView>,
    /// The newest runs.
    pub recent: Vec<RunSummary>,
}

/// One column of the dashboard's charts: an hour, or a minute.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpanView {
    /// When it began.
    pub at: Timestamp,
    /// Events accepted in it.
    pub events: u64,
    /// Runs that ended well in it.
    pub succeeded: u64,
    /// Runs that failed in it.
    pub failed: u64,
}

/// A schedule and when it fires next.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpcomingView {
    /// The workflow's name.
    pub workflow: String,
    /// The position of the trigger among the workflow's, from 0.
    pub trigger: u32,
    /// When it comes, in words.
    pub description: String,
    /// When it fires next.
    pub at: Timestamp,
    /// What the zone's clocks show then, with the offset.
    pub local: String,
}

/// A workflow that was changed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedView {
    /// Its name.
    pub name: String,
    /// The version that events start.
    pub version: u32,
    /// Whether events start it.
    pub active: bool,
    /// When it was changed.
    pub at: Timestamp,
    /// Who saved that version.
    pub by: String,
}

/// Failed runs with one cause.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CauseView {
    /// Names the cause for as long as its runs are of the last day.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The step that failed.
    pub step: Option<String>,
    /// The failure's code.
    pub code: String,
    /// The newest message.
    pub message: String,
    /// How many runs.
    pub count: u64,
    /// The newest of them.
    pub newest: RunId,
    /// When the first of them ended.
    pub first_at: Timestamp,
    /// When the last of them ended.
    pub last_at: Timestamp,
}
