//! What is told of runs, and of the approvals that they ask for.

use serde_json::{Value, json};

use super::row;
use crate::domain::event_type::{EventType, Shape};

const RUN: &str = "019ab0c1-d2e3-7f4a-b6c7-d8e9f0a1b2c3";

/// Returns the event types of runs and approvals.
pub(super) fn rows() -> Vec<EventType> {
    [runs(), approvals()].into_iter().flatten().collect()
}

fn plain(value: Value) -> Shape {
    Shape::Like(value)
}

fn of_run(kind: &'static str, name: &'static str, description: &'static str) -> EventType {
    row(kind, name, description)
        .with("runId", plain(json!(RUN)))
        .with("workflow", plain(json!("escalate-urgent")))
        .maybe("subject", plain(json!("T-42")))
}

fn runs() -> Vec<EventType> {
    let run = |kind, name, description| of_run(kind, name, description).among("Runs");
    let ended = |kind, name, description, status: &str| {
        run(kind, name, description)
            .with("version", plain(json!(3)))
            .with("status", plain(json!(status)))
            .with("compensation", plain(json!("done")))
            .maybe("eventId", plain(json!("019ab0c1d2e3f4a5")))
            .maybe("eventType", plain(json!("ticket:escalated")))
            .maybe("startedAt", plain(json!("2026-11-23T10:00:00.000Z")))
            .maybe("endedAt", plain(json!("2026-11-23T10:00:04.000Z")))
    };
    let error = || {
        plain(json!({
            "step": "notify", "code": "http_503", "message": "the other side answered 503"
        }))
    };
    vec![
        ended("run:failed", "Run failed", "A run has failed, and its undoing is over.", "failed")
            .with("error", error()),
        ended("run:cancelled", "Run cancelled", "Somebody has stopped a run.", "cancelled")
            .with("error", error()),
        ended(
            "run:succeeded",
            "Run succeeded",
            "A run has succeeded; made only where a workflow or a subscription names it.",
            "succeeded",
        ),
        run(
            "run:paused",
            "Run paused",
            "A step has failed for good or is in doubt, and waits for somebody.",
        )
        .with("version", plain(json!(3)))
        .with("step", plain(json!("notify")))
        .with("kind", plain(json!("incident")))
        .with("code", plain(json!("http_503")))
        .with("message", plain(json!("the other side answered 503")))
        .with("since", plain(json!("2026-11-23T10:00:04.000Z"))),
        ended(
            "run:compensation-incomplete",
            "Run not undone",
            "Not every step of a run could be undone.",
            "failed",
        )
        .maybe("error", error())
        .with(
            "left",
            plain(json!([{
                "step": "charge", "code": "http_503", "message": "the other side answered 503"
            }])),
        ),
    ]
}

fn approvals() -> Vec<EventType> {
    let approval = |kind, name, description| {
        of_run(kind, name, description).among("Approvals").with("step", plain(json!("raise")))
    };
    vec![
        approval(
            "approval:requested",
            "Approval requested",
            "Somebody is asked to approve a step.",
        )
        .with("approvers", plain(json!(["role:lead"])))
        .maybe("reason", plain(json!("Raise the priority to urgent")))
        .maybe("until", plain(json!("2026-11-24T10:00:00.000Z")))
        .maybe("remindAt", plain(json!("2026-11-23T16:00:00.000Z")))
        .maybe("escalateAt", plain(json!("2026-11-23T18:00:00.000Z"))),
        approval("approval:reminded", "Approval reminded", "Those asked are reminded."),
        approval("approval:escalated", "Approval escalated", "Others are asked as well.")
            .with("to", plain(json!(["role:admin"]))),
        approval(
            "approval:decided",
            "Approval decided",
            "Somebody or the passing of time decided.",
        )
        .with("decision", plain(json!("approved")))
        .with("by", plain(json!("Ada")))
        .maybe("comment", plain(json!("Fine."))),
    ]
}
