//! Custom fields: their definitions, and whether a value fits its definition.

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::draft::Draft;
use super::field::{
    CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT, not_allowed,
    plain_name,
};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

use FieldType::{Any, Bool, Enum, List, Ref};

const SOURCES: FieldType = Enum(&["ticket", "account", "contact", "custom-object"]);
const TYPES: FieldType = Enum(&[
    "single_line",
    "multi_line",
    "rich_text",
    "integer",
    "decimal",
    "currency",
    "boolean",
    "date",
    "date_time",
    "single_choice",
    "multi_choice",
    "email",
    "phone",
    "url",
    "lookup",
]);

/// The fields of a definition.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("uid", TEXT, "The definition's id").system().follows("name"),
    Field::new("slug", TEXT, "Names it among the custom fields of a record")
        .system()
        .follows("name"),
    Field::new("name", TEXT, "The field's name for people; its first one makes the slug")
        .required(),
    Field::new("source", SOURCES, "What records have it; ticket unless told").initial(),
    Field::new("fieldType", TYPES, "What values it takes; single_line unless told").initial(),
    Field::new("options", List(&Any), "What can be chosen, each a text or an object with `value`"),
    Field::new("description", LONG_TEXT, "What it is for"),
    Field::new("placeholderText", TEXT, "What an empty field shows"),
    Field::new("hintText", TEXT, "What helps to fill it in"),
    Field::new("mandatoryOnCreation", Bool, "Whether a new record must have it"),
    Field::new("mandatoryOnClose", Bool, "Whether a ticket needs it to be closed"),
    Field::new("visibleToCustomer", Bool, "Whether customers see it"),
    Field::new("editableByCustomer", Bool, "Whether customers may change it"),
    Field::new("autoAddToAllForms", Bool, "Whether every form has it"),
    Field::new("defaultValue", Any, "The value of a new record that gives none"),
    Field::new("teamId", Ref(RecordKind::Team), "The only team whose tickets have it"),
    Field::new("objectType", TEXT, "The only type of custom object that has it").initial(),
    Field::new("lookup", TEXT, "What kind of record it names"),
    Field::new("isActive", Bool, "Whether it is in use"),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    draft.default("source", json!("ticket"));
    draft.default("fieldType", json!("single_line"));
    draft.default("isActive", json!(true));
    draft.set("uid", json!(draft.facts().id));
    let slug = plain_name(draft.text("name").unwrap_or_default());
    let words: Vec<&str> = slug.split(|c: char| !c.is_alphanumeric()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if words.is_empty() && draft.given("name").is_some() {
        draft.refuse(Problem::new("/name", "invalid_name", "needs a letter or a digit"));
    }
    draft.set("slug", json!(words.join("_")));
}

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    let options = draft.value("options").as_array().cloned().unwrap_or_default();
    let mut read = Vec::new();
    for (index, option) in options.iter().enumerate() {
        match option.get("value").unwrap_or(option).as_str().filter(|text| !text.trim().is_empty())
        {
            Some(text) => read.push(json!({ "value": text })),
            None => {
                let detail = "must be a text or an object with a `value`";
                draft.refuse(Problem::new(format!("/options/{index}"), "wrong_type", detail));
            }
        }
    }
    draft.set("options", Value::Array(read.clone()));
    let is_choice = matches!(draft.text("fieldType"), Some("single_choice" | "multi_choice"));
    if is_choice && read.is_empty() {
        draft.refuse(Problem::new("/options", "required", "a choice needs options"));
    }
    let default = draft.value("defaultValue").clone();
    if !default.is_null() {
        let definition = Map::from_iter([
            ("fieldType".to_owned(), draft.value("fieldType").clone()),
            ("options".to_owned(), Value::Array(read)),
        ]);
        if let Err(problem) = check(&definition, &default, "/defaultValue") {
            draft.refuse(problem);
        }
    }
}

/// Returns the definition that `name` names by its slug, id or name.
#[must_use]
pub fn find<'a>(
    definitions: &'a [Map<String, Value>],
    name: &str,
) -> Option<&'a Map<String, Value>> {
    let text = |definition: &'a Map<String, Value>, field: &str| {
        definition.get(field).and_then(Value::as_str).unwrap_or_default()
    };
    definitions
        .iter()
        .find(|it| text(it, "slug") == name || text(it, "id") == name)
        .or_else(|| definitions.iter().find(|it| plain_name(text(it, "name")) == plain_name(name)))
}

/// Returns whether the definition is for records of `kind`, and for the team of a ticket.
#[must_use]
pub fn is_for(definition: &Map<String, Value>, kind: RecordKind, team_id: &Value) -> bool {
    let is_team = match definition.get("teamId") {
        None | Some(Value::Null) => true,
        Some(only) => only == team_id,
    };
    definition.get("source") == Some(&json!(kind.name()))
        && definition.get("isActive") != Some(&json!(false))
        && is_team
}

/// Checks that a value fits its definition; a list of one stands for its only value.
///
/// # Errors
/// Returns what is wrong, at `pointer`.
pub fn check(definition: &Map<String, Value>, value: &Value, pointer: &str) -> Result<(), Problem> {
    let kind = definition.get("fieldType").and_then(Value::as_str).unwrap_or("single_line");
    let listed = value.as_array().map(Vec::as_slice);
    match (kind, listed) {
        ("multi_choice", Some(values)) => {
            values.iter().enumerate().try_for_each(|(index, value)| {
                chosen(definition, value, &format!("{pointer}/{index}"))
            })
        }
        ("multi_choice", None) => chosen(definition, value, pointer),
        (_, Some([only])) => check_one(definition, kind, only, pointer),
        (_, Some(_)) => Err(Problem::new(pointer, "wrong_type", "takes one value, not a list")),
        (_, None) => check_one(definition, kind, value, pointer),
    }
}

fn check_one(
    definition: &Map<String, Value>,
    kind: &str,
    value: &Value,
    pointer: &str,
) -> Result<(), Problem> {
    let text = value.as_str();
    let number = value.as_f64().or_else(|| text?.trim().parse().ok());
    let (fits, wanted) = match kind {
        "single_choice" => return chosen(definition, value, pointer),
        "integer" => (number.is_some_and(|it: f64| it.fract() == 0.0), "a whole number"),
        "decimal" | "currency" => (number.is_some_and(f64::is_finite), "a number"),
        "boolean" => {
            (value.is_boolean() || matches!(text, Some("true" | "false")), "true or false")
        }
        "date" => {
            let is_day = |text: &str| text.parse::<chrono::NaiveDate>().is_ok() || is_moment(text);
            (text.is_some_and(is_day), "a day such as 2026-11-23")
        }
        "date_time" => (text.is_some_and(is_moment), "a time such as 2026-11-23T10:00:00Z"),
        "email" => {
            let is_address = |text: &str| FieldType::Email.read(&json!(text), "").is_ok();
            (text.is_some_and(is_address), "a mail address")
        }
        "url" => (text.is_some_and(|text| url::Url::parse(text).is_ok()), "an address"),
        _ => (text.is_some(), "text"), // Every other type holds words.
    };
    if fits {
        Ok(())
    } else {
        Err(Problem::new(pointer, "wrong_type", format!("must be {wanted}")))
    }
}

fn is_moment(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok()
}

fn chosen(definition: &Map<String, Value>, value: &Value, pointer: &str) -> Result<(), Problem> {
    let options = definition.get("options").and_then(Value::as_array).into_iter().flatten();
    let allowed: Vec<&str> = options.filter_map(|option| option.get("value")?.as_str()).collect();
    let text = value.as_str().unwrap_or_default();
    if allowed.contains(&text) {
        return Ok(());
    }
    Err(not_allowed(text, allowed.iter().copied(), pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_type_or_is_refused() {
        let definition = |kind: &str| {
            let raw = json!({"fieldType": kind, "options": [{"value": "gold"}, {"value": "pro"}]});
            raw.as_object().cloned().expect("an object")
        };
        for (kind, value, fits) in [
            ("single_line", json!("words"), true),
            ("single_line", json!(["words"]), true),
            ("single_line", json!(["two", "words"]), false),
            ("single_line", json!(5), false),
            ("integer", json!(5), true),
            ("integer", json!("5"), true),
            ("integer", json!(5.5), false),
            ("decimal", json!("5.5"), true),
            ("decimal", json!("much"), false),
            ("boolean", json!(true), true),
            ("boolean", json!("yes"), false),
            ("date", json!("2026-02-29"), false),
            ("date", json!("2028-02-29"), true),
            ("date_time", json!("2026-11-23T10:00:00Z"), true),
            ("date_time", json!("soon"), false),
            ("single_choice", json!("gold"), true),
            ("single_choice", json!("glod"), false),
            ("multi_choice", json!(["gold", "pro"]), true),
            ("multi_choice", json!(["gold", "tin"]), false),
            ("email", json!("kim@wedding.example"), true),
            ("email", json!("kim"), false),
            ("url", json!("https://example.com"), true),
            ("url", json!("example"), false),
        ] {
            assert_eq!(check(&definition(kind), &value, "").is_ok(), fits, "{kind}: {value}");
        }
    }
}
