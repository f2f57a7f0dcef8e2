//! Sends a mail over a saved connection to a mail server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::egress::Egress;
use super::letter::compose;
use super::mail_server::{MailServer, deliver};
use crate::activities::settings::EgressSettings;
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::Failure;
use crate::domain::workflow::Retry;

const RECIPIENTS_MAX: usize = 100;

/// Sends a mail.
pub(in crate::activities) struct SendEmail(Arc<Egress>);

impl SendEmail {
    pub(in crate::activities) fn new(settings: &EgressSettings) -> SendEmail {
        SendEmail(Arc::new(Egress::new(settings)))
    }
}

impl OutsideActivity for SendEmail {
    fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: "communications:send-email-platform".to_owned(),
            name: "Send e-mail".to_owned(),
            version: 1,
            category: "communications".to_owned(),
            source: "platform".to_owned(),
            description:
                "Sends a mail over a connection of the app `smtp`, with a Message-ID that \
                          stays the same through every retry. What the mail server refuses for \
                          now is tried again."
                    .to_owned(),
            input_schema: input_schema(),
            output_schema: output_schema(),
            reach: Reach::Outside,
            compensation: Compensation::Manual,
            scopes: vec!["mail:write".to_owned()],
            timeout: Duration::from_secs(60),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn app(&self) -> Option<&'static str> {
        Some("smtp")
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let egress = Arc::clone(&self.0);
        async move { send(&egress, &call).await }.boxed()
    }
}

async fn send(egress: &Egress, call: &OutsideCall) -> Result<Value, Failure> {
    let connection = call.connection()?;
    let server = MailServer::read(connection)?;
    let from = connection.needed_setting("from")?;
    let letter = compose(&call.input, from, &call.idempotency_key)?;
    let said = deliver(egress, &server, &letter.message, call.timeout).await?;
    Ok(json!({ "ok": true, "messageId": letter.message_id, "response": said }))
}

fn input_schema() -> Value {
    let address = json!({ "type": "string", "minLength": 3 });
    let addresses = |kinds: Value, description: &str| {
        json!({
            "type": kinds, "minLength": 3, "minItems": 1, "maxItems": RECIPIENTS_MAX,
            "items": address, "description": description,
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "to": addresses(
                json!(["string", "array"]),
                "An address such as `ada@example.com` or `Ada <ada@example.com>`, or a list",
            ),
            "cc": addresses(json!(["string", "array", "null"]), "Who gets a copy"),
            "replyTo": {
                "type": ["string", "null"], "description": "Where answers go, unless to the sender",
            },
            "subject": { "type": "string", "description": "The subject" },
            "text": { "type": ["string", "null"], "description": "The plain text" },
            "html": {
                "type": ["string", "null"],
                "description": "The text as HTML; with `text`, the reader's program chooses",
            },
            "connection": {
                "type": ["string", "null"],
                "description": "The connection to use; may be left out where there is only one",
            },
        },
        "required": ["to", "subject"],
        "anyOf": [{ "required": ["text"] }, { "required": ["html"] }],
        "additionalProperties": false,
    })
}

fn output_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "ok": { "const": true, "description": "Always true: a refusal fails the step" },
            "messageId": { "type": "string", "description": "The Message-ID of the mail" },
            "response": { "type": "string", "description": "What the mail server said to it" },
        },
        "required": ["ok", "messageId", "response"],
    })
}
