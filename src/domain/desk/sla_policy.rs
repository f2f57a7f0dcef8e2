//! Promises about tickets: which tickets, what within how long, and when the clock stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::field::{
    CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT, plain_name,
};
use crate::domain::business_hours::Calendar;
use crate::domain::filter::Filter;
use crate::domain::problem::{Problem, nearest};
use crate::domain::scope::Scope;
use crate::domain::time::parse_duration;

use FieldType::{Any, Bool, List, Number};

/// The longest promise.
const TARGET_DAYS_MAX: u64 = 366;

/// The fields of a policy.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", TEXT, "The policy's name, unique").required(),
    Field::new("description", LONG_TEXT, "What is promised to whom"),
    Field::new("filter", Any, "Which tickets: a filter over the ticket; all without one"),
    Field::new(
        "targets",
        Any,
        "What is promised: firstResponse, nextResponse, update, resolution, each within a duration",
    )
    .required(),
    Field::new("warnBefore", Any, "How long before a deadline to warn, a duration"),
    Field::new(
        "businessHours",
        Any,
        "When time counts: {timezone, days: {monday: [{start, end}]}, holidays}; always without it",
    ),
    Field::new("pauseStatuses", List(&TEXT), "Statuses, by name, in which the clocks stand still"),
    Field::new("position", Number, "Of the policies that fit, the lowest applies"),
    Field::new("isActive", Bool, "Whether it is in use"),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// That somebody answers for the first time.
    FirstResponse,
    /// That somebody answers what the customer wrote since.
    NextResponse,
    /// That the customer hears something in every interval.
    Update,
    /// That the ticket is closed.
    Resolution,
}

impl Metric {
    const ALL: [(Metric, &'static str); 4] = [
        (Metric::FirstResponse, "firstResponse"),
        (Metric::NextResponse, "nextResponse"),
        (Metric::Update, "update"),
        (Metric::Resolution, "resolution"),
    ];

    /// Returns the name in events, such as `first_response`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::FirstResponse => "first_response",
            Metric::NextResponse => "next_response",
            Metric::Update => "update",
            Metric::Resolution => "resolution",
        }
    }
}

/// A policy, read from its record.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The record's id.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// What is promised within how much counted time.
    pub targets: BTreeMap<Metric, Duration>,
    /// How much counted time before a deadline to warn.
    pub warn_before: Option<Duration>,
    /// When time counts.
    pub calendar: Calendar,
    filter: Filter,
    pauses: Vec<String>,
    position: f64,
}

impl Policy {
    /// Reads a policy from its record.
    ///
    /// # Errors
    /// Returns every fault, with pointers into the record.
    pub fn read(record: &Map<String, Value>) -> Result<Policy, Vec<Problem>> {
        let part = |name: &str| record.get(name).unwrap_or(&Value::Null);
        let text = |name: &str| part(name).as_str().unwrap_or_default().to_owned();
        let mut problems = Vec::new();
        let filter = Filter::parse(part("filter"), "/filter").map_err(|it| problems.extend(it));
        let targets = read_targets(part("targets")).map_err(|it| problems.extend(it));
        let warn_before = match part("warnBefore") {
            Value::Null => Ok(None),
            raw => read_duration(raw, "/warnBefore").map(Some).map_err(|it| problems.push(it)),
        };
        let calendar = Calendar::read(part("businessHours"), "/businessHours")
            .map_err(|it| problems.extend(it));
        let pauses = part("pauseStatuses").as_array().into_iter().flatten();
        let pauses = pauses.filter_map(Value::as_str).map(plain_name).collect();
        match (filter, targets, warn_before, calendar) {
            (Ok(filter), Ok(targets), Ok(warn_before), Ok(calendar)) => Ok(Policy {
                id: text("id"),
                name: text("name"),
                targets,
                warn_before,
                calendar,
                filter,
                pauses,
                position: part("position").as_f64().unwrap_or(0.0),
            }),
            _ => Err(problems), // Whatever failed left its problems.
        }
    }

    /// Returns whether the policy is for `ticket`.
    #[must_use]
    pub fn applies(&self, ticket: &Map<String, Value>) -> bool {
        // A path may begin with `ticket` or with the ticket's own field.
        let mut payload = ticket.clone();
        payload.insert("ticket".to_owned(), Value::Object(ticket.clone()));
        self.filter.matches(&Scope::of_event(json!({ "payload": payload })))
    }

    /// Returns whether clocks stand still while `ticket` is in its status.
    #[must_use]
    pub fn pauses(&self, ticket: &Map<String, Value>) -> bool {
        ["statusName", "parentStatusName"].iter().any(|name| {
            let status = ticket.get(*name).and_then(Value::as_str).map(plain_name);
            status.is_some_and(|status| self.pauses.contains(&status))
        })
    }
}

/// Returns the policy for `ticket` among `records`: of those in use that fit the one with the lowest
/// position, and of equals the oldest.
#[must_use]
pub fn choose(records: &[Map<String, Value>], ticket: &Map<String, Value>) -> Option<Policy> {
    let in_use = records.iter().filter(|record| record.get("isActive") != Some(&json!(false)));
    let fitting = in_use.filter_map(|record| Policy::read(record).ok());
    let fitting = fitting.filter(|policy| policy.applies(ticket));
    fitting.min_by(|one, other| {
        one.position.total_cmp(&other.position).then_with(|| one.id.cmp(&other.id))
    })
}

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    draft.default("isActive", json!(true));
    draft.default("position", json!(0));
}

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    let names = FIELDS.iter().map(|field| field.name);
    let record = names.map(|name| (name.to_owned(), draft.value(name).clone())).collect();
    for problem in Policy::read(&record).err().into_iter().flatten() {
        // A policy without targets has its problem from the table of fields.
        let is_missing = problem.pointer == "/targets" && draft.value("targets").is_null();
        if !is_missing {
            draft.refuse(problem);
        }
    }
}

fn read_targets(raw: &Value) -> Result<BTreeMap<Metric, Duration>, Vec<Problem>> {
    let names = Metric::ALL.map(|(_, name)| name);
    let Some(listed) = raw.as_object().filter(|listed| !listed.is_empty()) else {
        let problem = Problem::new("/targets", "required", "a policy promises something");
        return Err(vec![problem.with_hint(format!("one of {}", names.join(", ")))]);
    };
    let mut targets = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in listed {
        let pointer = format!("/targets/{name}");
        let plain = plain_name(name).replace(' ', "");
        match Metric::ALL.iter().find(|(_, known)| known.to_lowercase() == plain) {
            None => {
                let problem = Problem::new(
                    pointer,
                    "unknown_field",
                    format!("nothing is promised by `{name}`"),
                );
                let near = nearest(name, names).unwrap_or("firstResponse");
                problems.push(problem.with_hint(format!("did you mean `{near}`?")));
            }
            Some(_) if value.is_null() => {}
            Some((metric, _)) => match read_duration(value, &pointer) {
                Ok(duration) => drop(targets.insert(*metric, duration)),
                Err(problem) => problems.push(problem),
            },
        }
    }
    if problems.is_empty() { Ok(targets) } else { Err(problems) }
}

fn read_duration(raw: &Value, pointer: &str) -> Result<Duration, Problem> {
    let text = match raw {
        Value::String(text) => text.clone(),
        Value::Number(seconds) => seconds.to_string(),
        _ => String::new(), // No duration is written otherwise.
    };
    let duration = parse_duration(&text)
        .map_err(|fault| Problem::new(pointer, "invalid_duration", fault.to_string()))?;
    let longest = Duration::from_secs(TARGET_DAYS_MAX * 24 * 60 * 60);
    if duration.is_zero() || duration > longest {
        let detail = format!("must be more than nothing and at most {TARGET_DAYS_MAX}d");
        return Err(Problem::new(pointer, "out_of_range", detail));
    }
    Ok(duration)
}
