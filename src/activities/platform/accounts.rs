//! Accounts, and the notes, tasks and activities on them.

use serde_json::{Map, Value};

use super::input::{named, without};
use super::{OnDesk, changing, described, reading, schema};
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::RecordKind;

const SCOPE: &str = "accounts";
const KIND: RecordKind = RecordKind::Account;
const KEYS: &[&str] = &["id", "accountId"];
const READ_KEYS: &[&str] = &["id", "accountId", "primaryDomain", "domain"];
const DOMAINS: &[&str] = &["primaryDomain", "domain"];

pub(in crate::activities) const CREATE: OnDesk = OnDesk {
    spec: || {
        let text = "Makes an account; a primary domain that another account has is refused.";
        let spec = described("accounts:create-account-platform", "Create an account", text);
        let mut input = schema::creation(KIND);
        input["required"] = serde_json::json!(["name"]);
        input["properties"]["domain"] = schema::text("The same as primaryDomain");
        changing(SCOPE, schema::one_of_needed(input, DOMAINS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.create(KIND, &with_primary_domain(input))?.into()),
};

pub(in crate::activities) const UPDATE: OnDesk = OnDesk {
    spec: || {
        let text = "Changes fields of an account; null clears one, metadata is merged.";
        let spec = described("accounts:update-account-platform", "Update an account", text);
        changing(SCOPE, schema::change(KIND, KEYS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.update(KIND, named(input, KEYS)?, &without(input, KEYS))?.into()),
};

pub(in crate::activities) const GET: OnDesk = OnDesk {
    spec: || {
        let text = "Reads an account, named by its id or its primary domain.";
        let spec = described("accounts:get-account-platform", "Get an account", text);
        reading(SCOPE, schema::key(READ_KEYS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.get(KIND, named(input, READ_KEYS)?)?.into()),
};

pub(in crate::activities) const CREATE_NOTE: OnDesk = OnDesk {
    spec: || entry(RecordKind::AccountNote, "accounts:create-note-platform", "Note on an account"),
    run: |desk, input| Ok(desk.create(RecordKind::AccountNote, input)?.into()),
};

pub(in crate::activities) const CREATE_TASK: OnDesk = OnDesk {
    spec: || entry(RecordKind::AccountTask, "accounts:create-task-platform", "Task for an account"),
    run: |desk, input| Ok(desk.create(RecordKind::AccountTask, input)?.into()),
};

pub(in crate::activities) const CREATE_ACTIVITY: OnDesk = OnDesk {
    spec: || {
        let identifier = "accounts:create-activity-platform";
        entry(RecordKind::AccountActivity, identifier, "Activity with an account")
    },
    run: |desk, input| Ok(desk.create(RecordKind::AccountActivity, input)?.into()),
};

fn entry(kind: RecordKind, identifier: &str, name: &str) -> ActivitySpec {
    let words = kind.name().replace('-', "'s ");
    let spec = described(identifier, name, &format!("Makes an {words}."));
    changing(SCOPE, schema::creation(kind), schema::record(kind), spec)
}

fn with_primary_domain(input: &Map<String, Value>) -> Map<String, Value> {
    let mut account = without(input, &["domain"]);
    let has_none = account.get("primaryDomain").is_none_or(Value::is_null);
    if let (true, Some(domain)) = (has_none, input.get("domain")) {
        account.insert("primaryDomain".to_owned(), domain.clone());
    }
    account
}
