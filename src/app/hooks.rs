//! What other systems send: believed by its signature, mapped to an event, accepted, kept.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::App;
use super::error::Error;
use super::events::{AcceptedEvent, EventOutcome, IncomingEvent};
use super::principal::{Principal, Scopes};
use crate::domain::event::Actor;
use crate::domain::event_type;
use crate::domain::hook::slack::{Request, SlackEvent};
use crate::domain::hook::{Delivery, Mapped, Rules, Sender};
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::secret::Secret;
use crate::domain::signature::Disbelief;
use crate::store::access::APPLIANCE;
use crate::store::connections::ConnectionRow;
use crate::store::deliveries::{DeliveryRow, DeliveryStatus};

/// The secrets that may sign what comes in; the first that is set does.
const SIGNING_SECRETS: [&str; 3] = ["signingSecret", "webhookSecret", "secret"];
const ID_BYTES_MAX: usize = 255;

/// A connection that something came to, its signature checked.
#[derive(Clone, Debug)]
pub struct Believed {
    pub(super) tenant: TenantId,
    pub(super) row: ConnectionRow,
    sender: Sender,
    raw_bytes: usize,
    digest: String,
}

/// What became of a delivery.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOutcome {
    /// Names the delivery in its connection's list.
    pub delivery_id: String,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Why, unless it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was wrong with it, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Problem>,
    /// The event that it became.
    pub accepted: Vec<AcceptedEvent>,
}

/// What Slack is to be answered.
#[derive(Clone, Debug)]
pub enum SlackAnswer {
    /// The challenge.
    Challenge(String),
    /// That it came.
    Received,
    /// A text for whoever typed the command.
    Text(String),
}

/// How an event is made of a delivery, before it is accepted.
pub(super) enum Made {
    Event(Box<IncomingEvent>),
    Unmatched,
    Rejected(Vec<Problem>),
}

impl App {
    /// Finds the connection that a hook's path names, and checks the signature over the raw body.
    ///
    /// # Errors
    /// `NotFound` when no connection answers to the name; `Unauthenticated`, which says no more than
    /// that, when the signature does not hold or none can.
    pub fn believe(&self, name: &str, delivery: &Delivery, raw: &[u8]) -> Result<Believed, Error> {
        let (tenant, row) = self.hook_connection(name)?;
        let sender = Sender::of(&row.app, &Value::Object(row.settings.clone()));
        let secrets = self.signing_secrets(tenant, &row)?;
        if let Err(why) = sender.verify(&secrets, delivery, raw, self.now()) {
            self.engine().metrics().hook_delivered(&row.name, "refused");
            match why {
                Disbelief::NoSecret => warn!(
                    connection = row.name, tenant = %tenant,
                    "Refused what came to a hook: the connection has no signing secret, and \
                     without one nobody is believed; set `secrets.signingSecret`"
                ),
                why => warn!(
                    connection = row.name, tenant = %tenant,
                    "Refused what came to a hook: {why}"
                ),
            }
            return Err(Error::Unauthenticated("the signature does not hold".to_owned()));
        }
        let digest = hex::encode(Sha256::digest(raw));
        Ok(Believed { tenant, row, sender, raw_bytes: raw.len(), digest })
    }

    /// Makes an event of a delivery by the rules of its connection, and keeps the delivery.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was accepted; what does not fit is no error here.
    pub async fn take_delivery(
        &self,
        believed: &Believed,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, Error> {
        let made = believed.make(delivery);
        self.settle(believed, delivery, made).await
    }

    /// Keeps a delivery that could not be read.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn keep_unread(
        &self,
        believed: &Believed,
        delivery: &Delivery,
        problems: Vec<Problem>,
    ) -> Result<DeliveryOutcome, Error> {
        self.settle(believed, delivery, Made::Rejected(problems)).await
    }

    /// Takes what Slack sends and says what it is to be answered.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was accepted; Slack then tries again.
    pub async fn take_slack(
        &self,
        believed: &Believed,
        delivery: &Delivery,
    ) -> Result<SlackAnswer, Error> {
        let (event, answer) = match Request::read(&delivery.body) {
            Request::Challenge(challenge) => return Ok(SlackAnswer::Challenge(challenge)),
            Request::Nothing => return Ok(SlackAnswer::Received),
            Request::Event(event) | Request::Interaction(event) => (event, SlackAnswer::Received),
            Request::Command(event) => {
                let text = believed.command_reply(&delivery.body);
                (event, SlackAnswer::Text(text))
            }
        };
        let made = Made::Event(Box::new(believed.slack_event(*event)));
        self.settle(believed, delivery, made).await?;
        Ok(answer)
    }

    async fn settle(
        &self,
        believed: &Believed,
        delivery: &Delivery,
        made: Made,
    ) -> Result<DeliveryOutcome, Error> {
        let (kind, verdict) = match made {
            Made::Unmatched => (None, Err((DeliveryStatus::Unmatched, Vec::new()))),
            Made::Rejected(problems) => (None, Err((DeliveryStatus::Rejected, problems))),
            Made::Event(event) => {
                let kind = Some(event.kind.clone());
                let outcomes = self.accept_events(&believed.principal(), vec![*event]).await?;
                match outcomes.into_iter().next() {
                    Some(EventOutcome::Accepted(accepted)) => (kind, Ok(accepted)),
                    Some(EventOutcome::Rejected(problems)) => {
                        (kind, Err((DeliveryStatus::Rejected, problems)))
                    }
                    None => (kind, Err((DeliveryStatus::Rejected, Vec::new()))),
                }
            }
        };
        let (status, problems, accepted) = match verdict {
            Ok(accepted) if accepted.duplicate => {
                (DeliveryStatus::Duplicate, Vec::new(), Some(accepted))
            }
            Ok(accepted) => (DeliveryStatus::Accepted, Vec::new(), Some(accepted)),
            Err((status, problems)) => (status, problems, None),
        };
        let mut row =
            believed.record(delivery, status, problems, self.intake().hook_kept_bytes_max);
        row.event_type = kind;
        row.event_id = accepted.as_ref().map(|accepted| accepted.id.clone());
        row.received_at = self.now();
        self.engine().metrics().hook_delivered(&believed.row.name, word(status));
        let (reason, errors) = (row.reason.clone(), row.problems.clone());
        let number = self.keep_delivery(believed, row).await?;
        let accepted = accepted.into_iter().collect();
        Ok(DeliveryOutcome { delivery_id: number.to_string(), status, reason, errors, accepted })
    }

    /// Finds a hook by its short name, or by `<tenant>.<name>`.
    fn hook_connection(&self, name: &str) -> Result<(TenantId, ConnectionRow), Error> {
        let missing = || Error::NotFound { what: "hook", id: name.to_owned() };
        let (tenant, own) = match name.split_once('.') {
            Some((slug, own)) => {
                let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
                let found = tenants.into_iter().find(|tenant| tenant.slug == slug);
                (found.map(|tenant| tenant.id), own)
            }
            None => (self.read_of(APPLIANCE, |view| Ok(view.hook_holder(name)?))?, name),
        };
        let tenant = tenant.ok_or_else(missing)?;
        let row = self.read_of(tenant, |view| Ok(view.connection(own)?))?;
        Ok((tenant, row.ok_or_else(missing)?))
    }

    fn signing_secrets(&self, tenant: TenantId, row: &ConnectionRow) -> Result<Vec<Secret>, Error> {
        let set = SIGNING_SECRETS.iter().find(|name| row.secrets.contains_key(**name));
        let Some(name) = set else { return Ok(Vec::new()) };
        let opened = row.open((self.sealer(), tenant), name, self.now());
        opened.map_err(|error| Error::Internal(error.to_string()))
    }
}

impl Believed {
    /// Returns whether Slack is the sender.
    #[must_use]
    pub fn is_slack(&self) -> bool {
        self.sender == Sender::Slack
    }

    /// Believes again what was believed when it came.
    pub(super) fn again(tenant: TenantId, row: ConnectionRow) -> Believed {
        let sender = Sender::of(&row.app, &Value::Object(row.settings.clone()));
        Believed { tenant, row, sender, raw_bytes: 0, digest: String::new() }
    }

    pub(super) fn principal(&self) -> Principal {
        Principal {
            tenant: self.tenant,
            id: format!("connection:{}", self.row.name),
            name: self.row.name.clone(),
            scopes: Scopes::new(vec!["events:write".to_owned()]),
        }
    }

    /// Makes the event that the rules, or else the sender's own ways, say.
    pub(super) fn make(&self, delivery: &Delivery) -> Made {
        if self.is_slack() {
            return match Request::read(&delivery.body) {
                Request::Event(event) | Request::Interaction(event) | Request::Command(event) => {
                    Made::Event(Box::new(self.slack_event(*event)))
                }
                Request::Challenge(_) | Request::Nothing => Made::Unmatched,
            };
        }
        let rules = match rules_of(&Value::Object(self.row.settings.clone())) {
            Ok(rules) => rules,
            Err(problems) => return Made::Rejected(problems),
        };
        let mapped = match rules.is_empty() {
            true => self.own_event(delivery).map(Some),
            false => rules.apply(delivery),
        };
        match mapped {
            Ok(Some(mapped)) => Made::Event(Box::new(self.event(mapped, delivery))),
            Ok(None) => Made::Unmatched,
            Err(problem) => Made::Rejected(vec![problem]),
        }
    }

    /// Without a rule the sender names the type; those of the platform itself are not theirs.
    fn own_event(&self, delivery: &Delivery) -> Result<Mapped, Problem> {
        let named = self.sender.kind_of(delivery);
        let kind = named.unwrap_or_else(|| format!("{}:received", self.row.app));
        if event_type::find(&kind).is_some() {
            let detail = format!("`{kind}` is an event of the platform, which no sender makes");
            let hint = "give the connection a rule in `settings.rules` that names the type";
            return Err(Problem::new("/type", "reserved_type", detail).with_hint(hint));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        let kind = kind.replace(|c| !fits(c), "_");
        Ok(Mapped { kind, id: None, subject: None, payload: delivery.body.clone() })
    }

    fn event(&self, mapped: Mapped, delivery: &Delivery) -> IncomingEvent {
        let Mapped { kind, id, subject, payload } = mapped;
        let id = id.or_else(|| self.sender_id(delivery));
        IncomingEvent {
            id: id.map(bounded),
            kind,
            source: self.source(),
            subject,
            time: None,
            actor: Some(self.actor()),
            payload,
            metadata: self.metadata(),
        }
    }

    fn slack_event(&self, event: SlackEvent) -> IncomingEvent {
        let SlackEvent { mapped, time, user, metadata } = event;
        let Mapped { kind, id, subject, payload } = mapped;
        let mut all = self.metadata();
        all.extend(metadata);
        if !user.is_empty() {
            all.insert("slackUser".to_owned(), json!(user));
        }
        let id = id.or_else(|| self.digest_id());
        IncomingEvent {
            id: id.map(bounded),
            kind,
            source: self.source(),
            subject,
            time,
            actor: Some(self.actor()),
            payload,
            metadata: all,
        }
    }

    /// A signed body without an id of its own is known by itself; a shared secret signs nothing,
    /// and its senders may well say the same twice.
    fn sender_id(&self, delivery: &Delivery) -> Option<String> {
        self.sender.id_of(delivery).or_else(|| match self.sender {
            Sender::Plain(_) => None,
            Sender::Slack | Sender::Standard | Sender::GitHub | Sender::Stripe | Sender::Linear => {
                self.digest_id()
            }
        })
    }

    fn digest_id(&self) -> Option<String> {
        (!self.digest.is_empty()).then(|| format!("sha256:{}", self.digest))
    }

    fn source(&self) -> String {
        let folder = if self.is_slack() { "slack/" } else { "" };
        format!("/hooks/{folder}{}", self.row.name)
    }

    fn actor(&self) -> Actor {
        let id = format!("connection:{}", self.row.name);
        Actor { id, kind: "APP".to_owned(), email: String::new() }
    }

    fn metadata(&self) -> Map<String, Value> {
        Map::from_iter([("connection".to_owned(), json!(self.row.name))])
    }

    fn command_reply(&self, body: &Value) -> String {
        let set = self.row.settings.get("commandReply").and_then(Value::as_str);
        let command = body.get("command").and_then(Value::as_str).unwrap_or_default();
        set.map_or_else(|| format!("Got it: `{command}` is on its way."), str::to_owned)
    }

    fn record(
        &self,
        delivery: &Delivery,
        status: DeliveryStatus,
        problems: Vec<Problem>,
        kept_bytes_max: usize,
    ) -> DeliveryRow {
        let own = match &self.sender {
            Sender::Plain(header) => Some(header.as_str()),
            Sender::Slack | Sender::Standard | Sender::GitHub | Sender::Stripe | Sender::Linear => {
                None
            }
        };
        let reason = match status {
            DeliveryStatus::Accepted => None,
            DeliveryStatus::Duplicate => Some("the same had been accepted before".to_owned()),
            DeliveryStatus::Unmatched => Some("no rule of the connection wants it".to_owned()),
            DeliveryStatus::Rejected => Some(match problems.first() {
                Some(problem) => problem.detail.clone(),
                None => "it could not become an event".to_owned(),
            }),
        };
        DeliveryRow {
            number: 0, // Given when it is kept.
            received_at: crate::domain::time::Timestamp::default(),
            status,
            reason,
            problems,
            headers: delivery.headers_to_keep(own),
            query: delivery.query.clone(),
            body: (self.raw_bytes <= kept_bytes_max).then(|| delivery.body.clone()),
            sender_id: self.sender_id(delivery),
            event_type: None,
            event_id: None,
        }
    }
}

/// Returns the rules in a connection's settings: `rules`, `mapping` (the same by another name), or
/// one rule that is only an `eventType`.
///
/// # Errors
/// Returns every problem of the rules.
pub(super) fn rules_of(settings: &Value) -> Result<Rules, Vec<Problem>> {
    let present = |name: &str| settings.get(name).filter(|value| !value.is_null()).cloned();
    if let Some(rules) = present("rules") {
        return Rules::parse(&rules, "/settings/rules");
    }
    if let Some(rules) = present("mapping") {
        return Rules::parse(&rules, "/settings/mapping");
    }
    match present("eventType") {
        Some(kind) => Rules::parse(&json!({ "type": kind }), "/settings/eventType"),
        None => Ok(Rules::default()),
    }
}

fn bounded(id: String) -> String {
    match id.len() <= ID_BYTES_MAX {
        true => id,
        false => format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes()))),
    }
}

fn word(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Accepted => "accepted",
        DeliveryStatus::Duplicate => "duplicate",
        DeliveryStatus::Unmatched => "unmatched",
        DeliveryStatus::Rejected => "rejected",
    }
}
