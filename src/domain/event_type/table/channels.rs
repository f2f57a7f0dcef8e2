//! What comes from Slack, by mail and through forms, and what becomes of apps.

use serde_json::{Value, json};

use super::row;
use crate::domain::event_type::{EventType, Shape};

/// Returns the event types of Slack, mail and forms.
pub(super) fn rows() -> Vec<EventType> {
    [slack(), email(), forms()].into_iter().flatten().collect()
}

fn plain(value: Value) -> Shape {
    Shape::Like(value)
}

fn slack() -> Vec<EventType> {
    let slack = |kind, name, description| row(kind, name, description).among("Slack").from("slack");
    vec![
        slack("slack:message", "Slack message", "A message was written in a channel.")
            .maybe("type", plain(json!("message")))
            .maybe("channel", plain(json!("C024BE91L")))
            .maybe("user", plain(json!("U2147483697")))
            .maybe("text", plain(json!("Is the login page down?")))
            .maybe("ts", plain(json!("1795428000.000100")))
            .maybe("team", plain(json!("T0001"))),
        slack("slack:channel:created", "Slack channel created", "A channel was made.")
            .maybe("type", plain(json!("channel_created")))
            .maybe(
                "channel",
                plain(json!({
                    "id": "C024BE91L",
                    "name": "incident-42",
                    "created": 1_795_428_000,
                    "creator": "U024BE7LH",
                })),
            ),
        slack("slack:app_mention", "Slack mention", "Somebody mentioned the app.")
            .maybe("channel", plain(json!("C024BE91L")))
            .maybe("user", plain(json!("U2147483697")))
            .maybe("text", plain(json!("<@U0LAN0Z89> is the login page down?")))
            .maybe("ts", plain(json!("1795428000.000100"))),
        slack("slack:reaction:added", "Slack reaction added", "Somebody reacted to something.")
            .maybe("user", plain(json!("U2147483697")))
            .maybe("reaction", plain(json!("eyes")))
            .maybe(
                "item",
                plain(json!({
                    "type": "message", "channel": "C024BE91L", "ts": "1795428000.000100"
                })),
            ),
        slack("slack:member:joined_channel", "Slack member joined", "Somebody joined a channel.")
            .maybe("user", plain(json!("U2147483697")))
            .maybe("channel", plain(json!("C024BE91L"))),
        slack(
            "slack:interaction",
            "Slack interaction",
            "Somebody pressed a button or sent a form.",
        )
        .maybe("type", plain(json!("block_actions")))
        .maybe("actionIds", plain(json!(["approve"])))
        .maybe("user", plain(json!({ "id": "U2147483697", "name": "kim" }))),
        slack("slack:command", "Slack command", "Somebody typed a slash command.")
            .maybe("command", plain(json!("/incident")))
            .maybe("text", plain(json!("the login page is down")))
            .maybe("user_id", plain(json!("U2147483697")))
            .maybe("channel_id", plain(json!("C024BE91L"))),
        slack("slack:*:*", "Other Slack event", "Something else of Slack's Events API happened."),
    ]
}

fn email() -> Vec<EventType> {
    let email = |kind, name, description| {
        row(kind, name, description).among("Email").from("email").with("email", mail())
    };
    vec![
        row("email:received", "Email received", "A mail came in.")
            .among("Email")
            .from("email")
            .maybe("from", plain(json!("kim@wedding.example")))
            .maybe("fromName", plain(json!("Kim")))
            .maybe("to", plain(json!(["help@default.example.com"])))
            .maybe("cc", plain(json!([])))
            .maybe("subject", plain(json!("Nobody can log in")))
            .maybe("text", plain(json!("Since ten o'clock every login ends on an empty page.")))
            .maybe("html", plain(json!("<p>Since ten o'clock every login …</p>")))
            .maybe("headers", Shape::Free(json!({ "x-mailer": "Paper 3" })))
            .maybe("attachments", plain(json!([])))
            .maybe("messageId", plain(json!("1@wedding.example")))
            .maybe("inReplyTo", plain(json!("0@example.com")))
            .maybe("references", plain(json!(["0@example.com"]))),
        email("email:sent", "Email sent", "A mail went out."),
        email("email:bounced", "Email bounced", "A mail could not be delivered.")
            .maybe("reason", plain(json!("550 no such mailbox"))),
    ]
}

fn forms() -> Vec<EventType> {
    vec![
        row("form:submitted", "Form submitted", "Somebody filled in a form.")
            .among("Forms")
            .from("form")
            .maybe("form", plain(json!({ "name": "contact", "title": "Contact us" })))
            .maybe(
                "values",
                Shape::Free(json!({ "email": "kim@wedding.example", "topic": "Login" })),
            )
            .maybe("submittedAt", plain(json!("2026-11-23T10:00:00.000Z"))),
    ]
}

/// Returns the event types of the life of apps.
pub(super) fn apps() -> Vec<EventType> {
    let app = json!({ "id": "A01KB0XS0W0000000000000000", "slug": "pager", "name": "Pager" });
    let installation = json!({
        "id": "I01KB0XS0W0000000000000000", "teamIds": ["G01KB0XS0W0000000000000000"],
        "botId": "B01KB0XS0W0000000000000000", "scopes": ["tickets:read"],
        "requiredSettings": { "region": "eu" }, "optionalSettings": {},
    });
    let about = |kind, name, description| {
        row(kind, name, description).among("Apps").with("app", plain(app.clone()))
    };
    vec![
        about("app:installed", "App installed", "An app was installed on teams.")
            .also(&["app:installation"])
            .with("installation", plain(installation.clone())),
        about("app:reinstalled", "App reinstalled", "The settings or teams of an app changed.")
            .also(&["app:reinstall"])
            .with("installation", plain(installation.clone())),
        about("app:uninstalled", "App uninstalled", "An app was taken away.")
            .also(&["app:uninstall"])
            .with("installation", plain(installation.clone())),
        about("app:updated", "App updated", "An app has another manifest.")
            .maybe("installation", plain(installation))
            .maybe("changes", plain(json!([]))),
    ]
}

fn mail() -> Shape {
    Shape::Like(json!({
        "messageId": "<1@wedding.example>",
        "from": "kim@wedding.example",
        "to": ["help@example.com"],
        "subject": "Nobody can log in",
        "text": "Since ten o'clock every login ends on an empty page.",
    }))
}
