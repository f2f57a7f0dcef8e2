//! Test cases of definitions: read, refused, written back.

use serde_json::{Value, json};

use super::validate_value;
use crate::domain::run::Decision;
use crate::domain::workflow::cases::{CaseEvent, Mock, read_mocks};
use crate::domain::workflow::export::to_native;
use crate::domain::workflow::parse::restore;

fn with_tests(tests: &Value) -> Value {
    json!({"name": "w", "trigger": {"event": "ticket:created"},
        "steps": [{"id": "a", "sleep": "1h"}, {"id": "b", "sleep": "1h"}], "tests": tests})
}

#[test]
fn a_test_case_reads_back_as_it_was_written() {
    let tests = json!([{
        "name": "all of it",
        "event": {"type": "ticket.created", "subject": "T1", "time": "2026-11-23T10:00:00.000Z",
            "payload": {"ticket": {"id": "T1"}}},
        "mocks": {
            "a": {"output": {"id": 1}},
            "b": {"error": {"code": "busy", "message": "later", "class": "retryable"}},
        },
        "expect": {"matches": true, "status": "failed", "undone": ["a"],
            "steps": {"b": {"status": "failed", "input": {"x": 1}, "output": null}}},
    }, {"name": "by id", "eventId": "evt_1"}, {"name": "nothing said"}]);
    let checked = validate_value(&with_tests(&tests));
    assert_eq!(checked.problems, []);
    let workflow = checked.workflow.expect("it is valid");
    let CaseEvent::Given { kind, time, .. } = &workflow.tests[0].event else { panic!("given") };
    assert_eq!((kind.as_deref(), time.is_some()), (Some("ticket:created"), true));
    assert_eq!(workflow.tests[1].event, CaseEvent::Stored("evt_1".to_owned()));
    let native = to_native(&workflow);
    assert_eq!(native["tests"], tests);
    assert_eq!(restore(&native).as_ref(), Ok(&workflow));
}

#[test]
fn what_is_wrong_with_a_test_case_is_told_with_its_place() {
    for (case, expected) in [
        (json!({}), "missing /tests/0"),
        (json!({"name": "x", "mocks": {"c": {"output": 1}}}), "unknown_step /tests/0/mocks/c"),
        (json!({"name": "x", "mocks": {"a": {}}}), "ambiguous /tests/0/mocks/a"),
        (json!({"name": "x", "mocks": {"a": "recorded"}}), "not_allowed /tests/0/mocks/a"),
        (
            json!({"name": "x", "mocks": {"a": {"outptu": 1}}}),
            "unknown_key /tests/0/mocks/a/outptu",
        ),
        (
            json!({"name": "x", "mocks": {"a": {"error": {"class": "odd"}}}}),
            "not_allowed /tests/0/mocks/a/error/class",
        ),
        (json!({"name": "x", "expect": {"status": "done"}}), "not_allowed /tests/0/expect/status"),
        (
            json!({"name": "x", "expect": {"steps": {"z": {}}}}),
            "unknown_step /tests/0/expect/steps/z",
        ),
        (json!({"name": "x", "event": {}, "eventId": "e"}), "ambiguous /tests/0/eventId"),
        (json!({"name": "x", "event": {"time": "noon"}}), "invalid_time /tests/0/event/time"),
    ] {
        let problems = validate_value(&with_tests(&json!([case]))).problems;
        let told: Vec<String> =
            problems.iter().map(|it| format!("{} {}", it.code, it.pointer)).collect();
        assert_eq!(told, [expected], "{case}");
    }
    let many: Value = (0..51).map(|number| json!({"name": format!("t{number}")})).collect();
    let problems = validate_value(&with_tests(&many)).problems;
    assert_eq!(problems[0].code, "too_many_tests");
    let twice = json!([{"name": "x"}, {"name": "x"}]);
    let problems = validate_value(&with_tests(&twice)).problems;
    assert_eq!(problems[0].pointer, "/tests/1/name");
}

#[test]
fn a_request_may_ask_for_what_was_recorded() {
    let raw =
        json!({"a": "recorded", "b": {"decision": "rejected", "by": "ada"}, "c": {"event": null}});
    let mocks = read_mocks(&raw, "/mocks").expect("they are valid");
    assert_eq!((&mocks["a"], &mocks["c"]), (&Mock::Recorded, &Mock::NoEvent));
    let rejected =
        Mock::Decided { decision: Decision::Rejected, by: "ada".into(), comment: String::new() };
    assert_eq!(mocks["b"], rejected);
    let problems = read_mocks(&json!({"a": 1}), "/mocks").expect_err("it is no object");
    assert_eq!(problems[0].pointer, "/mocks/a");
}
