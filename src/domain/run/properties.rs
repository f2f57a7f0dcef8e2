//! What holds for every record, pause and chance.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Retry;

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
            on: Vec::new(),
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

#[expect(clippy::too_many_lines, reason = "one arm for each kind of entry")]
fn entries() -> impl Strategy<Value = Entry> {
    let parts = (".{0,6}", any::<u32>(), values(), failures(), any::<bool>(), 0i64..4_000_000_000);
    (0usize..42, parts).prop_map(|(kind, (step, attempt, value, failure, compensate, at))| {
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
            20 => Entry::BranchChosen { step, choice: compensate.then_some(1) },
            21 => Entry::LoopStarted { step, items: vec![value] },
            22 => Entry::ItemStarted { step, item: 3 },
            23 => Entry::ItemEnded { step, item: 3 },
            24 => Entry::ParallelStarted { step },
            25 => Entry::GroupClosing {
                lanes: compensate.then(|| vec![1, 2]),
                halted: vec![step.clone()],
                undo: compensate,
                failed: filled.map(|_| step.clone()),
                step,
            },
            26 => Entry::GroupEnded { step, output: value },
            27 => Entry::WaitStarted { step, values: vec![value], until: filled.map(|_| due) },
            28 => Entry::WaitEnded { step, event: value },
            29 => Entry::ApprovalRequested {
                approvers: vec![step.clone()],
                reason: filled.as_ref().map(|_| step.clone()),
                until: filled.as_ref().map(|_| due),
                remind_at: filled.as_ref().map(|_| due),
                escalate_at: filled.map(|_| due),
                step,
            },
            30 => Entry::ApprovalReminded { step },
            31 => Entry::ApprovalEscalated { to: vec![step.clone()], step },
            32 => Entry::ApprovalDecided {
                decision: if compensate { Decision::Approved } else { Decision::Rejected },
                by: step.clone(),
                comment: step.clone(),
                step,
            },
            33 => {
                let run = RunId::new(1, due, 7);
                Entry::ChildStarted { step, attempt, run, stop: compensate }
            }
            34 => Entry::ChildStopping { step },
            36 => Entry::IncidentOpened { step, kind: IncidentKind::Doubt },
            37 => Entry::IncidentResolved {
                resolution: Box::new(match compensate {
                    true => Resolution::Retry { input: filled },
                    false => Resolution::Complete { output: value.clone(), undo: value },
                }),
                by: step.clone(),
                comment: step.clone(),
                step,
            },
            38 => Entry::UndoResumed { steps: vec![step.clone()], by: step },
            39 => Entry::FailureHandled { ending },
            40 => Entry::HandlerFailed { step },
            35 => Entry::Stopping { ending: Ending::Undone { by: step } },
            _ => Entry::Resumed {
                from: Some(step.clone()).filter(|_| compensate),
                again: vec![step.clone()],
                reopened: vec![step.clone()],
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
            details: Box::new(details),
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
