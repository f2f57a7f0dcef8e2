//! Incidents by their cause: the same failure of the same step, told once and settled together.

use serde::Serialize;

use super::App;
use super::error::Error;
use super::incidents::{IncidentFilter, Settlement};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{IncidentView, Page};
use crate::domain::time::Timestamp;

/// How many incidents are looked at to tell their causes.
const LOOKED_AT_MAX: usize = 5_000;
const PAGE: usize = 200;
/// How many incidents of a cause are shown with it.
const SHOWN: usize = 5;
/// How many incidents are settled by one request; the rest is told to be left.
const SETTLED_MAX: usize = 200;

/// What several incidents have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The workflow.
    pub workflow: String,
    /// The path of the step.
    pub step: String,
    /// The code of the failure behind it.
    pub code: String,
}

/// A cause with its incidents.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CauseView {
    /// The workflow.
    pub workflow: String,
    /// The path of the step.
    pub step: String,
    /// The code of the failure behind it.
    pub code: String,
    /// `incident`, or `doubt` when nobody knows whether the steps acted.
    pub kind: String,
    /// What went wrong in the newest run, for a person.
    pub message: String,
    /// How many there are.
    pub count: usize,
    /// When the first of them began.
    pub first_at: Timestamp,
    /// When the last of them began.
    pub last_at: Timestamp,
    /// A few of them, those of the newest runs first.
    pub newest: Vec<IncidentView>,
}

/// Every cause of the open incidents.
#[derive(Clone, Debug, Serialize)]
pub struct Causes {
    /// The causes, the most frequent first.
    pub data: Vec<CauseView>,
    /// Whether there are more incidents than were looked at.
    pub partial: bool,
}

/// What came of settling a cause.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settled {
    /// How many incidents were settled.
    pub settled: usize,
    /// How many of the cause are left for another request.
    pub left: usize,
    /// Those that could not be settled, each with the reason.
    pub refused: Vec<Refused>,
}

/// An incident that could not be settled.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// The run.
    pub run: String,
    /// Why not.
    pub detail: String,
}

impl Cause {
    fn is_of(&self, incident: &IncidentView) -> bool {
        self.workflow == incident.workflow
            && self.step == incident.step
            && self.code == incident.code
    }
}

impl App {
    /// Tells what the open incidents have in common.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn causes(&self, who: &Principal) -> Result<Causes, Error> {
        let (incidents, partial) = self.open_incidents(who, &IncidentFilter::default())?;
        let mut data: Vec<CauseView> = Vec::new();
        for incident in incidents {
            let same = data.iter_mut().find(|cause| {
                cause.workflow == incident.workflow
                    && cause.step == incident.step
                    && cause.code == incident.code
                    && cause.kind == incident.kind
            });
            match same {
                Some(cause) => cause.add(incident),
                None => data.push(CauseView::new(incident)),
            }
        }
        data.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        Ok(Causes { data, partial })
    }

    /// Says of every incident of a cause how its run goes on.
    ///
    /// # Errors
    /// `NotFound` when no incident has this cause; what fails for one run is told beside the rest.
    pub async fn settle_cause(
        &self,
        who: &Principal,
        cause: &Cause,
        settlement: &Settlement,
    ) -> Result<Settled, Error> {
        let filter = IncidentFilter {
            workflow: Some(cause.workflow.clone()),
            code: Some(cause.code.clone()),
        };
        let (mut found, _) = self.open_incidents(who, &filter)?;
        found.retain(|incident| cause.is_of(incident));
        if found.is_empty() {
            let id = format!("{} {} {}", cause.workflow, cause.step, cause.code);
            return Err(Error::NotFound { what: "incident", id });
        }
        let left = found.len().saturating_sub(SETTLED_MAX);
        let mut outcome = Settled { left, ..Settled::default() };
        for incident in found.into_iter().take(SETTLED_MAX) {
            let (run, step) = (incident.run, incident.step);
            match self.resolve_incident(who, run, &step, settlement.clone()).await {
                Ok(_) => outcome.settled += 1,
                Err(error) => {
                    let refused = Refused { run: run.to_string(), detail: error.to_string() };
                    outcome.refused.push(refused);
                }
            }
        }
        Ok(outcome)
    }

    fn open_incidents(
        &self,
        who: &Principal,
        filter: &IncidentFilter,
    ) -> Result<(Vec<IncidentView>, bool), Error> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: PAGE, after };
            let Page { data, next_cursor } = self.incidents(who, filter, &page)?;
            found.extend(data);
            match next_cursor {
                None => return Ok((found, false)),
                Some(_) if found.len() >= LOOKED_AT_MAX => return Ok((found, true)),
                Some(place) => after = Some(place),
            }
        }
    }
}

impl CauseView {
    fn new(incident: IncidentView) -> CauseView {
        CauseView {
            workflow: incident.workflow.clone(),
            step: incident.step.clone(),
            code: incident.code.clone(),
            kind: incident.kind.clone(),
            message: incident.message.clone(),
            count: 1,
            first_at: incident.since,
            last_at: incident.since,
            newest: vec![incident],
        }
    }

    fn add(&mut self, incident: IncidentView) {
        self.count += 1;
        self.first_at = self.first_at.min(incident.since);
        self.last_at = self.last_at.max(incident.since);
        if self.newest.len() < SHOWN {
            self.newest.push(incident);
        }
    }
}
