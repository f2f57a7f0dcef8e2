//! Holds every activity to its own schemas, in one place: inputs before it acts, outputs of the
//! outside after.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::{Caller, Done, OutsideActivity, OutsideCall, PlatformActivity, UndoCall};
use crate::domain::activity::custom::Account;
use crate::domain::activity::{ActivitySpec, Settling};
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::run::Failure;
use crate::store::tenant::TenantTx;

/// How many faults a failure tells at most.
const PROBLEMS_MAX: usize = 20;

/// A schema whose validator is built when it is first needed; one that is no schema checks nothing.
#[derive(Default)]
pub(super) struct Check(OnceLock<Option<Validator>>);

impl Check {
    pub(super) fn problems(&self, schema: &Value, value: &Value) -> Vec<Problem> {
        let validator = self.0.get_or_init(|| jsonschema::validator_for(schema).ok());
        let Some(validator) = validator else { return Vec::new() };
        let errors = validator.iter_errors(value).take(PROBLEMS_MAX);
        errors.flat_map(|error| told(&error, schema)).collect()
    }
}

/// Returns what of a value does not fit a schema; one that is no schema checks nothing.
#[must_use]
pub fn misfits(schema: &Value, value: &Value) -> Vec<Problem> {
    Check::default().problems(schema, value)
}

/// A platform activity that is run only on inputs that fit.
pub(super) struct CheckedPlatform {
    inner: Arc<dyn PlatformActivity>,
    spec: ActivitySpec,
    input: Check,
}

impl CheckedPlatform {
    pub(super) fn new(inner: Arc<dyn PlatformActivity>) -> CheckedPlatform {
        CheckedPlatform { spec: inner.spec(), inner, input: Check::default() }
    }
}

impl PlatformActivity for CheckedPlatform {
    fn spec(&self) -> ActivitySpec {
        self.spec.clone()
    }

    fn run(
        &self,
        tx: &mut TenantTx<'_, '_>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Done, Failure> {
        let problems = self.input.problems(&self.spec.input_schema, input);
        if !problems.is_empty() {
            return Err(invalid("invalid_input", &problems));
        }
        self.inner.run(tx, caller, input)
    }
}

/// An outside activity that is called only with inputs that fit, and believed only if its output
/// does.
pub(super) struct CheckedOutside {
    inner: Arc<dyn OutsideActivity>,
    spec: ActivitySpec,
    input: Check,
    output: Arc<Check>,
}

impl CheckedOutside {
    pub(super) fn new(inner: Arc<dyn OutsideActivity>) -> CheckedOutside {
        let (input, output) = Default::default();
        CheckedOutside { spec: inner.spec(), inner, input, output }
    }
}

impl OutsideActivity for CheckedOutside {
    fn spec(&self) -> ActivitySpec {
        self.spec.clone()
    }

    fn app(&self) -> Option<&'static str> {
        self.inner.app()
    }

    fn app_for(&self, input: &Value) -> Option<&'static str> {
        self.inner.app_for(input)
    }

    fn account(&self) -> Account {
        self.inner.account()
    }

    fn address(&self) -> Option<&str> {
        self.inner.address()
    }

    fn undo(&self, input: &Value, output: &Value) -> Option<UndoCall> {
        self.inner.undo(input, output)
    }

    fn settles(&self) -> Settling {
        self.inner.settles()
    }

    fn lookup(&self, call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        let (output, schema) = (Arc::clone(&self.output), self.spec.output_schema.clone());
        let answer = self.inner.lookup(call);
        async move {
            let Some(value) = answer.await? else { return Ok(None) };
            match output.problems(&schema, &value).as_slice() {
                [] => Ok(Some(value)),
                problems => Err(invalid("invalid_output", problems)),
            }
        }
        .boxed()
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let problems = self.input.problems(&self.spec.input_schema, &call.input);
        if !problems.is_empty() {
            return ready(Err(invalid("invalid_input", &problems))).boxed();
        }
        let (output, schema) = (Arc::clone(&self.output), self.spec.output_schema.clone());
        let answer = self.inner.call(call);
        async move {
            let value = answer.await?;
            match output.problems(&schema, &value).as_slice() {
                [] => Ok(value),
                problems => Err(invalid("invalid_output", problems)),
            }
        }
        .boxed()
    }
}

/// Describes an input or output that breaks its schema.
pub(super) fn invalid(code: &str, problems: &[Problem]) -> Failure {
    let told: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", place(&problem.pointer), problem.detail))
        .collect();
    Failure::terminal(code, told.join("; ")).with_details(json!({ "problems": problems }))
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole" } else { pointer }
}

/// Values are left out: they may hold what must not be seen.
fn told(error: &ValidationError<'_>, schema: &Value) -> Vec<Problem> {
    let at = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Problem::new(pointer_to(at, name), "required", format!("`{name}` is missing"))]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| unknown(at, name, schema)).collect()
        }
        ValidationErrorKind::AnyOf { context } => match missing(context) {
            Some(names) => {
                let detail = format!("one of {} is needed", names.join(", "));
                vec![Problem::new(at, "required", detail)]
            }
            None => vec![Problem::new(at, "invalid", error.masked().to_string())],
        },
        _ => vec![Problem::new(at, "invalid", error.masked().to_string())], // Said well enough.
    }
}

fn unknown(at: &str, name: &str, schema: &Value) -> Problem {
    let problem =
        Problem::new(pointer_to(at, name), "unknown_field", format!("`{name}` is unknown"));
    let known = schema["properties"].as_object().filter(|_| at.is_empty());
    match nearest(name, known.into_iter().flatten().map(|(name, _)| name.as_str())) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// Returns the names of which one is needed, where that is all that is wrong.
fn missing(branches: &[Vec<ValidationError<'static>>]) -> Option<Vec<String>> {
    branches
        .iter()
        .map(|branch| match branch.as_slice() {
            [error] => match error.kind() {
                ValidationErrorKind::Required { property } => {
                    Some(format!("`{}`", property.as_str()?))
                }
                _ => None, // Something else is wrong in this branch.
            },
            _ => None, // More than one thing is wrong.
        })
        .collect()
}
