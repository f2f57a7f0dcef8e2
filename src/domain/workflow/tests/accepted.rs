//! Definitions that are right, and what they mean.

use std::time::Duration;

use serde_json::json;

use super::{CONTRACT, THENA, checked};
use crate::domain::workflow::parse::{DefinitionLimits, Known, KnownEvent, validate};
use crate::domain::workflow::{
    Action, ConcurrencyPolicy, OnFailure, Retry, ThenaStep, Trigger, Undo, Workflow,
};

fn accepted(text: &str) -> Workflow {
    let validation = checked(text);
    assert_eq!(validation.problems, [], "{text}");
    validation.workflow.expect("no problems mean a workflow")
}

#[test]
fn the_contract_is_read_as_it_says() {
    let workflow = accepted(CONTRACT);
    assert_eq!((workflow.name.as_str(), workflow.steps.len()), ("escalate-urgent", 4));
    let [Trigger::Event { kind, filter, .. }] = workflow.triggers.as_slice() else {
        panic!("one event")
    };
    assert_eq!(kind, "ticket:escalated");
    assert_eq!(json!(filter.source()), json!({"ticket.priorityName": {"~in": ["high", "urgent"]}}));
    assert_eq!(workflow.timeout, Some(Duration::from_secs(3_600)));
    let concurrency = workflow.concurrency.as_ref().expect("a limit");
    assert_eq!((concurrency.limit, concurrency.policy), (1, ConcurrencyPolicy::Queue));
    assert_eq!(workflow.thena, None);
    let [find, pause, raise, notify] = &workflow.steps[..] else { panic!("four steps") };
    assert_eq!((&find.compensate, find.retry.attempts), (&Undo::None, 4));
    assert_eq!(find.timeout, Duration::from_secs(20));
    assert_eq!(pause.retry, Retry::NEVER);
    let Action::Sleep { duration } = &pause.action else { panic!("a sleep") };
    assert_eq!(duration.constant(), Some(&json!("4h")));
    let Action::Call { activity, version, .. } = &raise.action else { panic!("a call") };
    assert_eq!((activity.as_str(), *version), ("tickets:update-ticket-platform", Some(3)));
    assert_eq!((&raise.compensate, raise.on_failure), (&Undo::Auto, OnFailure::Compensate));
    assert_eq!(raise.retry, Retry { attempts: 3, jitter: true, ..Retry::DEFAULT });
    assert!(raise.condition.is_some());
    assert_eq!(notify.on_failure, OnFailure::Continue);
    assert!(
        matches!(&notify.compensate, Undo::Call { activity, .. } if activity == "slack.updateMessage")
    );
}

#[test]
fn thenas_body_is_read_as_it_stands() {
    let workflow = accepted(THENA);
    assert_eq!(workflow.name, "escalate-urgent-tickets");
    assert_eq!(workflow.title, "Escalate urgent tickets!");
    let [raise, pause, tell] = &workflow.steps[..] else { panic!("three steps") };
    assert_eq!(
        (raise.id.as_str(), pause.id.as_str(), tell.id.as_str()),
        ("step_10", "step_20", "step_30")
    );
    assert_eq!(raise.retry, Retry::DEFAULT);
    assert!(matches!(&raise.action, Action::Call { version: None, .. }));
    assert!(matches!(&raise.compensate, Undo::Call { .. }));
    assert!(matches!(&pause.action, Action::Sleep { duration } if *duration.source() == json!(90)));
    let Action::Call { activity, version, .. } = &tell.action else { panic!("a call") };
    assert_eq!((activity.as_str(), *version), ("slack.postMessage", Some(1)));
    assert_eq!((tell.on_failure, tell.timeout), (OnFailure::Abort, Duration::from_millis(2_500)));
    let kept = workflow.thena.expect("kept fields");
    assert_eq!((kept.kind.as_str(), kept.sub_type.as_str()), ("MANUAL", "WORKFLOW"));
    assert_eq!(
        (kept.team_id.as_deref(), kept.executing_agent.as_deref()),
        (Some("T1"), Some("bot-1"))
    );
    assert_eq!(kept.metadata["colour"], "red");
    let dependencies = vec![json!(10), json!("20")];
    assert_eq!(kept.steps["step_30"], ThenaStep { dependencies, ..ThenaStep::default() });
}

#[test]
fn built_in_event_types_are_known_by_name_alias_and_uid() {
    let uid = crate::domain::event_type::uid("ticket:created");
    for (name, kind) in [
        ("ticket:created", Some("ticket:created")),
        ("ticket.created", Some("ticket:created")),
        ("ticket:comment:created", Some("ticket:comment:added")),
        (uid.as_str(), Some("ticket:created")),
        ("ticket:creatd", None),
    ] {
        let found = KnownEvent::built_in(name).map(|known| known.kind);
        assert_eq!(found.as_deref(), kind, "{name}");
    }
    let (catalogue, event_names) = (super::catalogue(), ["ticket:created"]);
    let known = Known {
        catalogue: &catalogue,
        event_type: &KnownEvent::built_in,
        event_names: &event_names,
        limits: DefinitionLimits::default(),
    };
    for text in [CONTRACT, THENA] {
        assert_eq!(validate(&super::read(text), &known).problems, [], "{text}");
    }
}

#[test]
fn a_sleep_reads_however_it_is_written() {
    for (step, duration) in [
        ("{id: a, sleep: 10m}", json!("10m")),
        ("{id: a, sleep: 30}", json!(30)),
        (
            "{id: a, sleep: '{{ trigger.payload.ticket.id }}'}",
            json!("{{ trigger.payload.ticket.id }}"),
        ),
        ("{id: a, activity: workflows:sleep-platform, input: {duration: 1h30m}}", json!("1h30m")),
        ("{id: a, activity: workflows:sleep-platform, input: {seconds: 5}}", json!(5)),
        ("{id: a, activity: workflows:sleep-platform, input: {durationMs: 1500}}", json!("1500ms")),
        (
            "{id: a, activity: workflows:sleep-platform, input: {duration: 2, unit: days}}",
            json!("2d"),
        ),
        (
            "{id: a, activity: workflows:sleep-platform, input: {minutes: '{{ vars.n }}'}}",
            json!("{{ vars.n }}m"),
        ),
        ("{id: a, isSleepActivity: true, input: {hours: 2}}", json!("2h")),
    ] {
        let workflow = accepted(&format!("{{name: w, on: 'ticket:created', steps: [{step}]}}"));
        let Action::Sleep { duration: read } = &workflow.steps[0].action else { panic!("{step}") };
        assert_eq!(*read.source(), duration, "{step}");
    }
}

#[test]
fn triggers_read_however_they_are_written() {
    for (trigger, kind) in [
        ("{trigger: {event: 'ticket:created'}}", Some("ticket:created")),
        ("{trigger: 'ticket:created'}", Some("ticket:created")),
        ("{trigger: {event: ticket.created, filter: {}}}", Some("ticket:created")),
        ("{on: 'ticket:created', filter: {ticket.status: {~eq: open}}}", Some("ticket:created")),
        ("{triggerEvent: EVT1, filters: {}}", Some("ticket:escalated")),
        ("{triggerEvent: {uid: EVT1, eventName: whatever}}", Some("ticket:escalated")),
        ("{triggerEvent: {uid: gone, eventName: ticket.created}}", Some("ticket:created")),
        ("{trigger: {event: 'ticket:created', schedule: null}}", Some("ticket:created")),
        ("{trigger: manual}", None),
        ("{}", None),
        ("{trigger: {}}", None),
    ] {
        let mut raw = super::read(trigger);
        raw["name"] = json!("w");
        raw["steps"] = json!([{"id": "a", "sleep": 1}]);
        let validation = super::validate_value(&raw);
        assert_eq!(validation.problems, [], "{trigger}");
        let workflow = validation.workflow.expect(trigger);
        assert_eq!(workflow.event_kinds().first().copied(), kind, "{trigger}");
    }
}

#[test]
fn each_of_several_triggers_has_its_own_event_and_filter() {
    let mut raw = super::read(
        "{triggers: ['ticket:created', {event: 'ticket:escalated', filter: {actor.id: {~eq: a}}}]}",
    );
    raw["name"] = json!("w");
    raw["steps"] = json!([{"id": "a", "sleep": 1}]);
    let validation = super::validate_value(&raw);
    assert_eq!(validation.problems, []);
    let workflow = validation.workflow.expect("no problems");
    assert_eq!(workflow.event_kinds(), ["ticket:created", "ticket:escalated"]);
    let native = crate::domain::workflow::export::to_native(&workflow);
    assert_eq!(native["triggers"][0], json!({"event": "ticket:created"}));
    assert_eq!(crate::domain::workflow::parse::restore(&native), Ok(workflow));
}

#[test]
fn names_for_people_become_names_for_paths() {
    for (name, slug) in [
        ("Escalate urgent tickets", "escalate-urgent-tickets"),
        ("  VIP -- reply!  ", "vip-reply"),
        ("already-fine", "already-fine"),
        (&"long ".repeat(40), "long-".repeat(13)[..64].trim_end_matches('-')),
    ] {
        let body = json!({"name": name, "triggerEvent": "ticket:created",
            "workflowDefinition": [{"stepIdentifier": 1, "isSleepActivity": true, "input": {"seconds": 1}}]});
        let workflow = super::validate_value(&body).workflow.expect(name);
        assert_eq!(workflow.name, slug);
    }
    let body = json!({"name": "Дежурство", "triggerEvent": "ticket:created",
        "workflowDefinition": [{"stepIdentifier": 1, "isSleepActivity": true, "input": {"seconds": 1}}]});
    let workflow = super::validate_value(&body).workflow.expect("a name without Latin letters");
    assert!(workflow.name.starts_with("workflow-") && workflow.title == "Дежурство");
}

#[test]
fn right_steps_are_not_refused() {
    const FIND: &str = "{id: find, activity: 'tickets:search-tickets-platform'}";
    const POST: &str = "activity: slack.postMessage, input: {channel: c, text: t}";
    for step in [
        format!("{{id: a, {POST}}}"),
        format!("{{id: 7, {POST}}}"),
        format!("{{stepIdentifier: '7', {POST}}}"),
        format!("{{id: _A1, title: T, {POST}}}"),
        format!("{{id: a, {POST}, onFailure: CONTINUE}}"),
        format!("{{id: a, {POST}, onFailure: null, retry: null, timeout: null, if: null}}"),
        format!("{{id: a, {POST}, retry: {{attempts: 100, initial: 0.5, factor: 1.5}}}}"),
        format!("{{id: a, {POST}, retry: {{initial: 5m}}}}"),
        format!("{{id: a, {POST}, retryPolicy: {{maximumAttempts: 1}}}}"),
        format!("{{id: a, {POST}, timeout: 24h}}"),
        format!("{{id: a, {POST}, executionTimeout: 1}}"),
        format!("{{id: a, {POST}, compensate: none}}"),
        format!("{{id: a, {POST}, compensationActivity: {{}}}}"),
        format!("{{id: a, {POST}, requireApproval: false, approver: {{}}, dependencies: [find]}}"),
        format!("{{id: a, {POST}, filters: {{}}, isSleepActivity: false}}"),
        format!("{{id: a, {POST}, if: {{steps.find.status: {{~eq: completed}}}}}}"),
        format!("{{id: a, {POST}, if: {{ticket.nowhere: {{~isnull: true}}}}}}"),
        format!("{{id: a, {POST}, if: {{actor.type: {{~eq: AGENT}}}}}}"),
        format!("{{id: a, {POST}, if: {{~or: [{{'{{{{steps.find.output.total}}}}': {{~gt: 1}}}}]}}}}"),
        format!("{{id: a, {POST}, waitFor: null, branch: [], forEach: {{}}, approval: false}}"),
        "{id: a, activity: http.request}".to_owned(),
        "{id: a, activity: http.request@2, input: {anything: [1, {x: '{{ run.id }}'}]}}".to_owned(),
        "{id: a, activity: http.request, input: {h: '{{ secrets.token }}', n: '{{ workflow.name }} {{ tenant.id }}'}}".to_owned(),
        "{id: a, activity: http.request, input: '{{ steps.find.output }}'}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ steps.find.error.code | default('') }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ trigger.payload.ticket.customFields.region }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ trigger.payload.ticket.tags[0] }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ trigger.payload.ticket.tags + ['escalated'] }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ context.steps.find.result.total }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ trigger.payload.ticket.gone | default('') }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ [1, 2] | length }} {{ {'a': run.id}.a }} {{ true and none }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ trigger.payload.ticket.tags | map('upper') | list | join(', ') }}\"}}".to_owned(),
        "{id: a, activity: http.request, input: {x: \"{{ 'big' if steps.find.output.total > 10 else 'small' }}\"}}".to_owned(),
        "{id: a, activity: 'tickets:update-ticket-platform', input: {id: x, priority: '{{ vars.p }}'}}".to_owned(),
        "{id: a, activity: 'tickets:update-ticket-platform', input: {id: x, tags: '{{ vars.t }}'}}".to_owned(),
        "{id: a, activity: 'tickets:update-ticket-platform', input: {id: x, due: {at: '{{ run.startedAt }}', days: '{{ vars.d }}'}}}".to_owned(),
        "{id: a, activity: 'tickets:update-ticket-platform', input: '{{ vars.whole }}', compensate: auto}".to_owned(),
        "{id: a, activity: 'tickets:search-tickets-platform', compensate: auto}".to_owned(),
        "{id: a, activity: {uniqueIdentifier: http.request, version: 2, autoUpgradeToLatestVersion: false}}".to_owned(),
        "{id: a, activity: {uniqueIdentifier: http.request, version: 1}}".to_owned(),
        "{id: a, activity: http.request, compensate: {activity: http.request, input: {x: '{{ steps.a.output.id }} {{ error.message }}'}}}".to_owned(),
    ] {
        accepted(&format!("{{name: w, on: 'ticket:created', steps: [{FIND}, {step}]}}"));
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (step, pointer, code) in [
        ("activity: http.request", "/steps/0", "no_compensation"),
        ("sleep: 1s, if: {ticket.nowhere: {~eq: 1}}", "/steps/0/if/ticket.nowhere", "unknown_path"),
        ("sleep: '{{ trigger.payload.ticket.account.teir }}'", "/steps/0/sleep", "unknown_path"),
    ] {
        let text = format!("{{name: w, on: 'ticket:created', steps: [{{id: a, {step}}}]}}");
        let validation = checked(&text);
        assert_eq!(validation.problems, [], "{step}");
        let warnings: Vec<_> =
            validation.warnings.iter().map(|w| (w.pointer.as_str(), w.code.as_str())).collect();
        assert_eq!(warnings, [(pointer, code)], "{step}");
    }
}
