//! Contexts by the letter of the standard, and the spans of runs that went well and badly.

use serde_json::{Value, json};

use super::*;
use crate::domain::run::{
    Compensation, Entry, Failure, Outcome, Record, RunError, RunHead, Status,
};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn run() -> RunId {
    RunId::from_bytes([7; 16])
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn head(status: Status, code: Option<&str>) -> RunHead {
    RunHead {
        id: run(),
        workflow: "escalate".to_owned(),
        version: 3,
        status,
        waiting_for: None,
        compensation: Compensation::None,
        event_id: "evt".to_owned(),
        event_kind: "ticket:created".to_owned(),
        subject: None,
        created_at: at(0),
        started_at: Some(at(1)),
        ended_at: status.is_final().then(|| at(100)),
        steps_done: 1,
        steps_total: 2,
        current_step: None,
        attempts: 2,
        error: code.map(|code| RunError {
            step: None,
            code: code.to_owned(),
            message: "the card of Ada was refused".to_owned(),
            in_doubt: false,
        }),
    }
}

fn spans(head: &RunHead, cause: Option<&str>, entries: Vec<(i64, Entry)>) -> Vec<Span> {
    let records: Vec<Record> =
        entries.into_iter().map(|(millis, entry)| Record { at: at(millis), entry }).collect();
    let activity = |step: &str| (step == "call").then(|| "http".to_owned());
    let subject = Subject {
        head,
        tenant: "acme",
        trace: RunTrace::of(run(), cause, 100),
        producer: cause.and_then(TraceContext::parse),
        activity: &activity,
    };
    spans_of(&subject, &records)
}

fn scheduled(attempt: u32) -> Entry {
    let input = json!({ "card": "4242" });
    Entry::StepScheduled { step: "call".to_owned(), attempt, input }
}

fn failed(attempt: u32) -> Entry {
    let failure = Failure::retryable("http_503", "the other side said: Ada owes 7");
    Entry::StepFailed { step: "call".to_owned(), attempt, failure }
}

fn succeeded(attempt: u32) -> Entry {
    let output = json!({ "name": "Ada" });
    Entry::StepSucceeded { step: "call".to_owned(), attempt, output, undo: Value::Null }
}

fn retry(attempt: u32) -> Entry {
    Entry::RetryArmed { step: "call".to_owned(), attempt, due: at(30) }
}

fn finished(outcome: Outcome) -> Entry {
    Entry::Finished { outcome, compensation: Compensation::None, error: None }
}

#[test]
fn a_context_is_read_as_the_standard_says() {
    for (text, is_read) in [
        (CALLER, true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", false),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6-00f067aa0ba902b7-01", false),
        ("", false),
        ("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
    ] {
        assert_eq!(TraceContext::parse(text).is_some(), is_read, "{text}");
    }
    let context = TraceContext::parse(CALLER).expect("a context");
    assert_eq!(context.to_string(), CALLER);
}

#[test]
fn ids_follow_from_the_run_and_the_caller_decides_on_sampling() {
    let own = RunTrace::of(run(), None, 100);
    assert_eq!(own, RunTrace::of(run(), Some("nonsense"), 100));
    assert_eq!((own.parent, own.sampled), (None, Sampled::Yes));
    assert_eq!(RunTrace::of(run(), None, 0).sampled, Sampled::No);
    let called = RunTrace::of(run(), Some(CALLER), 0);
    assert_eq!((called.parent, called.sampled), (Some(0x00f0_67aa_0ba9_02b7), Sampled::Yes));
    assert_ne!(own.attempt("a", 1), own.attempt("a", 2));
    assert_ne!(own.root(), RunTrace::of(RunId::from_bytes([8; 16]), None, 1).root());
}

#[test]
fn about_as_many_runs_are_sampled_as_was_asked_for() {
    let sampled = (0..1_000u16).filter(|number| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        RunTrace::of(RunId::from_bytes(bytes), None, 25).sampled == Sampled::Yes
    });
    assert!((200..300).contains(&sampled.count()));
}

#[test]
fn a_run_that_ends_is_a_tree_below_its_caller() {
    let entries = vec![
        (2, scheduled(1)),
        (10, failed(1)),
        (10, retry(2)),
        (30, scheduled(2)),
        (40, succeeded(2)),
        (100, finished(Outcome::Succeeded)),
    ];
    let all = spans(&head(Status::Succeeded, None), Some(CALLER), entries.clone());
    let names: Vec<&str> = all.iter().map(|span| span.name.as_str()).collect();
    let expected =
        ["attempt 1 of call", "wait for retry", "attempt 2 of call", "step call", "run escalate"];
    assert_eq!(names, expected);
    let [first, wait, second, step, root] = all.as_slice() else { panic!("five spans") };
    assert_eq!(root.parent, Some(0x00f0_67aa_0ba9_02b7));
    assert_eq!(root.links.len(), 1);
    assert_eq!(step.parent, Some(root.id));
    assert!([first, wait, second].iter().all(|span| span.parent == Some(step.id)));
    assert_eq!((step.start, step.end), (at(2), at(40)));
    assert_eq!((wait.start, wait.end), (at(10), at(30)));
    assert_eq!(first.status, SpanStatus::Error("http_503".to_owned()));
    assert_eq!((first.kind, &second.status), (SpanKind::Client, &SpanStatus::Ok));
    assert_eq!((root.start, root.end, &root.status), (at(0), at(100), &SpanStatus::Ok));
    let again = spans(&head(Status::Succeeded, None), Some(CALLER), entries);
    assert_eq!(all, again);
    let text = otlp::document(&all, "ergane", "1").to_string();
    assert!(["4242", "Ada", "owes"].iter().all(|told| !text.contains(told)), "{text}");
}

#[test]
fn a_run_that_rests_has_the_spans_that_ended() {
    let until = at(1_000);
    let sleep = Entry::SleepStarted { step: "rest".to_owned(), until };
    let so_far = vec![(2, scheduled(1)), (5, succeeded(1)), (6, sleep)];
    let waiting = spans(&head(Status::Waiting, None), None, so_far.clone());
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    let woken = Entry::SleepEnded { step: "rest".to_owned() };
    let later = [so_far, vec![(1_000, woken), (1_001, finished(Outcome::Succeeded))]].concat();
    let ended = spans(&head(Status::Succeeded, None), None, later);
    assert_eq!(&ended[..2], waiting.as_slice(), "what was sent already is the same");
    assert!(ended.iter().any(|span| span.name == "wait for sleep"));
}

#[test]
fn what_was_undone_and_what_was_left_is_told_by_its_code() {
    let undo =
        |attempt| Entry::UndoScheduled { step: "call".to_owned(), attempt, input: Value::Null };
    let failure = Failure::terminal("http_500", "secret words");
    let entries = vec![
        (2, scheduled(1)),
        (5, succeeded(1)),
        (6, undo(1)),
        (7, Entry::UndoFailed { step: "call".to_owned(), attempt: 1, failure }),
        (9, undo(2)),
        (10, Entry::UndoSucceeded { step: "call".to_owned(), attempt: 2, output: Value::Null }),
        (100, finished(Outcome::Failed)),
    ];
    let all = spans(&head(Status::Failed, Some("card_refused")), None, entries);
    let undone: Vec<_> = all.iter().filter(|span| span.name == "undo call").collect();
    assert_eq!(undone.len(), 2);
    assert_eq!(undone[0].status, SpanStatus::Error("http_500".to_owned()));
    assert_eq!(undone[1].status, SpanStatus::Ok);
    let root = all.last().expect("the run");
    assert_eq!(root.status, SpanStatus::Error("card_refused".to_owned()));
    let text = otlp::document(&all, "ergane", "1").to_string();
    assert!(!text.contains("secret words") && !text.contains("of Ada"), "{text}");
}
