//! Who sends to a hook, and how they prove it.

use serde_json::Value;

use super::Delivery;
use crate::domain::secret::Secret;
use crate::domain::signature::{
    Disbelief, github, linear, plain, slack, standard_webhooks, stripe,
};
use crate::domain::time::Timestamp;

/// How a sender signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Slack's requests, version 0.
    Slack,
    /// Standard Webhooks.
    Standard,
    /// GitHub.
    GitHub,
    /// Stripe.
    Stripe,
    /// Linear.
    Linear,
    /// A shared secret in the header of this name, in lower case.
    Plain(String),
}

/// The names of the ways of signing, as `settings.signature` spells them.
pub const SIGNATURES: [&str; 6] = ["standard", "github", "stripe", "linear", "slack", "plain"];

const PLAIN_HEADER: &str = "x-webhook-secret";

impl Sender {
    /// Returns the sender behind an app and its settings: `signature` names the way of signing where
    /// the app does not say, and `header` the header of a shared secret.
    #[must_use]
    pub fn of(app: &str, settings: &Value) -> Sender {
        let header = settings.get("header").and_then(Value::as_str);
        let named = settings.get("signature").and_then(Value::as_str);
        // A header in the settings says that the secret is shown in it.
        let otherwise = if header.is_some() { "plain" } else { app };
        match named.unwrap_or(otherwise) {
            "slack" => Sender::Slack,
            "github" => Sender::GitHub,
            "stripe" => Sender::Stripe,
            "linear" => Sender::Linear,
            "plain" => Sender::Plain(header.unwrap_or(PLAIN_HEADER).to_lowercase()),
            _ => Sender::Standard, // What senders without a way of their own are asked for.
        }
    }

    /// Checks the signature of a raw body.
    ///
    /// # Errors
    /// Returns why the sender is not believed.
    pub fn verify(
        &self,
        secrets: &[Secret],
        delivery: &Delivery,
        raw: &[u8],
        now: Timestamp,
    ) -> Result<(), Disbelief> {
        let header = |name: &str| match delivery.header(name) {
            "" => Err(Disbelief::Missing),
            value => Ok(value),
        };
        match self {
            Sender::Slack => {
                let timestamp = header("x-slack-request-timestamp")?;
                slack::verify(secrets, (timestamp, header("x-slack-signature")?), raw, now)
            }
            Sender::Standard => {
                let headers = standard_webhooks::Headers {
                    id: header("webhook-id")?,
                    timestamp: header("webhook-timestamp")?,
                    signatures: header("webhook-signature")?,
                };
                standard_webhooks::verify(secrets, headers, raw, now)
            }
            Sender::GitHub => github::verify(secrets, header("x-hub-signature-256")?, raw),
            Sender::Stripe => stripe::verify(secrets, header("stripe-signature")?, raw, now),
            Sender::Linear => linear::verify(secrets, header("linear-signature")?, raw, now),
            Sender::Plain(name) => plain::verify(secrets, header(name)?),
        }
    }

    /// Returns the sender's own id of a delivery: the same through every repeat of it.
    #[must_use]
    pub fn id_of(&self, delivery: &Delivery) -> Option<String> {
        let id = match self {
            Sender::Standard => delivery.header("webhook-id"),
            Sender::GitHub => delivery.header("x-github-delivery"),
            Sender::Linear => delivery.header("linear-delivery"),
            Sender::Stripe => delivery.body.get("id").and_then(Value::as_str).unwrap_or_default(),
            Sender::Slack => super::slack::id_of(&delivery.body).unwrap_or_default(),
            Sender::Plain(_) => "",
        };
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// Returns the event type of a delivery where no rule says another.
    #[must_use]
    pub fn kind_of(&self, delivery: &Delivery) -> Option<String> {
        let text = |name: &str| delivery.body.get(name).and_then(Value::as_str);
        let kind = match self {
            Sender::GitHub => {
                let event = delivery.header("x-github-event");
                match text("action") {
                    _ if event.is_empty() => return None,
                    Some(action) => format!("github:{event}:{action}"),
                    None => format!("github:{event}"),
                }
            }
            Sender::Stripe => format!("stripe:{}", text("type")?.replace('.', ":")),
            Sender::Linear => {
                format!("linear:{}:{}", text("type")?, text("action")?).to_lowercase()
            }
            Sender::Slack => return None,
            Sender::Standard | Sender::Plain(_) => text("type")?.to_owned(),
        };
        Some(kind)
    }
}
