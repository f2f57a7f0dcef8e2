//! Puts the input of an operation where it goes: into the path, the query, the headers, the body.

use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{BodyKind, Operation, Parameter, Place, Spread};
use crate::domain::problem::{Problem, pointer_to};

/// What of a request follows from an operation and its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// Where it goes, with its query.
    pub url: Url,
    /// The headers that the input sets.
    pub headers: Vec<(String, String)>,
    /// The body with its media type; `None` when there is none.
    pub body: Option<(&'static str, String)>,
}

/// Assembles the request of an operation at `base`. Whatever stands in the input stays within the
/// part of the path that it is for.
///
/// # Errors
/// Returns what of the input cannot be sent, by its pointer into the input.
pub fn assemble(operation: &Operation, base: &Url, input: &Value) -> Result<Assembled, Problem> {
    let path = path_of(operation, input)?;
    let mut url = base.clone();
    let whole = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    if url.path() != whole {
        // A parser that reads the path in another way would ask for something else.
        let detail = format!("the path `{path}` is not one that can be asked for");
        return Err(Problem::new("", "invalid_path", detail));
    }
    let mut pairs = Vec::new();
    let mut headers = Vec::new();
    for parameter in &operation.parameters {
        let Some(value) = given(parameter, input) else { continue };
        match parameter.place {
            Place::Path => {}
            Place::Query => query_pairs(parameter, value, &mut pairs)?,
            Place::Header => {
                let text = joined(parameter, value, str::to_owned)?;
                if text.chars().any(char::is_control) {
                    let detail = "a header holds no control characters";
                    let at = pointer_to("", &parameter.field);
                    return Err(Problem::new(at, "invalid_header", detail));
                }
                headers.push((parameter.name.clone(), text));
            }
        }
    }
    if !pairs.is_empty() {
        url.set_query(Some(&pairs.join("&")));
    }
    Ok(Assembled { url, headers, body: body_of(operation, input)? })
}

fn path_of(operation: &Operation, input: &Value) -> Result<String, Problem> {
    let mut path = String::new();
    let mut rest = operation.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(&plain_path(before));
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let is_it = |one: &&Parameter| one.place == Place::Path && one.name == name;
        let Some(parameter) = operation.parameters.iter().find(is_it) else {
            let detail = format!("the path needs `{name}`");
            return Err(Problem::new("", "missing_path_parameter", detail));
        };
        let at = pointer_to("", &parameter.field);
        let value = given(parameter, input);
        let text = value.map(|value| joined(parameter, value, encoded)).transpose()?;
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            let detail = format!("`{name}` is a part of the path and cannot be empty");
            return Err(Problem::new(at, "required", detail));
        };
        path.push_str(&text);
        rest = after;
    }
    path.push_str(&plain_path(rest));
    // URL Standard, section 4.1: a segment of dots means another one, encoded or not.
    let is_dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(is_dots) {
        let detail = "a part of the path cannot be `.` or `..`";
        return Err(Problem::new("", "path_traversal", detail));
    }
    Ok(path)
}

/// What stands in the document's path itself may hold a `#`, which would end it.
fn plain_path(text: &str) -> String {
    let keeps = |byte: u8| byte == b'/' || byte == b'%' || b"!$&'()*+,;=:@".contains(&byte);
    text.bytes()
        .map(|byte| if keeps(byte) { char::from(byte).into() } else { escaped(byte) })
        .collect()
}

fn given<'v>(parameter: &Parameter, input: &'v Value) -> Option<&'v Value> {
    input.get(&parameter.field).filter(|value| !value.is_null())
}

/// Writes a value in the style `simple`: lists and objects with commas.
fn joined(
    parameter: &Parameter,
    value: &Value,
    write: impl Fn(&str) -> String,
) -> Result<String, Problem> {
    let parts: Result<Vec<String>, Problem> = match value {
        Value::Array(items) => {
            items.iter().map(|item| Ok(write(&scalar(parameter, item)?))).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| {
                let between = if parameter.spread == Spread::Each { "=" } else { "," };
                Ok(format!("{}{between}{}", write(name), write(&scalar(parameter, field)?)))
            })
            .collect(),
        plain => Ok(vec![write(&scalar(parameter, plain)?)]),
    };
    Ok(parts?.join(","))
}

/// Writes a value in the style `form`.
fn query_pairs(
    parameter: &Parameter,
    value: &Value,
    pairs: &mut Vec<String>,
) -> Result<(), Problem> {
    let name = encoded(&parameter.name);
    match (value, parameter.spread) {
        (Value::Array(items), Spread::Each) => {
            for item in items {
                pairs.push(format!("{name}={}", encoded(&scalar(parameter, item)?)));
            }
        }
        (Value::Object(fields), Spread::Each) => {
            for (field, value) in fields {
                pairs.push(format!("{}={}", encoded(field), encoded(&scalar(parameter, value)?)));
            }
        }
        _ => pairs.push(format!("{name}={}", joined(parameter, value, encoded)?)), // One pair.
    }
    Ok(())
}

fn scalar(parameter: &Parameter, value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => {
            let detail = format!("`{}` holds a list or an object within another", parameter.field);
            Err(Problem::new(pointer_to("", &parameter.field), "too_deep", detail))
        }
    }
}

fn body_of(
    operation: &Operation,
    input: &Value,
) -> Result<Option<(&'static str, String)>, Problem> {
    let Some(body) = input.get("body") else { return Ok(None) };
    match operation.body {
        None => Ok(None),
        Some(BodyKind::Json) => Ok(Some(("application/json", body.to_string()))),
        Some(BodyKind::Form) => {
            let Some(fields) = body.as_object() else {
                return Err(Problem::new(
                    "/body",
                    "wrong_type",
                    "the fields of a form are an object",
                ));
            };
            let mut form = Serializer::new(String::new());
            for (name, value) in fields {
                for item in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                    match item {
                        Value::Null => {}
                        Value::String(text) => drop(form.append_pair(name, text)),
                        other => drop(form.append_pair(name, &other.to_string())),
                    }
                }
            }
            Ok(Some(("application/x-www-form-urlencoded", form.finish())))
        }
    }
}

/// Keeps what RFC 3986 section 2.3 calls unreserved, and encodes everything else.
fn encoded(text: &str) -> String {
    text.bytes().map(escaped).collect()
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).into()
    } else {
        format!("%{byte:02X}")
    }
}
