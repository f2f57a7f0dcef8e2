//! What starts a run, and how that is read.

use serde_json::Value;

use super::annotation::Annotation;
use super::fields::{Field, Fields, Findings, is_off};
use super::gate::Gates;
use super::gate_fields::GateFields;
use super::lasting::Lasting;
use super::nesting::Awaited;
use super::parse::{KnownEvent, Origin, Reading};
use super::reference::event_schema;
use super::thena::{Spelling, event_names};
use super::trigger_schedule;
use crate::domain::event_type;
use crate::domain::filter::Filter;
use crate::domain::problem::{Problem, nearest};
use crate::domain::schedule::{Overlap, Schedule};

/// How many triggers one workflow may have.
const TRIGGERS_MAX: usize = 20;

/// What starts a run.
#[allow(clippy::large_enum_variant, reason = "a workflow has few of them and they do not move")]
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// An event of this canonical type that passes the filter.
    Event {
        /// The canonical event type.
        kind: String,
        /// `Filter::any()` when the definition has none.
        filter: Filter,
        /// What stands between a matching event and its run; mostly nothing.
        gates: Option<Box<Gates>>,
    },
    /// A record that has been in a state for a while.
    Lasting(Lasting),
    /// The times of a schedule.
    Schedule {
        /// The canonical type of the events that it makes.
        kind: String,
        /// The times.
        schedule: Box<Schedule>,
    },
}

impl Trigger {
    /// Returns the canonical event type that it listens to; a schedule and a lasting
    /// state listen to none.
    #[must_use]
    pub fn event_kind(&self) -> Option<&str> {
        match self {
            Trigger::Event { kind, .. } => Some(kind),
            Trigger::Lasting(_) | Trigger::Schedule { .. } => None,
        }
    }

    /// Returns the canonical type of the events that its runs begin with.
    #[must_use]
    pub fn opening_kind(&self) -> &str {
        match self {
            Trigger::Event { kind, .. } | Trigger::Schedule { kind, .. } => kind,
            Trigger::Lasting(lasting) => lasting.event_kind(),
        }
    }
}

/// A trigger together with where it stands and what is known of its event.
#[derive(Clone)]
pub(super) struct DraftTrigger {
    pub(super) trigger: Option<Trigger>,
    pub(super) filter_at: String,
    /// Where its schedule stands; empty when it has none.
    pub(super) schedule_at: String,
    /// JSON Schema of the event's payload; `true` when it is not known.
    pub(super) payload: Value,
    /// JSON Schema of the whole event, made from the payload's.
    pub(super) event: Value,
    /// JSON Schema of the payload that a run begins with, which is another when events are gathered.
    pub(super) run_payload: Value,
    /// JSON Schema of the whole event that a run begins with.
    pub(super) run_event: Value,
    /// Where its first gate stands.
    pub(super) gates_at: String,
    /// Further events that it names, with filters of their own.
    pub(super) asides: Vec<DraftTrigger>,
}

impl DraftTrigger {
    pub(super) fn new(trigger: Option<Trigger>, filter_at: String, payload: Value) -> DraftTrigger {
        let event = event_schema(&payload);
        DraftTrigger {
            trigger,
            filter_at,
            schedule_at: String::new(),
            run_payload: payload.clone(),
            run_event: event.clone(),
            payload,
            event,
            gates_at: String::new(),
            asides: Vec::new(),
        }
    }

    /// Adds the records that are joined into its event to what is known of it.
    pub(super) fn describe(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            annotation.describe(&mut self.payload);
            annotation.describe(&mut self.run_payload);
        }
        if !annotations.is_empty() {
            self.event = event_schema(&self.payload);
            self.run_event = event_schema(&self.run_payload);
        }
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

/// The fields of one trigger.
#[derive(Clone, Copy, Default)]
struct Parts<'f, 'a> {
    event: Option<&'f Field<'a>>,
    filter: Option<&'f Field<'a>>,
    schedule: Option<&'f Field<'a>>,
    /// A schedule that Thena's body has elsewhere; it counts only for a timer.
    kept: Option<&'f Field<'a>>,
}

/// Returns the canonical name of a timer that may be named by its uid.
fn canonical_timer(origin: Origin<'_>, name: &str) -> String {
    match origin {
        Origin::Stored => name.to_owned(),
        Origin::Written(known) => (known.event_type)(name)
            .map_or_else(|| event_type::canonical(name).into_owned(), |known| known.kind),
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
        let schedule = body.take(&["schedule"]);
        let metadata = body.take(&["metadata"]);
        let beside = event.as_ref().or(filter.as_ref()).or(schedule.as_ref());
        if let (Some(first), Some(beside)) = (nested.as_ref().or(several.as_ref()), beside) {
            body.clash(first.name, beside.name);
        }
        let gates = GateFields::take(body);
        let read = match (nested, several) {
            (Some(_), Some(_)) => {
                body.clash("trigger", "triggers");
                Vec::new()
            }
            (None, Some(list)) => self.several_triggers(&list),
            (Some(field), None) => self.nested_trigger(&field).into_iter().collect(),
            (None, None)
                if event.is_none() && schedule.is_none() && spelling == Spelling::Thena =>
            {
                body.need(&["triggerEvent"], "name the event type that starts it");
                vec![DraftTrigger::unread()]
            }
            (None, None) => {
                let kept = trigger_schedule::in_metadata(metadata.as_ref());
                let parts = Parts {
                    event: event.as_ref(),
                    filter: filter.as_ref(),
                    schedule: schedule.as_ref(),
                    kept: kept.as_ref(),
                };
                self.trigger_of(parts).into_iter().collect()
            }
        };
        self.gated_beside(read, &gates)
    }

    /// Gives gates that stand beside the trigger to it, which must be the only one.
    fn gated_beside(&self, read: Vec<DraftTrigger>, gates: &GateFields<'a>) -> Vec<DraftTrigger> {
        let Some(first) = gates.first() else { return read };
        match <[DraftTrigger; 1]>::try_from(read) {
            Ok([only]) if only.gates_at.is_empty() => vec![self.gated(only, gates)],
            Ok([only]) => {
                let detail =
                    format!("the trigger has gates already, so `{}` is one too many", first.name);
                let problem = first.problem("clash", detail);
                self.findings.problem(problem.with_hint("put all of them into the trigger"));
                vec![only]
            }
            Err(read) => {
                let detail = format!("`{}` needs the one trigger that it is for", first.name);
                let problem = first.problem("misplaced", detail);
                self.findings.problem(problem.with_hint("put it into a trigger"));
                read
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
            return self.trigger_of(Parts { event: Some(field), ..Parts::default() });
        }
        let Some(mut fields) = field.object() else { return Some(DraftTrigger::unread()) };
        let gates = GateFields::take(&mut fields);
        if field.value.get("record").is_some() {
            let draft = self.lasting_trigger(&mut fields);
            fields.close();
            return Some(self.gated(draft, &gates));
        }
        let event = fields.take(&["event", "on", "triggerEvent"]);
        let filter = fields.take(&["filter", "filters"]);
        let schedule = fields.take(&["schedule"]);
        fields.close();
        let (event, filter, schedule) = (event.as_ref(), filter.as_ref(), schedule.as_ref());
        let draft = self.trigger_of(Parts { event, filter, schedule, kept: None })?;
        Some(self.gated(draft, &gates))
    }

    fn trigger_of(&self, parts: Parts<'_, 'a>) -> Option<DraftTrigger> {
        let filter = parts.filter;
        match (parts.event, parts.schedule) {
            (Some(event), _) if self.names_timer(event) => self.scheduled(parts),
            (None, Some(_)) => self.scheduled(parts),
            (Some(event), Some(schedule)) if !is_off(schedule.value) => {
                let detail = "only a timer such as `schedule:daily` has a schedule";
                let problem = schedule.problem("contradiction", detail);
                self.findings.problem(problem.with_hint("remove the event or the schedule"));
                self.event_trigger(event, filter)
            }
            (Some(event), _) => self.event_trigger(event, filter),
            (None, None) => {
                let field = filter.filter(|field| !is_off(field.value))?;
                self.filter(field);
                field.findings.problem(
                    field
                        .problem("missing", "a filter without an event has nothing to look at")
                        .with_hint("name the event, or remove the filter"),
                );
                None
            }
        }
    }

    /// Returns whether an event that is made by schedules is named, and leaves it to others to
    /// complain.
    fn names_timer(&self, field: &Field<'a>) -> bool {
        let quiet = Findings::default();
        let field = Field { value: field.value, at: String::new(), name: "", findings: &quiet };
        let names = event_names(&field).unwrap_or_default();
        names.iter().any(|name| trigger_schedule::is_timer(&canonical_timer(self.origin, name)))
    }

    fn scheduled(&self, parts: Parts<'_, 'a>) -> Option<DraftTrigger> {
        if let Some(filter) = parts.filter.filter(|field| !is_off(field.value)) {
            let detail = "a schedule starts its workflow whenever its time comes";
            let problem = filter.problem("not_supported", detail);
            self.findings.problem(problem.with_hint("put the condition on a step, as its `if`"));
        }
        let known = match parts.event {
            Some(event) => Some(self.event(event)?),
            None => None,
        };
        let kind = known.as_ref().map(|known| known.kind.as_str());
        let place = parts.schedule.or(parts.kept);
        let schedule = match (place, parts.event, kind) {
            (Some(place), ..) => trigger_schedule::read(place, kind),
            (None, Some(event), Some(kind)) => trigger_schedule::standard(event, kind),
            (None, ..) => None, // There is a schedule wherever there is no event.
        };
        let trigger = schedule.map(|schedule| Trigger::Schedule {
            kind: kind.unwrap_or(schedule.when().event_kind()).to_owned(),
            schedule: Box::new(schedule),
        });
        let payload = match (known, &trigger, self.origin) {
            (Some(known), ..) => known.schema,
            (None, Some(trigger), Origin::Written(known)) => {
                (known.event_type)(trigger.opening_kind()).map_or(true.into(), |known| known.schema)
            }
            (None, ..) => Value::Bool(true),
        };
        let schedule_at = place.map_or_else(String::new, |place| place.at.clone());
        Some(DraftTrigger { schedule_at, ..DraftTrigger::new(trigger, String::new(), payload) })
    }

    /// Reports schedules whose runs would have to wait for two different things.
    pub(super) fn check_queues(&self, triggers: &[DraftTrigger], has_concurrency: bool) {
        for draft in triggers {
            if let Some(Trigger::Schedule { schedule, .. }) = &draft.trigger
                && schedule.overlap == Overlap::Queue
                && has_concurrency
            {
                let at = format!("{}/overlap", draft.schedule_at);
                let detail = "`concurrency` already says what the workflow's runs wait for";
                let problem = Problem::new(at, "contradiction", detail);
                self.findings.problem(problem.with_hint("remove one of them"));
            }
        }
    }

    pub(super) fn event_trigger(
        &self,
        event: &Field<'a>,
        filter: Option<&Field<'a>>,
    ) -> Option<DraftTrigger> {
        let filter_at = filter.map_or_else(String::new, |field| field.at.clone());
        let parsed = filter.map_or(Some(None), |field| self.filter(field).map(Some));
        let known = self.event(event);
        let payload = known.as_ref().map_or(Value::Bool(true), |known| known.schema.clone());
        let trigger = known.zip(parsed).map(|(known, filter)| Trigger::Event {
            kind: known.kind,
            filter: filter.flatten().unwrap_or_else(Filter::any),
            gates: None,
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
