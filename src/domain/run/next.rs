//! Which step is now: skips, sleeps, and the attempt whose input is rendered.

use std::time::Duration;

use serde_json::{Value, json};

use super::decide::Decision;
use super::entry::{Compensation, Entry, Failure, Outcome};
use super::state::Phase;
use crate::domain::expression::{ExpressionError, Template};
use crate::domain::time::{Timestamp, parse_duration};
use crate::domain::workflow::{Action, Step};

/// No sleep is longer: ten years.
pub const SLEEP_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

impl Decision<'_> {
    /// Goes on until the run waits for the world, unwinds or ends.
    pub(super) fn proceed(&mut self) {
        let workflow = self.workflow;
        while let Phase::Ready { next } = self.run.phase {
            if self.run.is_stopping() {
                self.stop();
                continue;
            }
            match workflow.steps.get(next) {
                Some(step) => self.begin(step, next),
                None => self.note(Entry::Finished {
                    outcome: Outcome::Succeeded,
                    compensation: Compensation::None,
                    error: None,
                }),
            }
        }
    }

    fn begin(&mut self, step: &Step, index: usize) {
        if let Some(condition) = &step.condition
            && !condition.matches(&self.run.scope)
        {
            let trace = json!(condition.trace(&self.run.scope));
            self.note(Entry::StepSkipped { step: step.id.clone(), trace });
            return;
        }
        match &step.action {
            Action::Call { input, .. } => self.call(step, index, input),
            Action::Sleep { duration } => self.sleep(step, index, duration),
        }
    }

    fn call(&mut self, step: &Step, index: usize, template: &Template) {
        match self.render_forward(index, template) {
            Ok(input) => {
                let attempt = self.next_attempt(index);
                self.note(Entry::StepScheduled { step: step.id.clone(), attempt, input });
            }
            Err(failure) => self.refuse(step, index, failure),
        }
    }

    fn sleep(&mut self, step: &Step, index: usize, template: &Template) {
        let until =
            self.render_forward(index, template).and_then(|pause| wake_at(&pause, self.now));
        let step_id = step.id.clone();
        match until {
            Ok(until) if until <= self.now => self.note(Entry::SleepEnded { step: step_id }),
            Ok(until) => self.note(Entry::SleepStarted { step: step_id, until }),
            Err(failure) => self.refuse(step, index, failure),
        }
    }

    /// Fails a step that cannot begin; repeating it would fail again.
    fn refuse(&mut self, step: &Step, index: usize, failure: Failure) {
        let attempt = self.next_attempt(index);
        self.note(Entry::StepFailed { step: step.id.clone(), attempt, failure });
        self.settle_failure(step.id.clone(), None);
    }

    fn render_forward(&self, index: usize, template: &Template) -> Result<Value, Failure> {
        if let Some(given) = &self.run.steps[index].given {
            return Ok(given.clone());
        }
        template.render(&self.run.scope).map_err(unrendered)
    }

    fn next_attempt(&self, index: usize) -> u32 {
        let made = self.run.steps[index].attempts.last();
        made.map_or(0, |attempt| attempt.number) + 1
    }
}

/// Describes an expression that has no value as a failure that would happen again.
pub(super) fn unrendered(error: ExpressionError) -> Failure {
    let details = json!({
        "pointer": error.pointer,
        "expression": error.expression,
        "hint": error.hint,
    });
    Failure::terminal(error.code, error.detail).with_details(details)
}

/// Reads a pause: seconds, a duration such as `4h`, or an instant.
fn wake_at(pause: &Value, now: Timestamp) -> Result<Timestamp, Failure> {
    let duration = match pause {
        Value::Number(seconds) => {
            seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        }
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(until) => Some(until.since(now)),
            Err(_) => parse_duration(text).ok(),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match duration {
        Some(duration) if duration <= SLEEP_MAX => Ok(now + duration),
        Some(_) => Err(wrong_pause(format!("{pause} is longer than ten years"))),
        None => Err(wrong_pause(format!(
            "{pause} is neither a number of seconds, nor a duration such as 4h, nor a time"
        ))),
    }
}

fn wrong_pause(message: String) -> Failure {
    Failure::terminal("invalid_duration", message)
}
