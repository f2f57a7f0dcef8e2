//! Reads the gates of a trigger.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{Field, Fields};
use super::gate::{Allowance, Dedupe, Gates, Pace};
use super::parse::Reading;
use super::reference::event_schema;
use super::trigger::DraftTrigger;
use super::trigger::Trigger;
use crate::domain::expression::Template;

const NAMES: [&str; 5] = ["dedupe", "throttle", "debounce", "batch", "rateLimit"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a gate may hold back or remember.
const SPAN: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY.saturating_mul(31);
/// How many events a batch may ask for, and how many starts a period.
const COUNT_MAX: u32 = 10_000;
const KEY_HINT: &str = "say what is counted, such as \"{{trigger.payload.ticket.id}}\"";

/// The gates that stand in one object, not yet read.
pub(super) struct GateFields<'a> {
    fields: [Option<Field<'a>>; 5],
}

impl<'a> GateFields<'a> {
    pub(super) fn take(fields: &mut Fields<'a>) -> GateFields<'a> {
        GateFields { fields: NAMES.map(|name| fields.take(&[name])) }
    }

    /// Returns the first gate, for a sentence about all of them.
    pub(super) fn first(&self) -> Option<&Field<'a>> {
        self.fields.iter().flatten().next()
    }
}

impl<'a> Reading<'a> {
    /// Gives a trigger its gates; only one that waits for events can have some.
    pub(super) fn gated(&self, mut draft: DraftTrigger, given: &GateFields<'a>) -> DraftTrigger {
        let Some(first) = given.first() else { return draft };
        let gates = self.gates(given);
        match (&mut draft.trigger, gates) {
            (Some(Trigger::Event { gates: own, .. }), Some(gates)) => {
                if gates.makes_batches() {
                    draft.run_payload = batch_schema(&draft.payload);
                    draft.run_event = event_schema(&draft.run_payload);
                }
                draft.gates_at = first.at.clone();
                *own = Some(Box::new(gates));
            }
            (Some(Trigger::Event { .. }) | None, _) => draft.trigger = None, // The findings say why.
            (Some(_), _) => {
                let detail = format!("only a trigger with an event has `{}`", first.name);
                self.findings.problem(first.problem("misplaced", detail));
                draft.trigger = None;
            }
        }
        draft
    }

    fn gates(&self, given: &GateFields<'a>) -> Option<Gates> {
        let [dedupe, throttle, debounce, batch, rate_limit] = &given.fields;
        let paces: Vec<&Field<'a>> = [debounce, batch, rate_limit].into_iter().flatten().collect();
        if let [first, second, ..] = paces[..] {
            let detail =
                format!("`{}` and `{}` both decide when a run starts", first.name, second.name);
            let problem = second.problem("clash", detail);
            return second.report(problem.with_hint("keep one of them"));
        }
        let dedupe = dedupe.as_ref().map_or(Some(None), |field| self.dedupe(field).map(Some));
        let throttle =
            throttle.as_ref().map_or(Some(None), |field| self.allowance(field).map(Some));
        let pace = match (debounce, batch, rate_limit) {
            (Some(field), _, _) => self.debounce(field).map(Some),
            (_, Some(field), _) => self.batch(field).map(Some),
            (_, _, Some(field)) => self.allowance(field).map(|it| Some(Pace::RateLimit(it))),
            (None, None, None) => Some(None),
        };
        Some(Gates { dedupe: dedupe?, throttle: throttle?, pace: pace? })
    }

    fn dedupe(&self, field: &Field<'a>) -> Option<Dedupe> {
        let mut fields = field.object()?;
        let key = fields.need(&["key"], KEY_HINT);
        let window = fields.need(&["window", "within"], "how long it remembers, such as 1h");
        fields.close();
        let key = key.and_then(|key| self.key(&key));
        let window = window.and_then(|window| window.duration(SPAN));
        Some(Dedupe { key: key?, window: window? })
    }

    fn allowance(&self, field: &Field<'a>) -> Option<Allowance> {
        let mut fields = field.object()?;
        let key = fields.take(&["key"]);
        let limit = fields.take(&["limit"]);
        let period = fields.need(&["period"], "how long the limit counts, such as 1h");
        fields.close();
        let key = key.map_or(Some(None), |key| self.key(&key).map(Some));
        let limit = limit.map_or(Some(1), |limit| limit.whole(1..=COUNT_MAX));
        let period = period.and_then(|period| period.duration(SPAN));
        Some(Allowance { key: key?, limit: limit?, period: period? })
    }

    fn debounce(&self, field: &Field<'a>) -> Option<Pace> {
        let mut fields = field.object()?;
        let key = fields.take(&["key"]);
        let wait = fields.need(&["wait"], "how long it must have been quiet, such as 5m");
        let wait_max = fields.take(&["maxWait"]);
        fields.close();
        let key = key.map_or(Some(None), |key| self.key(&key).map(Some));
        let wait = wait.and_then(|wait| wait.duration(SPAN));
        let limit =
            wait_max.map_or(Some(None), |limit| limit.duration(wait?..=*SPAN.end()).map(Some));
        Some(Pace::Debounce { key: key?, wait: wait?, wait_max: limit? })
    }

    fn batch(&self, field: &Field<'a>) -> Option<Pace> {
        let mut fields = field.object()?;
        let key = fields.take(&["key"]);
        let size = fields.need(&["size"], "how many events make it full, such as 100");
        let wait = fields.need(&["wait"], "how long the first event waits, such as 10m");
        fields.close();
        let key = key.map_or(Some(None), |key| self.key(&key).map(Some));
        let size = size.and_then(|size| size.whole(2..=COUNT_MAX));
        let wait = wait.and_then(|wait| wait.duration(SPAN));
        Some(Pace::Batch { key: key?, size: size?, wait: wait? })
    }

    fn key(&self, field: &Field<'a>) -> Option<Template> {
        field.text().and_then(|_| self.template(field))
    }
}

/// Returns the JSON Schema of a batch's payload around the schema of one event's.
fn batch_schema(payload: &Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "events": {"type": "array", "items": event_schema(payload)},
            "count": {"type": "integer"},
            "firstAt": {"type": "string"},
            "lastAt": {"type": "string"},
        },
    })
}
