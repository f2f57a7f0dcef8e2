//! What differs between two manifests of an app, and what of it breaks what was built on it.

use serde::Serialize;
use serde_json::Value;

use super::Manifest;
use crate::domain::event_type::incompatibilities;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestChange {
    /// What differs: `activity`, `event`, `subscription`, `scope`, `setting` or `app`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Whether something that worked before may not work any more.
    pub breaking: bool,
    /// What it means, for a person.
    pub detail: String,
}

/// Returns every difference, in the order of the manifest.
#[must_use]
pub fn changes(old: &Manifest, new: &Manifest) -> Vec<ManifestChange> {
    let mut all = Vec::new();
    of_app(old, new, &mut all);
    of_activities(old, new, &mut all);
    of_events(old, new, &mut all);
    of_texts("subscription", &old.subscribes, &new.subscribes, &mut all);
    of_scopes(old, new, &mut all);
    of_settings(old, new, &mut all);
    all
}

struct Difference {
    change: &'static str,
    /// Why it breaks something; `None` when it does not.
    breaks: Option<String>,
}

fn note(kind: &'static str, name: &str, found: Difference, all: &mut Vec<ManifestChange>) {
    let Difference { change, breaks } = found;
    let breaking = breaks.is_some();
    let detail = breaks.unwrap_or_else(|| format!("{kind} `{name}` was {change}"));
    all.push(ManifestChange { kind, name: name.to_owned(), change, breaking, detail });
}

fn of_app(old: &Manifest, new: &Manifest, all: &mut Vec<ManifestChange>) {
    let fields = [
        ("name", &old.name, &new.name),
        ("version", &old.version, &new.version),
        ("description", &old.description, &new.description),
        ("category", &old.category, &new.category),
        ("visibility", &old.visibility, &new.visibility),
    ];
    for (name, before, after) in fields {
        if before != after {
            note("app", name, Difference { change: "changed", breaks: None }, all);
        }
    }
    for (name, before, after) in [
        ("events webhook", &old.events_url, &new.events_url),
        ("installation webhook", &old.lifecycle_url, &new.lifecycle_url),
    ] {
        if before != after {
            note("app", name, Difference { change: "changed", breaks: None }, all);
        }
    }
}

fn of_activities(old: &Manifest, new: &Manifest, all: &mut Vec<ManifestChange>) {
    for before in &old.activities {
        let name = &before.name;
        let Some(after) = new.activities.iter().find(|after| after.name == *name) else {
            let breaks = Some("new definitions cannot name it any more".to_owned());
            note("activity", name, Difference { change: "removed", breaks }, all);
            continue;
        };
        if after.is_like(before) {
            continue;
        }
        let input = first_fault(&before.request_schema, &after.request_schema, "request_schema");
        let output =
            first_fault(&after.response_schema, &before.response_schema, "response_schema");
        let granted = after.scopes.iter().find(|scope| !before.scopes.contains(scope));
        let granted = granted.map(|scope| format!("it needs `{scope}` now"));
        let breaks = input.or(output).or(granted);
        note("activity", name, Difference { change: "changed", breaks }, all);
    }
    for after in &new.activities {
        if old.activities.iter().all(|before| before.name != after.name) {
            note("activity", &after.name, Difference { change: "added", breaks: None }, all);
        }
    }
}

/// Says what `after` refuses of what `before` took.
fn first_fault(before: &Value, after: &Value, place: &str) -> Option<String> {
    let is_open = |schema: &Value| {
        matches!(schema, Value::Bool(true)) || schema.as_object().is_some_and(|it| it.is_empty())
    };
    if before == after || is_open(after) {
        return None;
    }
    let faults = incompatibilities(before, after, &format!("/{place}"));
    let fault = faults.into_iter().next()?;
    Some(format!("{}: {}", fault.pointer, fault.detail))
}

fn of_events(old: &Manifest, new: &Manifest, all: &mut Vec<ManifestChange>) {
    for before in &old.publishes {
        let name = &before.kind;
        let Some(after) = new.publishes.iter().find(|after| after.kind == *name) else {
            let breaks = Some("workflows that it starts are not started any more".to_owned());
            note("event", name, Difference { change: "removed", breaks }, all);
            continue;
        };
        if before.schema != after.schema {
            let breaks = first_fault(&before.schema, &after.schema, "schema");
            note("event", name, Difference { change: "changed", breaks }, all);
        }
    }
    for after in &new.publishes {
        if old.publishes.iter().all(|before| before.kind != after.kind) {
            note("event", &after.kind, Difference { change: "added", breaks: None }, all);
        }
    }
}

fn of_texts(kind: &'static str, old: &[String], new: &[String], all: &mut Vec<ManifestChange>) {
    for name in old.iter().filter(|name| !new.contains(name)) {
        note(kind, name, Difference { change: "removed", breaks: None }, all);
    }
    for name in new.iter().filter(|name| !old.contains(name)) {
        note(kind, name, Difference { change: "added", breaks: None }, all);
    }
}

fn of_scopes(old: &Manifest, new: &Manifest, all: &mut Vec<ManifestChange>) {
    for name in new.scopes_required.iter().filter(|name| !old.scopes_required.contains(name)) {
        let breaks = Some("the app lacks it until it is installed again".to_owned());
        note("scope", name, Difference { change: "added", breaks }, all);
    }
    for name in old.scopes_required.iter().filter(|name| !new.scopes_required.contains(name)) {
        note("scope", name, Difference { change: "removed", breaks: None }, all);
    }
    of_texts("scope", &old.scopes_optional, &new.scopes_optional, all);
}

fn of_settings(old: &Manifest, new: &Manifest, all: &mut Vec<ManifestChange>) {
    for after in &new.settings {
        let needed = after.required && after.default.is_none();
        let because =
            |detail: &str| needed.then(|| format!("{detail}; install the app again with it"));
        match old.settings.iter().find(|before| before.key == after.key) {
            None => {
                let breaks = because("it is required and has no default");
                note("setting", &after.key, Difference { change: "added", breaks }, all);
            }
            Some(before) if before != after => {
                let is_new_need = !before.required || before.secret != after.secret;
                let breaks = because("it is required now").filter(|_| is_new_need);
                let breaks = breaks.or(first_fault(&before.schema, &after.schema, "schema"));
                note("setting", &after.key, Difference { change: "changed", breaks }, all);
            }
            Some(_) => {} // As it was.
        }
    }
    for before in &old.settings {
        if new.settings.iter().all(|after| after.key != before.key) {
            note("setting", &before.key, Difference { change: "removed", breaks: None }, all);
        }
    }
}
