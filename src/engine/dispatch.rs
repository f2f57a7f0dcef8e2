//! Calls to the outside: when their destination may be called, within their time, and a panic is a
//! failure.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Addr;
use futures_util::FutureExt;
use serde_json::Value;

use crate::activities::{OutsideActivity, OutsideCall, UndoCall};
use crate::domain::run::{Effect, Failure, FailureClass, Input};
use crate::failpoint;
use crate::store::tenant::panic_message;

use super::destinations::{Asking, Entered, enter};
use super::run_actor::{Delivery, RunActor};
use super::tenant_state::TenantState;
use super::tokens;

/// How much longer than its own timeout an activity may take before it is given up on.
const GRACE: Duration = Duration::from_secs(2);

/// A call whose intent is recorded.
pub(super) struct PreparedCall {
    pub(super) effect: Effect,
    pub(super) name: String,
    pub(super) activity: Arc<dyn OutsideActivity>,
    /// The call, or why it cannot even be made.
    pub(super) call: Result<OutsideCall, Failure>,
    /// Whether the other side is asked first if it has happened already.
    pub(super) looks_up: bool,
    /// Where it goes and for whom.
    pub(super) asking: Asking,
    /// Whether it may have been made already, before a crash.
    pub(super) maybe_made: bool,
}

/// Whether a call takes back what another did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undoes {
    Yes,
    No,
}

impl Undoes {
    fn of(effect: &Effect) -> Undoes {
        if matches!(effect, Effect::Undo { .. }) { Undoes::Yes } else { Undoes::No }
    }
}

/// Makes the call and tells the run what came of it.
pub(super) async fn perform(tenant: Rc<TenantState>, prepared: PreparedCall, run: Addr<RunActor>) {
    let call = match prepared.call {
        Ok(call) => call,
        Err(failure) => {
            tenant.count_attempt(&prepared.name, "failed");
            return deliver(prepared.effect, Err(failure), Value::Null, &run);
        }
    };
    let (mask, input) = (call.mask(), call.input.clone());
    let pass = match enter(&tenant, &prepared.asking).await {
        Entered::Go(pass) => pass,
        Entered::Later(hold) => {
            let effect = prepared.effect;
            let input = prepared.asking.deferred(effect, hold, prepared.maybe_made);
            if let Some(input) = input {
                run.do_send(Delivery { input, reply: None });
            }
            return;
        }
    };
    // A call that a stop forgoes is owed by the journal, and made after the next start.
    if tenant.shared.is_stopping() {
        return;
    }
    tenant.shared.calls_in_flight.fetch_add(1, Ordering::SeqCst);
    let limit = call.timeout + GRACE;
    // In a task of its own, so that its panic ends the attempt and nothing else.
    let (activity, looks_up) = (Arc::clone(&prepared.activity), prepared.looks_up);
    let undoes = Undoes::of(&prepared.effect);
    let make: tokens::Make = Box::new(move |call| match looks_up {
        true => looked_up(Arc::clone(&activity), call).boxed(),
        false => activity.call(call),
    });
    let calling = tokens::call(Rc::clone(&tenant), call, make);
    let mut task = actix::spawn(async move {
        begins(undoes);
        calling.await
    });
    let outcome = match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(panicked(error)),
        Err(_) => {
            task.abort();
            Err(Failure::in_doubt("timeout", format!("no answer within {} ms", limit.as_millis())))
        }
    };
    ended(undoes);
    // The other side may say back what it was told.
    let known = tenant.known_secrets();
    let outcome = match outcome {
        Ok(output) => Ok(known.value(mask.value(output))),
        Err(failure) => Err(failure.masked(&mask).masked(&known)),
    };
    tenant.shared.calls_in_flight.fetch_sub(1, Ordering::SeqCst);
    pass.end(&outcome);
    tenant.count_attempt(&prepared.name, label_of(&outcome));
    let undo = outcome.as_ref().ok().and_then(|output| prepared.activity.undo(&input, output));
    let undo = undo.as_ref().map_or(Value::Null, UndoCall::written);
    deliver(prepared.effect, outcome, undo, &run);
}

fn label_of(outcome: &Result<Value, Failure>) -> &'static str {
    match outcome {
        Ok(_) => "succeeded",
        Err(failure) if failure.class == FailureClass::InDoubt => "unknown",
        Err(_) => "failed",
    }
}

fn begins(undoes: Undoes) {
    failpoint::hit("call.before");
    if undoes == Undoes::Yes {
        failpoint::hit("compensation.begin");
    }
}

fn ended(undoes: Undoes) {
    failpoint::hit("call.after");
    if undoes == Undoes::Yes {
        failpoint::hit("compensation.end");
    }
}

/// Makes the call, unless the other side says that it has happened already.
async fn looked_up(
    activity: Arc<dyn OutsideActivity>,
    call: OutsideCall,
) -> Result<Value, Failure> {
    match activity.lookup(call.clone()).await {
        Ok(Some(output)) => Ok(output),
        Ok(None) => activity.call(call).await,
        // Whether it happened is as unknown as before.
        Err(failure) => Err(Failure { class: FailureClass::InDoubt, ..failure }),
    }
}

fn deliver(effect: Effect, outcome: Result<Value, Failure>, undo: Value, run: &Addr<RunActor>) {
    if let Some(input) = answer(effect, outcome, undo) {
        run.do_send(Delivery { input, reply: None });
    }
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    let message = match error.try_into_panic() {
        Ok(panic) => panic_message(panic.as_ref()),
        Err(error) => error.to_string(),
    };
    Failure::in_doubt("panic", format!("the activity panicked: {message}"))
}

fn answer(effect: Effect, outcome: Result<Value, Failure>, undo: Value) -> Option<Input> {
    Some(match (effect, outcome) {
        (Effect::Execute { step, attempt }, Ok(output)) => {
            Input::Completed { step, attempt, output, undo }
        }
        (Effect::Execute { step, attempt }, Err(failure)) => {
            Input::Failed { step, attempt, failure }
        }
        (Effect::Undo { step, attempt }, Ok(output)) => Input::Undone { step, attempt, output },
        (Effect::Undo { step, attempt }, Err(failure)) => {
            Input::UndoFailed { step, attempt, failure }
        }
        // Nothing else is ever performed by a call.
        (_, Ok(_) | Err(_)) => return None,
    })
}
