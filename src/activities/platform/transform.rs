//! Shapes data for later steps; it reads nothing and changes nothing.

use serde_json::{Map, Value, json};

use super::{OnDesk, described};
use crate::domain::activity::ActivitySpec;
use crate::domain::run::Failure;

pub(in crate::activities) const TRANSFORM: OnDesk =
    OnDesk { spec, run: |_, input| transform(input) };

fn spec() -> ActivitySpec {
    let text = "Answers `output` if it is given. With `from`, `merge`, `pick` or `set` it answers \
                an object: `from`, with the objects of `merge` laid over it in order, then only \
                the fields named in `pick`, then those of `set`. Otherwise it answers its input.";
    let spec = described("workflows:transform-platform", "Transform data", text);
    let input_schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {
            "output": { "description": "The answer, of any type" },
            "from": { "type": ["object", "null"], "description": "The object to begin with" },
            "merge": {
                "type": ["array", "object", "null"], "items": { "type": ["object", "null"] },
                "description": "Objects whose fields replace those before",
            },
            "pick": {
                "type": ["array", "null"], "items": { "type": "string" },
                "description": "The only fields to keep",
            },
            "set": { "type": ["object", "null"], "description": "Fields to set last" },
        },
    });
    ActivitySpec { input_schema, ..spec }
}

fn transform(input: &Map<String, Value>) -> Result<Value, Failure> {
    if let Some(output) = input.get("output") {
        return Ok(output.clone());
    }
    if !["from", "merge", "pick", "set"].iter().any(|name| input.contains_key(*name)) {
        return Ok(Value::Object(input.clone()));
    }
    let mut shaped = Map::new();
    lay_over(&mut shaped, input.get("from"));
    match input.get("merge") {
        Some(Value::Array(parts)) => {
            parts.iter().for_each(|part| lay_over(&mut shaped, Some(part)));
        }
        part => lay_over(&mut shaped, part),
    }
    if let Some(Value::Array(names)) = input.get("pick") {
        shaped.retain(|name, _| names.iter().any(|wanted| wanted == name));
    }
    lay_over(&mut shaped, input.get("set"));
    Ok(Value::Object(shaped))
}

fn lay_over(shaped: &mut Map<String, Value>, part: Option<&Value>) {
    let part = part.and_then(Value::as_object).cloned().unwrap_or_default();
    shaped.extend(part);
}
