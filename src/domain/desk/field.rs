//! The fields of a record: one table per kind, from which checks, schemas and forms derive.

use serde_json::Value;

use super::RecordKind;
use crate::domain::problem::{Problem, nearest};
use crate::domain::time::Timestamp;

/// One field of a kind of record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in JSON, camel case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: FieldType,
    /// When a user may give it.
    pub input: Input,
    /// How it stands in the record at rest.
    pub kept: Kept,
    /// Whether a creation must give it, and nothing may clear it.
    pub need: Need,
    /// What it means, for a person.
    pub description: &'static str,
}

/// What values a field takes.
#[derive(Clone, Copy, Debug)]
pub enum FieldType {
    /// Text of at most `max` characters.
    Text {
        /// The greatest number of characters.
        max: usize,
    },
    /// A mail address, kept in lower case.
    Email,
    /// True or false.
    Bool,
    /// Any number.
    Number,
    /// An RFC 3339 instant.
    Timestamp,
    /// One of some names, matched without regard to case and kept as listed.
    Enum(&'static [&'static str]),
    /// The id, or the natural key, of another record; kept as its id.
    Ref(RecordKind),
    /// A list of such values.
    List(&'static FieldType),
    /// A free object; an update merges into it, and null removes a key.
    Map,
    /// Custom field values: an object, or a list of `{fieldId, value}`.
    CustomValues,
    /// Any JSON.
    Any,
}

/// When a user may give a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// On creation and in every update.
    Always,
    /// On creation alone.
    Create,
    /// Never: the platform sets it.
    Never,
}

/// How a field stands in the record at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// For itself.
    Primary,
    /// As a consequence of the named field; it changes with it and never conflicts.
    Follows(&'static str),
    /// As a trace of activity that is no change of its own, such as `updatedAt`.
    Volatile,
    /// Not at all: it only steers an input.
    No,
}

/// Whether a field must have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A creation must give it, and nothing may clear it.
    Required,
    /// It may be absent.
    Optional,
}

/// The id of a record.
pub const ID: Field = Field::new("id", TEXT, "The record's id").system();
/// When a record was made.
pub const CREATED_AT: Field =
    Field::new("createdAt", FieldType::Timestamp, "When it was made").system();
/// When a record was last changed.
pub const UPDATED_AT: Field =
    Field::new("updatedAt", FieldType::Timestamp, "When it was last changed").system().volatile();
/// The values of the fields that a user defined.
pub const CUSTOM_FIELDS: Field =
    Field::new("customFields", FieldType::Map, "Values of custom fields; null removes one");
/// The values of custom fields in the spelling of inputs.
pub const CUSTOM_FIELD_VALUES: Field = Field::new(
    "customFieldValues",
    FieldType::CustomValues,
    "Values of custom fields, as an object or as a list of {fieldId, value}",
)
.unkept();
/// Free data beside a record.
pub const METADATA: Field =
    Field::new("metadata", FieldType::Map, "Free data; an update merges, null removes a key");

/// A short text.
pub const TEXT: FieldType = FieldType::Text { max: 255 };
/// A long text.
pub const LONG_TEXT: FieldType = FieldType::Text { max: 32_768 };

impl Field {
    /// Describes an optional field that a user may give at any time.
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldType, description: &'static str) -> Field {
        Field {
            name,
            kind,
            input: Input::Always,
            kept: Kept::Primary,
            need: Need::Optional,
            description,
        }
    }

    /// Returns the field as one that must have a value.
    #[must_use]
    pub const fn required(mut self) -> Field {
        self.need = Need::Required;
        self
    }

    /// Returns the field as one that only a creation may give.
    #[must_use]
    pub const fn initial(mut self) -> Field {
        self.input = Input::Create;
        self
    }

    /// Returns the field as one that the platform sets.
    #[must_use]
    pub const fn system(mut self) -> Field {
        self.input = Input::Never;
        self
    }

    /// Returns the field as a consequence of the field `source`.
    #[must_use]
    pub const fn follows(mut self, source: &'static str) -> Field {
        self.kept = Kept::Follows(source);
        self
    }

    /// Returns the field as a trace of activity that is no change of its own.
    #[must_use]
    pub const fn volatile(mut self) -> Field {
        self.kept = Kept::Volatile;
        self
    }

    /// Returns the field as one that steers an input and is not kept.
    #[must_use]
    pub const fn unkept(mut self) -> Field {
        self.kept = Kept::No;
        self
    }
}

impl FieldType {
    /// Returns `value` in the spelling that is kept; references stay as they were given.
    ///
    /// # Errors
    /// Returns the fault, at `pointer`, when the value is not of this type.
    pub fn read(&self, value: &Value, pointer: &str) -> Result<Value, Problem> {
        match (self, value) {
            (FieldType::Text { max }, Value::String(text)) => read_text(text, *max, pointer),
            (FieldType::Email, Value::String(text)) => read_email(text, pointer),
            (FieldType::Timestamp, Value::String(text)) => text
                .parse::<Timestamp>()
                .map(|time| Value::String(time.to_string()))
                .map_err(|wrong| Problem::new(pointer, "invalid_time", wrong.to_string())),
            (FieldType::Enum(names), Value::String(text)) => read_name(text, names, pointer),
            (FieldType::Ref(_), Value::String(_))
            | (FieldType::Bool, Value::Bool(_))
            | (FieldType::Number, Value::Number(_))
            | (FieldType::Map, Value::Object(_))
            | (FieldType::CustomValues, Value::Object(_) | Value::Array(_))
            | (FieldType::Any, _) => Ok(value.clone()),
            (FieldType::List(item), Value::Array(values)) => values
                .iter()
                .enumerate()
                .map(|(index, value)| item.read(value, &format!("{pointer}/{index}")))
                .collect(),
            _ => Err(Problem::new(pointer, "wrong_type", format!("must be {}", self.words()))),
        }
    }

    /// Returns the type in words, such as `a mail address`.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            FieldType::Text { .. } => "text",
            FieldType::Email => "a mail address",
            FieldType::Bool => "true or false",
            FieldType::Number => "a number",
            FieldType::Timestamp => "an RFC 3339 time",
            FieldType::Enum(_) => "one of the listed names",
            FieldType::Ref(_) => "the id of a record",
            FieldType::List(_) => "a list",
            FieldType::Map => "an object",
            FieldType::CustomValues => "an object or a list of {fieldId, value}",
            FieldType::Any => "any value",
        }
    }
}

fn read_text(text: &str, max: usize, pointer: &str) -> Result<Value, Problem> {
    let length = text.chars().count();
    if length > max {
        let detail = format!("has {length} characters, of which at most {max} are allowed");
        return Err(Problem::new(pointer, "too_long", detail));
    }
    Ok(Value::String(text.to_owned()))
}

fn read_email(text: &str, pointer: &str) -> Result<Value, Problem> {
    let text = text.trim().to_lowercase();
    let is_address = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    }) && text.chars().count() <= 320
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<' || c == '>');
    if !is_address {
        let detail = format!("`{text}` is not a mail address such as kim@example.com");
        return Err(Problem::new(pointer, "invalid_email", detail));
    }
    Ok(Value::String(text))
}

fn read_name(text: &str, names: &[&str], pointer: &str) -> Result<Value, Problem> {
    let plain = plain_name(text);
    if let Some(name) = names.iter().find(|name| plain_name(name) == plain) {
        return Ok(Value::String((*name).to_owned()));
    }
    Err(not_allowed(text, names.iter().copied(), pointer))
}

/// Returns a name without regard to case and to how its words are joined.
#[must_use]
pub fn plain_name(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

/// Describes a value that is none of `names`.
#[must_use]
pub fn not_allowed<'a>(
    text: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    pointer: &str,
) -> Problem {
    let lowered: Vec<String> = names.clone().map(str::to_lowercase).collect();
    let near = nearest(&text.to_lowercase(), lowered.iter().map(String::as_str))
        .and_then(|near| names.clone().find(|name| name.to_lowercase() == near));
    let listed = names.collect::<Vec<_>>().join(", ");
    let hint = match near {
        Some(near) => format!("did you mean `{near}`? allowed: {listed}"),
        None => format!("allowed: {listed}"),
    };
    Problem::new(pointer, "not_allowed", format!("`{text}` is not allowed")).with_hint(hint)
}
