//! Filters tried on events, before anything depends on them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::events::stored_event;
use super::principal::Principal;
use crate::domain::event::Event;
use crate::domain::event_type;
use crate::domain::filter::{self, Filter, OperatorInfo, Trace};
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;

/// What a filter is tried on.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An event that is given: `{type, payload, …}`.
    Given(Value),
    /// An event that was accepted.
    Stored(String),
}

/// What a filter says of one event.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Whether it holds.
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
    /// Evaluates a filter on one event.
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
        }
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
        Verdict { matches: trace.result, trace }
    }
}
