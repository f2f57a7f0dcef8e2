//! Activities that workers carry out: registered in versions, and taken back.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::App;
use super::activities::ActivityView;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::activity::Compensation;
use crate::domain::activity::ThrottleKey;
use crate::domain::activity::custom::{Carrier, CustomActivity, CustomThrottle, Ended, Owner};
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::time::{Timestamp, parse_duration};
use crate::domain::workflow::Retry;
use crate::store::tenant::TenantTx;

/// How long an attempt may take unless the registration says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
const TIMEOUT_MAX: Duration = Duration::from_secs(366 * 86_400);
const IDENTIFIER_CHARS_MAX: usize = 200;
const ATTEMPTS_MAX: u64 = 1_000;

/// An activity that is registered.
#[derive(Clone, Debug, PartialEq)]
pub struct NewActivity {
    /// The name that steps use.
    pub identifier: String,
    /// The name for people; the identifier when empty.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Groups activities in lists; `workers` when empty.
    pub category: String,
    /// JSON Schema of the rendered input; `None` for any.
    pub input_schema: Option<Value>,
    /// JSON Schema of the output; `None` for any.
    pub output_schema: Option<Value>,
    /// How long an attempt may take from when it is handed out.
    pub timeout: Option<Duration>,
    /// `{attempts, initial, factor, max, jitter}`, each of them optional.
    pub retry: Option<Map<String, Value>>,
    /// `{limit, window, key}`.
    pub throttle: Option<Map<String, Value>>,
}

/// Whether a registration changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// There is a new version, the first or a further one.
    New,
    /// It says what the newest version says.
    Unchanged,
}

impl App {
    /// Registers an activity that workers carry out; another registration of it is a new version.
    ///
    /// # Errors
    /// `Invalid` for what is no activity, `Conflict` for an identifier that belongs to another.
    pub async fn register_activity(
        &self,
        who: &Principal,
        wanted: NewActivity,
    ) -> Result<(ActivityView, Registered), Error> {
        let row = drafted(wanted)?;
        if self.engine().activities().catalogue().find(&row.identifier).is_some() {
            let detail = format!("`{}` is a built-in activity", row.identifier);
            return Err(Error::Conflict { code: "activity_exists", detail });
        }
        let change = Change::of("activity.register", &row.identifier);
        let (row, registered) = self
            .write(who, change, move |tx, change| {
                let (before, row, registered) = add_version(tx, row)?;
                change.before(&before.map(told));
                change.after(&told(row.clone()));
                Ok((row, registered))
            })
            .await?;
        Ok((ActivityView::from(&row.spec()), registered))
    }

    /// Takes back an activity that was registered for workers: what was written before still calls
    /// it, and nothing new may name it.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such activity, `Conflict` for one of another origin.
    pub async fn retire_activity(&self, who: &Principal, identifier: &str) -> Result<(), Error> {
        let identifier = identifier.to_owned();
        self.write(who, Change::of("activity.retire", &identifier), move |tx, change| {
            let all = tx.view().custom_activities()?.into_iter();
            let rows: Vec<_> = all.filter(|row| row.identifier == identifier).collect();
            let Some(newest) = rows.iter().rev().find(|row| row.is_offered()) else {
                return Err(Error::NotFound { what: "activity", id: identifier });
            };
            if !matches!(newest.owner, Owner::Worker(_)) {
                let detail = format!("`{identifier}` belongs to {}", newest.source);
                return Err(Error::Conflict { code: "not_registered_here", detail });
            }
            change.before(&told(newest.clone()));
            for row in rows.into_iter().filter(CustomActivity::is_offered) {
                tx.put_custom_activity(&CustomActivity { ended: Some(Ended::Retired), ..row });
            }
            Ok(())
        })
        .await
    }
}

fn told(row: CustomActivity) -> Value {
    json!({ "version": row.version, "name": row.name, "source": row.source })
}

/// Writes the next version of an activity, unless the newest says the same.
///
/// # Errors
/// `Conflict` when the identifier belongs to another owner.
pub(super) fn add_version(
    tx: &mut TenantTx<'_, '_>,
    row: CustomActivity,
) -> Result<(Option<CustomActivity>, CustomActivity, Registered), Error> {
    let all = tx.view().custom_activities()?.into_iter();
    let known: Vec<_> = all.filter(|known| known.identifier == row.identifier).collect();
    let newest = known.last().cloned();
    if let Some(foreign) = known.iter().find(|known| known.owner != row.owner && known.is_offered())
    {
        let detail = format!("`{}` belongs to {} already", row.identifier, foreign.source);
        return Err(Error::Conflict { code: "activity_exists", detail });
    }
    let version = newest.as_ref().map_or(1, |newest| newest.version + 1);
    let row = CustomActivity { version, offered_at: tx.now(), ..row };
    if let Some(newest) = &newest {
        let as_new =
            CustomActivity { version: row.version, offered_at: row.offered_at, ..newest.clone() };
        if as_new == row {
            return Ok((Some(newest.clone()), newest.clone(), Registered::Unchanged));
        }
    }
    tx.put_custom_activity(&row);
    Ok((newest, row, Registered::New))
}

fn drafted(wanted: NewActivity) -> Result<CustomActivity, Error> {
    let mut problems = Vec::new();
    problems.extend(identifier_problem(&wanted.identifier));
    let schemas = [("inputSchema", wanted.input_schema), ("outputSchema", wanted.output_schema)];
    let [input_schema, output_schema] = schemas.map(|(name, schema)| {
        let schema = schema.unwrap_or_else(|| json!({}));
        problems.extend(schema_problems(name, &schema));
        schema
    });
    let timeout = wanted.timeout.unwrap_or(TIMEOUT);
    if timeout.is_zero() || timeout > TIMEOUT_MAX {
        let detail = "must be more than nothing and at most a year";
        problems.push(Problem::new("/timeout", "out_of_range", detail));
    }
    let retry = retry_of(wanted.retry.unwrap_or_default(), &mut problems);
    let throttle = wanted.throttle.and_then(|given| throttle_of(given, &mut problems));
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    Ok(CustomActivity {
        alias: None,
        version: 1,
        name: or(wanted.name, &wanted.identifier),
        category: or(wanted.category, "workers"),
        source: "worker".to_owned(),
        description: wanted.description,
        input_schema,
        output_schema,
        scopes: Vec::new(),
        compensation: Compensation::Manual,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        retry,
        throttle,
        carrier: Carrier::Worker { queue: wanted.identifier.clone() },
        owner: Owner::Worker(wanted.identifier.clone()),
        offered_at: Timestamp::default(),
        ended: None,
        identifier: wanted.identifier,
    })
}

fn identifier_problem(identifier: &str) -> Option<Problem> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || ".:_-".contains(letter);
    let begins = identifier.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if begins && identifier.len() <= IDENTIFIER_CHARS_MAX && identifier.chars().all(is_fine) {
        return None;
    }
    let detail = format!(
        "must be at most {IDENTIFIER_CHARS_MAX} letters, digits, dots, colons, hyphens and \
         underscores, and begin with a letter or digit"
    );
    Some(Problem::new("/uniqueIdentifier", "invalid_identifier", detail))
}

fn schema_problems(name: &str, schema: &Value) -> Vec<Problem> {
    let at = pointer_to("", name);
    if let Some(place) = secret_in(schema, &at) {
        let detail = "a worker gets no secrets of this tenant";
        let problem = Problem::new(place, "secret_for_worker", detail);
        return vec![problem.with_hint("let the worker hold its secrets itself")];
    }
    match jsonschema::validator_for(schema) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let told = error.masked().to_string();
            vec![Problem::new(at, "invalid_schema", format!("this is no JSON Schema: {told}"))]
        }
    }
}

/// Returns where a schema marks a field as one for secrets.
fn secret_in(schema: &Value, at: &str) -> Option<String> {
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let place = pointer_to(at, name);
            if name == "x-secret" { Some(place) } else { secret_in(value, &place) }
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| secret_in(item, &pointer_to(at, &index.to_string())))
        }
        _ => None, // It holds no fields.
    }
}

fn retry_of(given: Map<String, Value>, problems: &mut Vec<Problem>) -> Retry {
    let mut retry = Retry::DEFAULT;
    for (name, value) in &given {
        let at = pointer_to("/retry", name);
        let wrong = |detail: &str| Problem::new(at.clone(), "not_allowed", detail);
        let problem = match name.as_str() {
            "attempts" => match value.as_u64().filter(|it| (1..=ATTEMPTS_MAX).contains(it)) {
                Some(attempts) => {
                    retry.attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                    None
                }
                None => Some(wrong("must be a whole number from 1 to 1000")),
            },
            "initial" | "max" => match duration_of(value) {
                Some(pause) if name == "max" => {
                    retry.max = pause;
                    None
                }
                Some(pause) => {
                    retry.initial = pause;
                    None
                }
                None => Some(wrong("must be a duration such as 5s")),
            },
            "factor" => match value.as_f64().filter(|factor| (1.0..=100.0).contains(factor)) {
                Some(factor) => {
                    retry.factor = factor;
                    None
                }
                None => Some(wrong("must be a number from 1 to 100")),
            },
            "jitter" => match value.as_bool() {
                Some(jitter) => {
                    retry.jitter = jitter;
                    None
                }
                None => Some(wrong("must be true or false")),
            },
            _ => Some(unknown(&at, name)),
        };
        problems.extend(problem);
    }
    retry
}

fn throttle_of(given: Map<String, Value>, problems: &mut Vec<Problem>) -> Option<CustomThrottle> {
    for name in given.keys().filter(|name| !["limit", "window", "key"].contains(&name.as_str())) {
        problems.push(unknown(&pointer_to("/throttle", name), name));
    }
    let limit = given.get("limit").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let limit = limit.filter(|limit| *limit > 0);
    let window = given.get("window").and_then(duration_of).filter(|window| !window.is_zero());
    let key = match given.get("key").map_or(Some("activity"), Value::as_str) {
        Some("activity") => Some(ThrottleKey::Activity),
        Some("tenant") => Some(ThrottleKey::Tenant),
        _ => None, // There are no others.
    };
    for (name, is_there, detail) in [
        ("limit", limit.is_some(), "must be a whole number from 1"),
        ("window", window.is_some(), "must be a duration such as 1m"),
        ("key", key.is_some(), "must be activity or tenant"),
    ] {
        if !is_there {
            problems.push(Problem::new(pointer_to("/throttle", name), "not_allowed", detail));
        }
    }
    let window_ms = u64::try_from(window?.as_millis()).unwrap_or(u64::MAX);
    Some(CustomThrottle { limit: limit?, window_ms, key: key? })
}

fn duration_of(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => parse_duration(text).ok(),
        Value::Number(number) => parse_duration(&number.to_string()).ok(),
        _ => None, // It is none.
    }
}

fn unknown(at: &str, name: &str) -> Problem {
    Problem::new(at, "unknown_field", format!("there is no field `{name}` here"))
}
