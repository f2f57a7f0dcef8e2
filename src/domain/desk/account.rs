//! Accounts: the customer organisations, unique by their primary domain.

use serde_json::{Value, json};

use super::RecordKind;
use super::choice::id_of;
use super::draft::{Draft, excerpt};
use super::field::{
    CREATED_AT, CUSTOM_FIELD_VALUES, CUSTOM_FIELDS, Field, FieldType, ID, LONG_TEXT, METADATA,
    TEXT, UPDATED_AT,
};
use crate::domain::problem::Problem;

use FieldType::{Any, Enum, Number, Ref};

const STATUSES: FieldType = Enum(&["PROSPECT", "TRIAL", "ACTIVE", "CHURNED", "ACQUIRED"]);
const CLASSES: FieldType = Enum(&["ENTERPRISE", "MID_MARKET", "SMB", "STRATEGIC"]);
const HEALTHS: FieldType = Enum(&["RED", "YELLOW", "GREEN"]);

/// The fields of an account.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", TEXT, "The customer's name").required(),
    Field::new("primaryDomain", TEXT, "The domain of its mail addresses, unique").required(),
    Field::new("domain", TEXT, "The primary domain").system().follows("primaryDomain"),
    Field::new("secondaryDomain", TEXT, "Another domain of the customer"),
    Field::new("website", LONG_TEXT, "The address of its site"),
    Field::new("description", LONG_TEXT, "What to know about it"),
    Field::new("industry", TEXT, "Its industry"),
    Field::new("industryId", TEXT, "The industry's id").system().follows("industry"),
    Field::new("status", STATUSES, "Where it stands as a customer"),
    Field::new("statusId", TEXT, "The status's id").system().follows("status"),
    Field::new("classification", CLASSES, "What kind of customer it is"),
    Field::new("classificationId", TEXT, "The classification's id")
        .system()
        .follows("classification"),
    Field::new("health", HEALTHS, "How content it is"),
    Field::new("healthId", TEXT, "The health's id").system().follows("health"),
    Field::new("size", TEXT, "Its size in words"),
    Field::new("annualRevenue", Number, "Its revenue in a year"),
    Field::new("employees", Number, "How many people work there"),
    Field::new("accountOwnerId", Ref(RecordKind::User), "Who looks after it; accepts an address"),
    Field::new("accountOwner", Any, "Who looks after it: id, email and name")
        .system()
        .follows("accountOwnerId"),
    Field::new("source", TEXT, "Where it came from, such as hubspot"),
    Field::new("logo", LONG_TEXT, "The address of its logo"),
    Field::new("billingAddress", Any, "Where bills go"),
    Field::new("shippingAddress", Any, "Where goods go"),
    CUSTOM_FIELD_VALUES,
    CUSTOM_FIELDS,
    METADATA,
    Field::new(
        "addExistingUsersToAccountContacts",
        FieldType::Bool,
        "Whether contacts with its domain become its contacts",
    )
    .initial()
    .unkept(),
    CREATED_AT,
    UPDATED_AT,
];

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    for name in ["primaryDomain", "secondaryDomain"] {
        set_domain(draft, name);
    }
    let domain = draft.value("primaryDomain").clone();
    draft.set("domain", domain);
    for (name, id, prefix) in [
        ("industry", "industryId", "AI"),
        ("status", "statusId", "AS"),
        ("classification", "classificationId", "AC"),
        ("health", "healthId", "AH"),
    ] {
        let value = draft.text(name).map(|text| id_of(prefix, text));
        draft.set(id, json!(value));
    }
    if draft.given("accountOwnerId").is_some() {
        let owner = excerpt(draft.referenced("accountOwnerId"), &["id", "email", "name"]);
        draft.set("accountOwner", owner);
    }
    draft.merge_custom_fields(as_list);
}

fn set_domain(draft: &mut Draft<'_>, name: &str) {
    let Some(text) = draft.given_text(name) else { return };
    let domain = bare_domain(text);
    let is_domain = domain.split('.').count() > 1
        && domain.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    if is_domain {
        draft.set(name, json!(domain));
    } else {
        let detail = format!("`{text}` is not a domain such as example.com");
        draft.refuse(Problem::new(format!("/{name}"), "invalid_domain", detail));
    }
}

/// People paste addresses of sites; what names the customer is the host without its `www`.
fn bare_domain(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host).trim_end_matches('.').to_owned()
}

/// Returns a custom field's value as the list of texts that accounts and contacts keep.
pub(super) fn as_list(value: Value) -> Value {
    let text = |value: Value| match value {
        Value::String(_) => value,
        other => Value::String(other.to_string()),
    };
    match value {
        Value::Array(values) => values.into_iter().map(text).collect(),
        value => Value::Array(vec![text(value)]),
    }
}
