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
use crate::domain::event_type::{self, EventType, Origin, built_in, incompatibilities};
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::event_types::{EventTypeRow, SchemaRow};
use crate::store::tenant::TenantTx;

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
    /// Where its events come from: `system`, `integration`, `timer` or `custom`.
    #[serde(rename = "kind")]
    pub origin: Origin,
    /// Whether it comes with the platform.
    pub built_in: bool,
    /// Counts the schemas that it had, from 1.
    pub version: u32,
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
    /// A payload as it could be; it must fit the schema.
    pub example: Option<Value>,
    /// Whether the schema may refuse what its predecessor took.
    pub strictness: Strictness,
}

/// Whether the next schema of an event type may refuse what the one before took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It may not.
    Compatible,
    /// It may: whoever asks knows what they do.
    Forced,
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
        origin: Option<Origin>,
    ) -> Result<Vec<EventTypeView>, Error> {
        let own = self.read(who, |view| Ok(view.event_types()?))?;
        let all = built_in().iter().map(EventTypeView::from);
        let all = all.chain(own.into_iter().map(EventTypeView::from));
        let all = all.filter(|view| source.is_none_or(|source| view.source == source));
        Ok(all.filter(|view| origin.is_none_or(|origin| view.origin == origin)).collect())
    }

    /// Returns one event type, by any of its names or its uid.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn event_type(&self, who: &Principal, name: &str) -> Result<EventTypeView, Error> {
        if let Some(known) = event_type::find(name) {
            return Ok(known.into());
        }
        let mut all = self.event_types(who, None, None)?.into_iter();
        let found = all.find(|view| view.kind == name || view.uid == name);
        found.ok_or_else(|| Error::NotFound { what: "event type", id: name.to_owned() })
    }

    /// Returns every schema that an event type had, newest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such type.
    pub fn schema_versions(&self, who: &Principal, name: &str) -> Result<Vec<SchemaRow>, Error> {
        let known = self.event_type(who, name)?;
        let mut rows = self.read(who, |view| Ok(view.schemas(&known.kind)?))?;
        if rows.is_empty() {
            rows.push(SchemaRow {
                version: known.version,
                schema: known.schema,
                created_at: known.updated_at.unwrap_or_default(),
                incompatibilities: Vec::new(),
            });
        }
        rows.reverse();
        Ok(rows)
    }

    /// Registers an event type or replaces its registration.
    ///
    /// # Errors
    /// `Invalid` for a name or schema that is none, `Conflict` for a built-in type,
    /// `Incompatible` for a schema that refuses what the one before took, unless it is forced.
    pub async fn put_event_type(
        &self,
        who: &Principal,
        wanted: NewEventType,
    ) -> Result<EventTypeView, Error> {
        let strictness = wanted.strictness;
        let row = self.registration(wanted)?;
        let row = self
            .write(who, Change::of("eventType.save", &row.kind), move |tx, change| {
                change.before(&tx.view().event_type(&row.kind)?);
                let row = register(tx, row, strictness)?;
                change.after(&row);
                Ok(row)
            })
            .await;
        self.schemas.0.write().clear();
        row.map(EventTypeView::from)
    }

    /// Removes an event type of the tenant's own; events of it stay, and go on being accepted
    /// unchecked.
    ///
    /// # Errors
    /// `NotFound` when there is no such type, `Conflict` for a built-in one.
    pub async fn remove_event_type(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let known = self.event_type(who, name)?;
        if known.built_in {
            let detail = format!("`{}` is a built-in event type", known.kind);
            return Err(Error::Conflict { code: "event_type_exists", detail });
        }
        let removed = self
            .write(who, Change::of("eventType.remove", &known.kind), move |tx, change| {
                change.before(&tx.view().event_type(&known.kind)?);
                Ok(tx.remove_event_type(&known.kind)?)
            })
            .await;
        self.schemas.0.write().clear();
        removed
    }

    pub(super) fn registration(&self, wanted: NewEventType) -> Result<EventTypeRow, Error> {
        let kind = wanted.kind;
        let mut problems = Vec::new();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        if kind.is_empty() || kind.len() > NAME_CHARS_MAX || !kind.chars().all(fits) {
            let detail = "must have 1 to 255 letters, digits and `_-.:/`";
            problems.push(Problem::new("/type", "invalid_type", detail));
        } else if !kind.trim_matches([':', '.']).contains([':', '.']) {
            let problem = Problem::new("/type", "invalid_type", "must begin with a namespace");
            problems.push(problem.with_hint(format!("such as `shop:{kind}`")));
        }
        let schema = wanted.schema.unwrap_or_else(|| json!({}));
        match jsonschema::validator_for(&schema) {
            Err(fault) => {
                let detail = format!("is no valid JSON Schema: {fault}");
                let pointer = format!("/schema{}", fault.instance_path());
                problems.push(Problem::new(pointer, "invalid_schema", detail));
            }
            Ok(validator) => {
                let faults = wanted.example.iter().flat_map(|it| validator.iter_errors(it));
                problems.extend(faults.take(PROBLEMS_MAX).map(|fault| {
                    let pointer = format!("/example{}", fault.instance_path());
                    Problem::new(pointer, "schema", format!("{fault} (the type's own schema)"))
                }));
            }
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
            example: wanted.example,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// Forgets the schemas that were compiled, as after a change of any.
    pub(super) fn forget_schemas(&self) {
        self.schemas.0.write().clear();
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

/// Writes a registration; a schema that differs from the one before is its next version.
pub(super) fn register(
    tx: &mut TenantTx<'_, '_>,
    mut row: EventTypeRow,
    strictness: Strictness,
) -> Result<EventTypeRow, Error> {
    let mut faults = Vec::new();
    let before = tx.view().event_type(&row.kind)?;
    if let Some(before) = &before {
        row.created_at = before.created_at;
        row.version = before.version;
        if before.schema != row.schema {
            row.version += 1;
            // A schema that said nothing promised nothing.
            let promised = before.schema != json!({}) && before.schema != json!(true);
            if promised {
                faults = incompatibilities(&before.schema, &row.schema, "/schema");
            }
        }
    }
    if !faults.is_empty() && strictness == Strictness::Compatible {
        let detail = format!(
            "payloads of `{}` that were fine would be refused; nothing was changed. Repeat it with \
             `?force=true` if that is meant",
            row.kind
        );
        return Err(Error::Incompatible { detail, problems: faults });
    }
    if before.is_none_or(|before| before.version != row.version) {
        let (version, schema) = (row.version, row.schema.clone());
        let created_at = row.updated_at;
        tx.put_schema(
            &row.kind,
            &SchemaRow { version, schema, created_at, incompatibilities: faults },
        );
    }
    tx.put_event_type(&row);
    Ok(row)
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
            origin: known.origin(),
            built_in: true,
            version: 1,
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
            origin: Origin::Custom,
            built_in: false,
            version: row.version,
            schema: row.schema,
            example: row.example,
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
        }
    }
}
