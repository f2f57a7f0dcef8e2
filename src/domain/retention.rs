//! Rules that say for how long what is over is kept, and which rule a run goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::problem::{Problem, nearest, pointer_to};
use super::run::{Compensation, Status};
use super::time::{format_duration, parse_duration};

const FOREVER: &str = "forever";
/// Nobody means a shorter time, and a longer one is as good as for ever.
const AGE_MIN: Duration = Duration::from_secs(1);
const AGE_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
const HINT: &str = "write a duration such as 7d, or \"forever\"";

/// For how long something is kept after it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// This long.
    For(Duration),
    /// Until somebody removes it.
    Forever,
}

impl Keep {
    /// Returns the rule for a number of days; 0 means for ever.
    #[must_use]
    pub fn days(days: u64) -> Keep {
        match days {
            0 => Keep::Forever,
            days => Keep::For(Duration::from_secs(days.saturating_mul(24 * 60 * 60)).min(AGE_MAX)),
        }
    }

    /// Returns how long it is, unless it is for ever.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            Keep::For(limit) => Some(limit),
            Keep::Forever => None,
        }
    }

    fn text(self) -> String {
        self.limit().map_or_else(|| FOREVER.to_owned(), format_duration)
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keep, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            FOREVER => Ok(Keep::Forever),
            text => parse_duration(text).map(Keep::For).map_err(serde::de::Error::custom),
        }
    }
}

/// How a run ended, as far as it decides how long the run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was for.
    Succeeded,
    /// It failed, and what was to be undone was.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Something that was to be undone could not be.
    CompensationIncomplete,
}

impl Outcome {
    /// Returns how a run ended; `None` for one that goes on.
    #[must_use]
    pub fn of(status: Status, compensation: Compensation) -> Option<Outcome> {
        match (status, compensation) {
            (Status::Succeeded, _) => Some(Outcome::Succeeded),
            (Status::Failed | Status::Cancelled, Compensation::Incomplete) => {
                Some(Outcome::CompensationIncomplete)
            }
            (Status::Failed, _) => Some(Outcome::Failed),
            (Status::Cancelled, _) => Some(Outcome::Cancelled),
            (
                Status::Queued
                | Status::Running
                | Status::Retrying
                | Status::Waiting
                | Status::Compensating,
                _,
            ) => None,
        }
    }

    /// Returns the name of its field in the rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::CompensationIncomplete => "compensationIncomplete",
        }
    }
}

/// What is kept of runs; what is not said is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRules {
    /// After success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<Keep>,
    /// After a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Keep>,
    /// After somebody stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Keep>,
    /// After something could not be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compensation_incomplete: Option<Keep>,
    /// How many runs of each workflow are kept, live ones included; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many bytes runs and journals of the tenant may take together; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What is kept of events; what is not said is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventRules {
    /// Those that started a run, when none of their runs is kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Keep>,
    /// Those that started none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Keep>,
    /// How many events are kept, those that are needed beside; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many bytes events may take; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What is kept of deliveries to subscribers; what is not said is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliveryRules {
    /// Those that arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Keep>,
    /// Those that were given up on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<Keep>,
}

/// Everything that a tenant may say about what is kept; what is not said is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules {
    /// Runs, with their journals, inputs and incidents.
    pub runs: RunRules,
    /// Events.
    pub events: EventRules,
    /// Events that were refused for their payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_events: Option<Keep>,
    /// What came to the hooks of connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_deliveries: Option<Keep>,
    /// Deliveries to subscribers.
    pub webhook_deliveries: DeliveryRules,
    /// The audit; never less than the appliance's floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Keep>,
    /// How long an event's id is remembered after the event is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Keep>,
    /// Rules for the runs of single workflows, by name; they go before everything else.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub workflows: BTreeMap<String, RunRules>,
}

impl RunRules {
    /// Returns what it says of one outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> Option<Keep> {
        match outcome {
            Outcome::Succeeded => self.succeeded,
            Outcome::Failed => self.failed,
            Outcome::Cancelled => self.cancelled,
            Outcome::CompensationIncomplete => self.compensation_incomplete,
        }
    }

    /// Returns whether it says nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == RunRules::default()
    }

    /// Reads the rules of one workflow, as a definition has them.
    ///
    /// # Errors
    /// Returns every problem, each with its place below `at`.
    pub fn parse(value: &Value, at: &str) -> Result<RunRules, Vec<Problem>> {
        let mut reading = Reading::default();
        let rules = reading.runs(value, at, Extent::Workflow);
        reading.end(rules)
    }

    fn or(&self, other: &RunRules) -> RunRules {
        RunRules {
            succeeded: self.succeeded.or(other.succeeded),
            failed: self.failed.or(other.failed),
            cancelled: self.cancelled.or(other.cancelled),
            compensation_incomplete: self.compensation_incomplete.or(other.compensation_incomplete),
            count: self.count.or(other.count),
            bytes: self.bytes.or(other.bytes),
        }
    }
}

impl Rules {
    /// Reads what somebody wants to be kept.
    ///
    /// # Errors
    /// Returns every problem with the RFC 6901 pointer to its place.
    pub fn parse(value: &Value) -> Result<Rules, Vec<Problem>> {
        let mut reading = Reading::default();
        let rules = reading.rules(value);
        reading.end(rules)
    }

    /// Returns these rules with what they do not say taken from `other`.
    #[must_use]
    pub fn or(&self, other: &Rules) -> Rules {
        let (events, theirs) = (&self.events, &other.events);
        let mut workflows = other.workflows.clone();
        workflows.extend(self.workflows.clone());
        Rules {
            runs: self.runs.or(&other.runs),
            events: EventRules {
                matched: events.matched.or(theirs.matched),
                unmatched: events.unmatched.or(theirs.unmatched),
                count: events.count.or(theirs.count),
                bytes: events.bytes.or(theirs.bytes),
            },
            rejected_events: self.rejected_events.or(other.rejected_events),
            hook_deliveries: self.hook_deliveries.or(other.hook_deliveries),
            webhook_deliveries: DeliveryRules {
                delivered: self.webhook_deliveries.delivered.or(other.webhook_deliveries.delivered),
                dead: self.webhook_deliveries.dead.or(other.webhook_deliveries.dead),
            },
            audit: self.audit.or(other.audit),
            dedupe: self.dedupe.or(other.dedupe),
            workflows,
        }
    }

    /// Returns the rules for the runs of one workflow: those under its name first, then those of
    /// its `definition`, then those for all.
    #[must_use]
    pub fn of_workflow(&self, name: &str, definition: Option<&RunRules>) -> RunRules {
        let named = self.workflows.get(name).cloned().unwrap_or_default();
        let written = definition.cloned().unwrap_or_default();
        named.or(&written).or(&self.runs)
    }
}

/// Whether rules are for one workflow or for all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Workflow,
    Tenant,
}

/// Takes rules apart and collects what is wrong with them.
#[derive(Default)]
struct Reading {
    problems: Vec<Problem>,
}

impl Reading {
    fn end<T>(self, rules: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(rules) } else { Err(self.problems) }
    }

    fn wrong(&mut self, at: &str, code: &str, detail: impl Into<String>) {
        self.problems.push(Problem::new(at, code, detail).with_hint(HINT));
    }

    /// Calls `take` with every field, and complains about those that it does not know.
    fn fields(
        &mut self,
        value: &Value,
        at: &str,
        known: &[&str],
        take: &mut dyn FnMut(&mut Reading, &str, &Value, &str),
    ) {
        let Some(fields) = value.as_object() else {
            return self.wrong(at, "wrong_type", "expected an object");
        };
        for (name, field) in fields {
            let place = pointer_to(at, name);
            if known.contains(&name.as_str()) {
                take(self, name, field, &place);
                continue;
            }
            let mut problem =
                Problem::new(&place, "unknown_key", format!("there is no field `{name}` here"));
            if let Some(meant) = nearest(name, known.iter().copied()) {
                problem = problem.with_hint(format!("did you mean `{meant}`?"));
            }
            self.problems.push(problem);
        }
    }

    fn rules(&mut self, value: &Value) -> Rules {
        let mut rules = Rules::default();
        let known = [
            "runs",
            "events",
            "rejectedEvents",
            "hookDeliveries",
            "webhookDeliveries",
            "audit",
            "dedupe",
            "workflows",
        ];
        self.fields(value, "", &known, &mut |reading, name, field, at| match name {
            "runs" => rules.runs = reading.runs(field, at, Extent::Tenant),
            "events" => rules.events = reading.events(field, at),
            "rejectedEvents" => rules.rejected_events = reading.keep(field, at),
            "hookDeliveries" => rules.hook_deliveries = reading.keep(field, at),
            "webhookDeliveries" => rules.webhook_deliveries = reading.deliveries(field, at),
            "audit" => rules.audit = reading.keep(field, at),
            "dedupe" => rules.dedupe = reading.keep(field, at),
            _ => rules.workflows = reading.workflows(field, at),
        });
        rules
    }

    fn runs(&mut self, value: &Value, at: &str, extent: Extent) -> RunRules {
        let mut rules = RunRules::default();
        let all = ["succeeded", "failed", "cancelled", "compensationIncomplete", "count", "bytes"];
        let known = if extent == Extent::Tenant { &all[..] } else { &all[..5] };
        self.fields(value, at, known, &mut |reading, name, field, at| match name {
            "succeeded" => rules.succeeded = reading.keep(field, at),
            "failed" => rules.failed = reading.keep(field, at),
            "cancelled" => rules.cancelled = reading.keep(field, at),
            "compensationIncomplete" => rules.compensation_incomplete = reading.keep(field, at),
            "count" => rules.count = reading.number(field, at),
            _ => rules.bytes = reading.number(field, at),
        });
        rules
    }

    fn events(&mut self, value: &Value, at: &str) -> EventRules {
        let mut rules = EventRules::default();
        let known = ["matched", "unmatched", "count", "bytes"];
        self.fields(value, at, &known, &mut |reading, name, field, at| match name {
            "matched" => rules.matched = reading.keep(field, at),
            "unmatched" => rules.unmatched = reading.keep(field, at),
            "count" => rules.count = reading.number(field, at),
            _ => rules.bytes = reading.number(field, at),
        });
        rules
    }

    fn deliveries(&mut self, value: &Value, at: &str) -> DeliveryRules {
        let mut rules = DeliveryRules::default();
        self.fields(
            value,
            at,
            &["delivered", "dead"],
            &mut |reading, name, field, at| match name {
                "delivered" => rules.delivered = reading.keep(field, at),
                _ => rules.dead = reading.keep(field, at),
            },
        );
        rules
    }

    fn workflows(&mut self, value: &Value, at: &str) -> BTreeMap<String, RunRules> {
        let Some(fields) = value.as_object() else {
            self.wrong(at, "wrong_type", "expected an object of rules by workflow");
            return BTreeMap::new();
        };
        let each = fields.iter().map(|(name, rules)| {
            let place = pointer_to(at, name);
            (name.clone(), self.runs(rules, &place, Extent::Workflow))
        });
        each.collect()
    }

    fn keep(&mut self, value: &Value, at: &str) -> Option<Keep> {
        let text = match value {
            Value::Null => return None,
            Value::String(text) if text == FOREVER => return Some(Keep::Forever),
            Value::String(text) => text.clone(),
            Value::Number(seconds) => seconds.to_string(),
            _ => {
                self.wrong(at, "wrong_type", "expected a duration");
                return None;
            }
        };
        match parse_duration(&text) {
            Ok(age) if (AGE_MIN..=AGE_MAX).contains(&age) => return Some(Keep::For(age)),
            Ok(_) => self.wrong(at, "out_of_range", "expected 1s to 100 years"),
            Err(error) => self.wrong(at, "invalid_duration", error.to_string()),
        }
        None
    }

    fn number(&mut self, value: &Value, at: &str) -> Option<u64> {
        if value.is_null() {
            return None;
        }
        let number = value.as_u64();
        if number.is_none() {
            self.wrong(at, "wrong_type", "expected a whole number; 0 means any number");
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn day(days: u64) -> Option<Keep> {
        Some(Keep::days(days))
    }

    #[test]
    fn rules_read_back_as_they_were_written() {
        let written = json!({
            "runs": {"succeeded": "7d", "compensationIncomplete": "forever", "count": 10},
            "events": {"unmatched": "12h", "bytes": 1000},
            "rejectedEvents": "30d",
            "webhookDeliveries": {"dead": "90d"},
            "workflows": {"nightly": {"succeeded": "1d"}}
        });
        let rules = Rules::parse(&written).expect("fine rules");
        assert_eq!(serde_json::to_value(&rules).expect("plain data"), written);
        assert_eq!(serde_json::from_value::<Rules>(written).expect("readable"), rules);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let wrong = json!({
            "runs": {"sucseeded": "7d", "failed": "soon", "count": -1},
            "events": [],
            "workflows": {"a": {"bytes": 5, "failed": 0}}
        });
        let problems = Rules::parse(&wrong).expect_err("faults");
        let mut places: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        places.sort_unstable();
        assert_eq!(
            places,
            [
                "/events",
                "/runs/count",
                "/runs/failed",
                "/runs/sucseeded",
                "/workflows/a/bytes",
                "/workflows/a/failed",
            ]
        );
    }

    #[test]
    fn a_rule_by_name_goes_before_the_definition_and_that_before_the_rest() {
        let defaults = Rules::parse(&json!({"runs": {"succeeded": "90d", "failed": "365d"}}));
        let own = Rules::parse(&json!({
            "runs": {"failed": "30d"}, "workflows": {"a": {"succeeded": "1d"}}
        }));
        let rules = own.expect("fine").or(&defaults.expect("fine"));
        let definition = RunRules { succeeded: day(7), count: Some(5), ..RunRules::default() };
        let of_a = rules.of_workflow("a", Some(&definition));
        assert_eq!((of_a.succeeded, of_a.failed, of_a.count), (day(1), day(30), Some(5)));
        let of_b = rules.of_workflow("b", Some(&definition));
        assert_eq!((of_b.succeeded, of_b.cancelled), (day(7), None));
        assert_eq!(rules.of_workflow("b", None).succeeded, day(90));
    }

    #[test]
    fn what_could_not_be_undone_is_an_outcome_of_its_own() {
        let of = |status, compensation| Outcome::of(status, compensation).map(Outcome::name);
        assert_eq!(of(Status::Failed, Compensation::Done), Some("failed"));
        assert_eq!(of(Status::Failed, Compensation::Incomplete), Some("compensationIncomplete"));
        assert_eq!(of(Status::Waiting, Compensation::None), None);
    }
}
