//! Workflows under Thena's names and in Thena's shape.

mod patch;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::App;
use super::definitions::{Definition, Publish, Saved};
use super::error::Error;
use super::event_types::EventTypeView;
use super::principal::Principal;
use super::workflows::{Activation, version_of};
use crate::domain::event_type;
use crate::domain::problem::Problem;
use crate::domain::workflow::export::{ThenaMeta, as_far_as_thena};
use crate::engine::Engine;
use crate::store::tenant::TenantView;
use crate::store::workflows::{VersionRow, WorkflowRow};

/// The longest name of a workflow, in characters.
const NAME_CHARS_MAX: usize = 64;
/// How many workflows may share a title before a new one is refused.
const NAMESAKES_MAX: u32 = 10_000;
/// What Thena's answers say of a workflow beside its definition; a body may bring it along.
const SAID_BY_ANSWERS: [&str; 7] =
    ["uid", "uniqueIdentifier", "version", "createdAt", "updatedAt", "createdBy", "extension"];

/// Which workflows a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThenaFilter {
    /// Owned by this team.
    pub team_id: Option<String>,
    /// Of this type: `MANUAL` or `WORKFLOW`.
    pub kind: Option<String>,
    /// Of any of these sub-types; empty for all.
    pub sub_types: Vec<String>,
}

/// Whether a workflow that was deleted is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is not.
    Hidden,
    /// It is, as its runs stay readable.
    Shown,
}

struct Found {
    row: WorkflowRow,
    /// The version, when its uid was given.
    version: Option<u32>,
}

impl App {
    /// Returns a workflow, named by its uid, `uniqueIdentifier` or name, in the version asked for,
    /// the one that the uid names, or the newest.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub fn thena_workflow(
        &self,
        who: &Principal,
        id: &str,
        version: Option<u32>,
    ) -> Result<Value, Error> {
        let (row, version) = self.read(who, |view| {
            let Found { row, version: named } = find(view, id, Deleted::Hidden)?;
            let wanted = version.or(named).unwrap_or(row.newest);
            Ok((row.clone(), version_of(view, &row.name, wanted)?))
        })?;
        self.in_thena(who, &row, version)
    }

    /// Lists the newest version of every workflow that the filter lets through, by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn thena_workflows(
        &self,
        who: &Principal,
        filter: &ThenaFilter,
    ) -> Result<Vec<Value>, Error> {
        let rows = self.read(who, |view| {
            let present = view.workflows()?.into_iter().filter(|row| row.deleted_at.is_none());
            let rows = present.map(|row| Ok((version_of(view, &row.name, row.newest)?, row)));
            rows.collect::<Result<Vec<_>, Error>>()
        })?;
        let wanted = rows.into_iter().filter(|(version, _)| filter.holds(&version.definition));
        wanted.map(|(version, row)| self.in_thena(who, &row, version)).collect()
    }

    /// Returns the name and the `uniqueIdentifier` of a workflow that is named by its uid,
    /// `uniqueIdentifier` or name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn thena_names(
        &self,
        who: &Principal,
        id: &str,
        deleted: Deleted,
    ) -> Result<(String, String), Error> {
        let found = self.read(who, |view| find(view, id, deleted))?;
        Ok((found.row.name, found.row.unique_identifier))
    }

    /// Saves a new workflow; in Thena's body the name is a title, so that one whose name is taken
    /// gets a number behind it.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definition, `Conflict` for a name of our own form that
    /// is taken.
    pub async fn create_thena_workflow(
        &self,
        who: &Principal,
        mut definition: Definition,
    ) -> Result<Value, Error> {
        forget_answers(&mut definition.document);
        let publish = match definition.document.get("isActive") {
            Some(Value::Bool(false)) => Publish::Draft,
            _ => Publish::Active,
        };
        let is_native = definition.document.get("steps").is_some();
        let canonical = self.canonical(who, &definition)?;
        let name = canonical["name"].as_str().unwrap_or_default();
        if is_native {
            let made = self.create_workflow(who, definition, publish).await?;
            return self.thena_workflow(who, &made.name, Some(made.version));
        }
        let mut definition = Definition { source: None, ..definition };
        name_apart(&mut definition.document, name);
        for number in 1..=NAMESAKES_MAX {
            let free = numbered(name, number);
            if self.read(who, |view| Ok(view.workflow(&free)?.is_some()))? {
                continue;
            }
            definition.document["name"] = json!(free);
            match self.create_workflow(who, definition.clone(), publish).await {
                Err(Error::Conflict { code: "workflow_exists", .. }) => {} // It was just taken.
                made => {
                    return self.thena_workflow(who, &made?.name, Some(1));
                }
            }
        }
        let detail = format!("there are {NAMESAKES_MAX} workflows called `{name}` already");
        Err(Error::Conflict { code: "workflow_exists", detail })
    }

    /// Changes any subset of a workflow's fields, which makes a new version if the definition
    /// differs; the workflow stays on or off unless `isActive` says otherwise.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, `Invalid` with every problem of what would result.
    pub async fn update_thena_workflow(
        &self,
        who: &Principal,
        id: &str,
        mut fields: Map<String, Value>,
    ) -> Result<Value, Error> {
        let (row, newest) = self.read(who, |view| {
            let row = find(view, id, Deleted::Hidden)?.row;
            Ok((row.clone(), version_of(view, &row.name, row.newest)?))
        })?;
        SAID_BY_ANSWERS.iter().for_each(|name| {
            fields.shift_remove(*name);
        });
        let switch = fields.get("isActive").and_then(Value::as_bool);
        let publish = if switch.unwrap_or(row.active) { Publish::Active } else { Publish::Draft };
        let document = patch::merged(newest.definition, fields).map_err(Error::Invalid)?;
        let definition = Definition { document, source: None };
        let saved = self.put_workflow(who, &row.name, definition, publish).await;
        let (Saved::Created(saved) | Saved::Changed(saved) | Saved::Same(saved)) =
            saved.map_err(as_written)?;
        if switch == Some(false) {
            self.set_workflow(who, &row.name, Activation::Off).await?;
        }
        self.thena_workflow(who, &row.name, Some(saved.version))
    }

    /// Switches a workflow off if it is on, and its newest version on if it is off.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow.
    pub async fn toggle_thena_workflow(&self, who: &Principal, id: &str) -> Result<Value, Error> {
        let row = self.read(who, |view| Ok(find(view, id, Deleted::Hidden)?.row))?;
        let activation = match row.active {
            true => Activation::Off,
            false => Activation::On { version: Some(row.newest) },
        };
        self.set_workflow(who, &row.name, activation).await?;
        self.thena_workflow(who, &row.name, None)
    }

    /// Removes a workflow and returns what it was; its runs go on and stay readable.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow.
    pub async fn delete_thena_workflow(&self, who: &Principal, id: &str) -> Result<Value, Error> {
        let name = self.thena_names(who, id, Deleted::Hidden)?.0;
        let mut workflow = self.thena_workflow(who, &name, None)?;
        self.delete_workflow(who, &name).await?;
        workflow["isActive"] = json!(false);
        Ok(workflow)
    }

    fn in_thena(
        &self,
        who: &Principal,
        row: &WorkflowRow,
        version: VersionRow,
    ) -> Result<Value, Error> {
        let workflow = Engine::compile(&version)?;
        let trigger_event = match workflow.opening_kind() {
            Some(kind) => match self.event_type(who, kind) {
                Ok(known) => trigger_event(&EventTypeView { kind: kind.to_owned(), ..known }),
                Err(Error::NotFound { .. }) => unregistered(kind),
                Err(error) => return Err(error),
            },
            None => Value::Null,
        };
        let meta = ThenaMeta {
            uid: version.uid,
            unique_identifier: row.unique_identifier.clone(),
            version: version.version,
            is_active: row.active,
            created_at: row.created_at,
            updated_at: version.created_at,
            created_by: version.created_by,
            trigger_event,
        };
        let catalogue = self.catalogue(who.tenant);
        let (mut body, beyond) = as_far_as_thena(&workflow, &meta, &catalogue);
        if !beyond.is_empty() {
            body["extension"] = json!({"definition": version.definition, "notInThena": beyond});
        }
        Ok(body)
    }
}

impl ThenaFilter {
    fn holds(&self, definition: &Value) -> bool {
        let text = |name: &str, standard| definition[name].as_str().unwrap_or(standard);
        let is = |wanted: &Option<String>, given| wanted.as_ref().is_none_or(|it| it == given);
        let sub_type = text("subType", "WORKFLOW");
        is(&self.team_id, text("teamId", ""))
            && is(&self.kind, text("type", "MANUAL"))
            && (self.sub_types.is_empty() || self.sub_types.iter().any(|it| it == sub_type))
    }
}

/// Returns an event type as Thena's workflows embed it; its schema is that of the whole message.
#[must_use]
pub fn trigger_event(known: &EventTypeView) -> Value {
    json!({
        "uid": known.uid,
        "description": known.description,
        "eventName": known.name,
        "eventType": known.kind,
        "source": known.source,
        "schema": message_schema(&known.schema),
        "metadata": {},
    })
}

/// A type that nobody registered: events of it may carry anything.
fn unregistered(kind: &str) -> Value {
    json!({
        "uid": event_type::uid(kind),
        "description": "",
        "eventName": kind,
        "eventType": kind,
        "source": "",
        "schema": message_schema(&json!({})),
        "metadata": {},
    })
}

fn message_schema(payload: &Value) -> Value {
    let text = || json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {
            "message": {
                "type": "object",
                "properties": {
                    "eventId": text(),
                    "eventType": text(),
                    "timestamp": {"type": "string", "format": "date-time"},
                    "orgId": text(),
                    "actor": {
                        "type": "object",
                        "properties": {"id": text(), "type": text(), "email": text()},
                    },
                    "payload": payload,
                    "metadata": {"type": "object"},
                },
                "required": ["eventId", "eventType", "timestamp", "orgId", "actor", "payload"],
            },
            "messageAttributes": {
                "type": "object",
                "properties": {
                    "event_name": text(),
                    "event_id": text(),
                    "event_timestamp": text(),
                    "context_user_id": text(),
                    "context_user_type": text(),
                    "context_organization_id": text(),
                },
            },
        },
        "required": ["message", "messageAttributes"],
    })
}

/// Finds a workflow by its name, which no identifier looks like, else by one of its identifiers.
fn find(view: TenantView<'_>, id: &str, deleted: Deleted) -> Result<Found, Error> {
    let is_there = |row: &WorkflowRow| deleted == Deleted::Shown || row.deleted_at.is_none();
    if let Some(row) = view.workflow(id)?.filter(is_there) {
        return Ok(Found { row, version: None });
    }
    let rows: Vec<WorkflowRow> = view.workflows()?.into_iter().filter(is_there).collect();
    if let Some(row) = rows.iter().find(|row| row.unique_identifier == id) {
        return Ok(Found { row: row.clone(), version: None });
    }
    for row in rows {
        if let Some(version) = view.versions(&row.name)?.iter().find(|it| it.uid == id) {
            return Ok(Found { row, version: Some(version.version) });
        }
    }
    Err(Error::NotFound { what: "workflow", id: id.to_owned() })
}

fn forget_answers(document: &mut Value) {
    if let Value::Object(fields) = document {
        SAID_BY_ANSWERS.iter().for_each(|name| {
            fields.shift_remove(*name);
        });
    }
}

/// Keeps what the author called the workflow as its title, before its name gets a number.
fn name_apart(document: &mut Value, slug: &str) {
    let called = document["name"].as_str().unwrap_or(slug).to_owned();
    if let Value::Object(fields) = document
        && called != slug
    {
        fields.entry("title").or_insert(json!(called));
    }
}

/// Returns the name of the workflow that is the `number`th of its title.
fn numbered(slug: &str, number: u32) -> String {
    if number == 1 {
        return slug.to_owned();
    }
    let suffix = format!("-{number}");
    let room = NAME_CHARS_MAX - suffix.len();
    let kept = slug.get(..room).unwrap_or(slug).trim_end_matches('-');
    format!("{kept}{suffix}")
}

/// A title that is wrong was written as `name`.
fn as_written(error: Error) -> Error {
    let Error::Invalid(problems) = error else { return error };
    Error::Invalid(
        problems
            .into_iter()
            .map(|problem| match problem.pointer.as_str() {
                "/title" => Problem { pointer: "/name".to_owned(), ..problem },
                _ => problem, // It stands where it was written.
            })
            .collect(),
    )
}
