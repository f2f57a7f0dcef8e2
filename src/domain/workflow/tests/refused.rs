//! Definitions that are wrong, each with the place and the kind of its fault.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CONTRACT, THENA, checked, read, validate_value};
use crate::domain::problem::pointer_to;

/// Asserts that exactly these problems are found, in this order.
fn refused(text: &str, expected: &[(&str, &str)]) {
    let validation = checked(text);
    let problems: Vec<(&str, &str)> =
        validation.problems.iter().map(|p| (p.pointer.as_str(), p.code.as_str())).collect();
    assert_eq!(problems, expected, "{text}\n{:#?}", validation.problems);
    assert!(validation.workflow.is_none());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn wrong_documents_are_refused_at_their_place() {
    const STEPS: &str = "steps: [{id: a, sleep: 1s}]";
    for (rest, pointer, code) in [
        ("name: w", "", "missing"),
        ("name: w, steps: []", "/steps", "missing"),
        ("name: w, steps: {}", "/steps", "wrong_type"),
        ("name: w, steps: [1]", "/steps/0", "wrong_type"),
        (
            "name: w, workflowDefinition: [{stepIdentifier: 1, isSleepActivity: true, input: {seconds: 1}}]",
            "",
            "missing",
        ),
        (STEPS, "", "missing"),
        (&format!("name: 5, {STEPS}"), "/name", "wrong_type"),
        (&format!("name: '', {STEPS}"), "/name", "invalid_name"),
        (&format!("name: Not A Slug, {STEPS}"), "/name", "invalid_name"),
        (&format!("name: -w, {STEPS}"), "/name", "invalid_name"),
        (&format!("name: {}, {STEPS}", "x".repeat(65)), "/name", "invalid_name"),
        (&format!("name: w, title: [], {STEPS}"), "/title", "wrong_type"),
        (&format!("name: w, descripton: d, {STEPS}"), "/descripton", "unknown_key"),
        (&format!("name: w, 'a/b~': d, {STEPS}"), "/a~1b~0", "unknown_key"),
        (&format!("name: w, type: AUTOMATIC, {STEPS}"), "/type", "not_allowed"),
        (&format!("name: w, subType: FLOW, {STEPS}"), "/subType", "not_allowed"),
        (&format!("name: w, teamId: 5, {STEPS}"), "/teamId", "wrong_type"),
        (&format!("name: w, metadata: x, {STEPS}"), "/metadata", "wrong_type"),
        (&format!("name: w, isActive: yes please, {STEPS}"), "/isActive", "wrong_type"),
        (&format!("name: w, schedule: {{cron: '* * * * *'}}, {STEPS}"), "/schedule", "missing"),
        (
            &format!(
                "name: w, annotations: [{{entityType: Tick, requiredFields: {{id: x}}, \
                 pathToAnnotate: context.x}}], {STEPS}"
            ),
            "/annotations/0/entityType",
            "unknown_entity",
        ),
        (
            &format!("name: w, trigger: {{schedule: {{cron: x, timezone: UTC}}}}, {STEPS}"),
            "/trigger/schedule/cron",
            "invalid_cron",
        ),
        (&format!("name: w, trigger: 5, {STEPS}"), "/trigger", "wrong_type"),
        (&format!("name: w, trigger: {{evnt: x}}, {STEPS}"), "/trigger/evnt", "unknown_key"),
        (
            &format!("name: w, trigger: {{event: 'ticket:creatd'}}, {STEPS}"),
            "/trigger/event",
            "unknown_event_type",
        ),
        (&format!("name: w, on: '', {STEPS}"), "/on", "missing"),
        (&format!("name: w, triggerEvent: {{}}, {STEPS}"), "/triggerEvent", "missing"),
        (
            &format!("name: w, triggerEvent: {{uid: gone}}, {STEPS}"),
            "/triggerEvent",
            "unknown_event_type",
        ),
        (
            &format!("name: w, on: 'ticket:created', triggerEvent: 'slack:message', {STEPS}"),
            "/triggerEvent",
            "ambiguous",
        ),
        (
            &format!(
                "name: w, trigger: {{event: 'ticket:created'}}, on: 'ticket:created', {STEPS}"
            ),
            "/on",
            "ambiguous",
        ),
        (&format!("name: w, filter: {{ticket.id: {{~eq: 1}}}}, {STEPS}"), "/filter", "missing"),
        (
            &format!(
                "name: w, on: 'ticket:created', filter: {{steps.a.output: {{~eq: 1}}}}, {STEPS}"
            ),
            "/filter/steps.a.output",
            "unknown_root",
        ),
        (
            &format!(
                "name: w, on: 'ticket:created', filter: {{ticket.id: {{~startz: 1}}}}, {STEPS}"
            ),
            "/filter/ticket.id/~0startz",
            "unknown_operator",
        ),
        (&format!("name: w, timeout: soon, {STEPS}"), "/timeout", "invalid_duration"),
        (&format!("name: w, timeout: 0, {STEPS}"), "/timeout", "out_of_range"),
        (&format!("name: w, timeout: 1000d, {STEPS}"), "/timeout", "out_of_range"),
        (&format!("name: w, timeout: {{}}, {STEPS}"), "/timeout", "wrong_type"),
        (&format!("name: w, concurrency: {{limit: 1}}, {STEPS}"), "/concurrency", "missing"),
        (
            &format!("name: w, concurrency: {{key: k, limit: 0}}, {STEPS}"),
            "/concurrency/limit",
            "out_of_range",
        ),
        (
            &format!("name: w, concurrency: {{key: k, policy: drop}}, {STEPS}"),
            "/concurrency/policy",
            "not_allowed",
        ),
        (&format!("name: w, concurrency: {{key: 7}}, {STEPS}"), "/concurrency/key", "wrong_type"),
        (
            &format!("name: w, concurrency: {{key: '{{{{steps.a.output}}}}'}}, {STEPS}"),
            "/concurrency/key",
            "unknown_root",
        ),
    ] {
        refused(&format!("{{{rest}}}"), &[(pointer, code)]);
    }
    refused("[]", &[("", "wrong_type")]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn wrong_steps_are_refused_at_their_place() {
    const HTTP: &str = "id: a, activity: http.request";
    const UPDATE: &str = "id: a, activity: 'tickets:update-ticket-platform'";
    for (step, at, code) in [
        ("sleep: 1s", "", "missing"),
        ("id: a", "", "missing"),
        ("id: a-b, sleep: 1s", "/id", "invalid_id"),
        ("id: 1a, sleep: 1s", "/id", "invalid_id"),
        ("id: -1, sleep: 1s", "/id", "out_of_range"),
        ("id: 1.5, sleep: 1s", "/id", "wrong_type"),
        ("id: first, sleep: 1s", "", "duplicate_id"),
        ("id: a, stepIdentifier: 4, sleep: 1s", "/stepIdentifier", "ambiguous"),
        ("id: a, sleep: 1s, activity: http.request", "/activity", "ambiguous"),
        ("id: a, sleep: a while", "/sleep", "invalid_duration"),
        ("id: a, sleep: 400d", "/sleep", "out_of_range"),
        ("id: a, sleep: {}", "/sleep", "wrong_type"),
        ("id: a, activity: workflows:sleep-platform", "/activity", "missing"),
        ("id: a, activity: workflows:sleep-platform, input: {}", "/input", "missing"),
        (
            "id: a, activity: workflows:sleep-platform, input: {seconds: 1, hours: 2}",
            "/input/hours",
            "ambiguous",
        ),
        ("id: a, activity: workflows:sleep-platform, input: {for: 1}", "/input/for", "unknown_key"),
        ("id: a, activity: http.requst", "/activity", "unknown_activity"),
        ("id: a, activity: http.request@9", "/activity", "unknown_version"),
        ("id: a, activity: http.request@x", "/activity", "unknown_version"),
        (
            "id: a, activity: {uniqueIdentifier: http.request, version: 7, autoUpgradeToLatestVersion: false}",
            "/activity",
            "unknown_version",
        ),
        ("id: a, activity: {name: http.request}", "/activity/name", "unknown_key"),
        ("id: a, activity: 5", "/activity", "wrong_type"),
        ("id: a, activity: gone-APP123-ORG123", "/activity", "unknown_activity"),
        ("id: a, isSleepActivity: true, activity: http.request", "/activity", "ambiguous"),
        (&format!("{HTTP}, inputs: {{}}"), "/inputs", "unknown_key"),
        (&format!("{HTTP}, input: []"), "/input", "wrong_type"),
        (&format!("{HTTP}, input: text"), "/input", "wrong_type"),
        (&format!("{HTTP}, input: {{x: '{{{{ 1 + }}}}'}}"), "/input/x", "invalid_expression"),
        (
            &format!("{HTTP}, input: {{x: '{{{{ trigger.payload.ticket.titel }}}}'}}"),
            "/input/x",
            "unknown_path",
        ),
        (&format!("{HTTP}, input: {{x: '{{{{ trigger.kind }}}}'}}"), "/input/x", "unknown_path"),
        (
            &format!("{HTTP}, input: {{x: '{{{{ steps.frist.output.id }}}}'}}"),
            "/input/x",
            "unknown_step",
        ),
        (
            &format!("{HTTP}, input: {{x: '{{{{ steps.last.output.id }}}}'}}"),
            "/input/x",
            "step_order",
        ),
        (&format!("{HTTP}, input: {{x: '{{{{ steps.a.output.id }}}}'}}"), "/input/x", "step_order"),
        (
            &format!("{HTTP}, input: {{x: '{{{{ steps.first.outputs.id }}}}'}}"),
            "/input/x",
            "unknown_path",
        ),
        (
            &format!("{HTTP}, input: {{x: '{{{{ steps.first.output.totl }}}}'}}"),
            "/input/x",
            "unknown_path",
        ),
        (&format!("{HTTP}, input: {{x: '{{{{ error.message }}}}'}}"), "/input/x", "unknown_root"),
        (&format!("{HTTP}, input: {{x: '{{{{ item.id }}}}'}}"), "/input/x", "unknown_root"),
        (
            &format!("{HTTP}, if: {{steps.later.output: {{~eq: 1}}}}"),
            "/if/steps.later.output",
            "unknown_step",
        ),
        (
            &format!("{HTTP}, if: {{steps.last.output: {{~eq: 1}}}}"),
            "/if/steps.last.output",
            "step_order",
        ),
        (&format!("{HTTP}, if: {{x: {{~startz: 1}}}}"), "/if/x/~0startz", "unknown_operator"),
        (
            &format!("{HTTP}, if: {{a: {{~isnull: true}}}}, filters: {{b: {{~isnull: true}}}}"),
            "/filters",
            "ambiguous",
        ),
        (&format!("{HTTP}, retry: 3"), "/retry", "wrong_type"),
        (&format!("{HTTP}, retry: {{attempts: 0}}"), "/retry/attempts", "out_of_range"),
        (&format!("{HTTP}, retry: {{attempts: 101}}"), "/retry/attempts", "out_of_range"),
        (&format!("{HTTP}, retry: {{attempts: 1.5}}"), "/retry/attempts", "wrong_type"),
        (&format!("{HTTP}, retry: {{factor: 0.5}}"), "/retry/factor", "out_of_range"),
        (&format!("{HTTP}, retry: {{initial: 10s, max: 1s}}"), "/retry/max", "out_of_range"),
        (&format!("{HTTP}, retry: {{jitter: much}}"), "/retry/jitter", "wrong_type"),
        (
            &format!("{HTTP}, retryPolicy: {{maximumAttemps: 3}}"),
            "/retryPolicy/maximumAttemps",
            "unknown_key",
        ),
        (&format!("{HTTP}, timeout: 25h"), "/timeout", "out_of_range"),
        (&format!("{HTTP}, executionTimeout: -1"), "/executionTimeout", "invalid_duration"),
        (&format!("{HTTP}, onFailure: retry"), "/onFailure", "not_allowed"),
        (&format!("{HTTP}, compensate: auto"), "/compensate", "not_undoable"),
        (&format!("{HTTP}, compensate: maybe"), "/compensate", "not_allowed"),
        (&format!("{HTTP}, compensate: {{input: {{}}}}"), "/compensate", "missing"),
        (
            &format!("{HTTP}, compensate: {{activity: http.requst}}"),
            "/compensate/activity",
            "unknown_activity",
        ),
        (
            &format!("{HTTP}, compensate: {{activity: workflows:sleep-platform}}"),
            "/compensate/activity",
            "not_undoable",
        ),
        (
            &format!(
                "{HTTP}, compensate: {{activity: http.request, input: {{x: '{{{{steps.last.output}}}}'}}}}"
            ),
            "/compensate/input/x",
            "step_order",
        ),
        (
            &format!(
                "{HTTP}, compensate: {{activity: slack.updateMessage, input: {{channel: c}}}}"
            ),
            "/compensate/input",
            "missing",
        ),
        (&format!("{HTTP}, dependencies: [nope]"), "/dependencies/0", "unknown_step"),
        (&format!("{HTTP}, dependencies: [first, a]"), "/dependencies/1", "step_order"),
        (&format!("{HTTP}, dependencies: [last]"), "/dependencies/0", "step_order"),
        (&format!("{HTTP}, dependencies: [true]"), "/dependencies/0", "wrong_type"),
        (&format!("{HTTP}, dependencies: first"), "/dependencies", "wrong_type"),
        (UPDATE, "/activity", "invalid_input"),
        (
            &format!("{UPDATE}, input: {{id: x, prioritty: high}}"),
            "/input/prioritty",
            "unknown_key",
        ),
        (
            &format!("{UPDATE}, input: {{id: x, priority: huge}}"),
            "/input/priority",
            "invalid_input",
        ),
        (&format!("{UPDATE}, input: {{id: 5}}"), "/input/id", "invalid_input"),
        (
            &format!("{UPDATE}, input: {{id: x, due: {{days: '{{{{vars.d}}}}'}}}}"),
            "/input/due",
            "missing",
        ),
        (
            &format!("{UPDATE}, input: {{id: x, due: {{at: y, days: 0}}}}"),
            "/input/due/days",
            "invalid_input",
        ),
        (
            &format!("{UPDATE}, input: {{id: x, tags: [a, 5, '{{{{vars.d}}}}']}}"),
            "/input/tags/1",
            "invalid_input",
        ),
    ] {
        let text = format!(
            "{{name: w, on: 'ticket:created', steps: [{{id: first, activity: 'tickets:search-tickets-platform'}}, {{{step}}}, {{id: last, sleep: 1s}}]}}"
        );
        let pointer = format!("/steps/1{at}");
        let mut expected = vec![(pointer.as_str(), code)];
        if step.contains("{name:") {
            expected.insert(0, ("/steps/1/activity", "missing"));
        }
        if step.contains("{for:") {
            expected.insert(0, ("/steps/1/input", "missing"));
        }
        refused(&text, &expected);
    }
}

#[test]
fn all_problems_are_told_at_once_in_document_order() {
    let text = "
name: Bad Name
trigger: { event: 'ticket:creatd' }
steps:
  - { id: a, activity: http.requst, retry: { attempts: 0 } }
  - { id: a, sleep: never, tiemout: 1s }
";
    refused(
        text,
        &[
            ("/name", "invalid_name"),
            ("/trigger/event", "unknown_event_type"),
            ("/steps/0/activity", "unknown_activity"),
            ("/steps/0/retry/attempts", "out_of_range"),
            ("/steps/1", "duplicate_id"),
            ("/steps/1/sleep", "invalid_duration"),
            ("/steps/1/tiemout", "unknown_key"),
        ],
    );
}

#[test]
fn a_mistyped_name_is_answered_with_the_one_that_was_meant() {
    for (step, hint) in [
        ("id: a, activity: http.requst", "did you mean `http.request`?"),
        ("id: a, sleep: 1s, tile: x", "did you mean `title`?"),
        ("id: a-b, sleep: 1s", "expressions read `-` as minus; use `a_b`"),
        (
            "id: a, activity: http.request, input: {x: '{{ trigger.payload.ticket.tile }}'}",
            "did you mean `title`?",
        ),
        (
            "id: a, activity: http.request, input: {x: '{{ steps.firs.output }}'}",
            "did you mean `first`?",
        ),
        (
            "id: a, activity: 'tickets:update-ticket-platform', input: {id: x, prioritty: y}",
            "did you mean `priority`?",
        ),
    ] {
        let text = format!(
            "{{name: w, on: 'ticket:created', steps: [{{id: first, sleep: 1}}, {{{step}}}]}}"
        );
        let problems = checked(&text).problems;
        assert_eq!(problems[0].hint.as_deref(), Some(hint), "{step}: {problems:?}");
    }
}

#[test]
fn large_definitions_are_bounded_and_quick() {
    let step = |n: usize| {
        json!({"id": format!("s{n}"), "activity": "http.request",
        "input": {"x": format!("{{{{ steps.s{}.output.id }}}}", n.saturating_sub(1))}})
    };
    let begun = Instant::now();
    let mut raw = json!({"name": "w", "steps": (0..100).map(step).collect::<Vec<_>>()});
    raw["steps"][0] = json!({"id": "s0", "activity": "http.request"});
    assert_eq!(validate_value(&raw).problems, []);
    raw["steps"] = (0..10_000).map(step).collect();
    let problems = validate_value(&raw).problems;
    assert_eq!(problems[0].code, "too_many_steps");
    let condition = |n: usize| json!({format!("steps.s{n}.output.x"): {"~eq": n}});
    let conditions = json!({"~and": (0..400).map(condition).collect::<Vec<_>>()});
    let doubting = |n: usize| json!({"id": format!("t{n}"), "sleep": 1, "if": conditions});
    raw["steps"] = (0..20).map(doubting).collect();
    assert_eq!(validate_value(&raw).problems.len(), 201);
    let wide: String = (0..20_000).map(|n| format!("k{n}: 1\n")).collect();
    let raw = read(&format!("name: w\nsteps: [{{id: a, sleep: 1}}]\n{wide}"));
    let problems = validate_value(&raw).problems;
    assert_eq!((problems.len(), problems[0].code.as_str()), (201, "too_many_problems"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn thenas_body_is_refused_at_its_own_places() {
    let at = |place: &str| format!("/workflowDefinition/{place}");
    for (pointer, value, expected, code) in [
        ("/name", json!(" "), "/name".to_owned(), "invalid_name"),
        ("/subType", json!("FLOW"), "/subType".to_owned(), "not_allowed"),
        (
            "/triggerEvent",
            json!({"eventName": "gone"}),
            "/triggerEvent".to_owned(),
            "unknown_event_type",
        ),
        (
            "/filters",
            json!({"a": {"~nope": 1}}),
            "/filters/a/~0nope".to_owned(),
            "unknown_operator",
        ),
        ("/annotations", json!([{"entityType": "Ticket"}]), "/annotations/0".to_owned(), "missing"),
        (
            "/workflowDefinition/0/requireApproval",
            json!("yes"),
            at("0/requireApproval"),
            "wrong_type",
        ),
        ("/workflowDefinition/0/dependencies", json!([20]), at("0/dependencies/0"), "step_order"),
        ("/workflowDefinition/0/dependencies", json!([10]), at("0/dependencies/0"), "step_order"),
        ("/workflowDefinition/0/dependencies", json!([99]), at("0/dependencies/0"), "unknown_step"),
        (
            "/workflowDefinition/0/stepIdentifier",
            json!("x y"),
            at("0/stepIdentifier"),
            "invalid_id",
        ),
        ("/workflowDefinition/0/onFailure", json!("IGNORE"), at("0/onFailure"), "not_allowed"),
        (
            "/workflowDefinition/0/input/priority",
            json!("huge"),
            at("0/input/priority"),
            "invalid_input",
        ),
        (
            "/workflowDefinition/0/retryPolicy/maximumAttempts",
            json!(0),
            at("0/retryPolicy/maximumAttempts"),
            "out_of_range",
        ),
        (
            "/workflowDefinition/0/activity/version",
            json!("1"),
            at("0/activity/version"),
            "wrong_type",
        ),
        (
            "/workflowDefinition/0/compensationActivity/activity",
            json!({}),
            at("0/compensationActivity/activity"),
            "missing",
        ),
        ("/workflowDefinition/2/activity/version", json!(9), at("2/activity"), "unknown_version"),
        (
            "/workflowDefinition/2/input/text",
            json!("{{context.steps.11.result.id}}"),
            at("2/input/text"),
            "unknown_step",
        ),
        (
            "/workflowDefinition/2/filters",
            json!({"{{context.steps.30.result}}": {"~isnull": true}}),
            at("2/filters/{{context.steps.30.result}}"),
            "step_order",
        ),
    ] {
        let mut body = read(THENA);
        *body.pointer_mut(pointer).expect(pointer) = value;
        let problems = validate_value(&body).problems;
        let found = problems.iter().any(|p| p.pointer == expected && p.code == code);
        assert!(found, "{pointer}: {problems:#?}");
    }
}

#[test]
fn whatever_stands_in_a_place_is_answered_with_places_that_exist() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("{{"),
        json!("{{ steps.x }}"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"a/b": {"~eq": []}}),
    ];
    for text in [CONTRACT, THENA] {
        let whole = read(text);
        for pointer in places(&whole, "") {
            for value in &odd {
                let mut raw = whole.clone();
                *raw.pointer_mut(&pointer).expect("a place of the document") = value.clone();
                let validation = validate_value(&raw);
                for problem in validation.problems.iter().chain(&validation.warnings) {
                    let place = raw.pointer(&problem.pointer);
                    assert!(place.is_some(), "{pointer} = {value}: {problem:?}");
                }
            }
        }
    }
}

fn places(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (pointer_to(at, key), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect()
        }
        _ => Vec::new(), // Nothing lies below a scalar.
    };
    let inner = below.iter().flat_map(|(at, value)| places(value, at));
    std::iter::once(at.to_owned()).chain(inner).collect()
}
