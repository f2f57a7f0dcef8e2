//! Forms: fields, values, and what is wrong in the words of the form.

use serde_json::{Value, json};

use super::{FieldKind, Form};

fn form() -> Form {
    let schema = json!({
        "type": "object",
        "required": ["email", "topic", "terms"],
        "additionalProperties": false,
        "properties": {
            "email": {"type": "string", "format": "email", "title": "Your mail"},
            "orderNumber": {"type": "integer", "minimum": 1, "maximum": 99},
            "price": {"type": "number"},
            "topic": {"enum": ["login", "billing"], "description": "What is it about?"},
            "when": {"type": "string", "format": "date"},
            "story": {"type": "string", "maxLength": 2_000},
            "terms": {"type": "boolean", "const": true},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1},
        },
    });
    Form::read(&schema).expect("a form")
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn fields_follow_from_the_schema() {
    let form = form();
    let kinds: Vec<&FieldKind> = form.fields.iter().map(|field| &field.kind).collect();
    let choice = FieldKind::Choice(vec!["login".to_owned(), "billing".to_owned()]);
    assert_eq!(kinds[0], &FieldKind::Email);
    assert_eq!(kinds[1..3], [&FieldKind::Whole, &FieldKind::Number]);
    assert_eq!(kinds[3..6], [&choice, &FieldKind::Date, &FieldKind::LongText]);
    assert_eq!(form.fields[0].label, "Your mail");
    assert_eq!(form.fields[1].label, "Order number");
    assert!(form.fields[3].required && !form.fields[4].required);
}

#[test]
fn values_have_the_types_of_their_fields() {
    let given = pairs(&[
        ("email", " kim@wedding.example "),
        ("orderNumber", "7"),
        ("price", "1.5"),
        ("topic", "login"),
        ("story", "a\r\nb"),
        ("terms", "on"),
        ("tags", "a"),
        ("when", ""),
        ("foreign", "x"),
    ]);
    let values = form().values(&given);
    assert_eq!(
        Value::Object(values.clone()),
        json!({"email": "kim@wedding.example", "orderNumber": 7, "price": 1.5, "topic": "login",
            "story": "a\nb", "terms": true, "tags": ["a"]})
    );
    assert!(form().problems(&values).is_empty());
    assert_eq!(form().email(&values), Some("kim@wedding.example"));
}

#[test]
fn what_is_wrong_is_told_at_its_field() {
    let given = pairs(&[
        ("email", "kim"),
        ("orderNumber", "many"),
        ("when", "tomorrow"),
        ("tags", "a"),
        ("tags", "b"),
    ]);
    let values = form().values(&given);
    assert_eq!(values["orderNumber"], "many");
    let problems = form().problems(&values);
    let told: Vec<(&str, &str)> =
        problems.iter().map(|(name, told)| (name.as_str(), told.as_str())).collect();
    assert_eq!(
        told,
        [
            ("email", "This is no mail address."),
            ("orderNumber", "This is not of the right kind."),
            ("tags", "Please choose at most 1."),
            ("terms", "This must be chosen."),
            ("topic", "Please fill this in."),
            ("when", "This is no date such as 2026-11-23."),
        ]
    );
}

#[test]
fn a_schema_that_is_no_form_is_refused() {
    for (schema, pointer) in [
        (json!({"type": "object"}), "/schema/properties"),
        (json!({"type": 5}), "/schema"),
        (json!({"properties": {"a": {"type": "object"}}}), "/schema/properties/a"),
        (json!({"properties": {"a": {"type": "array"}}}), "/schema/properties/a"),
    ] {
        let problems = Form::read(&schema).expect_err("it is no form");
        assert_eq!(problems[0].pointer, pointer, "{schema}");
    }
}
