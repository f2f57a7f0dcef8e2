//! What a definition says of failures: which are tried again, who is asked, what follows.

use super::exported::meta;
use super::{catalogue, checked};
use crate::domain::workflow::export::{to_native, to_thena};
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{InDoubt, OnFailure, RetryOn};

const GUARDED: &str = r#"
name: guarded
trigger: ticket:escalated
steps:
  - id: notify
    activity: slack.postMessage
    input: { channel: "C1", text: "up" }
    retry: { attempts: 5, on: [timeout, "http:5xx", "http:429", connection_lost, "code:quota"] }
    onFailure: pause
    compensate:
      activity: slack.updateMessage
      input: { channel: "C1", text: "down", ts: "{{ steps.notify.output.ts }}" }
      retry: { attempts: 9, initial: 5s }
      timeout: 9s
onFailure:
  - id: tell
    activity: slack.postMessage
    input: { channel: "C1", text: "{{ error.message }} {{ steps.notify.output.ts | default('') }}" }
    compensate: none
    dependencies: []
"#;

#[test]
fn what_is_said_of_failures_is_read_and_written_back() {
    let before = checked(GUARDED).workflow.expect("a definition");
    let step = &before.steps[0];
    assert_eq!((step.on_failure, step.in_doubt), (OnFailure::Pause, None));
    assert_eq!(step.retry.on[1], RetryOn::Http { least: 500, most: 599 });
    assert_eq!(before.on_failure[0].id, "tell");
    let native = to_native(&before);
    assert_eq!(restore(&native).as_ref(), Ok(&before), "{native:#}");
    assert_eq!(native["steps"][0]["retry"]["on"][4], "code:quota");
    assert_eq!(native["steps"][0]["compensate"]["timeout"], "9s");
    let problems = to_thena(&before, &meta(), &catalogue()).expect_err("Thena has none of it");
    let at: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    for place in ["/onFailure", "/steps/0/onFailure", "/steps/0/retry/on", "/steps/0/compensate"] {
        assert!(at.contains(&place), "{place} in {at:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let stored = |text: &str| {
        let value = serde_norway::from_str(text).expect("a document");
        restore(&value).map(|workflow| workflow.steps[0].in_doubt)
    };
    let call = "{name: w, steps: [{id: a, activity: some.call, inDoubt: ask}]}";
    assert_eq!(stored(call), Ok(Some(InDoubt::Ask)));
    for (text, pointer, code) in [
        (
            "{name: w, steps: [{id: a, sleep: 1s, inDoubt: ask}]}",
            "/steps/0/inDoubt",
            "not_supported",
        ),
        (
            "{name: w, steps: [{id: a, parallel: [[{id: b, sleep: 1s}]], onFailure: pause}]}",
            "/steps/0/onFailure",
            "not_supported",
        ),
        (
            "{name: w, steps: [{id: a, sleep: 1s, retry: {on: [time_out]}}]}",
            "/steps/0/retry/on/0",
            "unknown_failure",
        ),
        ("{name: w, steps: [{id: a, sleep: 1s, retry: {on: []}}]}", "/steps/0/retry/on", "missing"),
        ("{name: w, steps: [{id: a, sleep: 1s}], onFailure: pause}", "/onFailure", "wrong_type"),
        (
            "{name: w, steps: [{id: a, sleep: 1s}], onFailure: [{id: a, sleep: 1s}]}",
            "/onFailure/0",
            "duplicate_id",
        ),
        (
            "{name: w, steps: [{id: a, sleep: '{{error.code}}'}], onFailure: [{id: b, sleep: 1s}]}",
            "/steps/0",
            "unknown_root",
        ),
        (
            "{name: w, steps: [{id: a, sleep: '{{steps.b.output.x}}'}], onFailure: [{id: b, sleep: 1s}]}",
            "/steps/0",
            "step_order",
        ),
    ] {
        let found = checked(text).problems;
        let told: Vec<_> = found.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect();
        assert!(
            told.iter().any(|(at, what)| at.starts_with(pointer) && *what == code),
            "{text}: {told:?}"
        );
    }
}
