//! Failures that wait for somebody, steps that follow a failure, undos that are tried again.

use serde_json::{Value, json};

use super::story::Story;
use super::*;
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{InDoubt, OnFailure, RetryOn};

fn stuck(plan: &str) -> Story {
    let mut story = Story::begin(plan);
    story.workflow.steps[1].on_failure = OnFailure::Pause;
    story.remake();
    story
}

#[test]
fn a_stuck_step_goes_on_as_somebody_says() {
    for (resolution, log, status) in [
        (Resolution::Skip, "a b tell b c", Status::Succeeded),
        (
            Resolution::Complete { output: json!({ "by": "hand" }), undo: Value::Null },
            "a b tell b c",
            Status::Succeeded,
        ),
        (Resolution::Fail, "a b tell b undo a", Status::Failed),
    ] {
        let mut story = stuck("a b! c");
        story.resolution = resolution.clone();
        story.play();
        assert_eq!(story.log.join(" "), log, "{resolution:?}");
        assert_eq!(story.run.status(), status, "{resolution:?}");
    }
}

#[test]
fn a_stuck_run_says_so_and_its_time_stands_still() {
    let mut story = stuck("a b! c");
    story.workflow.timeout = Some(std::time::Duration::from_secs(60));
    story.remake();
    while story.run.incidents().next().is_none() {
        story.step();
    }
    let waiting = story.run.waiting_for().expect("it waits");
    assert_eq!((waiting.kind, waiting.code.as_deref()), (WaitKind::Incident, Some("refused")));
    assert_eq!(story.run.status(), Status::Waiting);
    assert_eq!(story.run.deadline(), None);
    story.now = story.now + std::time::Duration::from_secs(3_600);
    story.step();
    assert!(story.run.deadline().is_some_and(|at| at > story.now), "{:?}", story.run.deadline());
}

#[test]
fn a_step_that_is_tried_again_keeps_its_input_unless_it_is_replaced() {
    for (given, input) in [(None, json!({})), (Some(json!({ "n": 2 })), json!({ "n": 2 }))] {
        let mut story = stuck("a b! c");
        story.resolution = Resolution::Retry { input: given };
        while story.run.incidents().next().is_none() {
            story.step();
        }
        story.mend();
        story.play();
        assert_eq!(story.run.status(), Status::Succeeded);
        assert_eq!(*story.run.input("b"), input);
        assert_eq!(story.run.step("b").map(|step| step.attempts.len()), Some(2));
        assert_eq!(story.run.idempotency_key("b"), format!("{}/b", story.run.id));
    }
}

#[test]
fn what_was_rejected_is_not_tried_again_without_another_approval() {
    let mut story = Story::begin("b c!");
    story.workflow = restore(&json!({
        "name": "w",
        "steps": [{ "id": "b", "activity": "act", "input": {}, "onFailure": "pause",
                    "compensate": { "activity": "undo", "input": {} },
                    "approval": { "approvers": ["role:lead"] } },
                  { "id": "c", "activity": "act", "input": {}, "onFailure": "abort" }],
    }))
    .expect("a definition");
    story.remake();
    let (by, comment) = ("ada".to_owned(), String::new());
    let decided = |decision| Input::Decided {
        step: "b".into(),
        decision,
        by: by.clone(),
        comment: comment.clone(),
    };
    let resolved = |resolution| {
        let (by, comment) = (by.clone(), comment.clone());
        Input::Resolved { step: "b".into(), resolution, by, comment }
    };
    story.send(Input::Start);
    story.send(decided(Decision::Approved));
    for step in ["b", "c"] {
        let ended = story.execute(step.into(), 1);
        story.send(ended);
    }
    let from = Some("b".to_owned()); // What it has done stands, and it runs again.
    story.send(Input::Retry { by: by.clone(), from, input: None, version: None });
    story.send(Input::Start);
    story.send(decided(Decision::Rejected));
    story.send(resolved(Resolution::Retry { input: None }));
    assert_eq!(story.run.waiting_for().map(|it| it.kind), Some(WaitKind::Approval));
}

#[test]
fn a_doubt_is_asked_about_before_it_is_repeated() {
    let mut story = Story::begin("a b? c");
    story.workflow.steps[1].in_doubt = Some(InDoubt::Ask);
    story.remake();
    story.resolution = Resolution::Fail;
    story.play();
    assert_eq!(story.log.join(" "), "a b tell b undo b undo a", "it may have acted");
    assert_eq!(story.run.error.as_ref().map(|error| error.code.as_str()), Some("timeout"));
}

#[test]
fn only_named_failures_are_tried_again() {
    for (on, attempts) in [("busy", 2), ("timeout", 1)] {
        let mut story = Story::begin("a~");
        story.workflow.steps[0].retry.on = vec![RetryOn::Code(on.into())];
        story.remake();
        story.play();
        assert_eq!(story.run.step("a").map(|step| step.attempts.len()), Some(attempts), "{on}");
    }
}

fn guarded() -> Story {
    let mut story = Story::begin("a b! t u");
    let undo = json!({ "activity": "undo", "input": {} });
    let act = |id: &str| json!({ "id": id, "activity": "act", "input": {}, "compensate": undo });
    story.workflow = restore(&json!({
        "name": "w", "steps": [act("a"), act("b")], "onFailure": [act("t"), act("u")],
    }))
    .expect("a definition");
    story.remake();
    story
}

#[test]
fn what_follows_a_failure_comes_after_the_undo_and_changes_nothing() {
    for (mark, log) in [("", "a b undo a t u"), ("!", "a b undo a t")] {
        let mut story = guarded();
        mark.clone_into(&mut story.marks[2]);
        story.play();
        assert_eq!(story.log.join(" "), log);
        assert_eq!(
            (story.run.status(), story.run.compensation),
            (Status::Failed, Compensation::Done)
        );
        assert_eq!(story.run.error.as_ref().and_then(|it| it.step.as_deref()), Some("b"));
        let head = story.run.head();
        assert_eq!((head.steps_done, head.steps_total), (1, 2));
        assert_eq!(head.current_step.as_deref(), Some("a"), "where the undoing ended");
    }
}

#[test]
fn another_failure_is_told_to_the_outside_anew() {
    let mut story = guarded();
    story.play();
    let first = story.run.idempotency_key("t");
    story.send(Input::Retry { by: "ada".into(), from: None, input: None, version: None });
    story.play();
    assert_ne!(story.run.idempotency_key("t"), first);
    assert_eq!(story.log.join(" "), "a b undo a t u a b undo a t u");
}

#[test]
fn a_run_that_is_cancelled_or_succeeds_is_followed_by_nothing() {
    let mut story = guarded();
    story.mend();
    story.play();
    assert_eq!(story.log.join(" "), "a b");
    let mut story = guarded();
    story.send(Input::Start);
    story.send(Input::Cancel { by: "ada".into(), compensate: true });
    story.play();
    assert_eq!(story.run.status(), Status::Cancelled);
    assert!(!story.log.contains(&"t".to_owned()));
}

#[test]
fn what_was_left_is_undone_later_and_nothing_else() {
    let mut story = Story::of("a b% c- d! ");
    assert_eq!(story.run.compensation, Compensation::Incomplete);
    assert_eq!(story.run.left_to_undo(&story.workflow), ["b"]);
    let error = story.run.error.clone();
    story.mend();
    story.log.clear();
    story.send(Input::UndoLeft { by: "ada".into() });
    assert_eq!(story.run.status(), Status::Compensating);
    story.play();
    assert_eq!(story.log, ["undo b"]);
    assert_eq!((story.run.status(), story.run.compensation), (Status::Failed, Compensation::Done));
    assert_eq!(story.run.error, error);
    assert!(story.send(Input::UndoLeft { by: "ada".into() }).is_empty());
}
