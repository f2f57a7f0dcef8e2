//! What is set when an app is installed: declared in two lists, checked when it is given.

use serde_json::{Map, Value, json};

use super::read::{Need, Reader};
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::secret::Secret;

const SETTINGS_MAX: usize = 50;
const VALUE_BYTES_MAX: usize = 16 * 1024;
const FIELDS: [&str; 14] = [
    "key",
    "name",
    "id",
    "label",
    "title",
    "description",
    "type",
    "default",
    "options",
    "enum",
    "secret",
    "schema",
    "placeholder",
    "required",
];
const TYPES: [&str; 13] = [
    "string", "text", "url", "email", "number", "integer", "boolean", "secret", "password",
    "select", "object", "array", "json",
];

/// One setting of an app.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name, under which templates see it.
    pub key: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema of its value.
    pub schema: Value,
    /// Whether its value is sealed and never shown.
    pub secret: bool,
    /// Whether the app cannot be installed without it.
    pub required: bool,
    /// What it is when nobody says.
    pub default: Option<Value>,
}

/// Settings that were given and fit.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What may be shown.
    pub plain: Map<String, Value>,
    /// What may not.
    pub secrets: Vec<(String, Secret)>,
}

pub(super) fn read(reader: &mut Reader, raw: &Value) -> Vec<Setting> {
    let Some(root) = raw.as_object() else { return Vec::new() };
    let Some(lists) = reader.object(root, "", "configuration", Need::Optional) else {
        return Vec::new();
    };
    reader.close(lists, "/configuration", &["required_settings", "optional_settings"]);
    let mut settings: Vec<Setting> = Vec::new();
    for (list, needed) in [("required_settings", true), ("optional_settings", false)] {
        for (at, fields) in reader.items(lists, "/configuration", list, SETTINGS_MAX) {
            let Some(setting) = one(reader, fields, &at) else { continue };
            if settings.iter().any(|known| known.key == setting.key) {
                reader.report(&at, "duplicate", &format!("`{}` is there twice", setting.key));
            }
            settings.push(Setting { required: needed, ..setting });
        }
    }
    settings
}

fn one(reader: &mut Reader, fields: &Map<String, Value>, at: &str) -> Option<Setting> {
    reader.close(fields, at, &FIELDS);
    let named = ["key", "name", "id"].into_iter().find(|name| fields.contains_key(*name));
    let named = named.unwrap_or("key");
    let key = reader.text(fields, at, named, Need::Required)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.len() > 64 || !key.chars().all(fits) || !key.starts_with(|c: char| !c.is_ascii_digit()) {
        let detail = "must have 1 to 64 letters, digits and `_`, so that a template can name it";
        reader.report(&pointer_to(at, named), "invalid_name", detail);
    }
    let kind = reader.text(fields, at, "type", Need::Optional);
    let kind = kind.unwrap_or_else(|| "string".to_owned());
    reader.one_of(&pointer_to(at, "type"), &kind, &TYPES);
    let given = reader.schema(fields, at, "schema");
    let is_secret = fields.get("secret").and_then(Value::as_bool).unwrap_or_default();
    let secret = is_secret || matches!(kind.as_str(), "secret" | "password");
    let options = fields.get("options").or(fields.get("enum")).and_then(Value::as_array);
    let schema = given.unwrap_or_else(|| schema_of(&kind, options));
    let default = fields.get("default").filter(|value| !value.is_null()).cloned();
    if let Some(default) = &default
        && let Some(fault) = fault_of(&schema, default)
    {
        reader.report(&pointer_to(at, "default"), "schema", &fault);
    }
    if secret && default.is_some() {
        let detail = "a secret has no default: everybody who reads the manifest would know it";
        reader.report(&pointer_to(at, "default"), "secret_default", detail);
    }
    let description = reader.text(fields, at, "description", Need::Optional).unwrap_or_default();
    Some(Setting { key, description, schema, secret, required: true, default })
}

fn schema_of(kind: &str, options: Option<&Vec<Value>>) -> Value {
    if let Some(options) = options {
        let value = |option: &Value| option.get("value").unwrap_or(option).clone();
        return json!({ "enum": options.iter().map(value).collect::<Vec<_>>() });
    }
    match kind {
        "number" | "integer" | "boolean" | "object" | "array" => json!({ "type": kind }),
        "json" => json!({}),
        _ => json!({ "type": "string" }), // Texts of every sort.
    }
}

fn fault_of(schema: &Value, value: &Value) -> Option<String> {
    let validator = jsonschema::validator_for(schema).ok()?;
    // The value is left out of what is told: it may be a secret.
    let fault = validator.iter_errors(value).next()?;
    Some(fault.masked().to_string())
}

/// Checks settings that were given for an app against what it declares; a default stands for what
/// is not given, and `kept` names what need not be given again.
///
/// # Errors
/// Returns every problem, each with its pointer below `/settings`; none repeats a value.
pub fn fitting(
    settings: &[Setting],
    given: &Map<String, Value>,
    kept: &[String],
) -> Result<Given, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut fits = Given::default();
    for name in given.keys().filter(|name| settings.iter().all(|known| known.key != **name)) {
        let detail = format!("the app has no setting `{name}`");
        let problem = Problem::new(pointer_to("/settings", name), "unknown_field", detail);
        problems.push(match nearest(name, settings.iter().map(|known| known.key.as_str())) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
    for setting in settings {
        let at = pointer_to("/settings", &setting.key);
        let value = given.get(&setting.key).filter(|value| !value.is_null());
        let Some(value) = value.or(setting.default.as_ref()) else {
            if setting.required && !kept.contains(&setting.key) {
                let detail = format!("the setting `{}` is required", setting.key);
                problems.push(Problem::new(at, "required", detail));
            }
            continue;
        };
        if let Some(fault) = fault_of(&setting.schema, value) {
            problems.push(Problem::new(at, "schema", fault));
        } else if value.to_string().len() > VALUE_BYTES_MAX {
            let detail = format!("has more than {VALUE_BYTES_MAX} bytes");
            problems.push(Problem::new(at, "too_long", detail));
        } else if !setting.secret {
            fits.plain.insert(setting.key.clone(), value.clone());
        } else {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fits.secrets.push((setting.key.clone(), Secret::new(text)));
        }
    }
    if problems.is_empty() { Ok(fits) } else { Err(problems) }
}
