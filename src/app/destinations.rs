//! Destinations of calls: how each stands, and its reset.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::time::Timestamp;
use crate::engine::SeenDestination;

/// How many calls that wait are counted one by one.
const COUNTED_MAX: usize = 1_000;

/// Where calls go, and how it fares.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationView {
    /// A connection, or a scheme, host and port.
    pub name: String,
    /// `closed` while calls go, `open` while none goes, `halfOpen` while a few are tried.
    pub state: &'static str,
    /// Since when it is so.
    pub since: Timestamp,
    /// Until when no call goes.
    pub until: Option<Timestamp>,
    /// Until when it asked for a pause.
    pub paused_until: Option<Timestamp>,
    /// How many calls are in flight.
    pub in_flight: u32,
    /// How many calls wait, of very many as many as were counted.
    pub waiting: usize,
    /// The calls that ended lately.
    pub window: WindowView,
    /// The last failure.
    pub last_failure: Option<FailureView>,
    /// How many attempts may be repeated at this moment.
    pub retries_left: u32,
}

/// Calls that ended lately.
#[derive(Clone, Debug, Serialize)]
pub struct WindowView {
    /// How many.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
}

/// A failure at a destination.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    /// When.
    pub at: Timestamp,
    /// What kind of failure.
    pub code: String,
    /// What went wrong.
    pub message: String,
}

impl App {
    /// Lists the destinations that were called since the start, by name.
    ///
    /// # Errors
    /// Fails when the tenant cannot be asked now.
    pub async fn destinations(
        &self,
        who: &Principal,
        page: &PageRequest,
    ) -> Result<Page<DestinationView>, Error> {
        let seen = self.engine().destinations(who.tenant).await?;
        let page = page.cut(seen, |seen| seen.name.clone());
        let mut data = Vec::with_capacity(page.data.len());
        for seen in page.data {
            data.push(self.shown_destination(who, seen)?);
        }
        Ok(Page { data, next_cursor: page.next_cursor })
    }

    /// Returns one destination.
    ///
    /// # Errors
    /// `NotFound` when it was not called since the start.
    pub async fn destination(&self, who: &Principal, name: &str) -> Result<DestinationView, Error> {
        let seen = self.engine().destinations(who.tenant).await?;
        match seen.into_iter().find(|seen| seen.name == name) {
            Some(seen) => self.shown_destination(who, seen),
            None => Err(missing(name)),
        }
    }

    /// Lets calls go to a destination again: closes its circuit, drops its pause, and lets out those
    /// that wait for it.
    ///
    /// # Errors
    /// `NotFound` when it was not called since the start and nothing waits for it.
    pub async fn reset_destination(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let seen = self.engine().destinations(who.tenant).await?;
        let waiting = self.read(who, |view| Ok(view.deferred_calls(name, None, 1)?))?;
        if waiting.is_empty() && !seen.iter().any(|seen| seen.name == name) {
            return Err(missing(name));
        }
        self.record_change(who, Change::of("destination.reset", name)).await?;
        self.engine().reset_destination(who.tenant, name.to_owned()).await?;
        Ok(())
    }

    fn shown_destination(
        &self,
        who: &Principal,
        seen: SeenDestination,
    ) -> Result<DestinationView, Error> {
        let deferred =
            self.read(who, |view| Ok(view.deferred_calls(&seen.name, None, COUNTED_MAX)?.len()))?;
        Ok(DestinationView {
            state: seen.circuit.as_str(),
            since: seen.since,
            until: seen.until,
            paused_until: seen.paused_until,
            in_flight: seen.in_flight,
            waiting: seen.waiting + deferred,
            window: WindowView { calls: seen.calls, failures: seen.failures },
            last_failure: seen.last_failure.map(|failure| FailureView {
                at: failure.at,
                code: failure.code,
                message: failure.message,
            }),
            retries_left: seen.repeats_left,
            name: seen.name,
        })
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { what: "destination", id: name.to_owned() }
}
