//! Puts a mail together from the input of a step.

use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::activities::checked::invalid;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::run::Failure;

/// A mail, ready to be sent.
pub(super) struct Letter {
    pub(super) message: Message,
    pub(super) message_id: String,
}

/// Puts a mail together; its Message-ID follows from the key, so that whoever gets it twice can
/// tell.
pub(super) fn compose(input: &Value, from: &str, key: &str) -> Result<Letter, Failure> {
    let from: Mailbox = from.parse().map_err(|_| {
        let message = "`settings.from` of the connection is no mail address";
        Failure::terminal("connection_incomplete", message)
    })?;
    let digest = hex::encode(&Sha256::digest(key.as_bytes())[..16]);
    let message_id = format!("<{digest}@{}>", from.email.domain());
    let mut builder = Message::builder()
        .from(from)
        .message_id(Some(message_id.clone()))
        .subject(input["subject"].as_str().unwrap_or_default());
    for mailbox in mailboxes(&input["to"], "/to")? {
        builder = builder.to(mailbox);
    }
    for mailbox in mailboxes(&input["cc"], "/cc")? {
        builder = builder.cc(mailbox);
    }
    for mailbox in mailboxes(&input["replyTo"], "/replyTo")? {
        builder = builder.reply_to(mailbox);
    }
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    let made = match (text("text"), text("html")) {
        (Some(plain), Some(html)) => {
            builder.multipart(MultiPart::alternative_plain_html(plain, html))
        }
        (None, Some(html)) => builder.singlepart(SinglePart::html(html)),
        (plain, None) => builder.singlepart(SinglePart::plain(plain.unwrap_or_default())),
    };
    let message = made.map_err(|error| Failure::terminal("invalid_input", error.to_string()))?;
    Ok(Letter { message, message_id })
}

fn mailboxes(given: &Value, at: &str) -> Result<Vec<Mailbox>, Failure> {
    let texts: Vec<(String, &str)> = match given {
        Value::String(text) => vec![(at.to_owned(), text)],
        Value::Array(items) => {
            let texts = items.iter().enumerate();
            let place = |index: usize| pointer_to(at, &index.to_string());
            texts.filter_map(|(index, item)| Some((place(index), item.as_str()?))).collect()
        }
        _ => Vec::new(), // Left out; the schema allows nothing else.
    };
    let read = |(at, text): (String, &str)| {
        text.parse().map_err(|_| {
            let problem = Problem::new(at, "invalid_address", "this is no mail address");
            invalid("invalid_input", &[problem])
        })
    };
    texts.into_iter().map(read).collect()
}
