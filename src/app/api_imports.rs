//! Descriptions of APIs become activities: imported, looked at before, imported again, removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::worker_activities::{Registered, add_version};
use crate::domain::activity::Compensation;
use crate::domain::activity::custom::{
    Answers, ApiOperation, Carrier, CustomActivity, Ended, Owner,
};
use crate::domain::openapi::{self, Api, Limits, Operation};
use crate::domain::problem::{Problem, nearest};
use crate::domain::time::Timestamp;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::domain::workflow::{Action, Retry, Undo};
use crate::engine::Engine;
use crate::store::api_imports::ApiImportRow;
use crate::store::tenant::TenantView;

const NAME_CHARS_MAX: usize = 50;
/// How long an attempt may take unless the step says otherwise, in milliseconds.
const TIMEOUT_MS: u64 = 30_000;
/// How deep objects and lists may lie in each other in a description.
const DEPTH_MAX: usize = 128;

/// A description that is to be imported.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// Its name, with which the identifiers of its activities begin.
    pub name: String,
    /// The description.
    pub description: Description,
    /// Where the API is; `None` for the first server that the description names.
    pub base_url: Option<String>,
    /// The connection whose credentials are sent unless a step names another.
    pub connection: Option<String>,
    /// What an answer is that is not as it was described.
    pub answers: Answers,
    /// The operations that are wanted; `None` for all.
    pub operations: Option<Vec<String>>,
}

/// A description as it was given.
#[derive(Clone, Debug)]
pub enum Description {
    /// As JSON.
    Document(Value),
    /// As a text of JSON or YAML.
    Text(String),
}

/// What an import does, or would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportView {
    /// Its name.
    pub name: String,
    /// What the API calls itself.
    pub title: String,
    /// Where it is.
    pub base_url: Url,
    /// The connection whose credentials are sent.
    pub connection: Option<String>,
    /// Activities that there were not before.
    pub added: Vec<String>,
    /// Activities with a new version.
    pub changed: Vec<String>,
    /// Activities that stay as they are.
    pub unchanged: Vec<String>,
    /// Activities that are no longer offered.
    pub removed: Vec<RemovedView>,
    /// Why operations are left out, by their place in the description.
    pub left_out: Vec<Problem>,
    /// What of the offered operations is not supported.
    pub notes: Vec<Problem>,
}

/// An activity that is no longer offered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedView {
    /// Its identifier.
    pub unique_identifier: String,
    /// The workflows whose present version calls it; they go on calling it.
    pub used_by: Vec<String>,
}

/// An import as lists show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSummary {
    /// Its name.
    pub name: String,
    /// What the API calls itself.
    pub title: String,
    /// Where it is.
    pub base_url: Url,
    /// The connection whose credentials are sent.
    pub connection: Option<String>,
    /// Whether an answer that is not as it was described is a failure.
    pub strict: bool,
    /// How many activities it offers.
    pub activities: usize,
    /// When it was imported last.
    pub imported_at: Timestamp,
    /// Who imported it.
    pub imported_by: String,
}

/// An import that was read and chosen from, ready to be written.
struct Draft {
    row: ApiImportRow,
    activities: Vec<CustomActivity>,
    left_out: Vec<Problem>,
    notes: Vec<Problem>,
}

impl App {
    /// Tells what an import would do, and does nothing.
    ///
    /// # Errors
    /// `Invalid` for what is no description, or does not say where the API is.
    pub fn preview_import(&self, who: &Principal, wanted: NewImport) -> Result<ImportView, Error> {
        let draft = self.import_draft(who, wanted)?;
        self.read(who, |view| planned(view, &draft))
    }

    /// Makes activities of a description: a new version of each that is new or was changed.
    ///
    /// # Errors
    /// As the preview, and `Conflict` for an identifier that belongs to another.
    pub async fn import_api(
        &self,
        who: &Principal,
        wanted: NewImport,
    ) -> Result<ImportView, Error> {
        let draft = self.import_draft(who, wanted)?;
        let change = Change::of("api.import", &draft.row.name);
        self.write(who, change, move |tx, change| {
            let view = planned(tx.view(), &draft)?;
            let owner = Owner::Import(draft.row.name.clone());
            let wanted: BTreeSet<String> =
                draft.activities.iter().map(|row| row.identifier.clone()).collect();
            for row in tx.view().activities_of(&owner)? {
                if row.is_offered() && !wanted.contains(&row.identifier) {
                    tx.put_custom_activity(&CustomActivity { ended: Some(Ended::Retired), ..row });
                }
            }
            for row in draft.activities {
                add_version(tx, row)?;
            }
            change.before(&tx.view().api_import(&draft.row.name)?);
            let row = ApiImportRow { imported_at: tx.now(), ..draft.row };
            tx.put_api_import(&row);
            change.after(&row);
            Ok(view)
        })
        .await
    }

    /// Takes the activities of an import back: what was written before still calls them, and
    /// nothing new may name them.
    ///
    /// # Errors
    /// `NotFound` when there is no such import.
    pub async fn remove_import(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(who, Change::of("api.remove", &name), move |tx, change| {
            let unknown = || Error::NotFound { what: "import", id: name.clone() };
            change.before(&tx.view().api_import(&name)?.ok_or_else(unknown)?);
            for row in tx.view().activities_of(&Owner::Import(name.clone()))? {
                if row.is_offered() {
                    tx.put_custom_activity(&CustomActivity { ended: Some(Ended::Retired), ..row });
                }
            }
            tx.remove_api_import(&name);
            Ok(())
        })
        .await
    }

    /// Lists the imports by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn imports(&self, who: &Principal) -> Result<Vec<ImportSummary>, Error> {
        let rows = self.read(who, |view| Ok(view.api_imports()?))?;
        let shown = |row: ApiImportRow| ImportSummary {
            name: row.name,
            title: row.title,
            base_url: row.base_url,
            connection: row.connection,
            strict: row.answers == Answers::Strict,
            activities: row.activities,
            imported_at: row.imported_at,
            imported_by: row.imported_by,
        };
        Ok(rows.into_iter().map(shown).collect())
    }

    fn import_draft(&self, who: &Principal, wanted: NewImport) -> Result<Draft, Error> {
        let mut problems: Vec<Problem> = name_problem(&wanted.name).into_iter().collect();
        let api = match self.described(&wanted.description) {
            Ok(api) => api,
            Err(more) => {
                problems.extend(more);
                return Err(Error::Invalid(problems));
            }
        };
        let base_url = base_of(wanted.base_url.as_deref(), &api);
        let base_url = base_url.map_err(|problem| problems.push(problem)).ok();
        if let Some(name) = &wanted.connection {
            let row = self.read(who, |view| Ok(view.connection(name)?))?;
            problems.extend(connection_problem(name, row.map(|row| row.app).as_deref()));
        }
        problems.extend(choice_problems(wanted.operations.as_deref(), &api.operations));
        let (Some(base_url), true) = (base_url, problems.is_empty()) else {
            return Err(Error::Invalid(problems));
        };
        let is_wanted = |operation: &Operation| {
            wanted.operations.as_ref().is_none_or(|chosen| chosen.contains(&operation.id))
        };
        let title = if api.title.is_empty() { wanted.name.clone() } else { api.title };
        let mut row = ApiImportRow {
            name: wanted.name,
            title,
            base_url,
            connection: wanted.connection,
            answers: wanted.answers,
            operations: wanted.operations.clone(),
            activities: 0,
            imported_at: Timestamp::default(),
            imported_by: who.email.clone().unwrap_or_else(|| who.name.clone()),
        };
        let chosen = api.operations.into_iter().filter(is_wanted);
        let activities: Vec<_> = chosen.map(|operation| activity(&row, operation)).collect();
        row.activities = activities.len();
        Ok(Draft { row, activities, left_out: api.left_out, notes: api.notes })
    }

    fn described(&self, description: &Description) -> Result<Api, Vec<Problem>> {
        let settings = self.intake();
        let bytes_max = settings.api_bytes_max;
        let limits = Limits {
            operations_max: settings.api_operations_max,
            depth_max: settings.api_schema_depth_max,
            definitions_max: settings.api_definitions_max,
        };
        let (document, field) = match description {
            Description::Document(document) => {
                let bytes = document.to_string().len();
                if bytes > bytes_max {
                    let detail =
                        format!("the document has {bytes} bytes, the limit is {bytes_max}");
                    return Err(vec![Problem::new("/document", "too_large", detail)]);
                }
                (document.clone(), "/document")
            }
            Description::Text(text) => {
                let is_json = text.trim_start().starts_with('{');
                let format = if is_json { Format::Json } else { Format::Yaml };
                let limits = TextLimits { bytes_max, depth_max: DEPTH_MAX };
                let read = parse_text(text, format, limits).map_err(|problem| vec![problem]);
                (read.map_err(|all| within("/text", all))?, "/text")
            }
        };
        openapi::read(&document, &limits).map_err(|problems| within(field, problems))
    }
}

/// Places in a description are told as places in the request.
fn within(field: &str, problems: Vec<Problem>) -> Vec<Problem> {
    let place =
        |problem: Problem| Problem { pointer: format!("{field}{}", problem.pointer), ..problem };
    problems.into_iter().map(place).collect()
}

fn name_problem(name: &str) -> Option<Problem> {
    let is_fine = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_'
    };
    let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    if begins && name.len() <= NAME_CHARS_MAX && name.chars().all(is_fine) {
        return None;
    }
    let detail = format!(
        "must be at most {NAME_CHARS_MAX} small letters, digits, hyphens and underscores, and \
         begin with a letter"
    );
    Some(Problem::new("/name", "invalid_name", detail))
}

/// Returns where the API is: as told, else at the first server with a whole address.
fn base_of(given: Option<&str>, api: &Api) -> Result<Url, Problem> {
    let read = |text: &str| {
        let url = Url::parse(text.trim()).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        (is_plain && is_web).then_some(url)
    };
    if let Some(given) = given {
        let detail = "must be an address such as https://api.example.com/v1";
        return read(given).ok_or_else(|| Problem::new("/baseUrl", "invalid_url", detail));
    }
    api.servers.iter().find_map(|server| read(server)).ok_or_else(|| {
        let detail = "the description does not say where the API is";
        let problem = Problem::new("/baseUrl", "required", detail);
        problem.with_hint("give `baseUrl`, such as https://api.example.com/v1")
    })
}

fn connection_problem(name: &str, app: Option<&str>) -> Option<Problem> {
    let (code, detail) = match app {
        Some("http") => return None,
        Some(app) => ("wrong_app", format!("`{name}` is a connection of the app `{app}`")),
        None => ("unknown_connection", format!("there is no connection `{name}`")),
    };
    let hint = "make one of the app `http` with POST /v1/connections";
    Some(Problem::new("/connection", code, detail).with_hint(hint))
}

fn choice_problems(chosen: Option<&[String]>, known: &[Operation]) -> Vec<Problem> {
    let chosen = chosen.unwrap_or_default().iter().enumerate();
    chosen
        .filter(|(_, id)| !known.iter().any(|operation| operation.id == **id))
        .map(|(index, id)| {
            let detail = format!("there is no operation `{id}` that can be called");
            let at = format!("/operations/{index}");
            let problem = Problem::new(at, "unknown_operation", detail);
            match nearest(id, known.iter().map(|operation| operation.id.as_str())) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
        .collect()
}

fn activity(import: &ApiImportRow, operation: Operation) -> CustomActivity {
    let changes = !matches!(operation.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    CustomActivity {
        identifier: format!("{}.{}", import.name, operation.id),
        alias: None,
        version: 1,
        name: operation.summary.clone(),
        category: import.name.clone(),
        source: import.title.clone(),
        description: operation.description.clone(),
        input_schema: operation.input_schema.clone(),
        output_schema: operation.output_schema.clone(),
        scopes: Vec::new(),
        compensation: if changes { Compensation::Manual } else { Compensation::NotNeeded },
        timeout_ms: TIMEOUT_MS,
        retry: Retry::DEFAULT,
        throttle: None,
        carrier: Carrier::Api(Box::new(ApiOperation {
            base_url: import.base_url.clone(),
            connection: import.connection.clone(),
            answers: import.answers,
            operation,
        })),
        owner: Owner::Import(import.name.clone()),
        offered_at: Timestamp::default(),
        ended: None,
    }
}

/// Compares an import with what is there.
fn planned(view: TenantView<'_>, draft: &Draft) -> Result<ImportView, Error> {
    let owner = Owner::Import(draft.row.name.clone());
    let mut newest: BTreeMap<String, CustomActivity> = BTreeMap::new();
    for row in view.activities_of(&owner)? {
        newest.insert(row.identifier.clone(), row);
    }
    let (mut added, mut changed, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for row in &draft.activities {
        let identifier = row.identifier.clone();
        match newest.remove(&identifier).filter(CustomActivity::is_offered) {
            None => added.push(identifier),
            Some(known) if compared(row, &known) == Registered::Unchanged => {
                unchanged.push(identifier);
            }
            Some(_) => changed.push(identifier),
        }
    }
    let removed: Vec<String> =
        newest.into_values().filter(CustomActivity::is_offered).map(|row| row.identifier).collect();
    let removed = used(view, removed)?;
    Ok(ImportView {
        name: draft.row.name.clone(),
        title: draft.row.title.clone(),
        base_url: draft.row.base_url.clone(),
        connection: draft.row.connection.clone(),
        added,
        changed,
        unchanged,
        removed,
        left_out: draft.left_out.clone(),
        notes: draft.notes.clone(),
    })
}

fn compared(row: &CustomActivity, known: &CustomActivity) -> Registered {
    let same = CustomActivity { version: row.version, offered_at: row.offered_at, ..known.clone() };
    if same == *row { Registered::Unchanged } else { Registered::New }
}

/// Tells which workflows call what is removed.
fn used(view: TenantView<'_>, removed: Vec<String>) -> Result<Vec<RemovedView>, Error> {
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in view.workflows()? {
        let Some(version) = view.version(&row.name, row.version)? else { continue };
        let Ok(workflow) = Engine::compile(&version) else { continue };
        for step in workflow.all_steps() {
            if let Action::Call { activity, .. } = &step.action {
                users.entry(activity.clone()).or_default().insert(row.name.clone());
            }
            if let Undo::Call { activity, .. } = &step.compensate {
                users.entry(activity.clone()).or_default().insert(row.name.clone());
            }
        }
    }
    let shown = |identifier: String| RemovedView {
        used_by: users.get(&identifier).into_iter().flatten().cloned().collect(),
        unique_identifier: identifier,
    };
    Ok(removed.into_iter().map(shown).collect())
}

/// Shows a list that is answered whole.
#[must_use]
pub fn listed(imports: &[ImportSummary]) -> Value {
    json!({ "data": imports, "nextCursor": null })
}
