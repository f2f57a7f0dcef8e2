//! Views as the use cases would answer them, for the tests of the pages.

use std::time::Duration;

use serde_json::{Value, json};

use super::apps::AppRow;
use crate::app::apps::{AppView, InstallationView};
use crate::app::audit::{ActorView, AuditView, FromView};
use crate::app::doctor::Diagnosis;
use crate::app::lookout::SettingView;
use crate::app::notices::{NoticeTest, NoticeView};
use crate::app::overview::{Figure, Overview};
use crate::app::people::PersonView;
use crate::app::profile::{MeView, MyTenant};
use crate::app::pulse::WorkflowPulse;
use crate::app::retention::RetentionView;
use crate::app::schedules::{FiringView, MissedView, NextView, ScheduleView};
use crate::app::sessions::SessionView;
use crate::app::storage::{FileView, Finding as StorageFinding, KindUse, StorageView, TenantUse};
use crate::app::views::*;
use crate::app::watch_settings::NoticeKind;
use crate::app::webhooks::{DeliveryCounts, WebhookView};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::doctor::{Finding, Grade};
use crate::domain::event::{Actor, Cause};
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::rehearsal::{IfFails, Rehearsed};
use crate::domain::retention::{Keep, Rules};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::logs::{Level, LogLine};

/// What a page must not let through.
pub const HOSTILE: &str = "</script><img src=x onerror=1>\"'{{7*7}}";

/// When every sample is looked at: 2026-11-23, 10:00 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_428_000_000);

fn ago(ms: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() - ms)
}

fn id(number: u64) -> RunId {
    RunId::new(0, ago(i64::try_from(number).expect("small") * 60_000), number * 0x9E37_79B9)
}

/// What happens if a step fails, which undoes another.
pub fn rehearsed(step: &str, outcome: &str) -> Rehearsed {
    let if_fails = IfFails {
        undone: vec![],
        stays: vec![],
        skipped: vec!["close".to_owned()],
        runs: vec![],
        outcome: outcome.to_owned(),
        told: vec![],
    };
    Rehearsed { step: step.to_owned(), if_fails }
}

pub fn summary(number: u64, workflow: &str, status: &str) -> RunSummary {
    let created = ago(i64::try_from(number).expect("small") * 47_000 + 9_000);
    let over = matches!(status, "succeeded" | "failed" | "cancelled");
    RunSummary {
        id: id(number),
        workflow: workflow.to_owned(),
        version: 12,
        status: status.to_owned(),
        state: "FINISHED".to_owned(),
        waiting_for: None,
        compensation: "none".to_owned(),
        event_id: Some(format!("evt_01KAQ{number:05}")),
        event_type: Some("ticket:escalated".to_owned()),
        subject: Some(format!("TCK-{}", 100 + number)),
        subject_name: (number % 2 == 1).then(|| format!("BIL-{number}")),
        attempts: 5,
        created_at: created,
        started_at: Some(created),
        ended_at: over.then(|| created + std::time::Duration::from_millis(1_240)),
        duration_ms: 1_240,
        steps_done: if over { 4 } else { 2 },
        steps_total: 4,
        current_step: (!over).then(|| "notify".to_owned()),
        error: None,
    }
}

fn error(code: &str, message: &str) -> StepErrorView {
    StepErrorView {
        class: "retryable".to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        details: json!({"status": 200, "body": {"ok": false, "error": code}}),
    }
}

fn attempt(number: u32, from_ms: i64, to_ms: Option<i64>, outcome: &str) -> AttemptView {
    AttemptView {
        number,
        started_at: ago(from_ms),
        ended_at: to_ms.map(ago),
        outcome: outcome.to_owned(),
        error: (outcome == "failed").then(|| error("not_in_channel", "the bot is not in #support")),
    }
}

fn step(id: &str, activity: &str, status: &str, attempts: Vec<AttemptView>) -> StepView {
    StepView {
        id: id.to_owned(),
        depth: 0,
        title: String::new(),
        activity: activity.to_owned(),
        status: status.to_owned(),
        template: json!({"id": "{{trigger.payload.ticket.id}}", "priorityName": "urgent"}),
        input: Some(json!({"id": "T01KAQ7M2X", "priorityName": "urgent"})),
        output: (status == "succeeded")
            .then(|| json!({"ticket": {"id": "T01KAQ7M2X", "statusName": "Escalated", "tags": ["vip", "emea"], "storyPoints": 3, "archivedAt": null}})),
        error: None,
        attempts,
        compensation: None,
        skipped_because: None,
        until: None,
        started_at: None,
        ended_at: None,
        approval: None,
    }
}

/// A run that failed at its third step after three attempts, with two steps undone.
pub fn failed_run() -> RunView {
    RunView {
        summary: RunSummary {
            created_at: ago(20_050),
            started_at: Some(ago(20_000)),
            ended_at: Some(ago(12_900)),
            duration_ms: 7_150,
            compensation: "done".to_owned(),
            steps_done: 3,
            steps_total: 5,
            current_step: Some("notify".to_owned()),
            error: Some(RunErrorView {
                step: Some("notify".to_owned()),
                code: "not_in_channel".to_owned(),
                message: "Slack answered not_in_channel: the bot is not a member of #support"
                    .to_owned(),
            }),
            ..summary(3, "escalate-urgent", "failed")
        },
        steps: failed_steps(),
        compensations: undone_steps(),
        cancel_requested: false,
        can_retry: true,
        events_gathered: 0,
        aftermath: Default::default(),
        trigger: Some(event_json()),
    }
}

fn failed_steps() -> Vec<StepView> {
    let notify = vec![
        attempt(1, 19_200, Some(18_700), "failed"),
        attempt(2, 17_600, Some(17_000), "failed"),
        attempt(3, 14_900, Some(14_100), "failed"),
    ];
    let undone = |step: StepView| StepView { compensation: Some("done".to_owned()), ..step };
    let skipped = json!({"op": "~and", "result": false, "children": [
        {"op": "~eq", "path": "trigger.payload.ticket.vip", "expected": true, "actual": false, "result": false}]});
    vec![
        undone(step(
            "raise",
            "tickets:update-ticket-platform",
            "succeeded",
            vec![attempt(1, 20_000, Some(19_900), "succeeded")],
        )),
        undone(StepView {
            title: "Tell the team".to_owned(),
            ..step(
                "comment",
                "communications:create-comment-platform",
                "succeeded",
                vec![attempt(1, 19_900, Some(19_400), "succeeded")],
            )
        }),
        StepView {
            error: Some(error(
                "not_in_channel",
                "Slack answered not_in_channel: the bot is not a member of #support; invite it, then retry",
            )),
            ..step("notify", "slack.postMessage", "failed", notify)
        },
        StepView {
            skipped_because: Some(skipped),
            input: None,
            ..step("page", "workflows:http-request-platform", "skipped", vec![])
        },
        StepView {
            input: None,
            ..step("close", "tickets:update-ticket-platform", "pending", vec![])
        },
    ]
}

fn undone_steps() -> Vec<CompensationView> {
    let undo = |step: &str, activity: &str, attempts| CompensationView {
        step: step.to_owned(),
        activity: activity.to_owned(),
        status: "done".to_owned(),
        input: Some(json!({"commentId": "C01KAQ7M31"})),
        output: Some(json!({"deleted": true})),
        error: None,
        attempts,
    };
    vec![
        undo(
            "comment",
            "communications:delete-comment-platform",
            vec![
                attempt(1, 14_000, Some(13_700), "unknown"),
                attempt(2, 13_500, Some(13_200), "succeeded"),
            ],
        ),
        undo("raise", "auto", vec![attempt(1, 13_200, Some(12_900), "succeeded")]),
    ]
}

/// A run that sleeps for four hours.
pub fn waiting_run() -> RunView {
    let until = NOW + std::time::Duration::from_secs(8_040);
    let pause = StepView {
        until: Some(until),
        output: None,
        ..step("pause", "sleep", "waiting", vec![attempt(1, 6_359_000, None, "running")])
    };
    RunView {
        summary: RunSummary {
            created_at: ago(6_360_000),
            started_at: Some(ago(6_360_000)),
            duration_ms: 6_360_000,
            steps_done: 1,
            steps_total: 3,
            current_step: Some("pause".to_owned()),
            waiting_for: Some(WaitingForView {
                kind: "sleep".to_owned(),
                until: Some(until),
                step: Some("pause".to_owned()),
                ..WaitingForView::default()
            }),
            ..summary(4, "slack-intake", "waiting")
        },
        steps: vec![
            step(
                "create",
                "tickets:create-ticket-platform",
                "succeeded",
                vec![attempt(1, 6_360_000, Some(6_359_000), "succeeded")],
            ),
            pause,
            StepView {
                input: None,
                ..step("escalate", "tickets:escalate-ticket-platform", "pending", vec![])
            },
        ],
        compensations: vec![],
        cancel_requested: false,
        can_retry: false,
        events_gathered: 0,
        aftermath: Default::default(),
        trigger: None,
    }
}

fn event_json() -> Value {
    json!({"id": "evt_01KAQ00003", "type": "ticket:escalated", "source": "ergane",
        "subject": "T01KAQ7M2X", "payload": payload()})
}

fn payload() -> Value {
    json!({"ticket": {"id": "T01KAQ7M2X", "ticketIdentifier": "SUP-104", "title": "Checkout is down for all EU customers",
        "priorityName": "medium", "statusName": "Open", "requestorEmail": "ana@northwind.example", "teamId": "T88WCYYHPS",
        "tags": ["vip", "emea"], "customFieldValues": [{"fieldId": "region", "value": "eu-west"}], "storyPoints": 3, "isPrivate": false, "archivedAt": null},
        "previousTicket": {"priorityName": "low"}})
}

pub fn event() -> EventView {
    EventView {
        id: "evt_01KAQ00003".to_owned(),
        kind: "ticket:updated".to_owned(),
        source: "ergane".to_owned(),
        subject: Some("T01KAQ7M2X".to_owned()),
        time: ago(22_000),
        received_at: ago(21_900),
        actor: Actor {
            id: "U1".to_owned(),
            kind: "AGENT".to_owned(),
            email: "lee@acme.example".to_owned(),
        },
        payload: payload(),
        metadata: json!({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}),
        cause: Some(Cause { run_id: id(9), depth: 2 }),
        runs: vec![id(3)],
        withheld: vec![],
    }
}

pub fn explanations() -> Vec<Explanation> {
    let base = |workflow: &str, outcome: &str, reason: &str| Explanation {
        workflow: workflow.to_owned(),
        version: 3,
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        hint: None,
        run_id: None,
        trace: Value::Null,
        annotations: Vec::new(),
    };
    let leaf = |op: &str, path: &str, wanted: Value, actual: Value, result: bool| json!({"op": op, "path": path, "expected": wanted, "actual": actual, "result": result, "reason": ""});
    vec![
        Explanation {
            trace: json!({"op": "~and", "result": false, "children": [
                leaf("~eq", "ticket.statusName", json!("Open"), json!("Open"), true),
                leaf("~in", "ticket.priorityName", json!(["high", "urgent"]), json!("medium"), false),
                {"op": "~or", "result": false, "children": [
                    leaf("~contains", "ticket.tags", json!("outage"), json!(["vip", "emea"]), false),
                    leaf("~gt", "ticket.storyPoints", json!(5), json!(3), false)]}]}),
            ..base("escalate-urgent", "filtered", "the filter does not hold")
        },
        base("weekly-digest", "inactive", "the workflow is disabled"),
        Explanation {
            run_id: Some(id(3)),
            trace: json!({"op": "~changed", "path": "ticket.priorityName", "expected": true, "actual": true, "result": true}),
            ..base("sync-priority", "started", "the filter holds")
        },
    ]
}

pub fn schedule(workflow: &str, status: &'static str) -> ScheduleView {
    let next = |days: u64, note: Option<&str>| NextView {
        at: NOW + Duration::from_secs(days * 86_400),
        local: "2026-10-25T07:00:00+01:00".to_owned(),
        fires_at: None,
        note: note.map(str::to_owned),
    };
    let missed = |reason: &str| MissedView {
        scheduled_for: ago(90_000_000),
        local: "2026-10-23T07:00:00+02:00".to_owned(),
        reason: reason.to_owned(),
    };
    ScheduleView {
        workflow: workflow.to_owned(),
        trigger: 0,
        version: 3,
        event: "schedule:daily".to_owned(),
        description: "Every day at 07:00".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        schedule: json!({"every": "day", "at": "07:00", "timezone": "Europe/Berlin"}),
        status,
        paused_since: None,
        paused_by: None,
        next: vec![next(1, Some("clocks went back by 1h since the time before")), next(2, None)],
        last: Some(FiringView { scheduled_for: ago(60_000), fired_at: ago(59_990), run_id: id(7) }),
        fired: 1_204,
        missed_count: 2,
        missed: vec![missed("the appliance was down"), missed("skipped by ana")],
    }
}

pub fn workflow(name: &str, active: bool) -> WorkflowView {
    let statuses =
        ["succeeded", "succeeded", "failed", "succeeded", "succeeded", "cancelled", "succeeded"];
    WorkflowView {
        name: name.to_owned(),
        unique_identifier: "WF01KAQ5T9ZJ4M0XN2B6C8".to_owned(),
        uid: "WV01KAQ5T9ZJ4M0XN2B6C9".to_owned(),
        title: super::parts::mark::capital(&name.replace('-', " ")),
        description: "Raises urgent tickets, tells the team in Slack, and takes both back when the page does not go out.".to_owned(),
        version: 12,
        active,
        trigger_kind: "event".to_owned(),
        event: Some("ticket:escalated".to_owned()),
        definition: definition(name),
        created_at: ago(900_000_000),
        updated_at: ago(7_000_000),
        created_by: "ana@acme.example".to_owned(),
        note: None,
        warnings: vec![
            Problem::new("/steps/2", "no_compensation", "`page` has an effect that nothing undoes")
                .with_hint("say `compensate: none` if that is meant"),
        ],
        totals: WorkflowTotals { started: 12_480, succeeded: 12_301, failed: 160, cancelled: 19 },
        last_runs: (0..17).map(|n| RunTick { id: id(n), status: statuses[n as usize % 7].to_owned() }).collect(),
    }
}

/// A workflow with how it does; an inactive one has never run and has a draft.
pub fn pulse(name: &str, active: bool) -> WorkflowPulse {
    WorkflowPulse {
        workflow: workflow(name, active),
        newest_version: if active { 12 } else { 13 },
        has_draft: !active,
        runs_day: if active { 1_204 } else { 0 },
        succeeded_day: if active { 1_190 } else { 0 },
        failed_day: if active { 14 } else { 0 },
        p95_ms: active.then_some(4_210),
        last_run_at: active.then(|| ago(42_000)),
    }
}

fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "title": "Escalate urgent tickets",
        "trigger": {"event": "ticket:escalated", "filter": {
            "ticket.priorityName": {"~in": ["high", "urgent"]},
            "~or": [{"ticket.tags": {"~contains": "vip"}}, {"ticket.storyPoints": {"~gt": 5}}]}},
        "concurrency": {"key": "{{trigger.payload.ticket.id}}", "limit": 1, "policy": "queue"},
        "timeout": "1h",
        "steps": [
            {"id": "raise", "title": "Raise the priority", "activity": "tickets:update-ticket-platform",
             "input": {"id": "{{trigger.payload.ticket.id}}", "priorityName": "urgent"}},
            {"id": "notify", "title": "Tell the team", "activity": "slack.postMessage",
             "input": {"channel": "#support", "text": "Ticket {{trigger.payload.ticket.ticketIdentifier}} was escalated: {{trigger.payload.ticket.title}}"},
             "retry": {"attempts": 5, "initial": "2s", "factor": 2, "max": "1m", "jitter": true},
             "compensate": {"activity": "slack.deleteMessage", "input": {"channel": "{{steps.notify.output.channel}}", "ts": "{{steps.notify.output.ts}}"}}},
            {"id": "cool", "title": "Give them time", "sleep": "15m"},
            {"id": "page", "title": "Page whoever is on call", "activity": "workflows:http-request-platform",
             "if": {"trigger.payload.ticket.vip": {"~eq": true}}, "timeout": "30s", "onFailure": "abort",
             "input": {"url": "https://pager.example/v1/page", "method": "POST"}, "compensate": "none"},
        ]
    })
}

/// What the doctor says of an appliance that is nearly well.
pub fn health() -> Diagnosis {
    let finding = |check: &'static str, status, detail: &str| Finding {
        check,
        status,
        tenant: None,
        detail: detail.to_owned(),
        cure: None,
    };
    Diagnosis {
        status: Grade::Warn,
        data: vec![
            finding("backups", Grade::Warn, "the last backup is 3 days old"),
            finding("disk", Grade::Ok, "there is room"),
        ],
    }
}

#[expect(clippy::too_many_lines, reason = "one of everything")]
pub fn dashboard() -> DashboardView {
    let hours = (0..24)
        .map(|n: i64| SpanView {
            at: ago((23 - n) * 3_600_000),
            events: 90,
            succeeded: (30.0 + 22.0 * (n as f64 / 3.4).sin()) as u64 + (n as u64 * 7 % 9),
            failed: [0, 1, 0, 2, 0, 0, 9, 3][n as usize % 8],
        })
        .collect();
    let cause = |workflow: &str, step: &str, code: &str, message: &str, count| CauseView {
        id: code.to_owned(),
        workflow: workflow.to_owned(),
        step: Some(step.to_owned()),
        code: code.to_owned(),
        message: message.to_owned(),
        count,
        newest: id(3),
        first_at: ago(2_900_000),
        last_at: ago(90_000),
    };
    let minutes = (0..60)
        .map(|n: i64| SpanView {
            at: ago((59 - n) * 60_000),
            events: 4,
            succeeded: n as u64 * 13 % 7,
            failed: u64::from(n % 11 == 3),
        })
        .collect();
    let upcoming = UpcomingView {
        workflow: "nightly-report".to_owned(),
        trigger: 0,
        description: "at 02:30 every day".to_owned(),
        at: NOW + Duration::from_secs(5_400),
        local: "2026-11-24 02:30 +01:00".to_owned(),
    };
    let changed = ChangedView {
        name: "escalate-urgent".to_owned(),
        version: 13,
        active: true,
        at: ago(7_200_000),
        by: "Ana".to_owned(),
    };
    DashboardView {
        events_24h: 20_416,
        runs_24h: 902,
        succeeded_24h: 861,
        failed_24h: 39,
        queued: 0,
        running: 3,
        retrying: 4,
        waiting: 212,
        compensating: 1,
        incidents: 2,
        approvals: 500,
        minutes,
        hours,
        upcoming: vec![upcoming],
        changed: vec![changed],
        attention: vec![
            cause("escalate-urgent", "notify", "not_in_channel", "the bot is not in #support", 37),
            cause("nightly-report", "mail", "timeout", "no answer within 30 s", 2),
        ],
        recent: runs().data.into_iter().take(6).collect(),
    }
}

pub fn runs() -> Page<RunSummary> {
    let mut data = vec![
        summary(0, "sync-priority", "running"),
        RunSummary {
            waiting_for: Some(WaitingForView {
                kind: "retry".to_owned(),
                until: Some(NOW + std::time::Duration::from_secs(12)),
                step: Some("notify".to_owned()),
                ..WaitingForView::default()
            }),
            ..summary(1, "escalate-urgent", "retrying")
        },
        summary(2, "csat-survey", "succeeded"),
        failed_run().summary,
        waiting_run().summary,
        RunSummary {
            compensation: "incomplete".to_owned(),
            error: Some(RunErrorView {
                step: Some("mail".to_owned()),
                code: "timeout".to_owned(),
                message: "no answer within 30 s".to_owned(),
            }),
            ..summary(5, "nightly-report", "failed")
        },
        summary(6, "vip-routing", "compensating"),
        summary(7, "vip-routing", "queued"),
        summary(8, "csat-survey", "cancelled"),
    ];
    data.extend((9..24).map(|n| summary(n, "csat-survey", "succeeded")));
    Page { data, next_cursor: Some("c2".to_owned()) }
}

pub fn events() -> Page<EventView> {
    let kinds = [
        "ticket:created",
        "ticket:updated",
        "ticket:comment:added",
        "slack:message",
        "ticket:escalated",
    ];
    let one = |n: usize| EventView {
        id: format!("evt_01KAQ{n:05}"),
        kind: kinds[n % 5].to_owned(),
        source: if n % 5 == 3 { "/hooks/slack/main".to_owned() } else { "ergane".to_owned() },
        received_at: ago(n as i64 * 13_000 + 2_000),
        cause: (n % 4 == 1).then(|| Cause { run_id: id(9), depth: 1 }),
        runs: (0..n as u64 % 3).map(id).collect(),
        ..event()
    };
    Page { data: (0..20).map(one).collect(), next_cursor: Some("c2".to_owned()) }
}

pub fn ticket(number: usize) -> Value {
    let titles = [
        "Checkout is down for all EU customers",
        "Invoice shows the wrong VAT id",
        "How do I invite a colleague?",
        "Export stops at 10,000 rows",
        "SSO login loops on Safari",
    ];
    let status = ["Open", "In progress", "On hold", "Closed", "Escalated"][number % 5];
    let priority = ["urgent", "high", "medium", "low"][number % 4];
    let assignee = if number.is_multiple_of(3) { "" } else { "lee@acme.example" };
    json!({
        "id": format!("T01KAQ7M2X{number}"),
        "ticketIdentifier": format!("SUP-{}", 104 - number),
        "title": titles[number % 5],
        "description": "Since 09:40 every checkout from the EU ends in a 502.\nUS works.",
        "statusName": status,
        "priorityName": priority,
        "requestorEmail": "ana@northwind.example",
        "assignedAgentEmail": assignee,
        "teamName": "Support",
        "accountName": "Northwind",
        "tags": [{"name": "vip"}],
        "createdAt": ago(5_000_000).to_string(),
        "updatedAt": ago(number as i64 * 700_000 + 40_000).to_string(),
        "archivedAt": null
    })
}

pub fn comments() -> Vec<Value> {
    vec![
        json!({"id": "C1", "author": "Lee Park", "authorUserType": "AGENT", "content": "Looking at it. The load balancer in eu-west lost its certificate.", "commentVisibility": "public", "createdAt": ago(4_000_000).to_string()}),
        json!({"id": "C2", "author": "Escalate urgent", "authorUserType": "WORKFLOW", "content": "Escalated: no answer for 15 minutes.", "commentVisibility": "public", "createdAt": ago(3_000_000).to_string()}),
        json!({"id": "C3", "author": "Lee Park", "content": "Do not tell them about the launch freeze yet.", "commentVisibility": "private", "createdAt": ago(2_000_000).to_string(), "isEdited": true}),
    ]
}

/// Somebody who was invited.
pub fn invited() -> crate::app::links::Invited {
    crate::app::links::Invited {
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        purpose: crate::app::links::Purpose::Invitation,
    }
}

/// Three people, called `name`.
pub fn people(name: &str) -> Vec<PersonView> {
    let one = |number: i64, status| PersonView {
        id: format!("psn_{number}"),
        email: name.to_owned(),
        name: name.to_owned(),
        roles: vec![Role::Editor, Role::Approver],
        teams: vec![],
        status,
        second_factor: number == 1,
        created_at: NOW,
        created_by: name.to_owned(),
        signed_in_at: (number == 1).then_some(NOW),
    };
    vec![one(1, "active"), one(2, "invited"), one(3, "disabled")]
}

/// Somebody signed in, called `name`.
pub fn me(name: &str) -> MeView {
    MeView {
        id: "psn_1".to_owned(),
        kind: "person",
        name: name.to_owned(),
        tenant: MyTenant { slug: "acme".to_owned(), name: "Acme".to_owned() },
        scopes: vec![],
        roles: vec![Role::Editor],
        teams: vec![],
        person: people(name).into_iter().next(),
        user: None,
    }
}

/// Two sessions of a browser.
pub fn sessions(agent: &str) -> Vec<SessionView> {
    let one = |id: &str, current| SessionView {
        id: id.to_owned(),
        person: Some("psn_1".to_owned()),
        name: "ada@example.com".to_owned(),
        created_at: NOW,
        seen_at: NOW,
        expires_at: NOW,
        address: Some("192.0.2.7".to_owned()),
        agent: Some(agent.to_owned()),
        current,
    };
    vec![one("ses_1", false), one("ses_2", true)]
}

/// An app that is installed and one that is not, all of whose texts are `text`.
pub fn apps(text: &str) -> Page<AppRow> {
    let app = |installation: Option<InstallationView>| AppView {
        id: "A01KB0XS0W".to_owned(),
        slug: text.to_owned(),
        name: text.to_owned(),
        version: text.to_owned(),
        revision: 2,
        description: text.to_owned(),
        category: "communication".to_owned(),
        visibility: "private".to_owned(),
        author: text.to_owned(),
        activities: vec![text.to_owned()],
        webhooks: Value::Null,
        manifest: Value::Null,
        installation,
        created_at: NOW,
        created_by: text.to_owned(),
        updated_at: NOW,
    };
    let installation = InstallationView {
        id: "I01KB0XS0W".to_owned(),
        team_ids: vec!["G1".to_owned()],
        scopes: vec![text.to_owned()],
        bot_id: "B01KB0XS0W".to_owned(),
        key_prefix: "erg_01234567".to_owned(),
        settings: serde_json::Map::new(),
        installed_at: NOW,
        installed_by: text.to_owned(),
        updated_at: NOW,
    };
    let webhook = WebhookView {
        id: "wh_1".to_owned(),
        url: text.to_owned(),
        types: vec![],
        filter: None,
        description: text.to_owned(),
        format: "thena".to_owned(),
        app: None,
        headers: Default::default(),
        enabled: false,
        disabled_reason: Some(text.to_owned()),
        disabled_at: None,
        previous_secret_until: None,
        deliveries: DeliveryCounts { pending: 1, delivered: 2, dead: 3 },
        failing_since: None,
        last_delivered_at: None,
        last_failed_at: None,
        created_at: NOW,
        created_by: text.to_owned(),
        updated_at: NOW,
    };
    let rows = vec![
        AppRow { app: app(Some(installation)), webhooks: vec![webhook] },
        AppRow { app: app(None), webhooks: vec![] },
    ];
    Page { data: rows, next_cursor: None }
}

/// Two records of the audit.
pub fn audit() -> Page<AuditView> {
    let one = |id: &str, action: &str, after: Value| AuditView {
        id: id.to_owned(),
        at: NOW,
        actor: ActorView {
            kind: "person".to_owned(),
            id: "psn_1".to_owned(),
            name: "ada@example.com".to_owned(),
        },
        action: action.to_owned(),
        target: "escalate-urgent".to_owned(),
        before: Value::Null,
        after,
        from: FromView { address: Some("192.0.2.7".to_owned()), request_id: None },
        hash: "ab".repeat(32),
        previous_hash: "00".repeat(32),
    };
    let data = vec![
        one("work-2", "workflow.disable", json!({ "active": false })),
        one("work-1", "workflow.save", json!({ "active": true, "version": 1 })),
    ];
    Page { data, next_cursor: None }
}

/// What a tenant and the file take.
pub fn storage(tenant: &str) -> StorageView {
    let kind = |kind, rows| KindUse { kind, rows, bytes: rows * 700 };
    let kinds = vec![kind("journals", 40_000), kind("events", 9_000)];
    StorageView {
        measured_at: Some(ago(60_000)),
        took_ms: Some(900),
        file: Some(FileView {
            bytes: 90 << 20,
            row_bytes: 34 << 20,
            free_bytes: 48 << 20,
            free_percent: 53,
            disk_free_bytes: Some(7 << 30),
            growth_bytes_per_day: Some(3 << 20),
            days_until_full: Some(2_300),
            spaces: vec![],
            last_compaction: None,
        }),
        tenants: vec![TenantUse {
            tenant: tenant.to_owned(),
            rows: 49_000,
            bytes: 34 << 20,
            kinds,
        }],
        findings: vec![StorageFinding {
            code: "file_mostly_free",
            detail: tenant.to_owned(),
            cure: "run `ergane compact`",
        }],
    }
}

/// What is kept, and what was removed.
pub fn kept() -> RetentionView {
    RetentionView {
        rules: Rules::default(),
        effective: Rules::default(),
        audit_floor: Keep::days(90),
        paused: true,
        removed: [("runs".to_owned(), 12)].into(),
        last_pass: None,
    }
}

/// How the appliance does, with `text` wherever a text can be, and what came of a test.
pub fn overview(text: &str) -> (Overview, Vec<NoticeTest>) {
    let findings = [Grade::Fail, Grade::Warn, Grade::Ok].map(|status| Finding {
        check: "disk-space",
        status,
        tenant: Some(text.to_owned()),
        detail: text.to_owned(),
        cure: Some(text.to_owned()),
    });
    let alert = Alert {
        id: text.to_owned(),
        kind: AlertKind::DiskLow,
        tenant: Some(text.to_owned()),
        subject: text.to_owned(),
        detail: text.to_owned(),
        cure: Some(text.to_owned()),
        raised_at: NOW,
        resolved_at: None,
        told: true,
        told_at: NOW,
    };
    let over = Alert { resolved_at: Some(NOW), ..alert.clone() };
    let line = LogLine {
        number: 1,
        time: NOW,
        level: Level::Warn,
        target: text.to_owned(),
        message: text.to_owned(),
        tenant: Some(text.to_owned()),
        run: Some(text.to_owned()),
        step: None,
        request_id: None,
        fields: [(text.to_owned(), json!(text))].into_iter().collect(),
    };
    let overview = Overview {
        sentence: text.to_owned(),
        status: Grade::Warn,
        alerts: vec![alert],
        recent: vec![over],
        diagnosis: Diagnosis { status: Grade::Fail, data: findings.into() },
        figures: vec![Figure { name: "Store", value: text.to_owned() }],
        notices: vec![NoticeView {
            name: text.to_owned(),
            kind: NoticeKind::Mail,
            to: text.to_owned(),
            alerts: vec![],
        }],
        settings: vec![SettingView {
            key: "log.level".to_owned(),
            value: json!(text),
            source: text.to_owned(),
        }],
        lines: vec![std::sync::Arc::new(line)],
        version: "1.0.0",
        is_whole: true,
    };
    let tested = NoticeTest { name: text.to_owned(), ok: false, detail: text.to_owned() };
    (overview, vec![tested])
}
