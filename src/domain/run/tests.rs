//! What a run does, told in short plans.
//!
//! A plan names one step a word: a letter, then marks. `!` fails, `?` ends in doubt, `~` fails once
//! and then works; `-` has no compensation, `+` is undone by the platform, `%` cannot be undone;
//! `>` goes on after a failure, `#` aborts; `0` is skipped; `z` sleeps an hour.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, OnFailure, Retry, Step, Trigger, Undo, Workflow};

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
    let waiting = WaitingFor { kind: WaitKind::Sleep, until: Some(until), step: Some("a".into()) };
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

proptest! {
    #[test]
    fn a_record_reads_back(record in records()) {
        let bytes = record.to_bytes();
        prop_assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
    }

    #[test]
    fn a_pause_never_shrinks_without_jitter_nor_exceeds_its_limit(
        initial in 0u64..10_000, factor in 1.0f64..5.0, limit in 0u64..100_000, attempt in 1u32..200,
    ) {
        let retry = Retry {
            attempts: 3,
            initial: Duration::from_millis(initial),
            factor,
            max: Duration::from_millis(limit),
            jitter: false,
        };
        let (pause, next) = (retry.pause_after(attempt, 0.5), retry.pause_after(attempt + 1, 0.5));
        prop_assert!(pause <= next && next <= retry.max);
    }

    #[test]
    fn jitter_takes_at_most_half(chance in 0.0f64..=1.0, attempt in 1u32..50) {
        let steady = Retry { jitter: false, ..Retry::DEFAULT };
        let jittered = Retry { jitter: true, ..Retry::DEFAULT }.pause_after(attempt, chance);
        let full = steady.pause_after(attempt, chance);
        prop_assert!(full / 2 <= jittered && jittered <= full);
    }

    #[test]
    fn chance_is_steady_and_within_bounds(random: u64, attempt: u32, step in "[a-z]{1,8}") {
        let id = RunId::new(1, Timestamp::from_millis(5), random);
        let chance = retry::chance(id, &step, attempt);
        prop_assert!((0.0..=1.0).contains(&chance));
        prop_assert_eq!(chance, retry::chance(id, &step, attempt));
    }
}

fn records() -> impl Strategy<Value = Record> {
    (0i64..4_000_000_000_000, entries())
        .prop_map(|(at, entry)| Record { at: Timestamp::from_millis(at), entry })
}

fn entries() -> impl Strategy<Value = Entry> {
    let parts = (".{0,6}", any::<u32>(), values(), failures(), any::<bool>(), 0i64..4_000_000_000);
    (0usize..21, parts).prop_map(|(kind, (step, attempt, value, failure, compensate, at))| {
        let due = Timestamp::from_millis(at);
        let filled = Some(value.clone()).filter(|value| !value.is_null());
        let ending = Ending::StepFailed { step: step.clone() };
        let error = RunError {
            step: filled.as_ref().map(|_| step.clone()),
            code: failure.code.clone(),
            message: failure.message.clone(),
            in_doubt: compensate,
        };
        match kind {
            0 => Entry::Created { workflow: step.clone(), version: attempt, event: step },
            1 => Entry::Started,
            2 => Entry::StepSkipped { step, trace: value },
            3 => Entry::StepScheduled { step, attempt, input: value },
            4 => Entry::StepSucceeded { step, attempt, output: value.clone(), undo: value },
            5 => Entry::StepFailed { step, attempt, failure },
            6 => Entry::RetryArmed { step, attempt, due },
            7 => Entry::StepContinued { step },
            8 => Entry::SleepStarted { step, until: due },
            9 => Entry::SleepEnded { step },
            10 => Entry::CancelRequested { by: step, compensate },
            11 => Entry::DeadlineReached,
            12 => Entry::Unwinding { ending },
            13 => Entry::Unwinding { ending: Ending::TimedOut },
            14 => Entry::UndoScheduled { step, attempt, input: value },
            15 => Entry::UndoSucceeded { step, attempt, output: value },
            16 => Entry::UndoFailed { step, attempt, failure },
            17 => Entry::UndoRetryArmed { step, attempt, due },
            18 => Entry::UndoAbandoned { step, failure },
            19 => Entry::Finished {
                outcome: ending.outcome(),
                compensation: Compensation::Incomplete,
                error: Some(error).filter(|_| compensate),
            },
            _ => Entry::Resumed {
                from: Some(step.clone()).filter(|_| compensate),
                again: vec![step.clone()],
                by: step,
                version: attempt,
                input: filled,
            },
        }
    })
}

fn failures() -> impl Strategy<Value = Failure> {
    let class = prop_oneof![
        Just(FailureClass::Retryable),
        Just(FailureClass::Terminal),
        Just(FailureClass::InDoubt)
    ];
    let pause = proptest::option::of((0u64..1_000_000).prop_map(Duration::from_millis));
    (class, "[a-z_]{1,9}", ".{0,9}", values(), pause).prop_map(
        |(class, code, message, details, retry_after)| Failure {
            class,
            code,
            message,
            details,
            retry_after,
        },
    )
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn check(plan: &str, undos: &[&str]) {
    assert_eq!(Story::of(plan).undos(), undos, "{plan}");
}

/// A run that is played by its plan.
struct Story {
    workflow: Workflow,
    marks: Vec<String>,
    run: Run,
    journal: Vec<Record>,
    log: Vec<String>,
    now: Timestamp,
}

impl Story {
    /// Plays a plan to its end.
    fn of(plan: &str) -> Story {
        let mut story = Story::begin(plan);
        story.play();
        story
    }

    /// Creates the run of a plan.
    fn begin(plan: &str) -> Story {
        let words: Vec<&str> = plan.split_whitespace().collect();
        let workflow = workflow(words.iter().map(|word| step(word)).collect());
        let (run, record) = Run::create(&workflow, origin());
        Story {
            workflow,
            marks: words.iter().map(|word| (*word).to_owned()).collect(),
            run,
            journal: vec![record],
            log: Vec::new(),
            now: Timestamp::from_millis(1_000_000),
        }
    }

    /// Creates the run again after its workflow was changed.
    fn remake(&mut self) {
        let (run, record) = Run::create(&self.workflow, origin());
        (self.run, self.journal) = (run, vec![record]);
    }

    /// Lets every step work from here.
    fn mend(&mut self) {
        self.marks.iter_mut().for_each(String::clear);
    }

    fn send(&mut self, input: Input) -> Vec<Record> {
        let decided = decide(&self.workflow, &self.run, input.clone(), self.now);
        let records = self.run.advance(&self.workflow, input, self.now);
        assert!(records.iter().map(|record| &record.entry).eq(&decided));
        self.journal.extend(records.iter().cloned());
        records
    }

    fn play(&mut self) {
        for _ in 0..100 {
            if self.run.status().is_final() {
                return;
            }
            self.step();
        }
        panic!("no end: {:?}", self.journal);
    }

    /// Answers the first thing that is owed; the earliest timer when only timers are.
    fn step(&mut self) {
        let owed = self.run.outstanding();
        let effect = owed.first().expect("a run that goes on is owed something");
        let input = match effect.clone() {
            Effect::Start => Input::Start,
            Effect::Execute { step, attempt } => self.execute(step, attempt),
            Effect::Undo { step, attempt } => self.undo(step, attempt),
            Effect::Wake { at, timer } => {
                self.now = self.now.max(at);
                Input::TimerFired { at, timer }
            }
        };
        self.send(input);
    }

    fn execute(&mut self, step: String, attempt: u32) -> Input {
        self.log.push(step.clone());
        let marks = &self.marks[self.workflow.step_index(&step).unwrap()];
        let failure = match () {
            () if marks.contains('!') => Failure::terminal("refused", "no"),
            () if marks.contains('?') => Failure::in_doubt("timeout", "no answer"),
            () if marks.contains('~') && attempt == 1 => Failure::retryable("busy", "later"),
            () => {
                let output = json!({ "by": step });
                return Input::Completed { step, attempt, output, undo: json!({ "before": 1 }) };
            }
        };
        Input::Failed { step, attempt, failure }
    }

    fn undo(&mut self, step: String, attempt: u32) -> Input {
        self.log.push(format!("undo {step}"));
        if self.marks[self.workflow.step_index(&step).unwrap()].contains('%') {
            let failure = Failure::retryable("busy", "later");
            return Input::UndoFailed { step, attempt, failure };
        }
        Input::Undone { step, attempt, output: Value::Null }
    }

    fn undos(&self) -> Vec<&str> {
        self.log.iter().map(String::as_str).filter(|line| line.starts_with("undo")).collect()
    }
}

fn step(word: &str) -> Step {
    let id = word.trim_start_matches('z').chars().next().unwrap().to_string();
    let action = if word.starts_with('z') {
        Action::Sleep { duration: template(&json!("1h")) }
    } else {
        call(template(&json!({})))
    };
    Step {
        id,
        title: String::new(),
        condition: word.contains('0').then(never),
        action,
        retry: Retry::DEFAULT,
        timeout: Duration::from_secs(30),
        on_failure: match word {
            _ if word.contains('>') => OnFailure::Continue,
            _ if word.contains('#') => OnFailure::Abort,
            _ => OnFailure::Compensate,
        },
        compensate: match word {
            _ if word.contains('-') => Undo::None,
            _ if word.contains('+') => Undo::Auto,
            _ => undo(template(&json!({}))),
        },
    }
}

fn undo(input: Template) -> Undo {
    Undo::Call { activity: "undo".into(), version: None, input }
}

fn call(input: Template) -> Action {
    Action::Call { activity: "act".into(), version: None, input }
}

fn cancel(compensate: bool) -> Input {
    Input::Cancel { by: "ada".into(), compensate }
}

fn retry(from: Option<&str>) -> Input {
    Input::Retry { by: "ada".into(), from: from.map(str::to_owned), input: None, version: None }
}

pub(super) fn workflow(steps: Vec<Step>) -> Workflow {
    Workflow {
        name: "plan".into(),
        title: "Plan".into(),
        description: String::new(),
        trigger: Trigger::Manual,
        concurrency: None,
        timeout: None,
        steps,
        thena: None,
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        id: RunId::new(0, Timestamp::from_millis(1_000_000), 7),
        version: 1,
        tenant: TenantFacts { id: TenantId(1), slug: "acme".into(), name: "Acme".into() },
        trigger: json!({ "id": "e1", "type": "ticket:created", "subject": "T1" }),
        vars: json!({}),
    }
}

pub(super) fn template(value: &Value) -> Template {
    Template::parse(value, "").expect("the template is valid")
}

/// A condition that never holds.
pub(super) fn never() -> Filter {
    let filter = json!({ "trigger.id": { "~eq": "another" } });
    Filter::parse(&filter, "").expect("the filter is valid")
}
