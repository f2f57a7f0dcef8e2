//! Event types: the built-in ones and a tenant's own, and the check of payloads against them.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::Validator;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::event_type::{self, EventType, built_in};
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::event_types::EventTypeRow;

const NAME_CHARS_MAX: usize = 255;
const PROBLEMS_MAX: usize = 20;
const KNOWN_MAX: usize = 10_000;

/// The schemas of the types that events came of, compiled; `None` for a type without one.
#[derive(Debug, Default)]
pub struct KnownSchemas(RwLock<HashMap<(TenantId, String), Compiled>>);

type Compiled = Option<Arc<Validator>>;

/// An event type as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeView {
    /// The canonical type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Thena's uid of the registration.
    pub uid: String,
    /// The name for people.
    pub name: String,
    /// When it happens.
    pub description: String,
    /// Who makes it.
    pub source: String,
    /// Other spellings.
    pub aliases: Vec<String>,
    /// Whether it comes with the platform.
    pub built_in: bool,
    /// JSON Schema of the payload.
    pub schema: Value,
    /// A payload as it could be.
    pub example: Option<Value>,
    /// When it was registered.
    pub created_at: Option<Timestamp>,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

/// A registration that is asked for.
#[derive(Clone, Debug)]
pub struct NewEventType {
    /// The type.
    pub kind: String,
    /// The name for people; the type itself when empty.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Who sends it.
    pub source: String,
    /// JSON Schema of the payload; `None` for any payload.
    pub schema: Option<Value>,
}

impl App {
    /// Lists the event types, built-in ones first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn event_types(
        &self,
        who: &Principal,
        source: Option<&str>,
    ) -> Result<Vec<EventTypeView>, Error> {
        let own = self.read(who, |view| Ok(view.event_types()?))?;
        let all = built_in().iter().map(EventTypeView::from);
        let all = all.chain(own.into_iter().map(EventTypeView::from));
        Ok(all.filter(|view| source.is_none_or(|source| view.source == source)).collect())
    }

    /// Returns one event type, by any of its names or its uid.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn event_type(&self, who: &Principal, name: &str) -> Result<EventTypeView, Error> {
        if let Some(known) = event_type::find(name) {
            return Ok(known.into());
        }
        let mut all = self.event_types(who, None)?.into_iter();
        let found = all.find(|view| view.kind == name || view.uid == name);
        found.ok_or_else(|| Error::NotFound { what: "event type", id: name.to_owned() })
    }

    /// Registers an event type or replaces its registration.
    ///
    /// # Errors
    /// `Invalid` for a name or schema that is none, `Conflict` for a built-in type.
    pub async fn put_event_type(
        &self,
        who: &Principal,
        wanted: NewEventType,
    ) -> Result<EventTypeView, Error> {
        let mut row = self.registration(wanted)?;
        let row = self
            .write(who, Change::of("eventType.save", &row.kind), move |tx, change| {
                if let Some(before) = tx.view().event_type(&row.kind)? {
                    row.created_at = before.created_at;
                    change.before(&before);
                }
                tx.put_event_type(&row);
                change.after(&row);
                Ok(row)
            })
            .await;
        self.schemas.0.write().clear();
        row.map(EventTypeView::from)
    }

    fn registration(&self, wanted: NewEventType) -> Result<EventTypeRow, Error> {
        let kind = wanted.kind;
        let mut problems = Vec::new();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        if kind.is_empty() || kind.len() > NAME_CHARS_MAX || !kind.chars().all(fits) {
            let detail = "must have 1 to 255 letters, digits and `_-.:/`";
            problems.push(Problem::new("/type", "invalid_type", detail));
        }
        let schema = wanted.schema.unwrap_or_else(|| json!({}));
        if let Err(fault) = jsonschema::validator_for(&schema) {
            let detail = format!("is no valid JSON Schema: {fault}");
            let pointer = format!("/schema{}", fault.instance_path());
            problems.push(Problem::new(pointer, "invalid_schema", detail));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        if let Some(known) = event_type::find(&kind) {
            let detail = format!("`{}` is a built-in event type", known.kind);
            return Err(Error::Conflict { code: "event_type_exists", detail });
        }
        let name = if wanted.name.is_empty() { kind.clone() } else { wanted.name };
        let now = self.now();
        Ok(EventTypeRow {
            kind,
            name,
            description: wanted.description,
            source: wanted.source,
            schema,
            created_at: now,
            updated_at: now,
        })
    }

    /// Returns what is wrong with a payload of a canonical type; a type without a registration
    /// takes any payload.
    pub(super) fn schema_problems(
        &self,
        who: &Principal,
        kind: &str,
        payload: &Value,
    ) -> Result<Vec<Problem>, Error> {
        let Some(validator) = self.validator(who, kind)? else { return Ok(Vec::new()) };
        if validator.is_valid(payload) {
            return Ok(Vec::new());
        }
        let faults = validator.iter_errors(payload).take(PROBLEMS_MAX);
        let problems = faults.map(|fault| {
            let pointer = format!("/data{}", fault.instance_path());
            Problem::new(pointer, "schema", format!("{fault} (the schema of `{kind}`)"))
        });
        Ok(problems.collect())
    }

    fn validator(&self, who: &Principal, kind: &str) -> Result<Compiled, Error> {
        let key = (who.tenant, kind.to_owned());
        if let Some(known) = self.schemas.0.read().get(&key) {
            return Ok(known.clone());
        }
        let schema = match event_type::find(kind) {
            Some(known) => Some(known.schema()),
            None => self.read(who, |view| Ok(view.event_type(kind)?))?.map(|row| row.schema),
        };
        // A registered schema was compiled once before it was kept.
        let validator = schema.and_then(|it| jsonschema::validator_for(&it).ok()).map(Arc::new);
        let mut known = self.schemas.0.write();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key, validator.clone());
        Ok(validator)
    }
}

impl From<&EventType> for EventTypeView {
    fn from(known: &EventType) -> EventTypeView {
        EventTypeView {
            kind: known.kind.to_owned(),
            uid: known.uid(),
            name: known.name.to_owned(),
            description: known.description.to_owned(),
            source: known.source.to_owned(),
            aliases: known.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            built_in: true,
            schema: known.schema(),
            example: Some(known.example()),
            created_at: None,
            updated_at: None,
        }
    }
}

impl From<EventTypeRow> for EventTypeView {
    fn from(row: EventTypeRow) -> EventTypeView {
        EventTypeView {
            uid: event_type::uid(&row.kind),
            kind: row.kind,
            name: row.name,
            description: row.description,
            source: row.source,
            aliases: Vec::new(),
            built_in: false,
            schema: row.schema,
            example: None,
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
        }
    }
}
