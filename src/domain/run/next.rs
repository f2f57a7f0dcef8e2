//! Which step is now: skips, gates, sleeps, waits, and the attempt whose input is rendered.

use std::time::Duration;

use serde_json::{Value, json};

use super::decide::Deciding;
use super::entry::{Ending, Entry, Failure, Outcome};
use super::state::Phase;
use crate::domain::expression::{ExpressionError, Template};
use crate::domain::filter::Filter;
use crate::domain::scope::Scope;
use crate::domain::time::{Timestamp, parse_duration};
use crate::domain::workflow::tree::{fixed_paths, id_of, item_prefix, prefix_of};
use crate::domain::workflow::{Action, Step, Wait};

/// No sleep is longer: ten years.
pub const SLEEP_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

impl Deciding<'_> {
    /// Goes on until the run waits for the world, unwinds or ends.
    pub(super) fn proceed(&mut self) {
        while matches!(self.run.phase, Phase::Going | Phase::Handling) {
            if self.run.is_stopping() {
                if self.run.is_in_flight() {
                    return; // What is in flight is awaited, as it may have to be undone.
                }
                self.stop();
                continue;
            }
            match self.next_move() {
                Some(next) => self.make(next),
                None => return,
            }
        }
    }

    /// Ends the run when its last step is over.
    pub(super) fn succeed(&mut self) {
        if self.run.phase == Phase::Handling {
            return self.handled();
        }
        let compensation = self.compensation();
        self.note(Entry::Finished { outcome: Outcome::Succeeded, compensation, error: None });
    }

    pub(super) fn begin(&mut self, path: &str) {
        let workflow = self.workflow;
        let Some(step) = workflow.step_at(path) else { return };
        let is_decided = self.run.step(path).is_some_and(|state| state.decided.is_some());
        if !is_decided
            && let Some(condition) = &step.condition
            && let Some(trace) = self.fault_of(path, condition)
        {
            return self.skip(step, prefix_of(path), trace);
        }
        if let Some(approval) = step.approval.as_ref().filter(|_| !is_decided) {
            return self.ask(step, path, approval);
        }
        match &step.action {
            Action::Call { input, .. } => self.call(path, input),
            Action::Sleep { duration } => self.sleep(path, duration),
            Action::Wait(wait) => self.wait(path, wait),
            Action::Run { workflow, input, .. } => self.start_child(path, workflow, input),
            Action::Branch(cases) => self.choose_case(path, cases),
            Action::Each(each) => self.start_loop(path, each),
            Action::Parallel { .. } => {
                self.note(Entry::ParallelStarted { step: path.to_owned() });
            }
        }
    }

    /// Returns why a condition does not hold; `None` when it does.
    pub(super) fn fault_of(&mut self, path: &str, condition: &Filter) -> Option<Value> {
        self.seen_from(path, |scope| {
            (!condition.matches(scope)).then(|| json!(condition.trace(scope)))
        })
    }

    /// Skips a step with all that is inside it.
    pub(super) fn skip(&mut self, step: &Step, prefix: &str, trace: Value) {
        self.note(Entry::StepSkipped { step: format!("{prefix}{}", step.id), trace });
        let mut inside = Vec::new();
        for list in step.fixed_lists() {
            fixed_paths(list, prefix, &mut inside);
        }
        for step in inside {
            self.note(Entry::StepSkipped { step, trace: Value::Null });
        }
    }

    fn call(&mut self, path: &str, template: &Template) {
        match self.render_forward(path, template) {
            Ok(input) => self.schedule(path, input),
            Err(failure) => self.refuse(path, failure),
        }
    }

    fn start_child(&mut self, path: &str, workflow: &str, template: &Template) {
        match self.render_forward(path, template) {
            Ok(input) => self.schedule(path, json!({ "workflow": workflow, "input": input })),
            Err(failure) => self.refuse(path, failure),
        }
    }

    pub(super) fn schedule(&mut self, path: &str, input: Value) {
        let attempt = self.next_attempt(path);
        self.note(Entry::StepScheduled { step: path.to_owned(), attempt, input });
    }

    fn sleep(&mut self, path: &str, template: &Template) {
        let until = self.render_forward(path, template).and_then(|pause| wake_at(&pause, self.now));
        let step = path.to_owned();
        match until {
            Ok(until) if until <= self.now => self.note(Entry::SleepEnded { step }),
            Ok(until) => self.note(Entry::SleepStarted { step, until }),
            Err(failure) => self.refuse(path, failure),
        }
    }

    fn wait(&mut self, path: &str, wait: &Wait) {
        match self.seen_from(path, |scope| wait.filter.render_values(scope)) {
            Ok(values) => {
                let until = wait.timeout.map(|timeout| self.now + timeout);
                self.note(Entry::WaitStarted { step: path.to_owned(), values, until });
            }
            Err(error) => self.refuse(path, unrendered(error)),
        }
    }

    /// Fails a step that cannot begin; repeating it would fail again.
    pub(super) fn refuse(&mut self, path: &str, failure: Failure) {
        let attempt = self.next_attempt(path);
        self.note(Entry::StepFailed { step: path.to_owned(), attempt, failure });
        self.settle_failure(path.to_owned(), None);
    }

    pub(super) fn render_forward(
        &mut self,
        path: &str,
        template: &Template,
    ) -> Result<Value, Failure> {
        if let Some(given) = self.run.step(path).and_then(|state| state.given.as_ref()) {
            return Ok(given.clone());
        }
        self.seen_from(path, |scope| template.render(scope)).map_err(unrendered)
    }

    pub(super) fn next_attempt(&self, path: &str) -> u32 {
        let made = self.run.step(path).and_then(|state| state.attempts.last());
        made.map_or(0, |attempt| attempt.number) + 1
    }

    /// Looks at the scope as it is seen from a step: inside a loop with the current item, and with
    /// the item's steps under their plain ids.
    pub(super) fn seen_from<T>(&mut self, path: &str, look: impl FnOnce(&Scope) -> T) -> T {
        if !path.contains('[') {
            return look(&self.run.scope);
        }
        let (mut roots, mut ids) = (vec!["item".to_owned(), "index".to_owned()], Vec::new());
        for around in self.workflow.around(path).unwrap_or_default() {
            let Action::Each(each) = &around.step.action else { continue };
            let item = self.run.item(&around.path, around.lane).cloned().unwrap_or_default();
            let scope = &mut self.run.scope;
            if let Some(name) = &each.name {
                scope.set(name, item.clone());
                roots.push(name.clone());
            }
            scope.set("item", item);
            scope.set("index", json!(around.lane));
            let mut paths = Vec::new();
            fixed_paths(&each.steps, &item_prefix(&around.path, around.lane), &mut paths);
            for path in paths {
                if let Some(record) = scope.step(&path).cloned() {
                    scope.put_step(id_of(&path), record);
                    ids.push(id_of(&path).to_owned());
                }
            }
        }
        let seen = look(&self.run.scope);
        for root in &roots {
            self.run.scope.unset(root);
        }
        for id in &ids {
            self.run.scope.unset_step(id);
        }
        seen
    }

    /// Ends the run as the failure of one of its steps asks for, or waits for what is in flight.
    pub(super) fn end_after_failure(&mut self, step: String) {
        if self.run.phase == Phase::Handling {
            return self.note(Entry::HandlerFailed { step });
        }
        let ending = Ending::StepFailed { step };
        if self.run.is_in_flight() {
            return self.note(Entry::Stopping { ending });
        }
        self.end(ending);
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
