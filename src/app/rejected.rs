//! Refused events: kept with what was wrong, looked at, and tried again.

use serde_json::Value;
use tracing::warn;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::{AcceptedEvent, EventOutcome};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::engine::IncomingEvent;
use crate::store::rejected::RejectedRow;

pub use crate::store::rejected::RejectedRow as RejectedEvent;

const LETTER: char = 'J';

impl App {
    /// Keeps refused events and notes in their problems where they are. The sender has its answer
    /// either way, so a store that takes nothing now is only logged.
    pub(super) async fn keep_rejected(
        &self,
        who: &Principal,
        refused: Vec<(IncomingEvent, &mut Vec<Problem>)>,
    ) {
        if refused.is_empty() {
            return;
        }
        let limits = self.engine().activities().events().clone();
        let (events, problems): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        let rows: Vec<RejectedRow> = events
            .into_iter()
            .zip(&problems)
            .map(|(event, problems)| {
                self.rejection(who, event, problems, limits.rejected_event_bytes_max)
            })
            .collect();
        self.engine().metrics().events_rejected(&self.slug_of(who.tenant), rows.len());
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let kept = self.write_of(who.tenant, move |tx| {
            for row in &rows {
                tx.keep_rejected(row, limits.rejected_events_max)?;
            }
            Ok(())
        });
        if let Err(error) = kept.await {
            warn!(%error, "Could not keep refused events");
            return;
        }
        for (problems, id) in problems.into_iter().zip(ids) {
            if let Some(first) = problems.first_mut().filter(|_| limits.rejected_events_max > 0) {
                first.hint = Some(format!("kept: GET /v1/events/rejected/{id}, and POST …/replay"));
            }
        }
    }

    fn rejection(
        &self,
        who: &Principal,
        event: IncomingEvent,
        problems: &[Problem],
        bytes_max: usize,
    ) -> RejectedRow {
        let now = self.now();
        let payload_bytes = event.payload.to_string().len();
        let payload_cut = payload_bytes > bytes_max;
        RejectedRow {
            id: Uid::new(LETTER, now, self.clock().random()).to_string(),
            event_id: event.id,
            kind: event.kind,
            source: event.source,
            subject: event.subject,
            time: event.time,
            actor: event.actor.unwrap_or_else(|| super::events::actor(who)),
            payload: if payload_cut { Value::Null } else { event.payload },
            payload_bytes,
            payload_cut,
            metadata: event.metadata,
            problems: problems.to_vec(),
            rejected_at: now,
            tried_at: now,
            attempts: 1,
        }
    }

    /// Lists refused events, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn rejected_events(
        &self,
        who: &Principal,
        page: &PageRequest,
    ) -> Result<Page<RejectedEvent>, Error> {
        let mut data = self.read(who, |view| {
            Ok(view.rejected_before(page.after.as_deref(), page.limit.saturating_add(1))?)
        })?;
        let more = data.len() > page.limit;
        data.truncate(page.limit);
        let next_cursor = data.last().filter(|_| more).map(|row| row.id.clone());
        Ok(Page { data, next_cursor })
    }

    /// Returns one refused event.
    ///
    /// # Errors
    /// `NotFound` when it is not kept.
    pub fn rejected_event(&self, who: &Principal, id: &str) -> Result<RejectedEvent, Error> {
        let found = self.read(who, |view| Ok(view.rejected_event(id)?))?;
        found.ok_or_else(|| Error::NotFound { what: "rejected event", id: id.to_owned() })
    }

    /// Tries a refused event again, with `payload` in place of its own where one is given; once it
    /// is accepted it is no longer kept. However often it is replayed, it is accepted once.
    ///
    /// # Errors
    /// `NotFound` when it is not kept, `Invalid` with what is wrong still.
    pub async fn replay_rejected(
        &self,
        who: &Principal,
        id: &str,
        payload: Option<Value>,
    ) -> Result<AcceptedEvent, Error> {
        let mut row = self.rejected_event(who, id)?;
        let payload = match payload {
            Some(payload) => payload,
            None if row.payload_cut => {
                let detail = "the payload was too large to be kept; give it again";
                return Err(Error::Invalid(vec![Problem::new("/payload", "required", detail)]));
            }
            None => row.payload.clone(),
        };
        let problems = self.schema_problems(who, &row.kind, &payload)?;
        if !problems.is_empty() {
            row.problems.clone_from(&problems);
            row.tried_at = self.now();
            row.attempts += 1;
            self.write_of(who.tenant, move |tx| {
                if tx.view().rejected_event(&row.id)?.is_some() {
                    tx.put_rejected(&row);
                }
                Ok(())
            })
            .await?;
            return Err(Error::Invalid(problems));
        }
        let event = IncomingEvent {
            // Named by the refusal, so that a repeat of this very replay is recognised.
            id: Some(row.event_id.unwrap_or_else(|| row.id.clone())),
            kind: row.kind,
            source: row.source,
            subject: row.subject,
            time: row.time,
            actor: Some(row.actor),
            payload,
            metadata: row.metadata,
        };
        let outcome = self.accept_events(who, vec![event]).await?.into_iter().next();
        match outcome.expect("every event has an outcome") {
            EventOutcome::Accepted(accepted) => {
                self.forget_rejected(who, id).await?;
                Ok(accepted)
            }
            // The schema was changed in this very moment.
            EventOutcome::Rejected(problems) => Err(Error::Invalid(problems)),
        }
    }

    /// Forgets a refused event.
    ///
    /// # Errors
    /// `NotFound` when it is not kept.
    pub async fn remove_rejected(&self, who: &Principal, id: &str) -> Result<(), Error> {
        self.rejected_event(who, id)?;
        self.forget_rejected(who, id).await
    }

    async fn forget_rejected(&self, who: &Principal, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        let change = Change::of("rejectedEvent.remove", id.as_str());
        self.write(who, change, move |tx, _| Ok(tx.forget_rejected(&id)?)).await
    }
}
