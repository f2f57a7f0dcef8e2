//! Shapes data for later steps; it reads nothing and changes nothing.

use serde_json::json;

use super::{OnDesk, described};
use crate::domain::activity::ActivitySpec;
use crate::domain::transform::{IDENTIFIER, transform};

pub(in crate::activities) const TRANSFORM: OnDesk =
    OnDesk { spec, run: |_, input| Ok(transform(input)) };

fn spec() -> ActivitySpec {
    let text = "Answers `output` if it is given. With `from`, `merge`, `pick` or `set` it answers \
                an object: `from`, with the objects of `merge` laid over it in order, then only \
                the fields named in `pick`, then those of `set`. Otherwise it answers its input.";
    let spec = described(IDENTIFIER, "Transform data", text);
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
