//! A form as people fill it in: its fields follow from a JSON Schema, and so does what is wrong.

mod field;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::problem::{Problem, pointer_to};

pub use field::{Field, FieldKind};

const FIELDS_MAX: usize = 100;
const ERRORS_MAX: usize = 200;

/// A form: its fields in order, and the schema that values must fit.
#[derive(Debug)]
pub struct Form {
    /// In the order of the schema's properties.
    pub fields: Vec<Field>,
    validator: Validator,
}

impl Form {
    /// Reads a form from the JSON Schema of its values: an object whose properties are texts,
    /// numbers, switches or choices.
    ///
    /// # Errors
    /// Returns every problem at once; pointers begin with `/schema`.
    pub fn read(schema: &Value) -> Result<Form, Vec<Problem>> {
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(schema).map_err(|fault| {
            let detail = format!("is no valid JSON Schema: {fault}");
            vec![Problem::new("/schema", "invalid_schema", detail)]
        })?;
        let properties = schema.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            let detail = "a form needs `properties`: its fields";
            return Err(vec![Problem::new("/schema/properties", "required", detail)]);
        };
        if properties.len() > FIELDS_MAX {
            let detail = format!("a form has at most {FIELDS_MAX} fields");
            return Err(vec![Problem::new("/schema/properties", "too_many", detail)]);
        }
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (mut fields, mut problems) = (Vec::new(), Vec::new());
        for (name, property) in properties {
            match Field::read(name, property, required.contains(&name.as_str())) {
                Ok(field) => fields.push(field),
                Err(detail) => {
                    let at = pointer_to("/schema/properties", name);
                    problems.push(Problem::new(at, "unsupported_field", detail));
                }
            }
        }
        if problems.is_empty() { Ok(Form { fields, validator }) } else { Err(problems) }
    }

    /// Returns the values that a browser's form means; what was left empty is absent, and a text
    /// that is no number stays one, so that it is shown again.
    #[must_use]
    pub fn values(&self, pairs: &[(String, String)]) -> Map<String, Value> {
        let given = |name: &str| -> Vec<&str> {
            let own = pairs.iter().filter(|(key, _)| key == name);
            own.map(|(_, value)| value.as_str()).collect()
        };
        let values = self
            .fields
            .iter()
            .filter_map(|field| Some((field.name.clone(), field.value(&given(&field.name))?)));
        values.collect()
    }

    /// Returns what is wrong with values, by field; what concerns none of them is under `""`.
    #[must_use]
    pub fn problems(&self, values: &Map<String, Value>) -> BTreeMap<String, String> {
        let mut problems = BTreeMap::new();
        let values = json!(values);
        for error in self.validator.iter_errors(&values).take(ERRORS_MAX) {
            for (name, told) in told(&error) {
                let name = if self.fields.iter().any(|field| field.name == name) {
                    name
                } else {
                    String::new()
                };
                problems.entry(name).or_insert(told);
            }
        }
        problems
    }

    /// Returns the first value that is a mail address by its field.
    #[must_use]
    pub fn email<'v>(&self, values: &'v Map<String, Value>) -> Option<&'v str> {
        let emails = self.fields.iter().filter(|field| field.kind == FieldKind::Email);
        emails.filter_map(|field| values.get(&field.name)?.as_str()).next()
    }
}

/// Tells what is wrong in the words of the form, not of the schema.
fn told(error: &ValidationError<'_>) -> Vec<(String, String)> {
    let path = error.instance_path().as_str();
    let name = path.split('/').nth(1).unwrap_or_default();
    let name = name.replace("~1", "/").replace("~0", "~");
    let text = match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let name = if name.is_empty() { property.to_owned() } else { name };
            return vec![(name, "Please fill this in.".to_owned())];
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unknown = |name: &String| (name.clone(), format!("There is no field `{name}`."));
            return unexpected.iter().map(unknown).collect();
        }
        ValidationErrorKind::Format { format } => match format.as_str() {
            "email" | "idn-email" => "This is no mail address.".to_owned(),
            "uri" => "This is no web address.".to_owned(),
            "date" => "This is no date such as 2026-11-23.".to_owned(),
            other => format!("This is no {other}."),
        },
        ValidationErrorKind::MinLength { limit } => {
            format!("Please write at least {limit} characters.")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("Please write at most {limit} characters.")
        }
        ValidationErrorKind::Minimum { limit } => format!("This must be at least {limit}."),
        ValidationErrorKind::Maximum { limit } => format!("This must be at most {limit}."),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("This must be more than {limit}.")
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("This must be less than {limit}.")
        }
        ValidationErrorKind::MinItems { limit } => format!("Please choose at least {limit}."),
        ValidationErrorKind::MaxItems { limit } => format!("Please choose at most {limit}."),
        ValidationErrorKind::Enum { .. } => "Please choose one of the list.".to_owned(),
        ValidationErrorKind::Constant { .. } => "This must be chosen.".to_owned(),
        ValidationErrorKind::Pattern { .. } => "This does not have the right form.".to_owned(),
        ValidationErrorKind::Type { .. } => "This is not of the right kind.".to_owned(),
        _ => format!("{}.", error.masked()), // Rarer rules say it in their own words.
    };
    vec![(name, text)]
}
