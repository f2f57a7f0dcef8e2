//! Test cases of definitions: played at a save, on request, and made of what a run recorded.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::definitions::Definition;
use super::error::Error;
use super::principal::Principal;
use super::run_view::LoadedRun;
use super::workflows::{present, version_of};
use crate::domain::activity::Catalogue;
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::run::{Decided, FailureClass, StepState, StepStatus};
use crate::domain::time::Timestamp;
use crate::domain::trial::{CaseOutcome, CaseResult, Seat, play_case};
use crate::domain::workflow::cases::CaseEvent;
use crate::domain::workflow::{Action, Workflow};
use crate::engine::Engine;

/// What came of the test cases of a definition.
#[derive(Clone, Debug, Serialize)]
pub struct CasesView {
    /// The workflow.
    pub workflow: String,
    /// The version; none for a definition that is not saved.
    pub version: Option<u32>,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be played.
    pub skipped: usize,
    /// Each of them.
    pub data: Vec<CaseResult>,
}

impl CasesView {
    /// Counts results.
    #[must_use]
    pub fn of(workflow: &str, version: Option<u32>, data: Vec<CaseResult>) -> CasesView {
        let count = |outcome| data.iter().filter(|result| result.outcome == outcome).count();
        CasesView {
            workflow: workflow.to_owned(),
            version,
            passed: count(CaseOutcome::Passed),
            failed: count(CaseOutcome::Failed),
            skipped: count(CaseOutcome::Skipped),
            data,
        }
    }
}

/// Which definition's cases are played.
#[derive(Clone, Debug)]
pub enum Cases {
    /// Those of a version that is saved; of the active one without a number.
    Saved(Option<u32>),
    /// Those of a definition that is not.
    Draft(Value),
}

/// Plays every case of a definition where nothing but the definition is known.
#[must_use]
pub fn play_offline(workflow: &Workflow, catalogue: &Catalogue, now: Timestamp) -> Vec<CaseResult> {
    let seat = Seat { workflow, catalogue, now };
    let cases = workflow.tests.iter().enumerate();
    cases.map(|(index, case)| play_case(seat, index, case, None)).collect()
}

impl App {
    /// Plays the test cases of a workflow, or of a definition under its name.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version, `Invalid` with every problem of a draft.
    pub fn play_cases(
        &self,
        who: &Principal,
        name: &str,
        cases: Cases,
    ) -> Result<CasesView, Error> {
        let (version, workflow) = match cases {
            Cases::Draft(document) => {
                let definition = Definition { document, source: None };
                (None, Arc::new(self.checked_draft(who, definition, name)?))
            }
            Cases::Saved(version) => {
                let row = self.read(who, |view| {
                    let row = present(view, name)?;
                    version_of(view, &row.name, version.unwrap_or(row.version))
                })?;
                (Some(row.version), Engine::compile(&row)?)
            }
        };
        let results = self.case_results(who, &workflow)?;
        Ok(CasesView::of(&workflow.name, version, results))
    }

    /// Plays every case of a definition.
    pub(super) fn case_results(
        &self,
        who: &Principal,
        workflow: &Workflow,
    ) -> Result<Vec<CaseResult>, Error> {
        let catalogue = self.catalogue(who.tenant);
        let seat = Seat { workflow, catalogue: &catalogue, now: self.now() };
        let mut results = Vec::with_capacity(workflow.tests.len());
        for (index, case) in workflow.tests.iter().enumerate() {
            let stored: Option<Event> = match &case.event {
                CaseEvent::Given { .. } => None,
                CaseEvent::Stored(id) => self.read(who, |view| {
                    let key = view.event_by_id(id, None)?;
                    let stored = key.map(|key| view.event(key)).transpose()?.flatten();
                    Ok(stored.map(|stored| stored.event))
                })?,
            };
            results.push(play_case(seat, index, case, stored));
        }
        Ok(results)
    }

    /// Makes a test case of what a run recorded: its event, its outputs as answers, and how it
    /// ended as what is expected. Secrets stand in no record.
    ///
    /// # Errors
    /// `NotFound` for an unknown run.
    pub fn case_of_run(&self, who: &Principal, id: RunId) -> Result<Value, Error> {
        let loaded = self.loaded(who, id)?;
        let seen = loaded.given.seen(&loaded.event);
        let mut event = json!({
            "type": loaded.event.kind,
            "time": loaded.event.time,
            "payload": seen["payload"],
        });
        if let Some(subject) = &loaded.event.subject {
            event["subject"] = json!(subject);
        }
        let (mut mocks, mut steps) = (Map::new(), Map::new());
        for state in &loaded.run.steps {
            let Some(definition) = loaded.workflow.step_at(&state.id) else { continue };
            if let Some(mock) = mock_of(&loaded, state, &definition.action) {
                mocks.insert(state.id.clone(), mock);
            }
            if let Some(expected) = expected_of(&loaded, state) {
                steps.insert(state.id.clone(), expected);
            }
        }
        let mut expect = json!({ "matches": true });
        if loaded.run.status().is_final() {
            expect["status"] = json!(loaded.run.status());
            let undone = loaded.view(self.now()).compensations.into_iter().map(|it| it.step);
            expect["undone"] = json!(undone.collect::<Vec<_>>());
        }
        expect["steps"] = Value::Object(steps);
        let name = format!("as {id} went");
        Ok(json!({ "name": name, "event": event, "mocks": mocks, "expect": expect }))
    }
}

/// Returns what the world answered to a step.
fn mock_of(loaded: &LoadedRun, state: &StepState, action: &Action) -> Option<Value> {
    if let Some(Decided { decision, by, comment, .. }) = &state.decided
        && state.status == StepStatus::Failed
    {
        return Some(json!({ "decision": decision, "by": by, "comment": comment }));
    }
    let output = loaded.run.output(&state.id);
    match (action, state.status) {
        (Action::Wait(_), StepStatus::Succeeded) => Some(json!({ "event": output })),
        (Action::Wait(_), StepStatus::Failed) => Some(json!({ "event": null })),
        (Action::Call { .. } | Action::Run { .. }, StepStatus::Succeeded) => {
            Some(json!({ "output": output }))
        }
        (Action::Call { .. } | Action::Run { .. }, StepStatus::Failed) => {
            // One that could not even begin fails by itself again.
            let was_called = !loaded.run.input(&state.id).is_null();
            let failure = state.failure().filter(|_| was_called)?;
            let class: FailureClass = failure.class;
            Some(json!({ "error": {
                "code": failure.code, "message": failure.message, "class": class,
            } }))
        }
        _ => None, // Nobody was asked.
    }
}

fn expected_of(loaded: &LoadedRun, state: &StepState) -> Option<Value> {
    let is_over =
        matches!(state.status, StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped);
    if !is_over {
        return None;
    }
    let mut expected = json!({ "status": state.status });
    let input = loaded.run.input(&state.id);
    if !input.is_null() && state.status != StepStatus::Skipped {
        expected["input"] = input.clone();
    }
    Some(expected)
}
