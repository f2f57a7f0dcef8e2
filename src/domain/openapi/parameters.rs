//! What goes into the path, the query and the headers of an operation.

use serde_json::{Map, Value, json};

use super::operation::Subject;
use super::reference::Document;
use super::schema::Schemas;
use super::{Parameter, Place, Spread, text};
use crate::domain::problem::{Problem, pointer_to};

/// Fields of the input that are not parameters.
const OWN_FIELDS: [&str; 2] = ["body", "connection"];
/// Headers that follow from the message or from the connection, and are never set by a step.
const OWN_HEADERS: [&str; 15] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The parameters with the schema that asks for them.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) list: Vec<Parameter>,
    pub(super) properties: Map<String, Value>,
    pub(super) required: Vec<String>,
}

/// Reads the parameters of a path and of its operation, whose own go first.
pub(super) fn read<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    schemas: &mut Schemas<'d, '_>,
) -> Result<Parameters, Problem> {
    let mut found: Vec<(&'d Value, String)> = Vec::new();
    let above = subject.at.rsplit_once('/').map_or("", |(above, _)| above);
    for (holder, at) in [(subject.found, subject.at), (subject.item, above)] {
        let at = pointer_to(at, "parameters");
        let listed = holder.get("parameters").and_then(Value::as_array);
        for (index, parameter) in listed.into_iter().flatten().enumerate() {
            let (parameter, at) =
                document.followed(parameter, &pointer_to(&at, &index.to_string()))?;
            let same = |other: &Value| {
                text(other, "/name") == text(parameter, "/name")
                    && text(other, "/in") == text(parameter, "/in")
            };
            if !found.iter().any(|(other, _)| same(other)) {
                found.push((parameter, at));
            }
        }
    }
    // The path's own keep their names where another is called the same.
    found.sort_by_key(|(parameter, _)| text(parameter, "/in") != "path");
    let mut parameters = Parameters::default();
    for (parameter, at) in found {
        parameters.add(parameter, &at, schemas)?;
    }
    parameters.check_path(subject)?;
    Ok(parameters)
}

impl Parameters {
    fn add<'d>(
        &mut self,
        parameter: &'d Value,
        at: &str,
        schemas: &mut Schemas<'d, '_>,
    ) -> Result<(), Problem> {
        let name = text(parameter, "/name");
        if name.is_empty() {
            return Err(Problem::new(at, "required", "the parameter has no name"));
        }
        let is_required = parameter.get("required") == Some(&Value::Bool(true));
        let (place, spread) = match kind_of(parameter, name, at) {
            Ok(Some(kind)) => kind,
            Ok(None) => return Ok(()), // We set it ourselves.
            Err(problem) if is_required => return Err(problem),
            Err(problem) => {
                let detail = format!("{}; `{name}` is left out", problem.detail);
                schemas.note(Problem { detail, ..problem });
                return Ok(());
            }
        };
        let field = self.field_for(name, place);
        let mut schema = match parameter.get("schema") {
            Some(schema) => schemas.read(schema, &pointer_to(at, "schema"))?,
            None => json!({}),
        };
        let about = text(parameter, "/description");
        if let (false, Value::Object(fields)) = (about.is_empty(), &mut schema) {
            if fields.contains_key("$ref") {
                schema = json!({ "allOf": [schema], "description": about });
            } else {
                fields.entry("description").or_insert_with(|| json!(about));
            }
        }
        self.properties.insert(field.clone(), schema);
        if is_required || place == Place::Path {
            self.required.push(field.clone());
        }
        self.list.push(Parameter { name: name.to_owned(), field, place, spread });
        Ok(())
    }

    /// A name that stands twice, or for something else, gets its place in front.
    fn field_for(&self, name: &str, place: Place) -> String {
        let is_taken =
            |field: &str| OWN_FIELDS.contains(&field) || self.properties.contains_key(field);
        let mut field = name.to_owned();
        if is_taken(&field) {
            let place = match place {
                Place::Path => "path",
                Place::Query => "query",
                Place::Header => "header",
            };
            field = format!("{place}_{name}");
        }
        while is_taken(&field) {
            field.push('_');
        }
        field
    }

    /// Every variable part of the path has its parameter.
    fn check_path(&self, subject: &Subject<'_>) -> Result<(), Problem> {
        let mut rest = subject.path;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                let detail = format!("a brace of the path `{}` is not closed", subject.path);
                return Err(Problem::new(subject.at, "invalid_path", detail));
            };
            let is_known = |one: &Parameter| one.place == Place::Path && one.name == name;
            if !self.list.iter().any(is_known) {
                let detail = format!("the path needs `{name}`, which is no parameter");
                return Err(Problem::new(subject.at, "missing_path_parameter", detail));
            }
            rest = after;
        }
        Ok(())
    }
}

/// Returns where a parameter goes and how; `None` for one that we set ourselves.
fn kind_of(parameter: &Value, name: &str, at: &str) -> Result<Option<(Place, Spread)>, Problem> {
    let place = match text(parameter, "/in") {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        "cookie" => {
            let detail = format!("the cookie `{name}` cannot be sent");
            return Err(Problem::new(pointer_to(at, "in"), "unsupported_parameter", detail));
        }
        other => {
            let detail = format!("`{other}` is no place for a parameter");
            return Err(Problem::new(pointer_to(at, "in"), "invalid_parameter", detail));
        }
    };
    if place == Place::Header && OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    if place == Place::Header && !name.bytes().all(is_of_header) {
        let detail = format!("`{name}` is no name of a header");
        return Err(Problem::new(pointer_to(at, "name"), "invalid_parameter", detail));
    }
    if parameter.get("content").is_some() {
        let detail = format!("`{name}` is written as a document of its own");
        return Err(Problem::new(pointer_to(at, "content"), "unsupported_parameter", detail));
    }
    let usual = if place == Place::Query { "form" } else { "simple" };
    let style = parameter.get("style").and_then(Value::as_str).unwrap_or(usual);
    if style != usual {
        let detail = format!("`{name}` is written in the style `{style}`");
        return Err(Problem::new(pointer_to(at, "style"), "unsupported_style", detail));
    }
    let explode = parameter.get("explode").and_then(Value::as_bool);
    let spread = match explode.unwrap_or(style == "form") {
        true => Spread::Each,
        false => Spread::Joined,
    };
    Ok(Some((place, spread)))
}

/// A `token` of RFC 9110 section 5.6.2.
fn is_of_header(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
