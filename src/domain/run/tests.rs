//! What a run does, told in short plans; `story.rs` says how to read them.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::{Story, call, origin, template, undo};
use super::*;
use crate::domain::workflow::Action;

#[test]
fn finished_steps_are_undone_in_reverse_order() {
    check("a!", &[]);
    check("a b c!", &["undo b", "undo a"]);
    check("a b c", &[]);
    check("a b- c!", &["undo a"]);
    check("a+ b c!", &["undo b", "undo a"]);
    check("a b0 c!", &["undo a"]);
    check("a b!> c!", &["undo a"]);
    check("a zb c!", &["undo a"]);
}

#[test]
fn a_step_that_may_have_acted_is_undone_too() {
    check("a b?", &["undo b", "undo a"]);
    check("a b?> c!", &["undo b", "undo a"]);
    check("a b?- c!", &["undo a"]);
    check("a b?+ c!", &["undo a"]);
}

#[test]
fn an_undo_that_fails_does_not_stop_the_others() {
    check("a b% c!", &["undo b", "undo b", "undo b", "undo a"]);
}

#[test]
fn a_failure_ends_the_run_as_its_step_says() {
    for (plan, status, compensation) in [
        ("a b c", Status::Succeeded, Compensation::None),
        ("a b!> c", Status::Succeeded, Compensation::None),
        ("a b~ c", Status::Succeeded, Compensation::None),
        ("a b!#", Status::Failed, Compensation::None),
        ("a- b!", Status::Failed, Compensation::None),
        ("a b!", Status::Failed, Compensation::Done),
        ("a% b!", Status::Failed, Compensation::Incomplete),
    ] {
        let story = Story::of(plan);
        assert_eq!((story.run.status(), story.run.compensation), (status, compensation), "{plan}");
        assert!(story.run.outstanding().is_empty(), "{plan}");
    }
}

#[test]
fn a_failed_run_says_where_and_why() {
    let story = Story::of("a b?");
    let error = story.run.error.clone().expect("the run failed");
    assert_eq!((error.step.as_deref(), error.code.as_str()), (Some("b"), "timeout"));
    assert!(error.in_doubt);
    assert_eq!(story.run.head().attempts, 4);
}

#[test]
fn a_skipped_step_keeps_the_reason_and_an_empty_output() {
    let story = Story::of("a0 b");
    assert_eq!(story.log, ["b"]);
    assert!(story.run.steps[0].trace.is_some());
    assert_eq!(story.run.output("a"), &json!({}));
    assert_eq!(story.run.scope.root()["steps"]["a"]["status"], "skipped");
}

#[test]
fn a_step_that_failed_under_continue_shows_its_error() {
    let story = Story::of("a!> b");
    let shown = &story.run.scope.root()["steps"]["a"];
    assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("failed"), &json!("refused")));
    assert_eq!(shown["output"], json!({}));
}

#[test]
fn a_sleeping_run_says_until_when() {
    let mut story = Story::begin("za b");
    story.send(Input::Start);
    let until = story.now + Duration::from_secs(3_600);
    let waiting = WaitingFor::of(WaitKind::Sleep, Some(until), Some("a".into()));
    assert_eq!((story.run.status(), story.run.waiting_for()), (Status::Waiting, Some(waiting)));
}

#[test]
fn a_pause_is_read_from_what_people_write() {
    for (pause, seconds) in [
        (json!(90), Some(90)),
        (json!("4h"), Some(14_400)),
        (json!("1970-01-01T00:30:00Z"), Some(800)),
        (json!("1970-01-01T00:00:00Z"), None),
        (json!(0), None),
    ] {
        let mut story = Story::begin("za");
        story.workflow.steps[0].action = Action::Sleep { duration: template(&pause) };
        story.send(Input::Start);
        let until = story.run.waiting_for().and_then(|waiting| waiting.until);
        assert_eq!(until, seconds.map(|s| story.now + Duration::from_secs(s)), "{pause}");
    }
    for pause in [json!("soon"), json!(-1), json!(null), json!("40000d")] {
        let mut story = Story::begin("za");
        story.workflow.steps[0].action = Action::Sleep { duration: template(&pause) };
        story.send(Input::Start);
        let error = story.run.error.expect("the pause is refused");
        assert_eq!(error.code, "invalid_duration", "{pause}");
    }
}

#[test]
fn a_missing_path_fails_the_step_before_any_call() {
    let mut story = Story::begin("a b");
    let input = template(&json!({ "id": "{{steps.a.output.nothing}}" }));
    story.workflow.steps[1].action = call(input);
    story.play();
    assert_eq!(story.log, ["a", "undo a"]);
    let error = story.run.error.expect("the run failed");
    assert_eq!((error.step.as_deref(), error.code.as_str()), (Some("b"), "path_missing"));
}

#[test]
fn a_compensation_sees_the_output_of_its_step_and_the_error() {
    let mut story = Story::begin("a b!");
    let input = json!({ "made": "{{steps.a.output.by}}", "why": "{{error.code}}" });
    story.workflow.steps[0].compensate = undo(template(&input));
    story.play();
    assert_eq!(story.run.steps[0].compensation.input, json!({ "made": "a", "why": "refused" }));
    assert!(story.run.scope.root().get("error").is_none());
}

#[test]
fn a_compensation_without_a_value_is_abandoned_and_the_others_go_on() {
    let mut story = Story::begin("a b c!");
    story.workflow.steps[1].compensate = undo(template(&json!("{{steps.b.output.nothing}}")));
    story.play();
    assert_eq!(story.undos(), ["undo a"]);
    assert_eq!(story.run.compensation, Compensation::Incomplete);
}

#[test]
fn a_cancelled_run_awaits_the_attempt_in_flight() {
    let mut story = Story::begin("a b c");
    story.send(Input::Start);
    story.step();
    story.send(cancel(true));
    assert_eq!(story.run.status(), Status::Running);
    story.play();
    assert_eq!(story.log, ["a", "b", "undo b", "undo a"]);
    assert_eq!(story.run.status(), Status::Cancelled);
}

#[test]
fn cancelling_works_at_once_while_a_run_waits() {
    for (plan, steps, compensate, undos) in [
        ("a zb c", 1, true, &["undo a"][..]),
        ("a zb c", 1, false, &[]),
        ("a b~ c", 2, true, &["undo a"]),
        ("a b", 0, true, &[]),
    ] {
        let mut story = Story::begin(plan);
        if steps > 0 {
            story.send(Input::Start);
        }
        for _ in 0..steps {
            story.step();
        }
        story.send(cancel(compensate));
        story.play();
        assert_eq!(story.undos(), undos, "{plan}");
        assert_eq!(story.run.status(), Status::Cancelled, "{plan}");
        assert!(story.send(cancel(compensate)).is_empty(), "{plan}");
    }
}

#[test]
fn cancelling_does_not_stop_an_undo() {
    let mut story = Story::begin("a b c!");
    story.send(Input::Start);
    for _ in 0..3 {
        story.step();
    }
    assert_eq!(story.run.status(), Status::Compensating);
    assert_eq!(story.send(cancel(false)).len(), 1);
    story.play();
    assert_eq!(story.undos(), ["undo b", "undo a"]);
    assert_eq!(story.run.status(), Status::Failed);
}

#[test]
fn a_run_that_takes_too_long_fails_with_timeout_and_is_undone() {
    let mut story = Story::begin("a zb c");
    story.workflow.timeout = Some(Duration::from_secs(60));
    story.remake();
    story.play();
    assert_eq!(story.log, ["a", "undo a"]);
    assert_eq!(story.run.status(), Status::Failed);
    assert_eq!(story.run.error.expect("the run failed").code, "timeout");
    assert_eq!(story.run.steps[1].status, StepStatus::Cancelled);
}

#[test]
fn a_retried_run_goes_on_from_the_earliest_step_that_has_to_run() {
    for (plan, from) in [("a b!# c", "b"), ("a b- c!", "a"), ("a- b c!", "b"), ("a% b- c!", "c")] {
        let mut story = Story::of(plan);
        story.mend();
        story.log.clear();
        story.send(retry(None));
        assert_eq!(story.run.status(), Status::Queued, "{plan}");
        story.play();
        assert_eq!(story.log.first().map(String::as_str), Some(from), "{plan}");
        assert_eq!(story.run.status(), Status::Succeeded, "{plan}");
        assert_eq!(story.run.compensation, Compensation::None, "{plan}");
    }
}

#[test]
fn a_retry_that_cannot_be_is_refused_with_a_reason() {
    for (plan, from, code) in [
        ("a b", None, "not_retryable"),
        ("a b!# c", Some("c"), "step_too_late"),
        ("a b!# c", Some("bb"), "unknown_step"),
    ] {
        let mut story = Story::of(plan);
        let refusal = retry_refusal(&story.workflow, &story.run, from).expect("it is refused");
        assert_eq!(refusal.code, code, "{plan}");
        assert!(story.send(retry(from)).is_empty(), "{plan}");
    }
    let story = Story::of("a b!#");
    let other = Story::begin("b c").workflow;
    let refusal = retry_refusal(&other, &story.run, None).expect("the effects of a stand");
    assert_eq!((refusal.code.as_str(), refusal.pointer.as_str()), ("step_removed", "/version"));
}

#[test]
fn a_retry_may_replace_the_input_and_keeps_counting_attempts() {
    let mut story = Story::of("a b!# c");
    story.mend();
    let input = Some(json!({ "better": true }));
    story.send(Input::Retry { by: "ada".into(), from: None, input, version: None });
    story.send(Input::Start);
    assert_eq!(story.run.input("b"), &json!({ "better": true }));
    let owed = Effect::Execute { step: "b".into(), attempt: 2 };
    assert!(story.run.outstanding().contains(&owed));
}

#[test]
fn a_repeated_attempt_takes_the_input_of_the_one_before() {
    let mut story = Story::begin("a~ b% c!");
    story.workflow.steps[0].action = call(template(&json!({ "n": 1 })));
    story.workflow.steps[1].compensate = undo(template(&json!({ "n": 2 })));
    story.play();
    let attempts = |step: usize| story.run.steps[step].attempts.len();
    assert_eq!((attempts(0), story.run.input("a")), (2, &json!({ "n": 1 })));
    let undone = &story.run.steps[1].compensation;
    assert_eq!((undone.attempts.len(), &undone.input), (3, &json!({ "n": 2 })));
}

#[test]
fn a_run_retried_with_another_version_follows_that_version() {
    let mut story = Story::of("a b!#");
    story.workflow = Story::begin("a n b c").workflow;
    story.marks = vec![String::new(); 4];
    story.log.clear();
    story.send(Input::Retry { by: "ada".into(), from: None, input: None, version: Some(2) });
    story.play();
    assert_eq!(story.log, ["n", "b", "c"]);
    assert_eq!((story.run.version, story.run.status()), (2, Status::Succeeded));
    let again = Run::replay(&story.workflow, origin(), &story.journal);
    assert_eq!(again, story.run);
}

#[test]
fn the_outside_recognises_a_repeated_call_until_it_was_undone() {
    let mut story = Story::of("a b!");
    let first = format!("{}/b", story.run.id);
    assert_eq!(story.run.idempotency_key("b"), first);
    story.mend();
    story.send(retry(None));
    assert_eq!(story.run.idempotency_key("a"), format!("{}/a/2", story.run.id));
    assert_eq!(story.run.idempotency_key("b"), first);
}

#[test]
fn a_pause_is_as_long_as_the_other_side_asks() {
    let mut story = Story::begin("a~");
    story.send(Input::Start);
    let failure = Failure::retryable("busy", "later").with_retry_after(Duration::from_secs(30));
    story.send(Input::Failed { step: "a".into(), attempt: 1, failure });
    let until = story.run.waiting_for().and_then(|waiting| waiting.until);
    assert_eq!(until, Some(story.now + Duration::from_secs(30)));
}

#[test]
fn late_duplicate_and_foreign_inputs_change_nothing() {
    let mut story = Story::begin("a b");
    story.send(Input::Start);
    let done = |step: &str, attempt| Input::Completed {
        step: step.into(),
        attempt,
        output: json!({}),
        undo: Value::Null,
    };
    let timer = Timer::Retry { step: "a".into(), attempt: 2 };
    for input in [
        Input::Start,
        done("b", 1),
        done("a", 2),
        done("x", 1),
        Input::TimerFired { at: story.now, timer },
        Input::TimerFired { at: story.now, timer: Timer::Deadline },
        Input::Undone { step: "a".into(), attempt: 1, output: Value::Null },
        retry(None),
    ] {
        assert_eq!(decide(&story.workflow, &story.run, input.clone(), story.now), [], "{input:?}");
    }
}

#[test]
fn the_journal_reads_as_a_story() {
    let story = Story::of("a b!");
    let names: Vec<String> = story
        .journal
        .iter()
        .map(|record| json!(record)["entry"].as_str().unwrap().to_owned())
        .collect();
    let expected = "created started stepScheduled stepSucceeded stepScheduled stepFailed \
                    unwinding undoScheduled undoSucceeded finished";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn every_status_has_its_names() {
    for status in Status::ALL {
        assert_eq!(json!(status), status.as_str());
        assert_eq!(Status::parse(status.as_str()), Some(status));
        assert!(!status.thena().is_empty());
    }
}

#[test]
fn a_head_reads_back() {
    for plan in ["a b", "a b?", "a0 zb"] {
        let head = Story::of(plan).run.head();
        let bytes = serde_json::to_vec(&head).unwrap();
        assert_eq!(serde_json::from_slice::<RunHead>(&bytes).unwrap(), head);
    }
}

fn check(plan: &str, undos: &[&str]) {
    assert_eq!(Story::of(plan).undos(), undos, "{plan}");
}

fn cancel(compensate: bool) -> Input {
    Input::Cancel { by: "ada".into(), compensate }
}

fn retry(from: Option<&str>) -> Input {
    Input::Retry { by: "ada".into(), from: from.map(str::to_owned), input: None, version: None }
}
