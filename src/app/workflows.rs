//! Workflows: checked and saved in versions, switched on and off, started by hand, exported.

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use super::definitions::{Definition, Plan, Publish, Saved, Verdict};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::{IncomingEvent, actor, repeated, stored_event};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{Page, RunTick, RunView, WorkflowTotals, WorkflowView};
use crate::domain::event_type;
use crate::domain::problem::Problem;
use crate::domain::workflow::export::{ThenaMeta, to_thena, to_yaml};
use crate::engine::Engine;
use crate::store::runs::RunList;
use crate::store::tenant::TenantView;
use crate::store::workflows::{VersionRow, WorkflowRow};

const TICKS: usize = 20;

/// Whether events start a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// They do, in this version, or in the present one.
    On {
        /// The version.
        version: Option<u32>,
    },
    /// They do not.
    Off,
}

/// What a run that is started by hand begins with.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// The payload.
    pub payload: Option<Value>,
    /// The id of an event that was accepted, or an event: `{type, payload, subject}`.
    pub event: Option<Value>,
    /// What it is about.
    pub subject: Option<String>,
    /// The version; the present one without it.
    pub version: Option<u32>,
}

impl App {
    /// Lists workflows by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn workflows(
        &self,
        who: &Principal,
        event: Option<&str>,
        active: Option<bool>,
        page: &PageRequest,
    ) -> Result<Page<WorkflowView>, Error> {
        let event = event.map(event_type::canonical);
        self.read(who, |view| {
            let mut wanted = Vec::new();
            for row in view.workflows()? {
                if row.deleted_at.is_some() || active.is_some_and(|active| active != row.active) {
                    continue;
                }
                let version = version_of(view, &row.name, row.version)?;
                let listens = match &event {
                    None => true,
                    Some(event) => {
                        events_of(&version.definition).any(|listened| listened == &**event)
                    }
                };
                if listens {
                    wanted.push((row, version));
                }
            }
            let page = page.cut(wanted, |(row, _)| row.name.clone());
            let next_cursor = page.next_cursor;
            let shown = page.data.into_iter().map(|(row, version)| show(view, &row, version));
            Ok(Page { data: shown.collect::<Result<_, _>>()?, next_cursor })
        })
    }

    /// Returns one workflow, in its present version or in the one asked for.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub fn workflow(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
    ) -> Result<WorkflowView, Error> {
        self.read(who, |view| {
            let row = present(view, name)?;
            let version = version_of(view, &row.name, version.unwrap_or(row.version))?;
            show(view, &row, version)
        })
    }

    /// Returns every version of a workflow, newest first.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow.
    pub fn workflow_versions(
        &self,
        who: &Principal,
        name: &str,
    ) -> Result<Vec<WorkflowView>, Error> {
        self.read(who, |view| {
            let row = present(view, name)?;
            let versions = view.versions(&row.name)?.into_iter();
            versions
                .map(|version| {
                    let active = row.active && version.version == row.version;
                    Ok(WorkflowView { active, ..show(view, &row, version)? })
                })
                .collect()
        })
    }

    /// Switches a workflow on or off.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub async fn set_workflow(
        &self,
        who: &Principal,
        name: &str,
        activation: Activation,
    ) -> Result<WorkflowView, Error> {
        self.check_sight(who, name)?;
        let wanted = name.to_owned();
        let action = match activation {
            Activation::On { .. } => "workflow.enable",
            Activation::Off => "workflow.disable",
        };
        self.write(who, Change::of(action, name), move |tx, change| {
            let mut row = present(tx.view(), &wanted)?;
            change.before(&Traced::of(&row));
            let active = matches!(activation, Activation::On { .. });
            let version = match activation {
                Activation::On { version: Some(version) } => {
                    version_of(tx.view(), &wanted, version)?.version
                }
                Activation::On { version: None } | Activation::Off => row.version,
            };
            if (row.active, row.version) != (active, version) {
                row.active = active;
                row.version = version;
                row.updated_at = tx.now();
                tx.put_workflow(&row);
            }
            change.after(&Traced::of(&row));
            Ok(())
        })
        .await?;
        self.workflow(who, name, None)
    }

    /// Removes a workflow; its runs go on and stay readable.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow.
    pub async fn delete_workflow(&self, who: &Principal, name: &str) -> Result<(), Error> {
        self.check_sight(who, name)?;
        let name = name.to_owned();
        self.write(who, Change::of("workflow.delete", name.as_str()), move |tx, change| {
            let mut row = present(tx.view(), &name)?;
            change.before(&Traced::of(&row));
            row.active = false;
            row.deleted_at = Some(tx.now());
            row.updated_at = tx.now();
            tx.put_workflow(&row);
            Ok(())
        })
        .await
    }

    /// Starts a run by hand, whether the workflow is active or not.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, version or event, `Invalid` for a payload that breaks
    /// the schema of the event type, `Conflict` when the run is withheld.
    pub async fn run_workflow(
        &self,
        who: &Principal,
        name: &str,
        request: RunRequest,
    ) -> Result<RunView, Error> {
        let version = request.version;
        let view = self.workflow(who, name, version)?;
        let event = self.event_for(who, view.event.as_deref(), request)?;
        let problems = self.schema_problems(who, &event.kind, &event.payload)?;
        if !problems.is_empty() {
            return Err(Error::Invalid(problems.into_iter().map(in_payload).collect()));
        }
        self.record_change(who, Change::of("workflow.run", &view.name)).await?;
        let accepted = self.start(who, &view.name, version, event).await?;
        self.started(who, &accepted)
    }

    /// Returns a workflow in Thena's shape.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, `Invalid` for what Thena's shape cannot say.
    pub fn export_thena(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
    ) -> Result<Value, Error> {
        let row = self.read(who, |view| {
            let row = present(view, name)?;
            Ok((version_of(view, &row.name, version.unwrap_or(row.version))?, row))
        })?;
        let (version, row) = row;
        let workflow = Engine::compile(&version)?;
        let trigger_event = match workflow.opening_kind() {
            Some(kind) => {
                let known = self.event_type(who, kind).ok();
                json!({
                    "uid": event_type::uid(kind),
                    "eventName": kind,
                    "name": known.map_or_else(|| kind.to_owned(), |known| known.name),
                })
            }
            None => Value::Null,
        };
        let meta = ThenaMeta {
            uid: version.uid,
            unique_identifier: row.unique_identifier,
            version: version.version,
            is_active: row.active,
            created_at: row.created_at,
            updated_at: version.created_at,
            created_by: version.created_by,
            trigger_event,
        };
        let catalogue = self.catalogue(who.tenant);
        to_thena(&workflow, &meta, &catalogue).map_err(Error::Invalid)
    }

    /// Returns a workflow as YAML: the text that was saved, comments included, or one made of it.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub fn export_yaml(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
    ) -> Result<String, Error> {
        let version = self.read(who, |view| {
            let row = present(view, name)?;
            version_of(view, &row.name, version.unwrap_or(row.version))
        })?;
        match version.source {
            Some(text) => Ok(text),
            None => Ok(to_yaml(&*Engine::compile(&version)?)),
        }
    }

    /// Returns whether the newest version was saved as a text with comments, which an edit of its
    /// content alone would lose.
    #[must_use]
    pub fn has_comments(&self, who: &Principal, name: &str) -> bool {
        let newest = self.read(who, |view| {
            let row = present(view, name)?;
            version_of(view, &row.name, row.newest)
        });
        let source = newest.ok().and_then(|version| version.source);
        source.is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with('#')))
    }

    pub(super) fn event_for(
        &self,
        who: &Principal,
        kind: Option<&str>,
        request: RunRequest,
    ) -> Result<IncomingEvent, Error> {
        let mut event = match request.event {
            Some(Value::String(id)) => {
                let stored = self.read(who, |view| stored_event(view, &id))?;
                repeated(stored.event, "replayOf", &id)
            }
            Some(Value::Object(fields)) => given_event(fields)?,
            None | Some(_) => IncomingEvent::default(),
        };
        if event.kind.is_empty() {
            event.kind = kind.unwrap_or("workflow:started").to_owned();
        }
        if event.source.is_empty() {
            event.source = "manual".to_owned();
        }
        if let Some(payload) = request.payload {
            event.payload = payload;
        } else if event.payload.is_null() {
            event.payload = json!({});
        }
        event.subject = request.subject.or(event.subject);
        event.actor.get_or_insert_with(|| actor(who));
        Ok(event)
    }
}

/// What the audit tells of a workflow; its versions keep the definitions.
#[derive(Serialize)]
pub(super) struct Traced {
    active: bool,
    version: u32,
    newest: u32,
}

impl Traced {
    pub(super) fn of(row: &WorkflowRow) -> Traced {
        Traced { active: row.active, version: row.version, newest: row.newest }
    }
}

fn given_event(mut fields: Map<String, Value>) -> Result<IncomingEvent, Error> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = text("type").ok_or_else(|| {
        Error::Invalid(vec![Problem::new("/event/type", "required", "`type` is required")])
    })?;
    let (source, subject) = (text("source").unwrap_or_default(), text("subject"));
    Ok(IncomingEvent {
        kind: event_type::canonical(&kind).into_owned(),
        source,
        subject,
        payload: fields.remove("payload").unwrap_or(Value::Null),
        ..IncomingEvent::default()
    })
}

pub(super) fn in_payload(problem: Problem) -> Problem {
    let pointer = problem.pointer.replacen("/data", "/payload", 1);
    Problem { pointer, ..problem }
}

/// Returns the workflow if it is there and not deleted; Thena's identifier names it as well.
pub(super) fn present(view: TenantView<'_>, name: &str) -> Result<WorkflowRow, Error> {
    let row = view.workflow(name)?.filter(|row| row.deleted_at.is_none());
    row.ok_or_else(|| Error::NotFound { what: "workflow", id: name.to_owned() })
}

pub(super) fn version_of(
    view: TenantView<'_>,
    name: &str,
    version: u32,
) -> Result<VersionRow, Error> {
    let id = || format!("{version} of workflow {name}");
    view.version(name, version)?.ok_or_else(|| Error::NotFound { what: "version", id: id() })
}

/// Returns the event types in the triggers of a stored definition.
pub(super) fn events_of(definition: &Value) -> impl Iterator<Item = &str> {
    let several = definition["triggers"].as_array().into_iter().flatten();
    let triggers = definition.get("trigger").into_iter().chain(several);
    triggers.filter_map(|trigger| trigger["event"].as_str())
}

/// Returns what the first trigger of a stored definition waits for.
fn trigger_kind(definition: &Value) -> &'static str {
    let first = definition["triggers"].get(0).or_else(|| definition.get("trigger"));
    match first {
        Some(trigger) if trigger.get("schedule").is_some() => "schedule",
        Some(trigger) if trigger.get("record").is_some() => "lasting",
        Some(trigger) if trigger.get("event").is_some() => "event",
        _ => "manual", // Only a person or a program starts it.
    }
}

pub(super) fn show(
    view: TenantView<'_>,
    row: &WorkflowRow,
    version: VersionRow,
) -> Result<WorkflowView, Error> {
    let counts = view.workflow_counts(&row.name)?;
    let last = view.runs_before(RunList::OfWorkflow(&row.name), None, TICKS)?;
    let text = |name: &str| version.definition[name].as_str().unwrap_or("").to_owned();
    let event = events_of(&version.definition).next().map(str::to_owned);
    let kind = trigger_kind(&version.definition);
    let ticks = last
        .iter()
        .map(|run| RunTick { id: run.head.id, status: run.head.status.as_str().to_owned() });
    Ok(WorkflowView {
        name: row.name.clone(),
        unique_identifier: row.unique_identifier.clone(),
        uid: version.uid.clone(),
        title: text("title"),
        description: text("description"),
        version: version.version,
        active: row.active,
        trigger_kind: kind.to_owned(),
        event,
        created_at: row.created_at,
        updated_at: version.created_at,
        created_by: version.created_by.clone(),
        warnings: version.warnings.clone(),
        totals: WorkflowTotals {
            started: counts.started,
            succeeded: counts.succeeded,
            failed: counts.failed,
            cancelled: counts.cancelled,
        },
        last_runs: ticks.collect(),
        definition: version.definition,
    })
}
