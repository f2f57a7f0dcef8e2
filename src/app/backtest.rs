//! Tries a definition on recorded events: what would start, what would be skipped, and what changes
//! against the version that events start now. Nothing is written and nothing is called. Limits of
//! concurrency, which depend on what else is at work, are not applied.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::definitions::Definition;
use super::error::Error;
use super::live_match::newest_of;
use super::principal::Principal;
use super::workflows::{present, version_of};
use crate::domain::filter::{Filter, Trace};
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Step, Workflow};
use crate::engine::Engine;
use crate::store::events::{EventKey, StoredEvent};
use crate::store::tenant::TenantView;

/// After how many events the time is looked at.
const BLOCK: usize = 256;

/// What is tried, and on which events.
#[derive(Clone, Debug)]
pub struct BacktestRequest {
    /// The workflow; for a draft without a name nothing is compared.
    pub name: Option<String>,
    /// What is tried.
    pub candidate: Candidate,
    /// Only events that were accepted at or after this time.
    pub since: Option<Timestamp>,
    /// How many events at most, the newest.
    pub limit: usize,
    /// How many events are shown at most.
    pub shown: usize,
    /// How long it may take before it answers with what it has.
    pub time_max: Duration,
}

/// The definition that is tried.
#[derive(Clone, Debug)]
pub enum Candidate {
    /// One that is saved: this version, or the newest.
    Saved(Option<u32>),
    /// One that is not.
    Draft(Value),
}

/// What a definition would have done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backtest {
    /// The workflow's name.
    pub workflow: String,
    /// The version that was tried; `None` for a draft.
    pub version: Option<u32>,
    /// The version that it was compared with; `None` when there is none.
    pub against: Option<u32>,
    /// How many recorded events are of a type that either version listens to.
    pub total: usize,
    /// How many of them were looked at, the newest first.
    pub looked: usize,
    /// Whether some were not looked at, because the time was over.
    pub partial: bool,
    /// How many would start a run.
    pub starts: usize,
    /// How many start one by the version compared with.
    pub starts_now: usize,
    /// How many would start a run and do not now.
    pub gained: usize,
    /// How many start a run now and would not.
    pub lost: usize,
    /// How many would start a run either way, with other steps skipped.
    pub steps_changed: usize,
    /// For each step with a condition that needs the event alone, how many runs would skip it.
    pub steps: Vec<StepForecast>,
    /// Steps whose condition needs more than the event, so that it cannot be told.
    pub undecided_steps: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The events, those that change sides first, then those that would start a run.
    pub data: Vec<EventForecast>,
}

/// What would become of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepForecast {
    /// The step.
    pub id: String,
    /// In how many runs its condition would hold.
    pub runs: usize,
    /// In how many it would not.
    pub skipped: usize,
}

/// What one event would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventForecast {
    /// The event.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// `gained`, `lost`, `steps` or `none`.
    pub change: &'static str,
    /// Whether it would start a run.
    pub starts: bool,
    /// Whether it starts one by the version compared with.
    pub starts_now: bool,
    /// Why: the filter's tree; null when the type is not listened to.
    pub trace: Value,
    /// The same of the version compared with.
    pub trace_now: Value,
    /// The steps that can be told of.
    pub steps: Vec<StepVerdict>,
    /// The run of the workflow that it really started.
    pub run_id: Option<RunId>,
}

/// Whether a step would run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepVerdict {
    /// The step.
    pub id: String,
    /// Whether its condition would hold.
    pub runs: bool,
    /// Whether it holds by the version compared with; `None` when that cannot be told.
    pub runs_now: Option<bool>,
    /// Why.
    pub trace: Trace,
}

impl App {
    /// Tries a definition on recorded events.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version, `Invalid` with every problem of a draft.
    pub fn backtest(&self, who: &Principal, request: &BacktestRequest) -> Result<Backtest, Error> {
        let began = Instant::now();
        let draft = match &request.candidate {
            Candidate::Draft(document) => {
                Some(self.draft(who, request.name.as_deref(), document.clone())?)
            }
            Candidate::Saved(_) => None,
        };
        self.read(who, |view| {
            let pair = Pair::of(view, request, draft)?;
            let keys = pair.events(view, request)?;
            let deadline = began + request.time_max;
            let mut forecasts = Vec::with_capacity(keys.len());
            for block in keys.chunks(BLOCK) {
                if !forecasts.is_empty() && Instant::now() >= deadline {
                    break;
                }
                for key in block {
                    let stored = view.event(*key)?;
                    if let Some(stored) = stored.filter(|it| view.sees_event(&it.event)) {
                        forecasts.push((*key, pair.forecast(&stored)));
                    }
                }
            }
            let mut report = pair.report(&forecasts);
            report.total = keys.len();
            report.partial = forecasts.len() < keys.len();
            report.data = pair.data(view, forecasts, request.shown)?;
            report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok(report)
        })
    }

    /// Checks a draft as saving it would.
    fn draft(
        &self,
        who: &Principal,
        name: Option<&str>,
        document: Value,
    ) -> Result<Workflow, Error> {
        let definition = Definition { document, source: None };
        self.checked_draft(who, definition, name.unwrap_or("draft")).map_err(|error| match error {
            Error::Invalid(problems) => Error::Invalid(
                problems
                    .into_iter()
                    .map(|problem| Problem {
                        pointer: format!("/definition{}", problem.pointer),
                        ..problem
                    })
                    .collect(),
            ),
            other => other,
        })
    }
}

/// The definition that is tried and the one that it is compared with.
struct Pair {
    candidate: Workflow,
    version: Option<u32>,
    /// The version that events start now.
    present: Option<(u32, Workflow)>,
}

/// What was found out about an event.
struct Forecast {
    starts: bool,
    starts_now: bool,
    /// Whether each step that can be told of would run, in order.
    steps: Vec<bool>,
    change: Change,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Gained,
    Lost,
    Steps,
    None,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Change::Gained => "gained",
            Change::Lost => "lost",
            Change::Steps => "steps",
            Change::None => "none",
        }
    }
}

impl Pair {
    fn of(
        view: TenantView<'_>,
        request: &BacktestRequest,
        draft: Option<Workflow>,
    ) -> Result<Pair, Error> {
        let name = request.name.clone().or_else(|| draft.as_ref().map(|it| it.name.clone()));
        let name = name.unwrap_or_default();
        let row = match (present(view, &name), &draft) {
            (Ok(row), _) => Some(row),
            (Err(Error::NotFound { .. }), Some(_)) => None, // A draft of something new.
            (Err(error), _) => return Err(error),
        };
        let compile = |version: u32| -> Result<Workflow, Error> {
            let row = version_of(view, &name, version)?;
            Ok(std::sync::Arc::unwrap_or_clone(Engine::compile(&row)?))
        };
        let now = row.as_ref().map(|row| Ok::<_, Error>((row.version, compile(row.version)?)));
        let now = now.transpose()?;
        if let Some(candidate) = draft {
            return Ok(Pair { candidate, version: None, present: now });
        }
        let newest = row.as_ref().map_or(1, |row| row.newest);
        let version = match request.candidate {
            Candidate::Saved(Some(version)) => version,
            Candidate::Saved(None) | Candidate::Draft(_) => newest,
        };
        Ok(Pair { candidate: compile(version)?, version: Some(version), present: now })
    }

    /// Returns the newest events of every type that one of the two listens to, newest first.
    fn events(
        &self,
        view: TenantView<'_>,
        request: &BacktestRequest,
    ) -> Result<Vec<EventKey>, Error> {
        let now = self.present.iter().flat_map(|(_, workflow)| workflow.event_kinds());
        let mut kinds: Vec<&str> = self.candidate.event_kinds().into_iter().chain(now).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut keys = Vec::new();
        for kind in kinds {
            keys.extend(newest_of(view, kind, request.limit)?);
        }
        if let Some(since) = request.since {
            keys.retain(|key| *key >= EventKey::at(since));
        }
        keys.sort_unstable_by(|a, b| b.cmp(a));
        keys.truncate(request.limit);
        Ok(keys)
    }

    fn now(&self) -> Option<&Workflow> {
        self.present.as_ref().map(|(_, workflow)| workflow)
    }

    fn forecast(&self, stored: &StoredEvent) -> Forecast {
        let scope = Scope::of_event(stored.event.to_value());
        let kind = stored.event.kind.as_str();
        let starts =
            |workflow: &Workflow| workflow.filters_of(kind).any(|filter| filter.matches(&scope));
        let (starts, starts_now) = (starts(&self.candidate), self.now().is_some_and(starts));
        let holds = |(_, filter): (&Step, &Filter)| filter.matches(&scope);
        let steps: Vec<bool> = decidable(&self.candidate).map(holds).collect();
        let change = match (starts, starts_now) {
            (true, false) if self.present.is_some() => Change::Gained,
            (false, true) => Change::Lost,
            (true, true) if self.steps_differ(&scope, &steps) => Change::Steps,
            _ => Change::None, // Nothing to compare with, or the same.
        };
        Forecast { starts, starts_now, steps, change }
    }

    fn steps_differ(&self, scope: &Scope, steps: &[bool]) -> bool {
        decidable(&self.candidate)
            .zip(steps)
            .any(|((step, _), runs)| self.runs_now(step, scope).is_some_and(|now| now != *runs))
    }

    /// Tells whether the present version runs a step of the same id.
    fn runs_now(&self, step: &Step, scope: &Scope) -> Option<bool> {
        let now = self.now()?;
        let same = now.steps.iter().find(|known| known.id == step.id)?;
        match &same.condition {
            None => Some(true),
            Some(filter) => needs_event_alone(filter).then(|| filter.matches(scope)),
        }
    }

    fn report(&self, forecasts: &[(EventKey, Forecast)]) -> Backtest {
        let count = |wanted: &dyn Fn(&Forecast) -> bool| {
            forecasts.iter().filter(|(_, forecast)| wanted(forecast)).count()
        };
        let starts = count(&|it| it.starts);
        let steps = decidable(&self.candidate).enumerate().map(|(place, (step, _))| {
            let runs = count(&|it| it.starts && it.steps[place]);
            StepForecast { id: step.id.clone(), runs, skipped: starts - runs }
        });
        Backtest {
            workflow: self.candidate.name.clone(),
            version: self.version,
            against: self.present.as_ref().map(|(version, _)| *version),
            total: 0,
            looked: forecasts.len(),
            partial: false,
            starts,
            starts_now: count(&|it| it.starts_now),
            gained: count(&|it| it.change == Change::Gained),
            lost: count(&|it| it.change == Change::Lost),
            steps_changed: count(&|it| it.change == Change::Steps),
            steps: steps.collect(),
            undecided_steps: undecided(&self.candidate),
            took_ms: 0,
            data: Vec::new(),
        }
    }

    /// Shows the events that tell most: those that change sides, then those that start.
    fn data(
        &self,
        view: TenantView<'_>,
        mut forecasts: Vec<(EventKey, Forecast)>,
        shown: usize,
    ) -> Result<Vec<EventForecast>, Error> {
        forecasts.sort_by_key(|(_, it)| (it.change, !it.starts));
        let mut data = Vec::new();
        for (key, forecast) in forecasts.into_iter().take(shown) {
            if let Some(stored) = view.event(key)? {
                data.push(self.show(view, &stored, &forecast)?);
            }
        }
        Ok(data)
    }

    fn show(
        &self,
        view: TenantView<'_>,
        stored: &StoredEvent,
        forecast: &Forecast,
    ) -> Result<EventForecast, Error> {
        let scope = Scope::of_event(stored.event.to_value());
        let kind = stored.event.kind.as_str();
        let trace = |workflow: &Workflow| {
            let traces = workflow.filters_of(kind).map(|filter| filter.trace(&scope));
            json!(traces.reduce(|first, other| if first.result { first } else { other }))
        };
        let mut run_id = None;
        for run in &stored.runs {
            let row = view.run(*run)?;
            let own = row.filter(|row| row.head.workflow == self.candidate.name);
            run_id = run_id.or(own.map(|row| row.head.id));
        }
        let steps = decidable(&self.candidate).map(|(step, filter)| {
            let trace = filter.trace(&scope);
            let runs_now = self.runs_now(step, &scope);
            StepVerdict { id: step.id.clone(), runs: trace.result, runs_now, trace }
        });
        Ok(EventForecast {
            event_id: stored.event.id.clone(),
            kind: stored.event.kind.clone(),
            received_at: stored.received_at,
            change: forecast.change.as_str(),
            starts: forecast.starts,
            starts_now: forecast.starts_now,
            trace: trace(&self.candidate),
            trace_now: self.now().map_or(Value::Null, trace),
            steps: steps.collect(),
            run_id,
        })
    }
}

/// Returns the steps whose condition needs the event alone.
fn decidable(workflow: &Workflow) -> impl Iterator<Item = (&Step, &Filter)> {
    let conditional =
        workflow.steps.iter().filter_map(|step| Some((step, step.condition.as_ref()?)));
    conditional.filter(|(_, filter)| needs_event_alone(filter))
}

/// Whether a step inside others is reached depends on more than the event.
fn undecided(workflow: &Workflow) -> Vec<String> {
    let decided: Vec<&str> = decidable(workflow).map(|(step, _)| step.id.as_str()).collect();
    let conditional = workflow.all_steps().into_iter().filter(|step| step.condition.is_some());
    let open = conditional.filter(|step| !decided.contains(&step.id.as_str()));
    open.map(|step| step.id.clone()).collect()
}

fn needs_event_alone(filter: &Filter) -> bool {
    filter.references().iter().all(|path| matches!(path.root(), None | Some("trigger")))
}
