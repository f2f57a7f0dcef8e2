//! Workflows: checked and saved in versions, switched on and off, started by hand, exported.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::events::{IncomingEvent, actor, repeated, stored_event};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{Page, RunTick, RunView, WorkflowTotals, WorkflowView};
use crate::domain::event_type::{self, built_in};
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::workflow::diff::{Change, diff};
use crate::domain::workflow::export::{ThenaMeta, to_native, to_thena, to_yaml};
use crate::domain::workflow::parse::{DefinitionLimits, Known, KnownEvent, validate};
use crate::domain::workflow::{Trigger, Workflow};
use crate::engine::Engine;
use crate::store::event_types::EventTypeRow;
use crate::store::runs::RunList;
use crate::store::tenant::{TenantTx, TenantView};
use crate::store::workflows::{VersionRow, WorkflowRow};

const TICKS: usize = 20;

/// A definition as it was sent.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its content.
    pub document: Value,
    /// Its text, when that was YAML, with its comments.
    pub source: Option<String>,
}

/// Whether a saved version becomes the one that events start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// It does, at once.
    Active,
    /// It waits until it is enabled.
    Draft,
}

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

/// What came of saving.
#[derive(Clone, Debug)]
pub enum Saved {
    /// The workflow is new.
    Created(WorkflowView),
    /// It has a new version.
    Changed(WorkflowView),
    /// The definition is the same as the newest version's.
    Same(WorkflowView),
}

/// What saving would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The workflow.
    pub name: String,
    /// `create`, `update` or `none`.
    pub action: &'static str,
    /// The newest version that there is.
    pub from_version: Option<u32>,
    /// The version that there would be.
    pub to_version: u32,
    /// The differences.
    pub diff: Vec<Change>,
    /// What the check warns of.
    pub warnings: Vec<Problem>,
}

/// What a check says of a definition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it can be saved.
    pub valid: bool,
    /// Why not.
    pub problems: Vec<Problem>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
    /// The canonical form, when it is valid.
    pub definition: Option<Value>,
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

/// Whether a name may be taken already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    MustBeFree,
    MayExist,
}

struct Checked {
    workflow: Workflow,
    warnings: Vec<Problem>,
    source: Option<String>,
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
                    Some(event) => version.definition["trigger"]["event"] == **event,
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

    /// Checks a definition and saves nothing.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn validate_workflow(
        &self,
        who: &Principal,
        definition: &Definition,
    ) -> Result<Verdict, Error> {
        let checked = self.validation(who, &definition.document)?;
        Ok(Verdict {
            valid: checked.workflow.is_some(),
            problems: checked.problems,
            warnings: checked.warnings,
            definition: checked.workflow.as_ref().map(to_native),
        })
    }

    /// Saves a new workflow.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definition, `Conflict` for a name that is taken.
    pub async fn create_workflow(
        &self,
        who: &Principal,
        definition: Definition,
        publish: Publish,
    ) -> Result<WorkflowView, Error> {
        let checked = self.checked(who, definition)?;
        match self.save(who, checked, publish, Name::MustBeFree).await? {
            Saved::Created(view) | Saved::Changed(view) | Saved::Same(view) => Ok(view),
        }
    }

    /// Saves a workflow called `name`, or a new version of it if the definition differs.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definition.
    pub async fn put_workflow(
        &self,
        who: &Principal,
        name: &str,
        definition: Definition,
        publish: Publish,
    ) -> Result<Saved, Error> {
        let checked = self.checked(who, named(definition, name))?;
        check_name(&checked.workflow, name)?;
        self.save(who, checked, publish, Name::MayExist).await
    }

    /// Says what `put_workflow` would do.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definition.
    pub fn plan_workflow(
        &self,
        who: &Principal,
        name: &str,
        definition: Definition,
    ) -> Result<Plan, Error> {
        let Checked { workflow, warnings, .. } = self.checked(who, named(definition, name))?;
        check_name(&workflow, name)?;
        let newest = self.read(who, |view| match view.workflow(name)? {
            Some(row) if row.deleted_at.is_none() => Ok(view.version(name, row.newest)?),
            _ => Ok(None),
        })?;
        let plan = |action, from_version, to_version, diff| Plan {
            name: name.to_owned(),
            action,
            from_version,
            to_version,
            diff,
            warnings,
        };
        let Some(newest) = newest else { return Ok(plan("create", None, 1, Vec::new())) };
        let diff = diff(&*Engine::compile(&newest)?, &workflow);
        let from = newest.version;
        Ok(match diff.is_empty() {
            true => plan("none", Some(from), from, diff),
            false => plan("update", Some(from), from + 1, diff),
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
        let wanted = name.to_owned();
        self.write(who, move |tx| {
            let mut row = present(tx.view(), &wanted)?;
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
        let name = name.to_owned();
        self.write(who, move |tx| {
            let mut row = present(tx.view(), &name)?;
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
        let trigger_event = match &workflow.trigger {
            Trigger::Event { kind, .. } => {
                let known = self.event_type(who, kind).ok();
                json!({
                    "uid": event_type::uid(kind),
                    "eventName": kind,
                    "name": known.map_or_else(|| kind.clone(), |known| known.name),
                })
            }
            Trigger::Manual => Value::Null,
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
        let catalogue = self.engine().activities().catalogue();
        to_thena(&workflow, &meta, catalogue).map_err(Error::Invalid)
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

    fn checked(&self, who: &Principal, definition: Definition) -> Result<Checked, Error> {
        let validation = self.validation(who, &definition.document)?;
        let workflow = validation.workflow.ok_or(Error::Invalid(validation.problems))?;
        Ok(Checked { workflow, warnings: validation.warnings, source: definition.source })
    }

    fn validation(
        &self,
        who: &Principal,
        document: &Value,
    ) -> Result<crate::domain::workflow::parse::Validation, Error> {
        let own = self.read(who, |view| Ok(view.event_types()?))?;
        let find = |name: &str| known_event(name, &own);
        let built_in = built_in().iter().map(|known| known.kind);
        let names: Vec<&str> = built_in.chain(own.iter().map(|row| row.kind.as_str())).collect();
        let known = Known {
            catalogue: self.engine().activities().catalogue(),
            event_type: &find,
            event_names: &names,
            limits: DefinitionLimits::default(),
        };
        Ok(validate(document, &known))
    }

    async fn save(
        &self,
        who: &Principal,
        checked: Checked,
        publish: Publish,
        expected: Name,
    ) -> Result<Saved, Error> {
        let by = who.name.clone();
        let name = checked.workflow.name.clone();
        let outcome = self.write(who, move |tx| put(tx, &checked, publish, expected, by)).await?;
        let (made, version) = outcome;
        let view = self.workflow(who, &name, Some(version))?;
        Ok(match made {
            Made::Workflow => Saved::Created(view),
            Made::Version => Saved::Changed(view),
            Made::Nothing => Saved::Same(view),
        })
    }

    fn event_for(
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

fn in_payload(problem: Problem) -> Problem {
    let pointer = problem.pointer.replacen("/data", "/payload", 1);
    Problem { pointer, ..problem }
}

/// A definition that is put under a name need not repeat it.
fn named(mut definition: Definition, name: &str) -> Definition {
    if let Value::Object(fields) = &mut definition.document {
        fields.entry("name").or_insert_with(|| json!(name));
    }
    definition
}

fn check_name(workflow: &Workflow, name: &str) -> Result<(), Error> {
    if workflow.name == name {
        return Ok(());
    }
    let detail = format!("is `{}`, but the path names `{name}`", workflow.name);
    Err(Error::Invalid(vec![Problem::new("/name", "contradiction", detail)]))
}

/// Types of the platform's own families must exist; others may be sent without a registration.
fn known_event(name: &str, own: &[EventTypeRow]) -> Option<KnownEvent> {
    let kind = event_type::canonical(name);
    if let Some(known) = event_type::find(&kind) {
        return Some(KnownEvent { kind: kind.into_owned(), schema: known.schema() });
    }
    if let Some(known) = built_in().iter().find(|known| known.uid() == name) {
        return Some(KnownEvent { kind: known.kind.to_owned(), schema: known.schema() });
    }
    let registered = own.iter().find(|row| row.kind == *kind || event_type::uid(&row.kind) == name);
    if let Some(row) = registered {
        return Some(KnownEvent { kind: row.kind.clone(), schema: row.schema.clone() });
    }
    let family = kind.split(':').next().unwrap_or("");
    let foreign = built_in().iter().all(|known| known.kind.split(':').next() != Some(family));
    let well_formed = kind.contains(':') || kind.contains('.');
    (foreign && well_formed)
        .then(|| KnownEvent { kind: kind.into_owned(), schema: Value::Bool(true) })
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

enum Made {
    Workflow,
    Version,
    Nothing,
}

fn put(
    tx: &mut TenantTx<'_, '_>,
    checked: &Checked,
    publish: Publish,
    expected: Name,
    by: String,
) -> Result<(Made, u32), Error> {
    let now = tx.now();
    let name = &checked.workflow.name;
    let definition = to_native(&checked.workflow);
    let before = tx.view().workflow(name)?;
    let existing = before.as_ref().filter(|row| row.deleted_at.is_none());
    if existing.is_some() && expected == Name::MustBeFree {
        let detail = format!("there is a workflow `{name}` already; PUT saves a new version");
        return Err(Error::Conflict { code: "workflow_exists", detail });
    }
    if let Some(row) = existing {
        let newest = version_of(tx.view(), name, row.newest)?;
        let published = row.active && row.version == row.newest;
        if newest.definition == definition && (publish == Publish::Draft || published) {
            return Ok((Made::Nothing, newest.version));
        }
        if newest.definition == definition {
            let row =
                WorkflowRow { active: true, version: row.newest, updated_at: now, ..row.clone() };
            tx.put_workflow(&row);
            return Ok((Made::Nothing, newest.version));
        }
    }
    let made = if existing.is_some() { Made::Version } else { Made::Workflow };
    let version = before.as_ref().map_or(0, |row| row.newest) + 1;
    let row = next_row(tx, checked, existing.cloned(), version, publish);
    tx.put_version(&VersionRow {
        name: name.clone(),
        version,
        uid: Uid::new('V', now, tx.random()).to_string(),
        definition,
        source: checked.source.clone(),
        warnings: checked.warnings.clone(),
        created_by: by,
        created_at: now,
    });
    tx.put_workflow(&row);
    Ok((made, version))
}

fn next_row(
    tx: &TenantTx<'_, '_>,
    checked: &Checked,
    existing: Option<WorkflowRow>,
    version: u32,
    publish: Publish,
) -> WorkflowRow {
    let now: Timestamp = tx.now();
    let row = existing.unwrap_or_else(|| WorkflowRow {
        name: checked.workflow.name.clone(),
        unique_identifier: Uid::new('W', now, tx.random()).to_string(),
        version,
        newest: version,
        active: false,
        deleted_at: None,
        created_at: now,
        updated_at: now,
    });
    match publish {
        Publish::Active => {
            WorkflowRow { version, newest: version, active: true, updated_at: now, ..row }
        }
        Publish::Draft => WorkflowRow { newest: version, updated_at: now, ..row },
    }
}

fn show(
    view: TenantView<'_>,
    row: &WorkflowRow,
    version: VersionRow,
) -> Result<WorkflowView, Error> {
    let counts = view.workflow_counts(&row.name)?;
    let last = view.runs_before(RunList::OfWorkflow(&row.name), None, TICKS)?;
    let text = |name: &str| version.definition[name].as_str().unwrap_or("").to_owned();
    let event = version.definition["trigger"]["event"].as_str().map(str::to_owned);
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
        trigger_kind: if event.is_some() { "event" } else { "manual" }.to_owned(),
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
