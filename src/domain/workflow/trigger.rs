//! What starts a run, and how that is read.

use serde_json::Value;

use super::check::event_schema;
use super::fields::{Field, Fields, is_off};
use super::nesting::Awaited;
use super::parse::{KnownEvent, Origin, Reading};
use super::thena::{Spelling, event_names};
use crate::domain::filter::Filter;
use crate::domain::problem::nearest;

/// How many triggers one workflow may have.
const TRIGGERS_MAX: usize = 20;

/// What starts a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// An event of this canonical type that passes the filter.
    Event {
        /// The canonical event type.
        kind: String,
        /// `Filter::any()` when the definition has none.
        filter: Filter,
    },
}

impl Trigger {
    /// Returns the canonical event type that it listens to.
    #[must_use]
    pub fn event_kind(&self) -> Option<&str> {
        match self {
            Trigger::Event { kind, .. } => Some(kind),
        }
    }
}

/// A trigger together with where it stands and what is known of its event.
pub(super) struct DraftTrigger {
    pub(super) trigger: Option<Trigger>,
    pub(super) filter_at: String,
    /// JSON Schema of the event's payload; `true` when it is not known.
    pub(super) payload: Value,
    /// JSON Schema of the whole event, made from the payload's.
    pub(super) event: Value,
}

impl DraftTrigger {
    fn new(trigger: Option<Trigger>, filter_at: String, payload: Value) -> DraftTrigger {
        let event = event_schema(&payload);
        DraftTrigger { trigger, filter_at, payload, event }
    }

    /// Stands for the event of a wait, whose filter is read like that of a trigger.
    pub(super) fn of_wait(awaited: &Awaited) -> DraftTrigger {
        DraftTrigger::new(None, awaited.filter_at.clone(), awaited.payload.clone())
    }

    /// A trigger that could not be read; the findings say why.
    fn unread() -> DraftTrigger {
        DraftTrigger::new(None, String::new(), Value::Bool(true))
    }
}

impl<'a> Reading<'a> {
    /// Reads `trigger`, `triggers` or Thena's `triggerEvent` with `filters`; none means that only
    /// a person or a program starts the workflow.
    pub(super) fn triggers(&self, body: &mut Fields<'a>, spelling: Spelling) -> Vec<DraftTrigger> {
        let nested = body.take(&["trigger"]);
        let several = body.take(&["triggers"]);
        let event = body.take(&["on", "triggerEvent"]);
        let filter = body.take(&["filters", "filter"]);
        let beside = event.as_ref().or(filter.as_ref());
        if let (Some(first), Some(beside)) = (nested.as_ref().or(several.as_ref()), beside) {
            body.clash(first.name, beside.name);
        }
        match (nested, several) {
            (Some(_), Some(_)) => {
                body.clash("trigger", "triggers");
                Vec::new()
            }
            (None, Some(list)) => self.several_triggers(&list),
            (Some(field), None) => self.nested_trigger(&field).into_iter().collect(),
            (None, None) if event.is_none() && spelling == Spelling::Thena => {
                body.need(&["triggerEvent"], "name the event type that starts it");
                vec![DraftTrigger::unread()]
            }
            (None, None) => {
                self.event_trigger(event.as_ref(), filter.as_ref()).into_iter().collect()
            }
        }
    }

    fn several_triggers(&self, field: &Field<'a>) -> Vec<DraftTrigger> {
        let Some(list) = field.list() else { return vec![DraftTrigger::unread()] };
        if list.len() > TRIGGERS_MAX {
            let detail =
                format!("{} triggers are too many, the limit is {TRIGGERS_MAX}", list.len());
            self.findings.problem(field.problem("too_many_triggers", detail));
            return vec![DraftTrigger::unread()];
        }
        let read = |field: Field<'a>| {
            if field.value.as_str() == Some("manual") {
                let detail = "a workflow that has other triggers can always be started by hand";
                self.findings.problem(field.problem("clash", detail));
            }
            self.nested_trigger(&field)
        };
        field.elements(list).into_iter().filter_map(read).collect()
    }

    fn nested_trigger(&self, field: &Field<'a>) -> Option<DraftTrigger> {
        if field.value.as_str() == Some("manual") {
            return None;
        }
        if field.value.is_string() {
            return self.event_trigger(Some(field), None);
        }
        let Some(mut fields) = field.object() else { return Some(DraftTrigger::unread()) };
        let refused =
            fields.refuse("schedule", "this build starts no workflow by a schedule of its own");
        let event = fields.take(&["event", "on", "triggerEvent"]);
        let filter = fields.take(&["filter", "filters"]);
        fields.close();
        if refused.is_some() {
            return Some(DraftTrigger::unread());
        }
        self.event_trigger(event.as_ref(), filter.as_ref())
    }

    fn event_trigger(
        &self,
        event: Option<&Field<'a>>,
        filter: Option<&Field<'a>>,
    ) -> Option<DraftTrigger> {
        let filter_at = filter.map_or_else(String::new, |field| field.at.clone());
        let parsed = filter.map_or(Some(None), |field| self.filter(field).map(Some));
        let Some(event) = event else {
            let field = filter.filter(|field| !is_off(field.value))?;
            field.findings.problem(
                field
                    .problem("missing", "a filter without an event has nothing to look at")
                    .with_hint("name the event, or remove the filter"),
            );
            return None;
        };
        let known = self.event(event);
        let payload = known.as_ref().map_or(Value::Bool(true), |known| known.schema.clone());
        let trigger = known.zip(parsed).map(|(known, filter)| Trigger::Event {
            kind: known.kind,
            filter: filter.flatten().unwrap_or_else(Filter::any),
        });
        Some(DraftTrigger::new(trigger, filter_at, payload))
    }

    pub(super) fn event(&self, field: &Field<'a>) -> Option<KnownEvent> {
        let names = event_names(field)?;
        let known = match self.origin {
            Origin::Stored => {
                return Some(KnownEvent { kind: names.into_iter().next()?, schema: true.into() });
            }
            Origin::Written(known) => known,
        };
        let find = |name: &String| {
            (known.event_type)(name).or_else(|| (known.event_type)(&name.replace('.', ":")))
        };
        names.iter().find_map(find).or_else(|| {
            let name = names.first().map_or("", |name| name.as_str());
            let problem =
                field.problem("unknown_event_type", format!("there is no event type `{name}`"));
            let near = nearest(name, known.event_names.iter().copied());
            field.report(match near {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem
                    .with_hint("declare it first, or choose one from the list of event types"),
            })
        })
    }
}
