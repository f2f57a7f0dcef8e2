//! Deliveries of a connection: looked at, and replayed by the rules of now.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::events::EventOutcome;
use super::hooks::{Believed, DeliveryOutcome, Made};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::hook::Delivery;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::deliveries::DeliveryRow;

pub use crate::store::deliveries::DeliveryStatus;

const LOOKED_AT_MAX: usize = 2_000;

/// A delivery as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// Names it in its connection.
    pub id: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Why, unless it was accepted.
    pub reason: Option<String>,
    /// What was wrong with it, one by one.
    pub errors: Vec<Problem>,
    /// The headers, those that prove the sender masked.
    pub headers: Map<String, Value>,
    /// The body, parsed; null when it was too large to keep.
    pub body: Option<Value>,
    /// The sender's own id of it.
    pub sender_id: Option<String>,
    /// The type of the event that it became or should have become.
    pub event_type: Option<String>,
    /// The event that it became.
    pub event_id: Option<String>,
}

impl App {
    /// Lists what came to a connection, newest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such connection.
    pub fn deliveries(
        &self,
        who: &Principal,
        connection: &str,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<DeliveryView>, Error> {
        self.connection_row(who.tenant, connection)?;
        let before = page.after.as_ref().and_then(|number| number.parse().ok());
        self.read(who, |view| {
            let rows = view.deliveries_before(connection, before, LOOKED_AT_MAX)?;
            let mut fitting =
                rows.into_iter().filter(|row| status.is_none_or(|status| row.status == status));
            let data: Vec<DeliveryView> =
                fitting.by_ref().take(page.limit).map(DeliveryView::from).collect();
            let more = fitting.next().is_some();
            let next_cursor = data.last().filter(|_| more).map(|last| last.id.clone());
            Ok(Page { data, next_cursor })
        })
    }

    /// Makes an event of a delivery by the rules of now. One that had become an event becomes
    /// another; one that had not is known by its sender's id, as if it came only now.
    ///
    /// # Errors
    /// `NotFound` for an unknown delivery, `Conflict` when its body was not kept.
    pub async fn replay_delivery(
        &self,
        who: &Principal,
        connection: &str,
        id: &str,
    ) -> Result<DeliveryOutcome, Error> {
        let row = self.connection_row(who.tenant, connection)?;
        let missing = || Error::NotFound { what: "delivery", id: id.to_owned() };
        let number: u64 = id.parse().map_err(|_| missing())?;
        let kept = self.read(who, |view| Ok(view.delivery(connection, number)?))?;
        let kept = kept.ok_or_else(missing)?;
        let Some(body) = kept.body.clone() else {
            let detail = "its body was too large to keep; ask the sender to send it again";
            let detail = detail.to_owned();
            return Err(Error::Conflict { code: "body_not_kept", detail });
        };
        let believed = Believed::again(who.tenant, row);
        let delivery = Delivery { headers: kept.headers.clone(), query: kept.query.clone(), body };
        self.replay(&believed, &delivery, kept).await
    }

    async fn replay(
        &self,
        believed: &Believed,
        delivery: &Delivery,
        mut kept: DeliveryRow,
    ) -> Result<DeliveryOutcome, Error> {
        let number = kept.number;
        let mut accepted = None;
        let (status, problems) = match believed.make(delivery) {
            Made::Unmatched => (DeliveryStatus::Unmatched, Vec::new()),
            Made::Rejected(problems) => (DeliveryStatus::Rejected, problems),
            Made::Event(mut event) => {
                event.metadata.insert("replayOfDelivery".to_owned(), json!(number.to_string()));
                if kept.event_id.is_some() {
                    event.id = None;
                } else if event.id.is_none() {
                    event.id = kept.sender_id.clone();
                }
                kept.event_type = Some(event.kind.clone());
                let outcomes = self.accept_events(&believed.principal(), vec![*event]).await?;
                match outcomes.into_iter().next() {
                    Some(EventOutcome::Accepted(one)) => {
                        let status = match one.duplicate {
                            true => DeliveryStatus::Duplicate,
                            false => DeliveryStatus::Accepted,
                        };
                        accepted = Some(one);
                        (status, Vec::new())
                    }
                    Some(EventOutcome::Rejected(problems)) => (DeliveryStatus::Rejected, problems),
                    None => (DeliveryStatus::Rejected, Vec::new()),
                }
            }
        };
        let reason = match (status, problems.first()) {
            (DeliveryStatus::Accepted, _) => None,
            (_, Some(problem)) => Some(problem.detail.clone()),
            (DeliveryStatus::Duplicate, None) => Some("it had been accepted before".to_owned()),
            (_, None) => Some("no rule of the connection wants it".to_owned()),
        };
        kept.status = status;
        kept.reason = reason.clone();
        kept.problems.clone_from(&problems);
        kept.event_id = accepted.as_ref().map(|one| one.id.clone()).or(kept.event_id);
        self.update_delivery(believed, kept).await?;
        Ok(DeliveryOutcome {
            delivery_id: number.to_string(),
            status,
            reason,
            errors: problems,
            accepted: accepted.into_iter().collect(),
        })
    }

    pub(super) async fn keep_delivery(
        &self,
        believed: &Believed,
        row: DeliveryRow,
    ) -> Result<u64, Error> {
        let (name, kept) = (believed.row.name.clone(), self.intake().hook_deliveries_max);
        self.write_of(believed.tenant, move |tx| Ok(tx.keep_delivery(&name, row, kept)?)).await
    }

    async fn update_delivery(&self, believed: &Believed, row: DeliveryRow) -> Result<(), Error> {
        let name = believed.row.name.clone();
        self.write_of(believed.tenant, move |tx| {
            tx.put_delivery(&name, &row);
            Ok(())
        })
        .await
    }
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> DeliveryView {
        DeliveryView {
            id: row.number.to_string(),
            received_at: row.received_at,
            status: row.status,
            reason: row.reason,
            errors: row.problems,
            headers: row.headers,
            body: row.body,
            sender_id: row.sender_id,
            event_type: row.event_type,
            event_id: row.event_id,
        }
    }
}
