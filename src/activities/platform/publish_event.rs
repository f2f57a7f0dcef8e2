//! Publishes an event, which may start other workflows.

use serde_json::{Map, Value, json};

use super::input::named;
use super::{OnDesk, described, schema};
use crate::activities::desk::Desk;
use crate::domain::activity::{ActivitySpec, Compensation};
use crate::domain::desk::Emitted;
use crate::domain::event_type::canonical;
use crate::domain::run::Failure;

/// Who says so, unless the step names somebody: not the platform itself, but a workflow in it.
const SOURCE: &str = "ergane/workflow";

pub(in crate::activities) const PUBLISH: OnDesk = OnDesk { spec, run };

fn spec() -> ActivitySpec {
    let text = "Publishes an event; aliases of its type become the one spelling. What it starts \
                counts as caused by this run.";
    let spec = described("workflows:publish-event-platform", "Publish an event", text);
    let mut input_schema = schema::object(json!({
        "type": { "type": "string", "minLength": 1, "maxLength": 255,
                  "description": "The type, such as order:paid" },
        "payload": { "description": "The event's data" },
        "subject": schema::text("What it is about, such as a record's id"),
        "source": schema::text("Who says so; ergane/workflow unless told"),
        "metadata": { "type": ["object", "null"], "description": "What stands beside the payload" },
    }));
    input_schema["required"] = json!(["type"]);
    let output_schema = json!({
        "type": "object", "properties": { "type": { "type": "string" } }, "required": ["type"],
    });
    ActivitySpec {
        input_schema,
        output_schema,
        compensation: Compensation::Manual,
        scopes: vec!["events:write".to_owned()],
        ..spec
    }
}

fn run(desk: &mut Desk<'_, '_, '_>, input: &Map<String, Value>) -> Result<Value, Failure> {
    let kind = canonical(named(input, &["type"])?).into_owned();
    let text = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let emitted = Emitted {
        kind: kind.clone(),
        subject: text("subject").unwrap_or_default().to_owned(),
        payload: input.get("payload").cloned().unwrap_or_else(|| json!({})),
        metadata: input.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
    };
    desk.publish(text("source").unwrap_or(SOURCE), emitted);
    Ok(json!({ "type": kind }))
}
