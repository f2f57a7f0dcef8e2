//! What a step waits for or starts, which the run keeps by itself; here is only what they say of
//! themselves.

use serde_json::json;

use super::{described, schema};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};

/// Describes the wait for an event.
pub(in crate::activities) fn wait_for_event() -> ActivitySpec {
    let text = "Pauses the run until an event comes that passes the filter; the event is the \
                output. It holds no thread and survives restarts.";
    let mut input = schema::object(json!({
        "event": schema::text("The type of the event, such as ticket:comment:added"),
        "filter": { "type": ["object", "null"], "description": "Which events of the type" },
        "timeout": { "type": ["string", "number"], "description": "How long it waits, such as 4h" },
        "onTimeout": { "enum": ["fail", "continue"], "description": "What happens then" },
        "lookBack": { "type": ["string", "number"],
                      "description": "Earlier events that count: run, none, or such as 10m" },
    }));
    input["required"] = json!(["event"]);
    ActivitySpec {
        input_schema: input,
        output_schema: json!({}),
        reach: Reach::Sleep,
        ..described("workflows:wait-for-event-platform", "Wait for an event", text)
    }
}

/// Describes the start of another workflow.
pub(in crate::activities) fn run_workflow() -> ActivitySpec {
    let text = "Starts another workflow with a made event, whose payload is the input; waits for \
                its end unless told otherwise. Undoing the step undoes the run that it started.";
    let mut input = schema::object(json!({
        "workflow": schema::text("The name of the workflow"),
        "input": { "type": ["object", "string", "null"], "description": "The payload" },
        "wait": { "type": "boolean", "description": "Whether the step waits for the end" },
    }));
    input["required"] = json!(["workflow"]);
    ActivitySpec {
        input_schema: input,
        output_schema: json!({ "type": "object", "properties": {
            "runId": { "type": "string" }, "status": { "type": "string" }, "result": {},
        } }),
        reach: Reach::Sleep,
        compensation: Compensation::Automatic,
        ..described("workflows:run-workflow-platform", "Run a workflow", text)
    }
}
