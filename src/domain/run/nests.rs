//! What runs with steps inside steps do, and that journals of earlier builds still tell the same.

use serde_json::{Value, json};

use super::story::{Story, origin};
use super::*;
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{OnFailure, Workflow};

fn plan(steps: Value) -> Workflow {
    restore(&json!({ "name": "w", "steps": steps })).expect("a definition")
}

fn act(id: &str) -> Value {
    json!({ "id": id, "activity": "act", "input": {},
            "compensate": { "activity": "undo", "input": { "why": "{{error.code}}" } } })
}

/// Plays a definition; `marks` names the steps that misbehave, as in the plans of stories.
fn play(steps: Value, marks: &[(&str, &str)]) -> Story {
    let mut story = Story::begin("a");
    story.workflow = plan(steps);
    let all = story.workflow.all_steps();
    let mark = |id: &str| marks.iter().find(|(it, _)| *it == id).map_or("", |(_, mark)| *mark);
    story.marks = all.iter().map(|step| mark(&step.id).to_owned()).collect();
    story.remake();
    story.play();
    story
}

#[test]
fn the_items_of_a_loop_are_undone_in_reverse_order() {
    let steps = json!([
        { "id": "loop", "forEach": { "items": [1, 2], "steps": [act("a")] } },
        act("last"),
    ]);
    let story = play(steps, &[("last", "!")]);
    assert_eq!(story.log, ["loop[0].a", "loop[1].a", "last", "undo loop[1].a", "undo loop[0].a"]);
    assert_eq!(story.run.compensation, Compensation::Done);
}

#[test]
fn a_compensation_sees_the_item_of_its_step() {
    let mut call = act("a");
    call["compensate"]["input"] = json!({ "n": "{{item}}", "by": "{{steps.a.output.by}}" });
    let steps = json!([
        { "id": "loop", "forEach": { "items": [7], "steps": [call] } },
        act("last"),
    ]);
    let story = play(steps, &[("last", "!")]);
    let state = story.run.step("loop[0].a").expect("it ran");
    assert_eq!(state.compensation.input, json!({ "n": 7, "by": "loop[0].a" }));
    assert!(story.run.scope.root().get("item").is_none(), "what loops bind goes out of sight");
}

#[test]
fn a_failure_that_a_group_takes_undoes_the_group_alone() {
    let steps = json!([
        act("first"),
        { "id": "loop", "onFailure": "continue",
          "forEach": { "items": [1], "steps": [act("a"), act("b")] } },
        act("last"),
    ]);
    let story = play(steps, &[("b", "!")]);
    assert_eq!(story.log, ["first", "loop[0].a", "loop[0].b", "undo loop[0].a", "last"]);
    assert_eq!(story.run.status(), Status::Succeeded);
    let undo = &story.run.step("loop[0].a").expect("it ran").compensation;
    assert_eq!(undo.input, json!({ "why": "refused" }));
    assert!(story.run.scope.root().get("error").is_none());
}

#[test]
fn a_retry_goes_on_inside_of_groups() {
    let steps = |policy: &str| {
        let mut b = act("b");
        b["onFailure"] = json!(policy);
        json!([
            act("first"),
            { "id": "both", "parallel": [[act("a")], [b, act("c")]] },
        ])
    };
    let mut story = play(steps("abort"), &[("b", "!")]);
    assert_eq!(story.run.error.as_ref().and_then(|it| it.step.as_deref()), Some("b"));
    story.mend();
    story.log.clear();
    story.send(Input::Retry { by: "ada".into(), from: None, input: None, version: None });
    story.play();
    assert_eq!(story.log, ["b", "c"], "what stands is not done again");
    assert_eq!(story.run.status(), Status::Succeeded);

    let mut story = play(steps("compensate"), &[("b", "!")]);
    story.mend();
    story.log.clear();
    story.send(Input::Retry { by: "ada".into(), from: None, input: None, version: None });
    story.play();
    assert_eq!(story.log, ["first", "a", "b", "c"], "what was undone is done again");
}

#[test]
fn a_run_that_succeeded_is_undone_with_the_one_that_started_it() {
    let mut story = play(json!([act("a"), act("b")]), &[]);
    story.send(Input::UndoAll { by: "run r".into() });
    story.play();
    assert_eq!(story.undos(), ["undo b", "undo a"]);
    assert_eq!(story.run.status(), Status::Cancelled);
    let error = story.run.error.clone().expect("it was undone");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("undone", "undone by run r"));
    assert!(story.send(Input::UndoAll { by: "run r".into() }).is_empty());
}

#[test]
fn a_waiting_run_says_for_whom() {
    let mut story = Story::begin("a");
    story.workflow = plan(json!([
        { "id": "a", "sleep": "1h", "approval": { "approvers": ["role:lead"], "timeout": "2h" } },
    ]));
    story.remake();
    story.send(Input::Start);
    let waiting = story.run.waiting_for().expect("it waits");
    assert_eq!(waiting.kind, WaitKind::Approval);
    assert_eq!(waiting.approvers, ["role:lead"]);
    assert_eq!(story.run.status().thena(), "SUSPENDED");
}

#[test]
fn a_rejection_follows_what_the_step_says_of_failure() {
    for (policy, status) in [("compensate", Status::Failed), ("continue", Status::Succeeded)] {
        let mut gate = act("b");
        gate["approval"] = json!({ "approvers": ["role:lead"] });
        gate["onFailure"] = json!(policy);
        let story = play(json!([act("a"), gate]), &[("b", "!")]);
        assert_eq!(story.run.status(), status);
        assert_eq!(story.log.contains(&"undo a".to_owned()), policy == "compensate");
        let failure = story.run.step("b").and_then(StepState::failure).expect("it failed");
        assert_eq!(failure.code, "rejected");
        let policy = story.workflow.steps[1].on_failure;
        assert_eq!(policy == OnFailure::Continue, status == Status::Succeeded);
    }
}

/// A journal as it was written before steps stood inside steps.
const JOURNAL: &str = r#"[
{"at":1000000,"entry":"created","workflow":"w","version":1,"event":"e1"},
{"at":1000001,"entry":"started"},
{"at":1000001,"entry":"stepScheduled","step":"a","attempt":1,"input":{"n":1}},
{"at":1000002,"entry":"stepSucceeded","step":"a","attempt":1,"output":{"by":"a"},"undo":{"x":1}},
{"at":1000002,"entry":"sleepStarted","step":"nap","until":"1970-01-01T00:16:40.010Z"},
{"at":1000010,"entry":"sleepEnded","step":"nap"},
{"at":1000010,"entry":"stepScheduled","step":"b","attempt":1,"input":{}},
{"at":1000011,"entry":"stepFailed","step":"b","attempt":1,"failure":{"class":"retryable","code":"busy","message":"later"}},
{"at":1000011,"entry":"retryArmed","step":"b","attempt":2,"due":"1970-01-01T00:16:41.011Z"},
{"at":1001011,"entry":"stepScheduled","step":"b","attempt":2},
{"at":1001012,"entry":"stepFailed","step":"b","attempt":2,"failure":{"class":"terminal","code":"no","message":"never"}},
{"at":1001012,"entry":"unwinding","ending":{"reason":"stepFailed","step":"b"}},
{"at":1001012,"entry":"undoScheduled","step":"a","attempt":1,"input":{"why":"no"}},
{"at":1001013,"entry":"undoSucceeded","step":"a","attempt":1},
{"at":1001013,"entry":"finished","outcome":"failed","compensation":"done","error":{"step":"b","code":"no","message":"never"}},
{"at":1002000,"entry":"resumed","from":"a","again":["a","nap","b"],"by":"ada","version":1},
{"at":1002000,"entry":"started"},
{"at":1002000,"entry":"stepScheduled","step":"a","attempt":2,"input":{"n":1}}
]"#;

#[test]
fn a_journal_of_an_earlier_build_is_gone_on_with() {
    let records: Vec<Record> = serde_json::from_str(JOURNAL).expect("records");
    let workflow = plan(json!([act("a"), { "id": "nap", "sleep": "8ms" }, act("b")]));
    let failed = Run::replay(&workflow, origin(), &records[..15]);
    assert_eq!((failed.status(), failed.compensation), (Status::Failed, Compensation::Done));
    assert_eq!(failed.step("nap").map(|step| step.status), Some(StepStatus::Succeeded));
    assert_eq!(failed.step("a").map(|step| step.undone), Some(1));
    let mut run = Run::replay(&workflow, origin(), &records);
    let owed = Effect::Execute { step: "a".into(), attempt: 2 };
    assert_eq!(run.outstanding().into_iter().collect::<Vec<_>>(), [owed]);
    assert_eq!(run.idempotency_key("a"), format!("{}/a/2", run.id));
    let done = Input::Completed {
        step: "a".into(),
        attempt: 2,
        output: json!({ "by": "a" }),
        undo: Value::Null,
    };
    let now = run.updated_at;
    run.advance(&workflow, done, now);
    assert_eq!(run.status(), Status::Waiting);
    assert_eq!(run.head().steps_total, 3);
    let again: Vec<Record> =
        serde_json::from_str(&serde_json::to_string(&records).unwrap()).unwrap();
    assert_eq!(again, records);
}
