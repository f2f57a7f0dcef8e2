//! Incidents: steps that have failed for good or whose outcome nobody knows, listed and settled by
//! somebody; and what could not be undone, tried again.

use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{IncidentView, Page, RunView};
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::run::{Doing, Input, Resolution};
use crate::domain::workflow::Action;
use crate::store::incidents::{IncidentPlace, IncidentRow};

/// How many incidents a list looks at for one page; a page may have fewer than its limit then.
const LOOKED_AT_MAX: usize = 5_000;
const CHUNK: usize = 200;

/// Which incidents are listed.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// Of runs of this workflow.
    pub workflow: Option<String>,
    /// Begun by a failure of this code.
    pub code: Option<String>,
}

/// What somebody says of a step that waits for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// How the run goes on.
    pub resolution: Resolution,
    /// What they say of it.
    pub comment: String,
}

impl App {
    /// Lists the open incidents, those of the newest runs first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn incidents(
        &self,
        who: &Principal,
        filter: &IncidentFilter,
        page: &PageRequest,
    ) -> Result<Page<IncidentView>, Error> {
        let mut before = page.after.as_deref().and_then(place);
        self.read(who, |view| {
            let (mut data, mut looked_at) = (Vec::new(), 0);
            loop {
                let rows = view.incidents_before(before.as_ref(), CHUNK)?;
                let is_last = rows.len() < CHUNK;
                let count = rows.len();
                for (index, row) in rows.into_iter().enumerate() {
                    let here = (row.run, row.step.clone());
                    looked_at += 1;
                    if filter.holds(&row) {
                        data.push(shown(row));
                    }
                    if data.len() == page.limit || looked_at == LOOKED_AT_MAX {
                        let more =
                            index + 1 < count || !view.incidents_before(Some(&here), 1)?.is_empty();
                        let next_cursor = more.then(|| format!("{}/{}", here.0, here.1));
                        return Ok(Page { data, next_cursor });
                    }
                    before = Some(here);
                }
                if is_last {
                    return Ok(Page { data, next_cursor: None });
                }
            }
        })
    }

    /// Says how a run goes on whose step waits for somebody.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or step, `Conflict` when the step waits for nobody, `Invalid`
    /// for an input where the step takes none.
    pub async fn resolve_incident(
        &self,
        who: &Principal,
        id: RunId,
        step: &str,
        settlement: Settlement,
    ) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let state = loaded.run.step(step);
        if !state.is_some_and(|state| matches!(state.doing, Doing::Stuck(_))) {
            if loaded.workflow.around(step).is_none() {
                return Err(Error::NotFound { what: "step", id: step.to_owned() });
            }
            let detail = format!("`{step}` waits for nobody now");
            return Err(Error::Conflict { code: "no_incident", detail });
        }
        let action = loaded.workflow.step_at(step).map(|step| &step.action);
        let takes_input = matches!(action, Some(Action::Call { .. } | Action::Run { .. }));
        let Settlement { resolution, comment } = settlement;
        if !takes_input && matches!(resolution, Resolution::Retry { input: Some(_) }) {
            let detail = format!("`{step}` takes no input");
            return Err(Error::Invalid(vec![Problem::new("/input", "not_allowed", detail)]));
        }
        let mut change = Change::of("incident.resolve", format!("{id}/{step}"));
        change.after(&json!({ "action": resolution.as_str(), "comment": comment }));
        self.record_change(who, change).await?;
        let (step, by) = (step.to_owned(), who.name.clone());
        let input = Input::Resolved { step, resolution, by, comment };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }

    /// Tries again to undo what could not be undone when a run ended, the newest first.
    ///
    /// # Errors
    /// `NotFound` for an unknown run, `Conflict` when nothing is left to be undone.
    pub async fn compensate_run(&self, who: &Principal, id: RunId) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let left = loaded.run.left_to_undo(&loaded.workflow);
        if left.is_empty() {
            let status = loaded.run.status().as_str();
            let detail = format!("the run is {status}, and nothing of it is left to be undone");
            return Err(Error::Conflict { code: "nothing_left", detail });
        }
        let mut change = Change::of("run.compensate", id.to_string());
        change.after(&json!({ "steps": left }));
        self.record_change(who, change).await?;
        let input = Input::UndoLeft { by: who.name.clone() };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }
}

impl IncidentFilter {
    fn holds(&self, row: &IncidentRow) -> bool {
        self.workflow.as_ref().is_none_or(|name| row.workflow == *name)
            && self.code.as_ref().is_none_or(|code| row.code == *code)
    }
}

/// Reads what somebody says in words.
///
/// # Errors
/// Returns the problem of an action that there is not, or of a value that it does not take.
pub fn resolution(
    action: &str,
    input: Option<Value>,
    output: Option<Value>,
) -> Result<Resolution, Problem> {
    let stray = match action {
        "retry" => output.as_ref().map(|_| "output"),
        "complete" => input.as_ref().map(|_| "input"),
        _ => input.as_ref().map(|_| "input").or(output.as_ref().map(|_| "output")),
    };
    if let Some(name) = stray {
        let detail = format!("`{action}` takes no {name}");
        return Err(Problem::new(format!("/{name}"), "not_allowed", detail));
    }
    match action {
        "retry" => Ok(Resolution::Retry { input }),
        "skip" => Ok(Resolution::Skip),
        "complete" => {
            Ok(Resolution::Complete { output: output.unwrap_or(json!({})), undo: Value::Null })
        }
        "fail" => Ok(Resolution::Fail),
        other => {
            let detail = format!("`{other}` is no action");
            let problem = Problem::new("/action", "not_allowed", detail);
            Err(problem.with_hint("allowed: retry, skip, complete, fail"))
        }
    }
}

fn place(cursor: &str) -> Option<IncidentPlace> {
    let (run, step) = cursor.split_once('/')?;
    Some((run.parse().ok()?, step.to_owned()))
}

fn shown(row: IncidentRow) -> IncidentView {
    IncidentView {
        run: row.run,
        step: row.step,
        workflow: row.workflow,
        kind: row.kind.as_str().to_owned(),
        code: row.code,
        message: row.message,
        since: row.since,
        subject: row.subject,
    }
}
