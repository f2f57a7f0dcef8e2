//! An activity as a manifest declares it: an HTTP call with its schemas.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Setting;
use super::read::{Need, Reader, is_address};
use crate::domain::activity::Compensation;
use crate::domain::activity::custom::{
    Account, CustomThrottle, HttpOperation, Output, Sends, ThrottleKey,
};
use crate::domain::expression::Template;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::time::parse_duration;

use super::scope::own_scopes;

const ACTIVITIES_MAX: usize = 100;
const FIELDS: [&str; 14] = [
    "name",
    "title",
    "description",
    "category",
    "http_config",
    "request_schema",
    "response_schema",
    "scopes",
    "throttler",
    "timeout",
    "compensation",
    "version",
    "metadata",
    "source",
];
const HTTP_FIELDS: [&str; 6] = ["headers", "httpVerb", "endpoint_url", "body", "query", "timeout"];
const VERBS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// What a template of a call may begin with.
const ROOTS: [&str; 4] = ["input", "settings", "configuration", "run"];

/// What an app can do in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestActivity {
    /// Its name in the manifest.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// What it does.
    pub description: String,
    /// Groups activities in lists.
    pub category: String,
    /// JSON Schema of the input.
    pub request_schema: Value,
    /// JSON Schema of the answer's body.
    pub response_schema: Value,
    /// What the app must have been granted for it, as scopes of the platform.
    pub scopes: Vec<String>,
    /// How often it may be called.
    pub throttle: Option<CustomThrottle>,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
    /// How it is undone.
    pub compensation: Compensation,
    /// The call; whose settings it uses is not known yet.
    pub operation: HttpOperation,
    at: String,
}

impl ManifestActivity {
    /// Returns whether it does the same as another, wherever it stands in its manifest.
    #[must_use]
    pub fn is_like(&self, other: &ManifestActivity) -> bool {
        ManifestActivity { at: other.at.clone(), ..self.clone() } == *other
    }

    /// Reports scopes that the app itself does not ask for.
    pub(super) fn check_scopes<'s>(
        &self,
        reader: &mut Reader,
        asked: impl Iterator<Item = &'s String>,
    ) {
        let asked: Vec<&String> = asked.collect();
        for scope in &self.scopes {
            let resource = scope.strip_suffix(":read");
            let grants = |known: &&String| {
                **known == *scope
                    || resource.is_some_and(|own| known.strip_suffix(":write") == Some(own))
            };
            if !asked.iter().any(grants) {
                let detail = format!("the app does not ask for `{scope}`; add it to `/scopes`");
                reader.report(&pointer_to(&self.at, "scopes"), "scope_not_asked", &detail);
            }
        }
    }
}

pub(super) fn read(
    reader: &mut Reader,
    raw: &Value,
    settings: &[Setting],
) -> Vec<ManifestActivity> {
    let Some(root) = raw.as_object() else { return Vec::new() };
    let mut all: Vec<ManifestActivity> = Vec::new();
    for (at, fields) in reader.items(root, "", "activities", ACTIVITIES_MAX) {
        let Some(activity) = one(reader, fields, at.clone(), settings) else { continue };
        if all.iter().any(|known| known.name == activity.name) {
            let detail = format!("there are two activities `{}`", activity.name);
            reader.report(&pointer_to(&at, "name"), "duplicate", &detail);
        }
        all.push(activity);
    }
    all
}

fn one(
    reader: &mut Reader,
    fields: &Map<String, Value>,
    at: String,
    settings: &[Setting],
) -> Option<ManifestActivity> {
    reader.close(fields, &at, &FIELDS);
    let name = reader.text(fields, &at, "name", Need::Required);
    if let Some(name) = &name {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if name.len() > 64 || !begins || !name.chars().all(fits) {
            let detail = "must have 1 to 64 letters, digits and `_.:-`, a letter first";
            reader.report(&pointer_to(&at, "name"), "invalid_name", detail);
        }
    }
    let text = |reader: &mut Reader, field| reader.text(fields, &at, field, Need::Optional);
    let (title, category) = (text(reader, "title"), text(reader, "category"));
    let description = text(reader, "description").unwrap_or_default();
    let request_schema = reader.schema(fields, &at, "request_schema");
    let response_schema = reader.schema(fields, &at, "response_schema").unwrap_or(json!({}));
    let mut scopes = Vec::new();
    for (place, text) in reader.texts(fields, &at, "scopes") {
        match own_scopes(&text) {
            Ok(own) => scopes.extend(own),
            Err(problem) => reader.report(&place, &problem.code, &problem.detail),
        }
    }
    let operation = operation(reader, fields, &at, settings);
    let throttle = throttle(reader, fields, &at);
    let http = fields.get("http_config");
    let own = fields.get("timeout").map(|given| (given, pointer_to(&at, "timeout")));
    let of_http = http.and_then(|http| http.get("timeout"));
    let timeout = own.or(of_http.map(|given| (given, format!("{at}/http_config/timeout"))));
    let timeout = timeout.map_or(TIMEOUT, |(given, place)| duration(reader, given, &place));
    let (name, operation) = (name?, operation?);
    let reads = matches!(operation.method.as_str(), "GET" | "HEAD");
    let compensation = match text(reader, "compensation").as_deref() {
        Some("none") => Compensation::NotNeeded,
        None if reads => Compensation::NotNeeded,
        _ => Compensation::Manual, // It has an effect that only the definition can undo.
    };
    Some(ManifestActivity {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        description,
        category: category.unwrap_or_else(|| "apps".to_owned()),
        request_schema: request_schema.unwrap_or_else(|| json!({ "type": "object" })),
        response_schema,
        scopes,
        throttle,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        compensation,
        operation,
        at,
    })
}

fn operation(
    reader: &mut Reader,
    fields: &Map<String, Value>,
    at: &str,
    settings: &[Setting],
) -> Option<HttpOperation> {
    let http = reader.object(fields, at, "http_config", Need::Required)?;
    let at = pointer_to(at, "http_config");
    reader.close(http, &at, &HTTP_FIELDS);
    let verb = reader.text(http, &at, "httpVerb", Need::Required);
    let method = verb.unwrap_or_else(|| "POST".to_owned()).to_uppercase();
    reader.one_of(&pointer_to(&at, "httpVerb"), &method, &VERBS);
    let url = reader.text(http, &at, "endpoint_url", Need::Required)?;
    let place = pointer_to(&at, "endpoint_url");
    if !is_address(&url) && !url.starts_with("{{") {
        reader.report(&place, "invalid_url", "must be a URL of http or https");
    }
    check_template(reader, &json!(url), &place, settings);
    let map = |reader: &mut Reader, name: &str| -> BTreeMap<String, Value> {
        let found = reader.object(http, &at, name, Need::Optional).cloned().unwrap_or_default();
        check_template(reader, &json!(found), &pointer_to(&at, name), settings);
        found.into_iter().collect()
    };
    let (headers, query) = (map(reader, "headers"), map(reader, "query"));
    for name in headers.iter().filter(|(_, value)| !value.is_string()).map(|(name, _)| name) {
        let place = pointer_to(&pointer_to(&at, "headers"), name);
        reader.report(&place, "wrong_type", "must be a text");
    }
    let sends = match http.get("body").filter(|body| !body.is_null()) {
        Some(body) => {
            check_template(reader, body, &pointer_to(&at, "body"), settings);
            Sends::Body(body.clone())
        }
        None if matches!(method.as_str(), "GET" | "HEAD" | "DELETE") => Sends::InputInQuery,
        None => Sends::Input,
    };
    let (account, output) = (Account::Nobody, Output::Body);
    Some(HttpOperation { method, url, query, headers, sends, account, output })
}

fn check_template(reader: &mut Reader, raw: &Value, at: &str, settings: &[Setting]) {
    let template = match Template::parse(raw, at) {
        Ok(template) => template,
        Err(problems) => return reader.problems.extend(problems),
    };
    for reference in template.references() {
        let segments: Vec<&str> = reference.path.segments().collect();
        let Some(root) = segments.first().filter(|root| ROOTS.contains(*root)) else {
            let detail =
                format!("`{}` begins with none of {}", segments.join("."), ROOTS.join(", "));
            reader.report(&reference.pointer, "unknown_path", &detail);
            continue;
        };
        let lists = ["required_settings", "optional_settings"];
        let below = segments.iter().skip(1);
        let key =
            below.copied().find(|segment| *root != "configuration" || !lists.contains(segment));
        let is_setting = matches!(*root, "settings" | "configuration");
        let Some(key) = key.filter(|_| is_setting) else { continue };
        if settings.iter().any(|setting| setting.key == key) {
            continue;
        }
        let detail = format!("the app has no setting `{key}`");
        let problem = Problem::new(reference.pointer.clone(), "unknown_setting", detail);
        reader.problems.push(match nearest(key, settings.iter().map(|it| it.key.as_str())) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint("declare it in `/configuration`"),
        });
    }
}

fn throttle(reader: &mut Reader, fields: &Map<String, Value>, at: &str) -> Option<CustomThrottle> {
    let given = reader.object(fields, at, "throttler", Need::Optional)?;
    let at = pointer_to(at, "throttler");
    let known = ["ttl", "limit", "key", "isEnabled", "is_enabled", "enabled"];
    reader.close(given, &at, &known);
    let switches = ["isEnabled", "is_enabled", "enabled"];
    if switches.iter().any(|name| given.get(*name) == Some(&Value::Bool(false))) {
        return None;
    }
    let limit = given.get("limit").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        reader.report(&pointer_to(&at, "limit"), "out_of_range", "must be a whole number from 1");
        return None;
    };
    let Some(ttl) = given.get("ttl") else {
        reader.report(&pointer_to(&at, "ttl"), "required", "`ttl` is required, in seconds");
        return None;
    };
    let window = duration(reader, ttl, &pointer_to(&at, "ttl"));
    let key = reader.text(given, &at, "key", Need::Optional);
    let key = key.unwrap_or_else(|| "activity".to_owned());
    reader.one_of(&pointer_to(&at, "key"), &key, &["activity", "tenant", "organization"]);
    let key = if key == "activity" { ThrottleKey::Activity } else { ThrottleKey::Tenant };
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    Some(CustomThrottle { limit, window_ms, key })
}

/// Reads seconds or a duration such as `30s`.
fn duration(reader: &mut Reader, given: &Value, at: &str) -> Duration {
    let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    match parse_duration(&text) {
        Ok(duration) if !duration.is_zero() && duration <= TIMEOUT_MAX => duration,
        _ => {
            // It is no duration, or too long a one.
            let detail = "must be seconds or a duration such as `30s`, at most 10 minutes";
            reader.report(at, "invalid_duration", detail);
            TIMEOUT
        }
    }
}
