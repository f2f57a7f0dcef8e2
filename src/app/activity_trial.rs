//! Tries an activity out by itself: with an answer that is made up, or by a real call.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::actor;
use super::principal::Principal;
use crate::activities::{Activity, PlatformActivity, misfits};
use crate::domain::problem::Problem;
use crate::domain::run::Failure;
use crate::domain::trial::sample;
use crate::engine::SingleCall;

/// Whether something happens when an activity is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earnest {
    /// Nothing: the input is checked and the answer is a sample of the activity's schema.
    Mock,
    /// What the activity does is done, once.
    Real,
}

/// What came of trying an activity.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityTrial {
    /// The activity.
    pub activity: String,
    /// `mock` or `real`.
    pub mode: &'static str,
    /// Whether it succeeded.
    pub ok: bool,
    /// What it answered; null when it failed.
    pub output: Value,
    /// Why it failed: `{code, message}`; null when it did not.
    pub error: Value,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl App {
    /// Tries an activity: checks the input, and does what it does if that is meant in earnest.
    ///
    /// # Errors
    /// `NotFound` for an activity that is none, `Invalid` for an input that does not fit or an
    /// activity that cannot be called by itself, `Forbidden` for a scope that the caller lacks; that
    /// it failed is no error.
    pub async fn try_activity(
        &self,
        who: &Principal,
        identifier: &str,
        input: Value,
        earnest: Earnest,
    ) -> Result<ActivityTrial, Error> {
        let view = self.activity(who, identifier)?;
        let problems: Vec<Problem> = misfits(&view.input_schema, &input)
            .into_iter()
            .map(|it| Problem { pointer: format!("/input{}", it.pointer), ..it })
            .collect();
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        if let Some(lacking) = view.scopes.iter().find(|scope| !who.scopes.allow(scope)) {
            return Err(Error::Forbidden { scope: lacking.clone() });
        }
        let activity = view.unique_identifier;
        let began = Instant::now();
        let (mode, outcome) = match earnest {
            Earnest::Mock => ("mock", Ok(sample(&view.output_schema, 0))),
            Earnest::Real => ("real", self.call_alone(who, &activity, input).await?),
        };
        let (ok, output, error) = match outcome {
            Ok(output) => (true, output, Value::Null),
            Err(failure) => {
                let error = json!({ "code": failure.code, "message": failure.message });
                (false, Value::Null, error)
            }
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(ActivityTrial { activity, mode, ok, output, error, duration_ms })
    }

    /// Does what an activity does, once, and notes who asked for it.
    async fn call_alone(
        &self,
        who: &Principal,
        identifier: &str,
        input: Value,
    ) -> Result<Result<Value, Failure>, Error> {
        let found = self.engine().installed(who.tenant).find(identifier, None, self.now());
        match found {
            Ok(Activity::Platform(activity)) => {
                self.run_alone(who, identifier, activity, input).await
            }
            Ok(Activity::Outside(_)) => {
                self.record_change(who, Change::of("activity.try", identifier)).await?;
                let idempotency_key = format!("try_{:016x}", self.clock().random());
                let activity = identifier.to_owned();
                let call = SingleCall { activity, input, idempotency_key };
                Ok(self.engine().call_once(who.tenant, call).await?)
            }
            Ok(Activity::Worker(_)) => Err(alone("a worker carries it out, and only for a run")),
            Err(failure) if failure.code == "unknown_activity" => {
                Err(alone("the run itself carries it out"))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Changes the platform's own records as a step would; what fails leaves nothing behind.
    async fn run_alone(
        &self,
        who: &Principal,
        identifier: &str,
        activity: Arc<dyn PlatformActivity>,
        input: Value,
    ) -> Result<Result<Value, Failure>, Error> {
        let mut caller = self.engine().activities().caller(actor(who), None);
        caller.teams.clone_from(&who.teams);
        let told = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&told);
        let outcome = self
            .write(who, Change::of("activity.try", identifier), move |tx, change| {
                change.after(&json!({ "input": input }));
                activity.run(tx, &caller, &input).map(|done| done.output).map_err(|failure| {
                    let refused = Error::Internal(failure.message.clone());
                    // Only a refusal takes back what was written, and it has no room for the rest.
                    tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(failure);
                    refused
                })
            })
            .await;
        let failure = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match failure {
            Some(failure) => Ok(Err(failure)),
            None => outcome.map(Ok),
        }
    }
}

fn alone(why: &str) -> Error {
    let detail = format!("cannot be tried by itself: {why}");
    let problem = Problem::new("", "not_callable", detail);
    Error::Invalid(vec![problem.with_hint("try a workflow with a step that calls it")])
}
