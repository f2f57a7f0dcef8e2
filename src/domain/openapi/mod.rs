//! OpenAPI 3.0 and 3.1 documents as operations that steps can call: what goes in, what comes out,
//! who is asked with which credentials. What cannot be offered is told, with its place.

mod operation;
mod parameters;
mod reference;
mod request;
mod schema;
mod security;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::{Problem, pointer_to};
use operation::name_of;
use reference::Document;

pub use request::{Assembled, assemble};

/// The methods that a path may have, and whether they can be called.
const METHODS: [(&str, Callable); 8] = [
    ("get", Callable::Yes),
    ("put", Callable::Yes),
    ("post", Callable::Yes),
    ("delete", Callable::Yes),
    ("options", Callable::Yes),
    ("head", Callable::Yes),
    ("patch", Callable::Yes),
    ("trace", Callable::No),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Callable {
    Yes,
    No,
}

/// The bounds of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many operations it may have.
    pub operations_max: usize,
    /// How deep schemas may lie in each other; what is deeper takes anything.
    pub depth_max: usize,
    /// How many definitions the schemas of one operation keep; further ones take anything.
    pub definitions_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { operations_max: 500, depth_max: 48, definitions_max: 100 }
    }
}

/// What a document offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Api {
    /// What it calls itself.
    pub title: String,
    /// The addresses that it names, with the defaults of their variables; some may be relative.
    pub servers: Vec<String>,
    /// What can be called, in the order of the document.
    pub operations: Vec<Operation>,
    /// Why operations are left out, each with its place.
    pub left_out: Vec<Problem>,
    /// What of the operations that can be called is not supported, each with its place.
    pub notes: Vec<Problem>,
}

/// One operation that can be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its name within the API: letters, digits, `_` and `-`.
    pub id: String,
    /// The method, in capitals.
    pub method: String,
    /// The path with its variable parts in braces.
    pub path: String,
    /// What it is for, in a line.
    pub summary: String,
    /// What it does.
    pub description: String,
    /// What goes into the path, the query and the headers.
    pub parameters: Vec<Parameter>,
    /// How its body is written; `None` when it has none.
    pub body: Option<BodyKind>,
    /// The credentials that are sent, all of them.
    pub credentials: Vec<Credential>,
    /// JSON Schema of `{<parameter>…, body}`.
    pub input_schema: Value,
    /// JSON Schema of `{status, body}`.
    pub output_schema: Value,
}

/// Something that goes into the path, the query or a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name on the wire.
    pub name: String,
    /// Its name in the input.
    pub field: String,
    /// Where it goes.
    pub place: Place,
    /// How lists and objects are written.
    pub spread: Spread,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Into the path.
    Path,
    /// Behind the question mark.
    Query,
    /// Into a header.
    Header,
}

/// How the items of a list or the fields of an object are written (OpenAPI 3.1, style values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Each on its own: `explode: true`.
    Each,
    /// Together, with commas: `explode: false`.
    Joined,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// As JSON.
    Json,
    /// As the fields of a form.
    Form,
}

/// A credential that an operation asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Credential {
    /// A key in a header.
    HeaderKey {
        /// The header.
        name: String,
    },
    /// A key in the query.
    QueryKey {
        /// The query's field.
        name: String,
    },
    /// A name and a password, RFC 7617.
    Basic,
    /// A token, RFC 6750.
    Bearer,
    /// A token that is asked for with a client's id and secret, RFC 6749 section 4.4.
    ClientCredentials {
        /// Where it is asked for.
        token_url: String,
        /// What it is to allow.
        scopes: Vec<String>,
    },
}

/// Reads a document.
///
/// # Errors
/// Returns what is wrong with the document as a whole: no OpenAPI 3, no paths, too many operations.
pub fn read(document: &Value, limits: &Limits) -> Result<Api, Vec<Problem>> {
    let version = check_version(document).map_err(|problem| vec![problem])?;
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        let problem = Problem::new("/paths", "required", "the document has no `paths`");
        return Err(vec![problem.with_hint("only operations under `paths` can be called")]);
    };
    let count = paths.values().map(count_operations).sum::<usize>();
    if count > limits.operations_max {
        let detail =
            format!("the document has {count} operations, the limit is {}", limits.operations_max);
        return Err(vec![Problem::new("/paths", "too_many_operations", detail)]);
    }
    let document = Document::new(document, version, *limits);
    let mut api = Api {
        title: text(document.root, "/info/title").to_owned(),
        servers: servers(document.root),
        ..Api::default()
    };
    note_what_is_not_called(document.root, &mut api.notes);
    let mut taken = BTreeSet::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let at = pointer_to("/paths", path);
        match document.followed(item, &at) {
            Ok((item, at)) => read_path(&document, (path, item, &at), &mut taken, &mut api),
            Err(problem) => api.left_out.push(problem),
        }
    }
    Ok(api)
}

fn read_path(
    document: &Document<'_>,
    (path, item, at): (&str, &Value, &str),
    taken: &mut BTreeSet<String>,
    api: &mut Api,
) {
    if !path.starts_with('/') {
        let detail = format!("the path `{path}` does not begin with a slash");
        return api.left_out.push(Problem::new(at, "invalid_path", detail));
    }
    if item.get("servers").is_some() {
        api.notes.push(own_servers(&pointer_to(at, "servers")));
    }
    for (method, callable) in METHODS {
        let Some(found) = item.get(method) else { continue };
        let at = pointer_to(at, method);
        if callable == Callable::No {
            let detail = format!("the method {} is never called", method.to_uppercase());
            api.left_out.push(Problem::new(at, "unsupported_method", detail));
            continue;
        }
        let mut notes = Vec::new();
        let subject = operation::Subject { method, path, item, found, at: &at };
        match operation::read(document, &subject, &mut notes) {
            Ok(operation) => {
                let id = unique(&operation.id, &subject, taken, &mut notes);
                api.operations.push(Operation { id, ..operation });
                api.notes.append(&mut notes);
            }
            Err(problem) => api.left_out.push(problem),
        }
    }
}

/// Ids are to be unique; the second of the same id is named by its method and path.
fn unique(
    id: &str,
    subject: &operation::Subject<'_>,
    taken: &mut BTreeSet<String>,
    notes: &mut Vec<Problem>,
) -> String {
    let key = |id: &str| id.to_lowercase();
    if taken.insert(key(id)) {
        return id.to_owned();
    }
    let base = name_of(&format!("{}-{}", subject.method, subject.path));
    let mut other = base.clone();
    let mut number = 2;
    while !taken.insert(key(&other)) {
        other = format!("{base}-{number}");
        number += 1;
    }
    let detail = format!("another operation is called `{id}` already; this one is `{other}`");
    notes.push(Problem::new(pointer_to(subject.at, "operationId"), "duplicate_id", detail));
    other
}

fn count_operations(item: &Value) -> usize {
    METHODS.iter().filter(|(method, _)| item.get(*method).is_some()).count()
}

/// Which of the two dialects of schemas a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// OpenAPI 3.0, with `nullable`.
    Three,
    /// OpenAPI 3.1, with JSON Schema 2020-12.
    ThreeOne,
}

fn check_version(document: &Value) -> Result<Version, Problem> {
    let hint = "OpenAPI 3.0 and 3.1 are read";
    if let Some(version) = document.get("swagger").and_then(Value::as_str) {
        let detail = format!("this is Swagger {version}");
        let problem = Problem::new("/swagger", "unsupported_version", detail);
        return Err(problem.with_hint(format!("{hint}; convert the document first")));
    }
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version == "3.0" || version.starts_with("3.0.") => Ok(Version::Three),
        Some(version) if version == "3.1" || version.starts_with("3.1.") => Ok(Version::ThreeOne),
        Some(version) => {
            let detail = format!("OpenAPI `{version}` is not read");
            Err(Problem::new("/openapi", "unsupported_version", detail).with_hint(hint))
        }
        None => {
            let detail = "this is no OpenAPI document: it has no `openapi`";
            Err(Problem::new("/openapi", "required", detail).with_hint(hint))
        }
    }
}

/// Returns the servers with the defaults of their variables.
fn servers(document: &Value) -> Vec<String> {
    let listed = document.get("servers").and_then(Value::as_array);
    let address = |server: &Value| {
        let mut url = server.get("url")?.as_str()?.to_owned();
        let variables = server.get("variables").and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            if let Some(default) = variable.get("default").and_then(Value::as_str) {
                url = url.replace(&format!("{{{name}}}"), default);
            }
        }
        Some(url)
    };
    listed.into_iter().flatten().filter_map(address).collect()
}

fn note_what_is_not_called(document: &Value, notes: &mut Vec<Problem>) {
    if document.get("webhooks").and_then(Value::as_object).is_some_and(|hooks| !hooks.is_empty()) {
        let detail = "what the API sends by itself is not taken";
        let hint = "make a connection, and give them its hook path";
        notes.push(Problem::new("/webhooks", "unsupported_webhooks", detail).with_hint(hint));
    }
}

fn own_servers(at: &str) -> Problem {
    let detail = "servers of a single path or operation are not used";
    Problem::new(at, "unsupported_servers", detail).with_hint("every call goes to the base URL")
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
