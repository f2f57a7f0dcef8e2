//! The versions of a workflow: how each fared, how two differ, and an old one brought back.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::definitions::{Definition, Publish, Saved};
use super::error::Error;
use super::principal::Principal;
use super::views::WorkflowView;
use super::workflows::{present, version_of};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::domain::workflow::diff::{Change, diff};
use crate::domain::workflow::export::to_yaml;
use crate::domain::workflow::source_text::renamed;
use crate::engine::Engine;
use crate::store::runs::RunList;
use crate::store::workflows::VersionRow;

/// In how many of the newest runs of a workflow its versions are counted.
const RUNS_COUNTED_MAX: usize = 2_000;
/// How many copies of one workflow get a name by themselves.
const COPIES_MAX: usize = 1_000;

/// How one version fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRecord {
    /// The version.
    pub version: u32,
    /// How many runs followed it, among the newest 2,000 of the workflow.
    pub runs: u64,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// How many of them failed.
    pub failed: u64,
    /// When the first of them was created.
    pub first_run_at: Option<Timestamp>,
    /// When the last of them was created.
    pub last_run_at: Option<Timestamp>,
}

/// How two versions differ.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionDiff {
    /// The workflow.
    pub workflow: String,
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// The differences of their content, step by step.
    pub changes: Vec<Change>,
    /// The version before as YAML: as it was typed, or made of its content.
    pub before: String,
    /// The version after as YAML.
    pub after: String,
}

impl App {
    /// Returns how the versions of a workflow fared that have runs, the newest first.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow.
    pub fn version_records(
        &self,
        who: &Principal,
        name: &str,
    ) -> Result<Vec<VersionRecord>, Error> {
        self.read(who, |view| {
            let row = present(view, name)?;
            let runs = view.runs_before(RunList::OfWorkflow(&row.name), None, RUNS_COUNTED_MAX)?;
            let mut records: Vec<VersionRecord> = Vec::new();
            for run in runs {
                let head = &run.head;
                let place = records.iter().position(|it| it.version == head.version);
                let place = place.unwrap_or_else(|| {
                    let version = head.version;
                    records.push(VersionRecord { version, ..VersionRecord::default() });
                    records.len() - 1
                });
                let record = &mut records[place];
                record.runs += 1;
                record.succeeded += u64::from(head.status == Status::Succeeded);
                record.failed += u64::from(head.status == Status::Failed);
                record.first_run_at = Some(head.created_at);
                record.last_run_at.get_or_insert(head.created_at);
            }
            records.sort_by_key(|record| std::cmp::Reverse(record.version));
            Ok(records)
        })
    }

    /// Tells how two versions differ; without `from` the one that events start, without `to` the
    /// newest.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version.
    pub fn diff_versions(
        &self,
        who: &Principal,
        name: &str,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<VersionDiff, Error> {
        let (before, after) = self.read(who, |view| {
            let row = present(view, name)?;
            let to = to.unwrap_or(row.newest);
            let usual = if row.version == to { to.saturating_sub(1).max(1) } else { row.version };
            let before = version_of(view, &row.name, from.unwrap_or(usual))?;
            Ok((before, version_of(view, &row.name, to)?))
        })?;
        let (old, new) = (Engine::compile(&before)?, Engine::compile(&after)?);
        Ok(VersionDiff {
            workflow: before.name.clone(),
            from: before.version,
            to: after.version,
            changes: diff(&old, &new),
            before: before.source.unwrap_or_else(|| to_yaml(&old)),
            after: after.source.unwrap_or_else(|| to_yaml(&new)),
        })
    }

    /// Saves an old version again, as the newest.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or version, `Invalid` for one that may no longer be saved
    /// because what it calls is gone.
    pub async fn restore_version(
        &self,
        who: &Principal,
        name: &str,
        version: u32,
        publish: Publish,
    ) -> Result<Saved, Error> {
        let row = self.saved_version(who, name, Some(version))?;
        let name = row.name.clone();
        let definition = Definition { document: row.definition, source: row.source };
        self.put_workflow(who, &name, definition, publish).await
    }

    /// Saves the newest version of a workflow under another name, as a draft.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, `Conflict` for a name that is taken.
    pub async fn duplicate_workflow(
        &self,
        who: &Principal,
        name: &str,
        copy: Option<&str>,
    ) -> Result<WorkflowView, Error> {
        let row = self.saved_version(who, name, None)?;
        let copy = match copy {
            Some(copy) => copy.to_owned(),
            None => self.free_name(who, &format!("{}-copy", row.name))?,
        };
        let mut document = row.definition;
        document["name"] = json!(copy);
        let title = document["title"].as_str().filter(|title| !title.is_empty());
        if let Some(title) = title.filter(|_| row.source.is_none()) {
            document["title"] = json!(format!("{title} (copy)"));
        }
        let definition = renamed_definition(document, row.source.as_deref(), &copy);
        self.create_workflow(who, definition, Publish::Draft).await
    }

    /// Returns `wanted`, or that with the first number behind it that is free.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub(super) fn free_name(&self, who: &Principal, wanted: &str) -> Result<String, Error> {
        self.read(who, |view| {
            let numbered = (2..COPIES_MAX).map(|number| format!("{wanted}-{number}"));
            for name in std::iter::once(wanted.to_owned()).chain(numbered) {
                if view.workflow(&name)?.is_none_or(|row| row.deleted_at.is_some()) {
                    return Ok(name);
                }
            }
            Ok(wanted.to_owned())
        })
    }

    /// Returns a version as it was saved; the newest without a number.
    pub(super) fn saved_version(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
    ) -> Result<VersionRow, Error> {
        self.read(who, |view| {
            let row = present(view, name)?;
            version_of(view, &row.name, version.unwrap_or(row.newest))
        })
    }
}

/// Takes the text along where it can be given the name, else the content alone.
pub(super) fn renamed_definition(document: Value, text: Option<&str>, name: &str) -> Definition {
    let source = text.and_then(|text| renamed(text, name));
    let limits = crate::domain::workflow::document::TextLimits::default();
    let format = crate::domain::workflow::document::Format::Yaml;
    let read = source
        .as_deref()
        .map(|text| crate::domain::workflow::document::parse_text(text, format, limits));
    match (read, source) {
        (Some(Ok(document)), Some(source)) => Definition { document, source: Some(source) },
        _ => Definition { document, source: None }, // There is no text, or none that can be edited.
    }
}
