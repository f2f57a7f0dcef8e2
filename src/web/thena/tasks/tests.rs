//! What a run shows as tasks, attempt by attempt.

use super::*;
use crate::app::views::{ApprovalView, RunSummary};
use crate::domain::id::RunId;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(in crate::web::thena) fn run(status: &str, steps: Vec<StepView>) -> RunView {
    let summary = RunSummary {
        id: RunId::new(0, at(1_000), 7),
        workflow: "escalate".to_owned(),
        version: 2,
        status: status.to_owned(),
        state: String::new(),
        waiting_for: None,
        compensation: "none".to_owned(),
        event_id: None,
        event_type: None,
        subject: None,
        subject_name: None,
        attempts: 0,
        created_at: at(1_000),
        started_at: None,
        ended_at: None,
        duration_ms: 0,
        steps_done: 0,
        steps_total: steps.len(),
        current_step: None,
        error: None,
    };
    RunView {
        summary,
        steps,
        compensations: Vec::new(),
        cancel_requested: false,
        can_retry: false,
        events_gathered: 0,
        aftermath: Default::default(),
        trigger: None,
    }
}

pub(in crate::web::thena) fn step(id: &str, status: &str) -> StepView {
    StepView {
        depth: 0,
        started_at: None,
        ended_at: None,
        approval: None,
        id: id.to_owned(),
        title: String::new(),
        activity: "tickets:update-ticket-platform".to_owned(),
        status: status.to_owned(),
        template: json!({"id": "{{trigger.payload.id}}"}),
        input: Some(json!({"id": "T1"})),
        output: None,
        error: None,
        attempts: Vec::new(),
        compensation: None,
        skipped_because: None,
        until: None,
    }
}

pub(in crate::web::thena) fn attempt(
    number: u32,
    outcome: &str,
    from: i64,
    to: Option<i64>,
) -> AttemptView {
    let (started_at, ended_at) = (at(from), to.map(at));
    AttemptView { number, started_at, ended_at, outcome: outcome.to_owned(), error: None }
}

fn failed(number: u32, code: &str, from: i64, to: i64) -> AttemptView {
    let error = StepErrorView {
        class: "terminal".to_owned(),
        code: code.to_owned(),
        message: String::new(),
        details: Value::Null,
    };
    AttemptView { error: Some(error), ..attempt(number, "failed", from, Some(to)) }
}

/// Shows of each task `step status retry? undo? seconds`.
fn lines(run: &RunView, journal: &[JournalEntryView]) -> Vec<String> {
    let line = |task: &Value| {
        let mark = |name: &str, mark| if task[name] == true { mark } else { "" };
        format!(
            "{} {}{}{} {}",
            task["stepIdentifier"],
            task["status"].as_str().unwrap_or_default(),
            mark("isRetry", " again"),
            mark("isCompensation", " undo"),
            task["executionTime"],
        )
    };
    tasks(run, journal).iter().map(line).collect()
}

fn record(number: u64, at: Timestamp, kind: &str) -> JournalEntryView {
    JournalEntryView { number, at, entry: json!({"type": kind, "step": "nap"}) }
}

#[test]
fn row_87_every_attempt_and_every_compensation_is_a_task() {
    let mut first = step("step_1", "succeeded");
    first.attempts =
        vec![failed(1, "busy", 1_000, 1_250), attempt(2, "succeeded", 2_000, Some(4_500))];
    first.output = Some(json!({"ok": true}));
    first.compensation = Some("done".to_owned());
    let mut second = step("notify", "failed");
    second.attempts = vec![failed(1, "refused", 5_000, 6_000)];
    let mut run = run("failed", vec![first, second, step("step_3", "pending")]);
    run.compensations = vec![CompensationView {
        step: "step_1".to_owned(),
        activity: "auto".to_owned(),
        status: "done".to_owned(),
        input: None,
        output: Some(json!({"put": "back"})),
        error: None,
        attempts: vec![
            failed(1, "busy", 7_000, 7_500),
            attempt(2, "succeeded", 8_000, Some(8_000)),
        ],
    }];
    assert_eq!(
        lines(&run, &[]),
        [
            "1 FAILED 0.25",
            "1 FINISHED again 2.5",
            "\"notify\" FAILED 1.0",
            "1 FAILED undo 0.5",
            "1 FINISHED again undo 0.0",
        ]
    );
    let shown = tasks(&run, &[]);
    assert_eq!((&shown[0]["result"], &shown[1]["result"]), (&Value::Null, &json!({"ok": true})));
    assert_eq!(shown[1]["input"], json!({"id": "T1"}));
    assert_eq!(shown[4]["activity"], "tickets:update-ticket-platform");
    assert_eq!(shown[4]["result"], json!({"put": "back"}));
    assert_eq!(shown[1]["startedAt"], "1970-01-01T00:00:02.000Z");
    assert_eq!(shown[1]["lastUpdatedAt"], "1970-01-01T00:00:04.500Z");
    let mut ids: Vec<_> = shown.iter().map(|task| task["id"].as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn row_88_tasks_have_exactly_thenas_statuses() {
    let mut running = step("step_1", "running");
    running.attempts = vec![attempt(1, "running", 1_000, None)];
    assert_eq!(lines(&run("running", vec![running]), &[]), ["1 STARTED null"]);

    let mut refused = step("step_1", "failed");
    refused.attempts = vec![failed(1, "missing_scope", 1_000, 2_000)];
    assert_eq!(lines(&run("failed", vec![refused]), &[]), ["1 UNAUTHORIZED 1.0"]);

    let mut doubtful = step("step_1", "failed");
    doubtful.attempts = vec![attempt(1, "unknown", 1_000, Some(2_000))];
    assert_eq!(lines(&run("failed", vec![doubtful]), &[]), ["1 FAILED 1.0"]);

    let mut retrying = step("step_1", "retrying");
    retrying.attempts = vec![failed(1, "busy", 1_000, 2_000)];
    let retrying = run("retrying", vec![retrying, step("step_2", "pending")]);
    assert_eq!(lines(&retrying, &[]), ["1 FAILED 1.0", "1 SCHEDULED again null"]);

    let queued = run("queued", vec![step("step_1", "pending"), step("step_2", "pending")]);
    assert_eq!(lines(&queued, &[]), ["1 SCHEDULED null"]);

    let mut nap = step("nap", "waiting");
    nap.approval = Some(ApprovalView {
        run: RunId::new(0, at(0), 7),
        step: "nap".to_owned(),
        workflow: "w".to_owned(),
        status: "pending".to_owned(),
        approvers: Vec::new(),
        reason: None,
        requested_at: at(5),
        until: None,
        decided_by: None,
        decided_at: None,
        comment: None,
    });
    let gated = run("waiting", vec![nap]);
    let journal = [record(1, at(5), "approvalRequested")];
    assert_eq!(lines(&gated, &journal), ["\"nap\" AWAITING_USER_INPUT null"]);
}

#[test]
fn a_sleep_is_a_task_that_the_journal_times() {
    let nap = |status| StepView { activity: "sleep".to_owned(), ..step("nap", status) };
    let begun = record(1, at(1_000), "sleepStarted");
    let over = record(2, at(3_500), "sleepEnded");
    for (status, run_status, journal, line) in [
        ("waiting", "waiting", vec![begun.clone()], "\"nap\" STARTED null"),
        ("succeeded", "succeeded", vec![begun.clone(), over.clone()], "\"nap\" FINISHED 2.5"),
        ("succeeded", "succeeded", vec![over], "\"nap\" FINISHED 0.0"),
        ("cancelled", "cancelled", vec![begun], "\"nap\" FAILED null"),
    ] {
        let run = run(run_status, vec![nap(status)]);
        assert_eq!(lines(&run, &journal), [line], "{status}");
        assert_eq!(tasks(&run, &journal)[0]["activity"], SLEEP);
    }
}

#[test]
fn a_skipped_step_is_no_task_and_numbers_stay_numbers() {
    assert!(tasks(&run("succeeded", vec![step("step_1", "skipped")]), &[]).is_empty());
    for (id, identifier) in [
        ("step_7", json!(7)),
        ("step_007", json!("step_007")),
        ("step_", json!("step_")),
        ("raise", json!("raise")),
    ] {
        assert_eq!(step_identifier(id), identifier);
    }
}

#[test]
fn what_is_still_to_be_undone_is_scheduled() {
    let owed = |id| StepView {
        attempts: vec![attempt(1, "succeeded", 1_000, Some(2_000))],
        compensation: Some("pending".to_owned()),
        ..step(id, "succeeded")
    };
    let run = run("compensating", vec![owed("step_1"), owed("step_2")]);
    assert_eq!(
        lines(&run, &[]),
        ["1 FINISHED 1.0", "2 FINISHED 1.0", "2 SCHEDULED undo null", "1 SCHEDULED undo null"]
    );
}
