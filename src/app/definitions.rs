//! Definitions: checked whole, compared, saved in versions.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit;
use super::error::Error;
use super::principal::Principal;
use super::views::WorkflowView;
use super::workflows::{Traced, version_of};
use crate::domain::activity::Catalogue;
use crate::domain::event_type::{self, built_in};
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::domain::rehearsal::{Rehearsed, rehearse};
use crate::domain::time::Timestamp;
use crate::domain::trial::CaseResult;
use crate::domain::workflow::Workflow;
use crate::domain::workflow::calls;
use crate::domain::workflow::codes::{Severity, hinted};
use crate::domain::workflow::cycle;
use crate::domain::workflow::diff::{Change, diff};
use crate::domain::workflow::export::to_native;
use crate::domain::workflow::parse::{DefinitionLimits, Known, KnownEvent, Validation, validate};
use crate::engine::Engine;
use crate::store::event_types::EventTypeRow;
use crate::store::tenant::TenantTx;
use crate::store::workflows::{VersionRow, WorkflowRow};

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
    /// It does, at once, whatever its test cases say.
    Untested,
    /// It waits until it is enabled; what its test cases say is among its warnings.
    Draft,
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
    /// Whether it can be saved: nothing of severity `error` is wrong with it.
    pub valid: bool,
    /// Why not, then what is allowed but probably not meant.
    pub problems: Vec<Told>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
    /// The canonical form, when it is valid.
    pub definition: Option<Value>,
    /// What happens if each of its steps fails, when it is valid.
    pub rehearsal: Vec<Rehearsed>,
}

/// A problem with what it means for the definition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// `error` keeps it from being saved, `warning` does not.
    pub severity: &'static str,
    /// The problem.
    #[serde(flatten)]
    pub problem: Problem,
}

impl Told {
    /// Tells problems and warnings as one list.
    #[must_use]
    pub fn all(problems: Vec<Problem>, warnings: Vec<Problem>) -> Vec<Told> {
        let told = |severity| move |problem| Told { severity, problem: hinted(problem) };
        let warnings = warnings.into_iter().map(told(Severity::Warning.as_str()));
        problems.into_iter().map(told(Severity::Error.as_str())).chain(warnings).collect()
    }
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
        let catalogue = self.catalogue(who.tenant);
        let rehearsal = checked.workflow.as_ref().map(|workflow| rehearse(workflow, &catalogue));
        Ok(Verdict {
            valid: checked.workflow.is_some(),
            problems: Told::all(checked.problems, checked.warnings.clone()),
            warnings: checked.warnings,
            definition: checked.workflow.as_ref().map(to_native),
            rehearsal: rehearsal.unwrap_or_default(),
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

    /// Tells what a version of a saved workflow does if each of its steps fails.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub fn rehearse_workflow(
        &self,
        who: &Principal,
        name: &str,
        version: u32,
    ) -> Result<Vec<Rehearsed>, Error> {
        let row = self.read(who, |view| version_of(view, name, version))?;
        let workflow = Engine::compile(&row)?;
        Ok(rehearse(&workflow, &self.catalogue(who.tenant)))
    }

    /// Returns the canonical form of a definition that is not saved.
    pub(super) fn canonical(
        &self,
        who: &Principal,
        definition: &Definition,
    ) -> Result<Value, Error> {
        let validation = self.validation(who, &definition.document)?;
        let workflow = validation.workflow.ok_or(Error::Invalid(validation.problems))?;
        Ok(to_native(&workflow))
    }

    /// Checks a definition that is not saved, under the name that it would be saved by.
    pub(super) fn checked_draft(
        &self,
        who: &Principal,
        definition: Definition,
        name: &str,
    ) -> Result<Workflow, Error> {
        Ok(self.checked(who, named(definition, name))?.workflow)
    }

    fn checked(&self, who: &Principal, definition: Definition) -> Result<Checked, Error> {
        let validation = self.validation(who, &definition.document)?;
        let workflow = validation.workflow.ok_or(Error::Invalid(validation.problems))?;
        Ok(Checked { workflow, warnings: validation.warnings, source: definition.source })
    }

    fn validation(&self, who: &Principal, document: &Value) -> Result<Validation, Error> {
        let own = self.read(who, |view| Ok(view.event_types()?))?;
        let find = |name: &str| known_event(name, &own);
        let built_in = built_in().iter().map(|known| known.kind);
        let names: Vec<&str> = built_in.chain(own.iter().map(|row| row.kind.as_str())).collect();
        let catalogue = self.catalogue(who.tenant);
        let known = Known {
            catalogue: &catalogue,
            event_type: &find,
            event_names: &names,
            limits: DefinitionLimits::default(),
        };
        let mut validation = validate(document, &known);
        if let Some(workflow) = &validation.workflow {
            let (names, others) = self.neighbours(who, &workflow.name)?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let others: Vec<&Workflow> = others.iter().map(|other| &**other).collect();
            validation.warnings.extend(cycle::warnings(workflow, &others));
            validation.warnings.extend(calls::check(workflow, document, &others, &names));
            let (problems, warnings) = self.unauthorized_parts(who, workflow, document)?;
            validation.problems.extend(problems);
            validation.warnings.extend(warnings);
        }
        if !validation.problems.is_empty() {
            validation.workflow = None;
        }
        Ok(validation)
    }

    /// Returns the names of all workflows beside this one, and those of them that are active.
    fn neighbours(
        &self,
        who: &Principal,
        name: &str,
    ) -> Result<(Vec<String>, Vec<Arc<Workflow>>), Error> {
        self.read(who, |view| {
            let (mut names, mut others) = (Vec::new(), Vec::new());
            for row in view.workflows()? {
                if row.deleted_at.is_some() || row.name == name {
                    continue;
                }
                if row.active {
                    let version = view.version(&row.name, row.version)?;
                    // One that cannot be read any more starts nothing.
                    others.extend(version.and_then(|version| Engine::compile(&version).ok()));
                }
                names.push(row.name);
            }
            Ok((names, others))
        })
    }

    async fn save(
        &self,
        who: &Principal,
        mut checked: Checked,
        publish: Publish,
        expected: Name,
    ) -> Result<Saved, Error> {
        let faults = self.faults_of_cases(who, &checked.workflow).await?;
        match publish {
            Publish::Active if !faults.is_empty() => return Err(Error::Invalid(faults)),
            Publish::Active | Publish::Untested => {}
            Publish::Draft => checked.warnings.extend(faults),
        }
        let by = who.name.clone();
        let name = checked.workflow.name.clone();
        self.check_sight(who, &name)?;
        let outcome = self
            .write(who, audit::Change::of("workflow.save", &name), move |tx, change| {
                let before = tx.view().workflow(&checked.workflow.name)?;
                change.before(&before.as_ref().map(Traced::of));
                let outcome = put(tx, &checked, publish, expected, by)?;
                let after = tx.view().workflow(&checked.workflow.name)?;
                let mut traced = json!(after.as_ref().map(Traced::of));
                if publish == Publish::Untested && !checked.workflow.tests.is_empty() {
                    traced["tests"] = json!("skipped");
                }
                change.after(&traced);
                Ok(outcome)
            })
            .await?;
        let (made, version) = outcome;
        let view = self.workflow(who, &name, Some(version))?;
        Ok(match made {
            Made::Workflow => Saved::Created(view),
            Made::Version => Saved::Changed(view),
            Made::Nothing => Saved::Same(view),
        })
    }
}

impl App {
    /// Plays the test cases of a definition, on a thread of its own, and says what fails.
    async fn faults_of_cases(
        &self,
        who: &Principal,
        workflow: &Workflow,
    ) -> Result<Vec<Problem>, Error> {
        if workflow.tests.is_empty() {
            return Ok(Vec::new());
        }
        let (app, who, workflow) = (self.clone(), who.clone(), workflow.clone());
        let played = tokio::task::spawn_blocking(move || app.case_results(&who, &workflow)).await;
        let broke_off = |error| Error::Internal(format!("the tests broke off: {error}"));
        let results = played.map_err(broke_off)??;
        Ok(results.iter().flat_map(CaseResult::faults).collect())
    }
}

/// Checks a definition where there is no store: against the activities given and the event types
/// that are built in; others may be sent without a registration.
#[must_use]
pub fn validate_offline(document: &Value, catalogue: &Catalogue) -> Validation {
    let find = |name: &str| known_event(name, &[]);
    let names: Vec<&str> = built_in().iter().map(|known| known.kind).collect();
    let limits = DefinitionLimits::default();
    let known = Known { catalogue, event_type: &find, event_names: &names, limits };
    validate(document, &known)
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
    // Thena calls events of one's own `app:…`, so a few of ours do not claim that family.
    let foreign = family == "app"
        || built_in().iter().all(|known| known.kind.split(':').next() != Some(family));
    let well_formed = kind.contains(':') || kind.contains('.');
    (foreign && well_formed)
        .then(|| KnownEvent { kind: kind.into_owned(), schema: Value::Bool(true) })
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
        note: None,
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
        Publish::Active | Publish::Untested => {
            WorkflowRow { version, newest: version, active: true, updated_at: now, ..row }
        }
        Publish::Draft => WorkflowRow { newest: version, updated_at: now, ..row },
    }
}
