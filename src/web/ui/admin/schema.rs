//! A JSON Schema as a table: one row for each property, those inside others behind their path.

use serde_json::Value;

use super::entry::{type_of, written};

const DEPTH_MAX: usize = 4;
const ROWS_MAX: usize = 200;

/// One property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its path from the top, such as `message.text`.
    pub path: String,
    /// Its type, with what is in a list.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for.
    pub description: String,
    /// What it may be, and what it is when nobody says.
    pub notes: Vec<String>,
}

/// Returns the properties of a schema, in its order.
pub fn properties_of(schema: &Value) -> Vec<Property> {
    let mut rows = Vec::new();
    gather(schema, "", 0, &mut rows);
    rows
}

fn gather(schema: &Value, prefix: &str, depth: usize, rows: &mut Vec<Property>) {
    let needed = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if rows.len() == ROWS_MAX || depth == DEPTH_MAX {
            return;
        }
        let path = format!("{prefix}{name}");
        rows.push(Property {
            kind: kind_of(inner),
            required: needed(name),
            description: inner["description"].as_str().unwrap_or_default().to_owned(),
            notes: notes_of(inner),
            path: path.clone(),
        });
        gather(inner, &format!("{path}."), depth + 1, rows);
        gather(&inner["items"], &format!("{path}[]."), depth + 1, rows);
    }
}

fn kind_of(schema: &Value) -> String {
    let kind = match type_of(schema) {
        "" if schema["enum"].is_array() => "choice",
        "" if schema.get("const").is_some() => "constant",
        "" => "any",
        kind => kind,
    };
    match (kind, type_of(&schema["items"])) {
        ("array", "") => "list".to_owned(),
        ("array", items) => format!("list of {items}s"),
        (kind, _) => kind.to_owned(),
    }
}

fn notes_of(schema: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(choices) = schema["enum"].as_array() {
        let all: Vec<String> = choices.iter().map(|one| one.to_string()).collect();
        notes.push(format!("one of {}", all.join(", ")));
    }
    let bounds = [
        ("const", "always"),
        ("default", "unless told"),
        ("format", "format"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("pattern", "like"),
    ];
    for (name, words) in bounds {
        if let Some(value) = schema.get(name) {
            notes.push(format!("{words} {}", written(value)));
        }
    }
    if schema["x-secret"] == true {
        notes.push("may hold secrets".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_inside_others_stand_behind_their_path() {
        let schema = json!({"type": "object", "required": ["to"], "properties": {
            "to": {"type": "array", "items": {"type": "string"}},
            "mail": {"type": "object", "properties": {"text": {"enum": ["a", "b"]}}},
        }});
        let rows = properties_of(&schema);
        let paths: Vec<&str> = rows.iter().map(|row| row.path.as_str()).collect();
        assert_eq!(paths, ["to", "mail", "mail.text"]);
        assert_eq!((rows[0].kind.as_str(), rows[0].required), ("list of strings", true));
        assert_eq!(rows[2].notes, ["one of \"a\", \"b\""]);
    }

    #[test]
    fn a_schema_that_describes_itself_ends() {
        let mut schema = json!({"properties": {}});
        for _ in 0..9 {
            schema = json!({"properties": {"inner": schema}});
        }
        assert_eq!(properties_of(&schema).len(), DEPTH_MAX);
    }
}
