//! The pause, which the run keeps by itself; here is only what it says of itself.

use serde_json::{Map, Value, json};

use super::{described, schema};
use crate::domain::activity::{ActivitySpec, Reach};

const LENGTHS: [&str; 14] = [
    "duration",
    "seconds",
    "durationSeconds",
    "durationInSeconds",
    "sleepDuration",
    "delay",
    "durationMs",
    "milliseconds",
    "minutes",
    "durationMinutes",
    "hours",
    "durationHours",
    "days",
    "durationDays",
];

/// Describes the pause.
pub(in crate::activities) fn spec() -> ActivitySpec {
    let text = "Pauses the run; it holds no thread, survives restarts and never ends early. \
                `duration` is such as 90s or 4h, or a number of seconds.";
    let length = json!({ "type": ["string", "number"], "description": "How long it lasts" });
    let mut properties: Map<String, Value> =
        LENGTHS.iter().map(|name| ((*name).to_owned(), length.clone())).collect();
    properties.insert("unit".to_owned(), schema::text("The unit of a bare number"));
    let input = schema::object(Value::Object(properties));
    ActivitySpec {
        input_schema: schema::one_of_needed(input, &LENGTHS),
        reach: Reach::Sleep,
        ..described("workflows:sleep-platform", "Sleep", text)
    }
}
