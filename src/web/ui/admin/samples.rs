//! Views of this area as the use cases would answer them, for the tests of its pages.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::app::activities::ActivityView;
use crate::app::activity_record::ActivityRecord;
use crate::app::api_imports::ImportSummary;
use crate::app::apps::AppOptions;
use crate::app::connections::{ConnectionView, SecretState};
use crate::app::deliveries::{DeliveryStatus, DeliveryView};
use crate::app::seal_rotation::SealState;
use crate::app::secrets::SecretView;
use crate::app::uses::UseView;
use crate::app::views::KeyView;
use crate::app::webhook_deliveries::{self, DeliveryAttemptView, DeliveryErrorView};
use crate::app::webhooks::{DeliveryCounts, WebhookView};
use crate::domain::manifest::Setting;
use crate::domain::webhook;
use crate::web::ui::samples::NOW;

/// A connection with settings and two secrets.
pub fn connection(text: &str, app: &str) -> ConnectionView {
    let state = |values| SecretState {
        set: true,
        values,
        previous_valid_until: (values > 1).then_some(NOW),
        set_at: Some(NOW),
        set_by: Some(text.to_owned()),
    };
    ConnectionView {
        name: text.to_owned(),
        app: app.to_owned(),
        settings: Map::from_iter([("note".to_owned(), json!(text))]),
        secrets: BTreeMap::from([
            ("signingSecret".to_owned(), state(2)),
            ("botToken".to_owned(), state(1)),
        ]),
        hook_path: format!("/hooks/slack/{text}"),
        version: 3,
        created_at: NOW,
        updated_at: NOW,
        state: "ok",
        unauthorized: None,
        last_test: None,
    }
}

/// A workflow that uses something.
pub fn user(text: &str) -> UseView {
    let steps = vec![text.to_owned()];
    UseView { workflow: text.to_owned(), title: text.to_owned(), active: false, steps }
}

/// What came in, in each status.
pub fn deliveries(text: &str) -> Vec<DeliveryView> {
    let statuses = [
        DeliveryStatus::Rejected,
        DeliveryStatus::Accepted,
        DeliveryStatus::Duplicate,
        DeliveryStatus::Unmatched,
    ];
    let one = |status| DeliveryView {
        id: text.to_owned(),
        received_at: NOW,
        status,
        reason: Some(text.to_owned()),
        errors: Vec::new(),
        headers: Map::new(),
        body: Some(json!({ "text": text })),
        sender_id: None,
        event_type: Some(text.to_owned()),
        event_id: Some(text.to_owned()),
    };
    statuses.into_iter().map(one).collect()
}

/// A secret.
pub fn secret(text: &str) -> SecretView {
    SecretView {
        name: text.to_owned(),
        hosts: vec![text.to_owned()],
        version: 2,
        created_at: NOW,
        updated_at: NOW,
        updated_by: Some(text.to_owned()),
    }
}

/// The key that seals.
pub fn seal(text: &str) -> SealState {
    SealState {
        state: "resealing",
        key_id: text.to_owned(),
        older_key_ids: vec![text.to_owned()],
        kept_in: text.to_owned(),
    }
}

/// A key.
pub fn key(text: &str) -> KeyView {
    KeyView {
        id: text.to_owned(),
        name: text.to_owned(),
        prefix: text.to_owned(),
        scopes: vec![text.to_owned()],
        created_at: NOW,
        expires_at: Some(NOW),
        last_used_at: Some(NOW),
        created_by: Some(text.to_owned()),
    }
}

/// A subscription.
pub fn webhook(text: &str) -> WebhookView {
    WebhookView {
        id: text.to_owned(),
        url: text.to_owned(),
        types: vec![text.to_owned()],
        filter: Some(json!({ text: { "~eq": text } })),
        description: text.to_owned(),
        format: "event".to_owned(),
        app: None,
        headers: BTreeMap::from([(text.to_owned(), "***".to_owned())]),
        enabled: true,
        disabled_reason: Some(text.to_owned()),
        disabled_at: None,
        previous_secret_until: Some(NOW),
        deliveries: DeliveryCounts { pending: 1, delivered: 2, dead: 3 },
        failing_since: Some(NOW),
        last_delivered_at: Some(NOW),
        last_failed_at: Some(NOW),
        created_at: NOW,
        created_by: text.to_owned(),
        updated_at: NOW,
    }
}

/// A delivery that was given up on.
pub fn delivery(text: &str) -> webhook_deliveries::DeliveryView {
    let attempt = DeliveryAttemptView {
        number: 1,
        at: NOW,
        outcome: "failed".to_owned(),
        status_code: Some(500),
        duration_ms: Some(12),
        error: Some(DeliveryErrorView { code: text.to_owned(), message: text.to_owned() }),
        response: Some(text.to_owned()),
    };
    webhook_deliveries::DeliveryView {
        id: text.to_owned(),
        webhook_id: text.to_owned(),
        event_id: text.to_owned(),
        event_type: text.to_owned(),
        message_id: text.to_owned(),
        origin: webhook_deliveries::Origin::Event,
        status: webhook::DeliveryStatus::Dead,
        attempts: vec![attempt],
        next_attempt_at: Some(NOW),
        created_at: NOW,
        ended_at: Some(NOW),
        request: Some(json!({ "url": text, "headers": { text: text }, "body": { "a": text } })),
    }
}

/// An activity with fields of every kind.
pub fn activity(text: &str) -> ActivityView {
    let schema = json!({"type": "object", "required": ["line"], "properties": {
        "line": {"type": "string", "description": text, "examples": [text]},
        "body": {"type": "string"}, "count": {"type": "integer", "default": 3},
        "kind": {"enum": [text, "b"]}, "flag": {"type": "boolean"},
        "inner": {"type": "object", "properties": {"deep": {"type": "string"}}},
    }});
    ActivityView {
        unique_identifier: text.to_owned(),
        name: text.to_owned(),
        version: 2,
        versions: vec![1, 2],
        category: text.to_owned(),
        source: text.to_owned(),
        description: text.to_owned(),
        input_schema: schema.clone(),
        output_schema: schema,
        throttle: json!({ "limit": 5, "window": "1s", "key": text }),
        timeout: "30s".to_owned(),
        retry: json!({ "attempts": 3, "initial": "1s", "max": "1m" }),
        compensation: "manual",
        in_doubt: Some("repeat"),
        scopes: vec![text.to_owned()],
    }
}

/// How an activity fared.
pub fn record() -> ActivityRecord {
    ActivityRecord {
        since: NOW,
        runs: 9,
        succeeded: 8,
        failed: 1,
        p50_ms: Some(120),
        p95_ms: Some(1_240),
        ..ActivityRecord::default()
    }
}

/// An import.
pub fn import(text: &str) -> ImportSummary {
    ImportSummary {
        name: text.to_owned(),
        title: text.to_owned(),
        base_url: url::Url::parse("https://pets.example.com/v1").expect("an address"),
        connection: Some(text.to_owned()),
        strict: false,
        activities: 4,
        imported_at: NOW,
        imported_by: text.to_owned(),
    }
}

/// What an installation can be made of.
pub fn options(text: &str) -> AppOptions {
    let setting = |key: &str, secret| Setting {
        key: key.to_owned(),
        description: text.to_owned(),
        schema: json!({ "enum": ["eu", text] }),
        secret,
        required: secret,
        default: (!secret).then(|| Value::from(text)),
    };
    AppOptions {
        settings: vec![setting("region", false), setting("api_key", true)],
        secrets_set: vec!["api_key".to_owned()],
        scopes_required: vec![text.to_owned()],
        scopes_optional: vec![text.to_owned()],
        workflows: vec![text.to_owned()],
    }
}
