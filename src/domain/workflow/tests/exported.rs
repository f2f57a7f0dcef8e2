//! What is written back reads back as the same workflow.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CONTRACT, THENA, catalogue, checked, read, validate_value};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::domain::workflow::export::{ThenaMeta, to_native, to_thena, to_yaml};
use crate::domain::workflow::parse::restore;

fn workflow(text: &str) -> Workflow {
    checked(text).workflow.expect(text)
}

pub(super) fn meta() -> ThenaMeta {
    ThenaMeta {
        uid: "V1".to_owned(),
        unique_identifier: "W1".to_owned(),
        version: 2,
        is_active: true,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(1),
        created_by: "U1".to_owned(),
        trigger_event: json!("ticket:escalated"),
    }
}

#[test]
fn the_canonical_form_reads_back_as_the_same_workflow() {
    for text in [CONTRACT, THENA, "{name: w, steps: [{id: a, sleep: 1.5}]}"] {
        let before = workflow(text);
        let native = to_native(&before);
        let after = validate_value(&native);
        assert_eq!(after.problems, [], "{native:#}");
        assert_eq!(after.workflow.as_ref(), Some(&before), "{native:#}");
        assert_eq!(restore(&native).as_ref(), Ok(&before), "{native:#}");
        let yaml = parse_text(&to_yaml(&before), Format::Yaml, TextLimits::default());
        assert_eq!(yaml, Ok(native));
    }
}

#[test]
fn a_stored_definition_outlives_its_activities_and_event_types() {
    let stored = json!({"name": "w", "trigger": {"event": "gone:away"}, "steps": [
        {"id": "a", "activity": "gone.activity@4", "input": {"x": 1}, "timeout": "7s",
         "retry": {"attempts": 2, "initial": "1s", "factor": 3, "max": "9s", "jitter": true},
         "compensate": "auto"}]});
    let workflow = restore(&stored).expect("what was saved");
    assert_eq!(restore(&to_native(&workflow)), Ok(workflow));
}

#[test]
fn the_canonical_form_is_spelled_as_documented() {
    let native = to_native(&workflow(CONTRACT));
    assert_eq!(
        native["steps"][2],
        json!({
            "id": "raise", "title": "Raise it", "activity": "tickets:update-ticket-platform@3",
            "input": {"id": "{{trigger.payload.ticket.id}}", "priorityName": "urgent"},
            "if": {"steps.find.output.total": {"~gt": 0}},
            "retry": {"attempts": 3, "initial": "1s", "factor": 2, "max": "1m", "jitter": true},
            "timeout": "30s", "onFailure": "compensate", "compensate": "auto",
        })
    );
    assert_eq!(
        native["steps"][1],
        json!({"id": "pause", "sleep": "4h", "onFailure": "compensate"})
    );
    assert_eq!(native["timeout"], "1h");
}

#[test]
fn thenas_body_comes_back_with_every_field() {
    let body = read(THENA);
    let answer = to_thena(&workflow(THENA), &meta(), &catalogue()).expect("all is Thena's own");
    assert_kept(&body, &answer, "");
    assert_eq!((&answer["uid"], &answer["version"]), (&json!("V1"), &json!(2)));
    assert_eq!(answer["createdAt"], "1970-01-01T00:00:00.000Z");
}

/// Asserts that all of `given` is in `answer`, except for what says nothing.
fn assert_kept(given: &Value, answer: &Value, at: &str) {
    match (given, answer) {
        (Value::Object(given), Value::Object(answer)) => {
            for (key, value) in given {
                let found = answer.get(key).unwrap_or(&Value::Null);
                assert_kept(value, found, &format!("{at}/{key}"));
            }
        }
        (Value::Array(given), Value::Array(answer)) => {
            assert_eq!(given.len(), answer.len(), "{at}");
            for (index, (given, answer)) in given.iter().zip(answer).enumerate() {
                assert_kept(given, answer, &format!("{at}/{index}"));
            }
        }
        // The suffix names an installation, which this product resolves.
        (Value::String(given), Value::String(answer)) if given.starts_with("slack.") => {
            assert!(given.starts_with(answer.as_str()), "{at}");
        }
        _ => assert_eq!(given, answer, "{at}"),
    }
}

#[test]
fn what_thena_cannot_say_is_refused() {
    let places = |text: &str| -> Vec<String> {
        let problems = to_thena(&workflow(text), &meta(), &catalogue()).expect_err(text);
        assert!(problems.iter().all(|problem| problem.code == "not_in_thena"));
        problems.into_iter().map(|problem| problem.pointer).collect()
    };
    assert_eq!(places("{name: w, steps: [{id: a, sleep: 1}]}"), [""]);
    assert_eq!(
        places(CONTRACT),
        [
            "/concurrency",
            "/timeout",
            "/steps/2/if",
            "/steps/2/retry/jitter",
            "/steps/3/compensate/input",
        ]
    );
    let keep = "{name: w, on: 'ticket:created', steps: [{id: a, activity: 'tickets:update-ticket-platform', input: {id: x}, compensate: none}]}";
    assert_eq!(places(keep), ["/steps/0/compensate"]);
}

#[test]
fn steps_without_numbers_are_numbered() {
    let text = "{name: w, on: 'ticket:created', steps: [{id: a, sleep: 1}, {id: step_1, sleep: 1}, {id: b, sleep: 1}]}";
    let answer = to_thena(&workflow(text), &meta(), &catalogue()).expect("plain steps");
    let numbers: Vec<&Value> = answer["workflowDefinition"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| &step["stepIdentifier"])
        .collect();
    assert_eq!(numbers, [2, 1, 3]);
}

fn any_step() -> impl Strategy<Value = Value> {
    let action = prop_oneof![
        (1u32..1_000_000).prop_map(|ms| json!({"sleep": format!("{ms}ms")})),
        "(\\PC|[\n\t\r:#'\"\\-]){0,12}".prop_map(|text| {
            json!({"activity": "http.request", "input": {"text": text.replace('{', "(")}})
        }),
        Just(json!({"activity": "tickets:update-ticket-platform", "input": {"id": "x"}})),
    ];
    let retry = prop::option::of((1u32..=100, 0u32..100_000, 1.0f64..=100.0, any::<bool>()));
    let undo = prop::option::of(Just(json!({"activity": "http.request@2", "input": {}})));
    let on_failure = prop::sample::select(vec!["compensate", "ABORT", "continue"]);
    (action, retry, undo, on_failure, 1u32..86_400_000).prop_map(
        |(mut step, retry, undo, on_failure, timeout)| {
            if let Some((attempts, initial, factor, jitter)) = retry {
                step["retry"] = json!({"attempts": attempts, "factor": factor,
                    "initial": format!("{initial}ms"), "jitter": jitter});
            }
            step["compensate"] = json!(undo);
            step["onFailure"] = json!(on_failure);
            step["timeout"] = json!(format!("{timeout}ms"));
            step
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_workflow_reads_back(
        steps in prop::collection::vec(any_step(), 1..6),
        title in "\\PC{0,20}",
        timeout in prop::option::of(1u64..1_000_000_000),
    ) {
        let mut raw = json!({"name": "w", "title": title, "on": "ticket:created", "steps": steps});
        for (index, step) in raw["steps"].as_array_mut().expect("a list").iter_mut().enumerate() {
            step["id"] = json!(format!("s{index}"));
        }
        raw["timeout"] = json!(timeout.map(|ms| format!("{ms}ms")));
        let before = validate_value(&raw);
        prop_assert_eq!(&before.problems, &vec![]);
        let before = before.workflow.expect("no problems");
        prop_assert_eq!(restore(&to_native(&before)), Ok(before.clone()));
        let yaml = parse_text(&to_yaml(&before), Format::Yaml, TextLimits::default());
        prop_assert_eq!(yaml, Ok(to_native(&before)));
    }
}
