//! One operation: its name, what goes in, and what comes out.

use serde_json::{Value, json};

use super::reference::Document;
use super::schema::{Schemas, Way};
use super::{BodyKind, Operation, Parameter, own_servers, parameters, security, text};
use crate::domain::problem::{Problem, pointer_to};

const NAME_CHARS_MAX: usize = 100;
const SUMMARY_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// An operation as it stands in its document.
pub(super) struct Subject<'d> {
    pub(super) method: &'d str,
    pub(super) path: &'d str,
    /// What is said of the path.
    pub(super) item: &'d Value,
    /// What is said of the operation.
    pub(super) found: &'d Value,
    pub(super) at: &'d str,
}

/// Reads an operation, or tells why it cannot be called.
pub(super) fn read<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    notes: &mut Vec<Problem>,
) -> Result<Operation, Problem> {
    let Subject { method, path, found, at, .. } = *subject;
    if !found.is_object() {
        return Err(Problem::new(at, "wrong_type", "an operation is an object"));
    }
    for (word, told) in [("servers", own_servers as fn(&str) -> Problem), ("callbacks", callbacks)]
    {
        if found.get(word).is_some() {
            notes.push(told(&pointer_to(at, word)));
        }
    }
    let credentials = security::credentials(document, found, at, notes);
    let named = found.get("operationId").and_then(Value::as_str).map(name_of);
    let id = named.filter(|id| id.chars().any(char::is_alphanumeric));
    let summary = match text(found, "/summary") {
        "" => format!("{} {path}", method.to_uppercase()),
        summary => short(summary, SUMMARY_CHARS_MAX),
    };
    let description = match text(found, "/description") {
        "" => summary.clone(),
        description => short(description, DESCRIPTION_CHARS_MAX),
    };
    let is_deprecated = found.get("deprecated") == Some(&Value::Bool(true));
    let Taken { list, body, schema: input_schema } = taken(document, subject, notes)?;
    let output_schema = answered(document, subject, notes)?;
    Ok(Operation {
        id: id.unwrap_or_else(|| name_of(&format!("{method}-{path}"))),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary,
        description: if is_deprecated { format!("Deprecated. {description}") } else { description },
        parameters: list,
        body,
        credentials,
        input_schema,
        output_schema,
    })
}

/// What an operation takes.
struct Taken {
    list: Vec<Parameter>,
    body: Option<BodyKind>,
    schema: Value,
}

fn taken<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    notes: &mut Vec<Problem>,
) -> Result<Taken, Problem> {
    let mut schemas = Schemas::new(document, Way::In, notes);
    let parameters = parameters::read(document, subject, &mut schemas)?;
    let (mut properties, mut required) = (parameters.properties, parameters.required);
    let body = body(document, subject, &mut schemas)?;
    if let Some(body) = &body {
        properties.insert("body".to_owned(), body.schema.clone());
        if body.required {
            required.push("body".to_owned());
        }
    }
    let connection = "The connection whose credentials are sent; needed only where several fit.";
    let of_connection = json!({ "type": ["string", "null"], "description": connection });
    properties.insert("connection".to_owned(), of_connection);
    let input = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let schema = schemas.finish(input, subject.at);
    Ok(Taken { list: parameters.list, body: body.map(|body| body.kind), schema })
}

/// Returns the schema of `{status, body}`.
fn answered<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    notes: &mut Vec<Problem>,
) -> Result<Value, Problem> {
    let mut schemas = Schemas::new(document, Way::Out, notes);
    let answer = answers(document, subject, &mut schemas)?;
    let output = json!({
        "type": "object",
        "properties": {
            "status": { "type": "integer", "description": "The HTTP status" },
            "body": answer,
            "mismatches": {
                "type": "array",
                "description": "Where the body is not as its description says; absent when it is",
            },
        },
        "required": ["status", "body"],
    });
    Ok(schemas.finish(output, &pointer_to(subject.at, "responses")))
}

struct Body {
    kind: BodyKind,
    schema: Value,
    required: bool,
}

fn body<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    schemas: &mut Schemas<'d, '_>,
) -> Result<Option<Body>, Problem> {
    let Some(body) = subject.found.get("requestBody") else { return Ok(None) };
    let (body, at) = document.followed(body, &pointer_to(subject.at, "requestBody"))?;
    let required = body.get("required") == Some(&Value::Bool(true));
    let at = pointer_to(&at, "content");
    let content = body.get("content").and_then(Value::as_object);
    let kinds = content.into_iter().flatten();
    let known = kinds.clone().filter_map(|(media, found)| Some((kind_of(media)?, media, found)));
    let best = known.min_by_key(|(kind, ..)| *kind != BodyKind::Json);
    let Some((kind, media, found)) = best else {
        let names: Vec<&str> = kinds.map(|(media, _)| media.as_str()).collect();
        let detail = format!("a body of {} cannot be sent", names.join(", "));
        let problem = Problem::new(at, "unsupported_body", detail);
        if required {
            return Err(problem);
        }
        schemas.note(problem.with_hint("the operation is called without a body"));
        return Ok(None);
    };
    let schema = match found.get("schema") {
        Some(schema) => schemas.read(schema, &pointer_to(&pointer_to(&at, media), "schema"))?,
        None => json!({}),
    };
    Ok(Some(Body { kind, schema, required }))
}

/// Returns the schema of what the operation answers when it succeeds.
fn answers<'d>(
    document: &'d Document<'d>,
    subject: &Subject<'d>,
    schemas: &mut Schemas<'d, '_>,
) -> Result<Value, Problem> {
    let at = pointer_to(subject.at, "responses");
    let answers = subject.found.get("responses").and_then(Value::as_object);
    let mut bodies: Vec<Value> = Vec::new();
    for (status, answer) in answers.into_iter().flatten().filter(|(status, _)| is_good(status)) {
        let (answer, at) = document.followed(answer, &pointer_to(&at, status))?;
        let at = pointer_to(&at, "content");
        let content = answer.get("content").and_then(Value::as_object);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            bodies.push(json!({ "type": ["null", "string"] }));
            continue;
        };
        for (media, found) in content {
            let schema = found.get("schema").filter(|_| kind_of(media) == Some(BodyKind::Json));
            let body = match schema {
                Some(schema) => {
                    schemas.read(schema, &pointer_to(&pointer_to(&at, media), "schema"))?
                }
                None => json!({}),
            };
            if !bodies.contains(&body) {
                bodies.push(body);
            }
        }
    }
    Ok(match bodies.len() {
        0 => json!({}),
        1 => bodies.remove(0),
        _ => json!({ "anyOf": bodies }),
    })
}

fn is_good(status: &str) -> bool {
    status.len() == 3 && status.starts_with('2')
}

fn kind_of(media: &str) -> Option<BodyKind> {
    let plain = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match plain.as_str() {
        "application/json" | "*/*" | "application/*" => Some(BodyKind::Json),
        "application/x-www-form-urlencoded" => Some(BodyKind::Form),
        plain if plain.ends_with("+json") => Some(BodyKind::Json),
        _ => None, // Files, XML and so on.
    }
}

fn callbacks(at: &str) -> Problem {
    Problem::new(at, "unsupported_callbacks", "what the API calls back is not taken")
}

/// Returns a name that an identifier may hold.
pub(super) fn name_of(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() == NAME_CHARS_MAX {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

fn short(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
