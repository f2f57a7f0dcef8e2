//! A trigger that waits until a record has been in a state for a while.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fields::{Field, Fields};
use super::parse::{KnownEvent, Reading};
use super::trigger::{DraftTrigger, Trigger};
use crate::domain::desk::RecordKind;
use crate::domain::event_type::lasting_kind;
use crate::domain::filter::Filter;
use crate::domain::scope::Scope;
use crate::domain::time::format_duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SPAN: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY.saturating_mul(366);
const RESETS_MAX: usize = 20;

/// The kinds of records whose state can be waited on, by the names that definitions use.
const RECORDS: [(&str, RecordKind); 6] = [
    ("ticket", RecordKind::Ticket),
    ("account", RecordKind::Account),
    ("contact", RecordKind::Contact),
    ("customer-contact", RecordKind::Contact),
    ("account-task", RecordKind::AccountTask),
    ("account-activity", RecordKind::AccountActivity),
];

/// A record that satisfies a filter for so long, without an event that begins the count anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Lasting {
    /// The kind of record.
    pub record: RecordKind,
    /// What must hold all the while; it sees an event that holds the record.
    pub filter: Filter,
    /// How long.
    pub lasts: Duration,
    /// The events about the record that begin the count anew.
    pub reset_by: Vec<Reset>,
    /// After what time it starts another run while nothing has changed.
    pub repeat: Option<Duration>,
}

/// An event that begins the count anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    /// The canonical event type.
    pub kind: String,
    /// Which events of the type.
    pub filter: Filter,
}

impl Lasting {
    /// Returns the type of the event that a run of it begins with.
    #[must_use]
    pub fn event_kind(&self) -> &'static str {
        lasting_kind(self.record).unwrap_or("ticket:lasting")
    }

    /// Returns the name that the record has in a payload.
    #[must_use]
    pub fn word(&self) -> &'static str {
        crate::domain::event_type::word(self.record)
    }

    /// Returns whether the record is in the state that is waited on.
    #[must_use]
    pub fn holds(&self, record: &Map<String, Value>) -> bool {
        let payload = json!({ self.word(): record });
        let event =
            json!({ "type": self.event_kind(), "subject": record.get("id"), "payload": payload });
        self.filter.matches(&Scope::of_event(event))
    }

    /// Returns whether an event about the record begins the count anew.
    #[must_use]
    pub fn is_reset_by(&self, kind: &str, event: &Scope) -> bool {
        self.reset_by.iter().any(|reset| reset.kind == kind && reset.filter.matches(event))
    }

    pub(super) fn native(&self) -> Value {
        let name = RECORDS.iter().find(|(_, kind)| *kind == self.record).map(|(name, _)| *name);
        let mut body = Map::new();
        body.insert("record".to_owned(), json!(name));
        body.insert("filter".to_owned(), self.filter.source().clone());
        body.insert("for".to_owned(), json!(format_duration(self.lasts)));
        if !self.reset_by.is_empty() {
            let resets = self.reset_by.iter().map(|reset| match reset.filter == Filter::any() {
                true => json!(reset.kind),
                false => json!({"event": reset.kind, "filter": reset.filter.source()}),
            });
            body.insert("resetBy".to_owned(), resets.collect());
        }
        if let Some(repeat) = self.repeat {
            body.insert("repeat".to_owned(), json!(format_duration(repeat)));
        }
        Value::Object(body)
    }
}

impl<'a> Reading<'a> {
    /// Reads a trigger that has `record` in place of `event`.
    pub(super) fn lasting_trigger(&self, fields: &mut Fields<'a>) -> DraftTrigger {
        let record = fields.need(&["record"], "such as ticket").and_then(|it| it.choice(&RECORDS));
        let filter = fields.need(&["filter", "filters"], "say which state it is");
        let lasts = fields.need(&["for"], "how long the state must last, such as 2h");
        let resets = fields.take(&["resetBy"]);
        let repeat = fields.take(&["repeat"]);
        let filter_at = filter.as_ref().map_or_else(String::new, |field| field.at.clone());
        let filter = filter.and_then(|field| self.filter(&field));
        let lasts = lasts.and_then(|field| field.duration(SPAN));
        let repeat = repeat.map_or(Some(None), |field| {
            field.duration(Duration::from_secs(1)..=*SPAN.end()).map(Some)
        });
        let resets = resets.map_or(Some(Vec::new()), |field| self.resets(&field));
        let asides: Vec<DraftTrigger> = resets.iter().flatten().cloned().collect();
        let resets = resets.and_then(|drafts| drafts.into_iter().map(reset_of).collect());
        let known = record.and_then(lasting_kind).and_then(KnownEvent::built_in);
        let payload = known.map_or(Value::Bool(true), |known| known.schema);
        let read = || {
            let filter = filter?.unwrap_or_else(Filter::any);
            let (record, lasts, reset_by, repeat) = (record?, lasts?, resets?, repeat?);
            Some(Trigger::Lasting(Lasting { record, filter, lasts, reset_by, repeat }))
        };
        DraftTrigger { asides, ..DraftTrigger::new(read(), filter_at, payload) }
    }

    fn resets(&self, field: &Field<'a>) -> Option<Vec<DraftTrigger>> {
        if !field.value.is_array() {
            return self.reset(field).map(|reset| vec![reset]);
        }
        let list = field.list()?;
        if list.len() > RESETS_MAX {
            let detail = format!("{} are too many, the limit is {RESETS_MAX}", list.len());
            return field.report(field.problem("too_many_resets", detail));
        }
        field.elements(list).iter().map(|field| self.reset(field)).collect()
    }

    fn reset(&self, field: &Field<'a>) -> Option<DraftTrigger> {
        if !field.value.is_object() {
            return self.event_trigger(field, None);
        }
        let mut fields = field.object()?;
        let event = fields.need(&["event"], "such as ticket:comment:added");
        let filter = fields.take(&["filter", "filters"]);
        fields.close();
        self.event_trigger(event.as_ref()?, filter.as_ref())
    }
}

fn reset_of(draft: DraftTrigger) -> Option<Reset> {
    match draft.trigger? {
        Trigger::Event { kind, filter, .. } => Some(Reset { kind, filter }),
        _ => None, // An event was asked for, so nothing else was read.
    }
}
