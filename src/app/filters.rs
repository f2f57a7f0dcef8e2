//! Filters tried on events, before anything depends on them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::events::{is_of_kind, stored_event};
use super::principal::Principal;
use crate::domain::event::Event;
use crate::domain::event_type;
use crate::domain::filter::{self, Filter, OperatorInfo, Trace};
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;

const LOOKED_AT_MAX: usize = 20_000;
const CHUNK: usize = 250;

/// What a filter is tried on.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An event that is given: `{type, payload, …}`.
    Given(Value),
    /// An event that was accepted.
    Stored(String),
    /// The last events of a type.
    Last {
        /// The type.
        kind: String,
        /// How many.
        count: usize,
    },
}

/// What a filter says.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Verdict {
    /// Of one event.
    One {
        /// Whether it holds.
        matches: bool,
        /// Condition by condition.
        trace: Box<Trace>,
    },
    /// Of the last events of a type.
    Many {
        /// For how many it holds.
        matched: usize,
        /// How many there were.
        total: usize,
        /// Each of them, newest first.
        data: Vec<EventVerdict>,
    },
}

/// What a filter says of one of many events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventVerdict {
    /// The event.
    pub event_id: String,
    /// Whether the filter holds.
    pub matches: bool,
    /// Condition by condition.
    pub trace: Trace,
}

/// Returns the description of every operator.
#[must_use]
pub fn operators() -> Vec<OperatorInfo> {
    filter::operators()
}

impl App {
    /// Evaluates a filter.
    ///
    /// # Errors
    /// `Invalid` for a filter or an event that is none, `NotFound` for an unknown event.
    pub fn test_filter(
        &self,
        who: &Principal,
        filter: &Value,
        subject: Subject,
    ) -> Result<Verdict, Error> {
        let filter = Filter::parse(filter, "/filter").map_err(Error::Invalid)?;
        match subject {
            Subject::Given(event) => {
                let event = self.given_event(who, event)?;
                Ok(Verdict::of(&filter, &event))
            }
            Subject::Stored(id) => {
                let stored = self.read(who, |view| stored_event(view, &id))?;
                Ok(Verdict::of(&filter, &stored.event))
            }
            Subject::Last { kind, count } => self.test_on_last(who, &filter, &kind, count),
        }
    }

    fn test_on_last(
        &self,
        who: &Principal,
        filter: &Filter,
        kind: &str,
        count: usize,
    ) -> Result<Verdict, Error> {
        let mut data = Vec::new();
        self.read(who, |view| {
            let (mut before, mut looked_at) = (None, 0);
            while data.len() < count && looked_at < LOOKED_AT_MAX {
                let chunk = view.events_before(before, CHUNK)?;
                let Some((last, _)) = chunk.last() else { break };
                before = Some(*last);
                looked_at += chunk.len();
                let of_kind = chunk.iter().filter(|(_, it)| is_of_kind(&it.event.kind, kind));
                let room = count - data.len();
                data.extend(of_kind.take(room).map(|(_, it)| EventVerdict::of(filter, &it.event)));
            }
            Ok(())
        })?;
        let matched = data.iter().filter(|verdict| verdict.matches).count();
        Ok(Verdict::Many { matched, total: data.len(), data })
    }

    /// Completes an event that was given in part, as if it were accepted now.
    fn given_event(&self, who: &Principal, given: Value) -> Result<Event, Error> {
        let wrong = |pointer: &str, code: &str, detail: &str| {
            Error::Invalid(vec![Problem::new(pointer, code, detail)])
        };
        let Value::Object(mut fields) = given else {
            return Err(wrong(
                "/event",
                "wrong_type",
                "must be an object with `type` and `payload`",
            ));
        };
        let kind = fields.get("type").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| wrong("/event/type", "required", "`type` is required"))?;
        let kind = event_type::canonical(kind).into_owned();
        let payload = fields.remove("payload").or_else(|| fields.remove("data"));
        let metadata = match fields.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(), // The test is about the payload; what is beside it may be absent.
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let time = text("time").and_then(|text| text.parse().ok());
        let actor = fields.get("actor").and_then(|it| serde_json::from_value(it.clone()).ok());
        Ok(Event {
            id: text("id").unwrap_or_else(|| "test".to_owned()),
            kind,
            source: text("source").unwrap_or_else(|| "test".to_owned()),
            subject: text("subject"),
            time: time.unwrap_or_else(|| self.now()),
            actor: actor.unwrap_or_else(|| super::events::actor(who)),
            payload: payload.unwrap_or_else(|| json!({})),
            metadata,
            cause: None,
        })
    }
}

impl Verdict {
    fn of(filter: &Filter, event: &Event) -> Verdict {
        let trace = filter.trace(&Scope::of_event(event.to_value()));
        Verdict::One { matches: trace.result, trace: Box::new(trace) }
    }
}

impl EventVerdict {
    fn of(filter: &Filter, event: &Event) -> EventVerdict {
        let trace = filter.trace(&Scope::of_event(event.to_value()));
        EventVerdict { event_id: event.id.clone(), matches: trace.result, trace }
    }
}
