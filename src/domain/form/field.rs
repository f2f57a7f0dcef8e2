//! One field of a form, as its property in the schema describes it.

use serde_json::{Number, Value};

/// From this many characters on a text gets several lines.
const LONG_TEXT_CHARS: u64 = 200;

/// One field of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The property's name.
    pub name: String,
    /// What stands above it.
    pub label: String,
    /// What stands below it, empty when there is nothing.
    pub help: String,
    /// How it is filled in.
    pub kind: FieldKind,
    /// Whether it must be.
    pub required: bool,
    /// The bounds of a number, or of the length of a text.
    pub bounds: (Option<Number>, Option<Number>),
    /// What it holds at first.
    pub default: Option<Value>,
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// Several lines.
    LongText,
    /// A mail address.
    Email,
    /// A web address.
    Url,
    /// A day.
    Date,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// Yes or no.
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// Any of these.
    Choices(Vec<String>),
}

impl Field {
    /// Reads a field from its property, or says why it cannot be one.
    pub(super) fn read(name: &str, property: &Value, required: bool) -> Result<Field, String> {
        let text = |key: &str| property.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = kind_of(property).ok_or_else(|| {
            "a field is a string, an integer, a number, a boolean, or an array of an enum"
                .to_owned()
        })?;
        let label = match text("title") {
            "" => spelled_out(name),
            title => title.to_owned(),
        };
        let number = |key: &str| property.get(key).and_then(Value::as_number).cloned();
        let bounds = match kind {
            FieldKind::Whole | FieldKind::Number => (number("minimum"), number("maximum")),
            _ => (number("minLength"), number("maxLength")), // Of texts; others have neither.
        };
        Ok(Field {
            name: name.to_owned(),
            label,
            help: text("description").to_owned(),
            kind,
            required,
            bounds,
            default: property.get("default").cloned(),
        })
    }

    /// Returns the value that a browser's texts mean; `None` for what was left empty.
    pub(super) fn value(&self, given: &[&str]) -> Option<Value> {
        let first = given.first().map(|text| text.trim()).filter(|text| !text.is_empty());
        match &self.kind {
            FieldKind::Switch => {
                Some(Value::Bool(first.is_some_and(|text| !matches!(text, "false" | "0" | "off"))))
            }
            FieldKind::Choices(_) => {
                let chosen = given.iter().filter(|text| !text.is_empty());
                let chosen: Vec<Value> = chosen.map(|text| Value::from(*text)).collect();
                (!chosen.is_empty()).then_some(Value::Array(chosen))
            }
            FieldKind::Whole => first.map(|text| match text.parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(text),
            }),
            FieldKind::Number => first.map(|text| match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Value::from(number),
                _ => Value::from(text),
            }),
            // A browser ends lines with two characters.
            FieldKind::LongText => first.map(|text| Value::from(text.replace("\r\n", "\n"))),
            FieldKind::Text
            | FieldKind::Email
            | FieldKind::Url
            | FieldKind::Date
            | FieldKind::Choice(_) => first.map(Value::from),
        }
    }
}

fn kind_of(property: &Value) -> Option<FieldKind> {
    let text = |key: &str| property.get(key).and_then(Value::as_str).unwrap_or_default();
    if let Some(options) = options_of(property) {
        return Some(FieldKind::Choice(options));
    }
    let kind = match text("type") {
        "integer" => FieldKind::Whole,
        "number" => FieldKind::Number,
        "boolean" => FieldKind::Switch,
        "array" => FieldKind::Choices(options_of(property.get("items")?)?),
        "string" => {
            let longest = property.get("maxLength").and_then(Value::as_u64).unwrap_or(0);
            match (text("format"), text("x-widget")) {
                ("textarea" | "multiline", _) | (_, "textarea") => FieldKind::LongText,
                ("email" | "idn-email", _) => FieldKind::Email,
                ("uri", _) => FieldKind::Url,
                ("date", _) => FieldKind::Date,
                _ if longest > LONG_TEXT_CHARS => FieldKind::LongText,
                _ => FieldKind::Text,
            }
        }
        _ => return None, // Objects and the like have no place in a form.
    };
    Some(kind)
}

/// Choices are texts: a browser sends nothing else.
fn options_of(property: &Value) -> Option<Vec<String>> {
    let options = property.get("enum")?.as_array()?;
    options.iter().map(|option| option.as_str().map(str::to_owned)).collect()
}

/// Makes a label of a name such as `orderNumber` or `order_number`.
fn spelled_out(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars() {
        match c {
            '_' | '-' => label.push(' '),
            c if c.is_uppercase() && !label.is_empty() => {
                label.push(' ');
                label.extend(c.to_lowercase());
            }
            c if label.is_empty() => label.extend(c.to_uppercase()),
            c => label.push(c),
        }
    }
    label
}
