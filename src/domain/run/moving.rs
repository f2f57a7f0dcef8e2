//! Runs that are moved to another version, and what a retry would miss.

use serde_json::{Value, json};

use super::story::{Story, call, template};
use super::*;
use crate::domain::workflow::{OnFailure, Step, Workflow};

/// Goes on with a story up to its first sleep.
fn asleep(plan: &str) -> Story {
    let mut story = Story::begin(plan);
    while story.run.status() != Status::Waiting {
        story.step();
    }
    story
}

fn refusals(story: &Story, to: &Workflow) -> Vec<String> {
    let tell =
        |problem: crate::domain::problem::Problem| format!("{} {}", problem.code, problem.pointer);
    migration_refusals(&story.workflow, to, &story.run).into_iter().map(tell).collect()
}

type Edit = fn(&mut Vec<Step>);

#[test]
fn what_is_ahead_may_differ_and_what_has_begun_may_not() {
    let cases: [(Edit, &[&str]); 9] = [
        (|_| {}, &[]),
        (|steps| steps[2].action = call(template(&json!({ "n": 2 }))), &[]),
        (|steps| drop(steps.remove(2)), &[]),
        (|steps| steps[0].title = "Another".into(), &[]),
        (
            |steps| steps[0].action = call(template(&json!({ "n": 2 }))),
            &["step_changed /steps/0/input"],
        ),
        (|steps| steps[1].on_failure = OnFailure::Abort, &["step_changed /steps/1/onFailure"]),
        (|steps| drop(steps.remove(0)), &["step_removed /steps/0", "step_order /steps"]),
        (|steps| steps.swap(0, 1), &["step_order /steps"]),
        (
            |steps| {
                let new = Step { id: "n".into(), ..steps[2].clone() };
                steps.insert(1, new);
            },
            &["step_before_begun /steps/1"],
        ),
    ];
    for (number, (edit, expected)) in cases.into_iter().enumerate() {
        let story = asleep("a zb c");
        let mut to = story.workflow.clone();
        edit(&mut to.steps);
        assert_eq!(refusals(&story, &to), expected, "case {number}");
    }
}

#[test]
fn a_run_that_was_moved_sleeps_as_long_and_goes_on_by_the_new_version() {
    let mut story = asleep("a zb c");
    let before = story.run.outstanding();
    story.workflow.steps[2].id = "d".into();
    let records = story.send(Input::Migrate { by: "ada".into(), version: 2 });
    assert_eq!(records.len(), 1);
    assert_eq!((story.run.outstanding(), story.run.version), (before, 2));
    let again = Run::replay(&story.workflow, super::story::origin(), &story.journal);
    assert!(again == story.run, "a replay under the new version is the same");
    story.play();
    assert_eq!(story.log, ["a", "d"]);
    assert_eq!(refusals(&story, &story.workflow.clone()), ["run_ended "]);
    assert!(story.send(Input::Migrate { by: "ada".into(), version: 3 }).is_empty());
}

/// Plans a retry of the run of `a b!` with another input of `b`.
fn missing(input: &Value) -> Vec<(String, Sureness)> {
    let story = Story::of("a- b!");
    let mut to = story.workflow.clone();
    to.steps[1].action = call(template(input));
    let plan = plan_retry(&to, &story.run, None, None);
    assert_eq!((plan.kept, plan.again), (vec!["a".to_owned()], vec!["b".to_owned()]));
    plan.missing.into_iter().map(|missing| (missing.path, missing.sureness)).collect()
}

#[test]
fn a_retry_says_what_its_steps_would_miss() {
    use Sureness::Surely;
    for (input, expected) in [
        (json!("{{ steps.a.output.by }}"), None),
        (json!("{{ steps.a.output.to }}"), Some("steps.a.output.to")),
        (json!("{{ steps.a.output.to | default(1) }}"), None),
        (json!({ "x": ["{{ trigger.payload.n }}"] }), Some("trigger.payload.n")),
        (json!("{{ trigger.subject }} {{ run.id }} {{ vars.x }}"), None),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|path| (path.to_owned(), Surely)).collect();
        assert_eq!(missing(&input), expected, "{input}");
    }
}

#[test]
fn a_step_that_may_not_run_only_perhaps_misses_something() {
    let story = Story::of("a- b! c");
    let mut to = story.workflow.clone();
    to.steps[2].action = call(template(&json!("{{ steps.a.output.to }}")));
    let sureness = |to: &Workflow, input: Option<&Value>, from: Option<&str>| {
        let plan = plan_retry(to, &story.run, from, input);
        plan.missing.first().map(|missing| missing.sureness)
    };
    assert_eq!(sureness(&to, None, None), Some(Sureness::Surely));
    to.steps[2].on_failure = OnFailure::Continue;
    assert_eq!(sureness(&to, None, None), Some(Sureness::Perhaps));
    to.steps[2].condition = Some(super::story::never());
    assert_eq!(sureness(&to, None, None), None, "its condition is known not to hold");
    to.steps[1].action = call(template(&json!("{{ steps.a.output.to }}")));
    assert_eq!(sureness(&to, None, None), Some(Sureness::Surely));
    assert_eq!(sureness(&to, Some(&json!(1)), Some("b")), None, "it was given its input");
}
