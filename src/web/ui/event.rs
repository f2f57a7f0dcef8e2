//! One event: its envelope and payload, and for every workflow that listens why it did or did not
//! start.

use askama::Template;
use serde_json::{Value, json};

use super::parts::json_tree::JsonTree;
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::parts::rules::brief;
use super::parts::trace::Trace;
use super::run::encoded;
use super::shell::{Shell, quoted};
use crate::app::explain::EventExplanation;
use crate::app::views::{EventView, Explanation};

/// The page.
#[derive(Template)]
#[template(path = "event.html")]
pub struct EventPage {
    shell: Shell,
    id: String,
    href: String,
    kind: String,
    source: String,
    subject: String,
    actor: String,
    happened: Moment,
    received: Moment,
    cause: Option<(String, String, u32)>,
    changes: Vec<Change>,
    payload: JsonTree,
    metadata: Option<JsonTree>,
    verdicts: Vec<Verdict>,
    summary: String,
    /// Workflows that listen to another type and were probably meant: name, hint, where.
    near: Vec<(String, String, String)>,
    /// The workflows that a replay can go to.
    targets: Vec<String>,
    duplicates: String,
    /// The command that sends the same payload again.
    send: String,
    curl: String,
}

/// One field that the event says has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    path: String,
    before: String,
    after: String,
}

/// What one workflow made of the event.
#[derive(Clone, Debug)]
struct Verdict {
    anchor: String,
    mark: Mark,
    workflow: String,
    workflow_href: String,
    version: u32,
    reason: String,
    run: Option<String>,
    trace: Option<Trace>,
    /// Where its filter is built.
    builder: String,
    /// A test case of this event for the workflow, as JSON.
    case: String,
}

/// Makes the page.
pub fn page(shell: Shell, event: &EventView, explained: &EventExplanation) -> EventPage {
    let path = format!("/events/{}", encoded(&event.id));
    let apart = |why: &&Explanation| matches!(why.outcome.as_str(), "other-type" | "unreadable");
    let explanations: Vec<&Explanation> = explained.data.iter().filter(|it| !apart(it)).collect();
    let near = explained.data.iter().filter(apart);
    let mut verdicts: Vec<_> = explanations.iter().map(|why| verdict(&shell, event, why)).collect();
    verdicts.sort_by_key(|verdict| verdict.run.is_none());
    EventPage {
        id: event.id.clone(),
        href: shell.url(&path),
        kind: event.kind.clone(),
        source: event.source.clone(),
        subject: event.subject.clone().unwrap_or_default(),
        actor: actor(event),
        happened: Moment::absolute(event.time),
        received: Moment::absolute(event.received_at),
        cause: event.cause.map(|cause| {
            let id = cause.run_id.to_string();
            (shell.url(&format!("/runs/{id}")), id, cause.depth)
        }),
        changes: changes(&event.payload),
        payload: JsonTree::new("trigger.payload", &event.payload).unfolded(),
        metadata: event
            .metadata
            .as_object()
            .filter(|fields| !fields.is_empty())
            .map(|_| JsonTree::new("trigger.metadata", &event.metadata)),
        summary: summary(&explanations),
        near: near.filter_map(|why| miss(&shell, why)).collect(),
        targets: explained.data.iter().map(|why| why.workflow.clone()).collect(),
        duplicates: explained.duplicates.map_or_else(String::new, |repeats| {
            format!("delivered again {} times; the repeats started nothing", repeats.count)
        }),
        send: send(&shell, event),
        curl: shell.curl(&format!("/v1{path}/explain")),
        verdicts,
        shell,
    }
}

/// Compares each record of a payload with the one before it: `ticket` with `previousTicket`.
fn changes(payload: &Value) -> Vec<Change> {
    let records = payload.as_object().into_iter().flatten();
    let pairs = records.filter_map(|(name, record)| {
        let (first, rest) = name.split_at_checked(1)?;
        let before = payload.get(format!("previous{}{rest}", first.to_uppercase()))?;
        Some((name, record.as_object()?, before.as_object()?))
    });
    pairs
        .flat_map(|(name, record, before)| {
            let differs = record.iter().filter(|(key, value)| before.get(*key) != Some(*value));
            differs.map(move |(key, value)| Change {
                path: format!("{name}.{key}"),
                before: before.get(key).map(brief).unwrap_or_default(),
                after: brief(value),
            })
        })
        .collect()
}

fn actor(event: &EventView) -> String {
    let actor = &event.actor;
    let known = [&actor.kind, &actor.email, &actor.id];
    let known: Vec<_> = known.into_iter().filter(|part| !part.is_empty()).cloned().collect();
    known.join(" · ")
}

/// Tells of a workflow that listens to something else and was probably meant.
fn miss(shell: &Shell, why: &Explanation) -> Option<(String, String, String)> {
    let hint = match why.outcome.as_str() {
        "unreadable" => Some(&why.reason),
        _ => why.hint.as_ref(),
    };
    let href = shell.url(&format!("/workflows/{}", encoded(&why.workflow)));
    Some((why.workflow.clone(), hint?.clone(), href))
}

/// Writes the command that sends an event of this type with the same payload.
fn send(shell: &Shell, event: &EventView) -> String {
    let payload = quoted(&event.payload.to_string());
    let path = format!("/v1/events/{}", encoded(&event.kind));
    format!("{} -H 'Content-Type: application/json' -d {payload}", shell.curl(&path))
}

/// Writes a test case: whether the workflow starts for this event, as it did.
fn case(event: &EventView, why: &Explanation) -> String {
    let matches = why.trace.get("result").and_then(Value::as_bool);
    let case = json!({
        "name": format!("{} {}", event.kind, event.id),
        "event": { "type": event.kind, "subject": event.subject, "payload": event.payload },
        "expect": { "matches": matches.unwrap_or(why.outcome == "started") },
    });
    serde_json::to_string_pretty(&case).unwrap_or_default()
}

fn verdict(shell: &Shell, event: &EventView, why: &Explanation) -> Verdict {
    let trace = Trace::read(&why.trace);
    let refusal = trace.as_ref().and_then(Trace::first_refusal);
    Verdict {
        anchor: format!("why-{}", why.workflow),
        mark: Mark::of(&why.outcome),
        workflow: why.workflow.clone(),
        workflow_href: shell.url(&format!("/workflows/{}?version={}", why.workflow, why.version)),
        version: why.version,
        reason: match (why.outcome.as_str(), refusal) {
            ("filtered", Some(refusal)) => refusal,
            _ => why.reason.clone(),
        },
        run: why.run_id.map(|id| shell.url(&format!("/runs/{id}"))),
        builder: shell.url(&format!("/workflows/{}/match", encoded(&why.workflow))),
        case: case(event, why),
        trace,
    }
}

fn summary(explanations: &[&Explanation]) -> String {
    let started = explanations.iter().filter(|why| why.outcome == "started").count();
    match (explanations.len(), started) {
        (0, _) => "No workflow listens to this type.".to_owned(),
        (1, 1) => "The one workflow that listens was started.".to_owned(),
        (1, _) => "The one workflow that listens was not started.".to_owned(),
        (all, started) => format!("{started} of {all} workflows that listen were started."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_changed_is_told_field_by_field() {
        let changes = changes(&samples::event().payload);
        let priority = Change {
            path: "ticket.priorityName".to_owned(),
            before: "low".to_owned(),
            after: "medium".to_owned(),
        };
        assert!(changes.contains(&priority), "{changes:?}");
    }

    #[test]
    fn a_workflow_that_did_not_start_says_which_test_refused() {
        let mut data = samples::explanations();
        data.push(Explanation {
            outcome: "other-type".to_owned(),
            hint: Some("its filter would hold".to_owned()),
            ..data[1].clone()
        });
        let explained = EventExplanation { data, duplicates: None };
        let page = page(Shell::for_tests(""), &samples::event(), &explained).to_string();
        for part in ["1 of 3 workflows", "but was medium", "decisive", "its filter would hold"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
