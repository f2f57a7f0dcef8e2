//! What is sent for an event: as Standard Webhooks advises
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>),
//! or in the envelope that Thena sends.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::event::Event;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;

/// The shape of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// `{type, timestamp, data}` with the whole event as `data`.
    #[default]
    Event,
    /// Thena's `{message, messageAttributes}`.
    Thena,
    /// What Thena tells an app of its own life; only apps have it.
    Installation,
}

impl Format {
    /// Every format that users may choose.
    pub const ALL: [Format; 2] = [Format::Event, Format::Thena];

    /// Returns the name that users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Event => "event",
            Format::Thena => "thena",
            Format::Installation => "installation",
        }
    }

    /// Reads back what `as_str` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

/// What a message says beside the event itself.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts<'a> {
    /// The tenant where it happened.
    pub tenant: TenantId,
    /// When the event was accepted.
    pub received_at: Timestamp,
    /// The runs that it started.
    pub runs: &'a [RunId],
}

/// Returns the body of the message for an event; the same for every attempt.
#[must_use]
pub fn body(format: Format, event: &Event, facts: MessageFacts<'_>) -> Value {
    match format {
        Format::Event => {
            let mut data = event.to_value();
            data["receivedAt"] = json!(facts.received_at);
            data["runs"] = json!(facts.runs);
            json!({ "type": event.kind, "timestamp": event.time, "data": data })
        }
        Format::Thena => thena(event, facts.tenant),
        Format::Installation => installation(event, facts.tenant),
    }
}

/// The bot's key is not in it: whoever installs the app is shown it once.
fn installation(event: &Event, tenant: TenantId) -> Value {
    let (app, installed) = (&event.payload["app"], &event.payload["installation"]);
    let kind = match event.kind.as_str() {
        "app:installed" => "app:installation",
        "app:reinstalled" => "app:reinstall",
        "app:uninstalled" => "app:uninstall",
        other => other, // Thena has no word for it.
    };
    let mut body = json!({
        "event_id": event.id,
        "event_type": kind,
        "installation_id": installed["id"],
        "team_ids": installed["teamIds"],
        "organization_id": tenant.to_string(),
        "application_id": app["id"],
        "application_name": app["name"],
        "application_metadata": app,
        "bot_id": installed["botId"],
        "bot_token": null,
        "configuration": {
            "required_settings": installed["requiredSettings"],
            "optional_settings": installed["optionalSettings"],
        },
    });
    let (by, at) = match event.kind == "app:installed" {
        true => ("created_by", "created_at"),
        false => ("updated_by", "updated_at"),
    };
    body[by] = json!(event.actor.id);
    body[at] = json!(event.time);
    body
}

fn thena(event: &Event, tenant: TenantId) -> Value {
    let organization = tenant.to_string();
    json!({
        "message": {
            "eventId": event.id,
            "eventType": event.kind,
            "timestamp": event.time,
            "orgId": organization,
            "actor": event.actor,
            "payload": event.payload,
            "metadata": event.metadata,
        },
        "messageAttributes": {
            "event_name": event.kind,
            "event_id": event.id,
            "event_timestamp": event.time,
            "context_user_id": event.actor.id,
            "context_user_type": event.actor.kind,
            "context_organization_id": organization,
        },
    })
}
