//! Definitions that are being written: kept as they are typed, published when they are ready.

use serde::Serialize;
use serde_json::json;

use super::App;
use super::audit::Change;
use super::definitions::{Definition, Publish, Saved};
use super::desk::Precondition;
use super::error::Error;
use super::principal::Principal;
use super::views::WorkflowView;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::domain::workflow::source;
use crate::store::drafts::DraftRow;

/// How long a note on a version may be, in characters.
pub const NOTE_CHARS_MAX: usize = 500;
/// How long a workflow's name may be, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A definition that is being written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftView {
    /// The workflow's name; there need not be such a workflow yet.
    pub name: String,
    /// The text as it was typed.
    pub text: String,
    /// `yaml` or `json`.
    pub format: &'static str,
    /// Grows each time that it is kept; its entity tag.
    pub revision: u64,
    /// The version that it began with.
    pub base_version: Option<u32>,
    /// Who kept it last.
    pub updated_by: String,
    /// When that was.
    pub updated_at: Timestamp,
}

/// A text that is to be kept.
#[derive(Clone, Debug)]
pub struct DraftText {
    /// The text; it may be wrong, or no definition at all.
    pub text: String,
    /// How it is spelled.
    pub format: Format,
}

/// Which draft a change is meant for.
#[derive(Clone, Debug)]
pub struct DraftLock {
    /// The revisions that the change was made to.
    pub seen: Precondition,
    /// Names the page that sends it; one that kept the draft last may always go on.
    pub hand: String,
}

/// What an editor begins with.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The text of the draft, else of the newest version, else of a first step.
    pub source: DraftText,
    /// The draft, if there is one.
    pub draft: Option<DraftView>,
    /// The workflow as it runs now, if there is one.
    pub live: Option<WorkflowView>,
}

impl Opened {
    /// Returns the draft's revision; 0 where there is none yet.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.draft.as_ref().map_or(0, |draft| draft.revision)
    }
}

impl DraftLock {
    /// Allows any revision.
    #[must_use]
    pub fn any() -> DraftLock {
        DraftLock { seen: Precondition::none(), hand: String::new() }
    }

    fn check(&self, present: Option<&DraftRow>) -> Result<(), Error> {
        let own = present.is_some_and(|row| !self.hand.is_empty() && row.hand == self.hand);
        match own {
            true => Ok(()),
            false => self.seen.check(&present.map_or(0, |row| row.revision).to_string()),
        }
    }
}

impl App {
    /// Returns the draft of a workflow.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn draft_of(&self, who: &Principal, name: &str) -> Result<DraftView, Error> {
        let row = self.read(who, |view| Ok(view.draft(name)?))?;
        row.map(DraftView::from).ok_or_else(|| missing(name))
    }

    /// Lists all drafts by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn drafts(&self, who: &Principal) -> Result<Vec<DraftView>, Error> {
        let rows = self.read(who, |view| Ok(view.drafts()?))?;
        Ok(rows.into_iter().map(DraftView::from).collect())
    }

    /// Returns what an editor of a workflow begins with.
    ///
    /// # Errors
    /// `NotFound` when there is neither such a workflow nor a draft of it.
    pub fn open_definition(&self, who: &Principal, name: &str) -> Result<Opened, Error> {
        let live = match self.workflow(who, name, None) {
            Ok(live) => Some(live),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let draft = self.read(who, |view| Ok(view.draft(name)?))?.map(DraftView::from);
        let source = match (&draft, &live) {
            (Some(draft), _) => DraftText::of(&draft.text, draft.format),
            (None, Some(live)) => {
                let newest = self.workflow_versions(who, &live.name)?;
                let newest = newest.first().map(|view| view.version);
                let text = match self.stored_source(who, &live.name, newest)? {
                    Some(text) => text,
                    None => source::yaml(&live.definition),
                };
                DraftText { text, format: Format::Yaml }
            }
            (None, None) => {
                return Err(Error::NotFound { what: "workflow", id: name.to_owned() });
            }
        };
        Ok(Opened { source, draft, live })
    }

    fn stored_source(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<String>, Error> {
        let Some(version) = version else { return Ok(None) };
        let row = self.read(who, |view| super::workflows::version_of(view, name, version))?;
        Ok(Some(row.source.unwrap_or_else(|| source::yaml(&row.definition))))
    }

    /// Keeps a draft as it is, right or wrong.
    ///
    /// # Errors
    /// `Stale` when somebody else kept another one meanwhile, `TooLarge`, and `Invalid` for what is
    /// no name of a workflow.
    pub async fn keep_draft(
        &self,
        who: &Principal,
        name: &str,
        kept: DraftText,
        lock: DraftLock,
    ) -> Result<DraftView, Error> {
        check_name(name)?;
        self.check_sight(who, name)?;
        let (size, limit) = (kept.text.len() as u64, TextLimits::default().bytes_max as u64);
        if size > limit {
            return Err(Error::TooLarge { what: "the definition", size, limit });
        }
        let (name, by) = (name.to_owned(), who.name.clone());
        let change = Change::of("draft.keep", &name);
        let row = self.write(who, change, move |tx, change| {
            let present = tx.view().draft(&name)?;
            lock.check(present.as_ref())?;
            let live = tx.view().workflow(&name)?.filter(|row| row.deleted_at.is_none());
            // Who writes is told in the audit when that changes, not each time that they stop.
            let told = |row: &DraftRow| json!({"by": row.updated_by, "base": row.base_version});
            change.before(&present.as_ref().map(told));
            let row = DraftRow {
                text: kept.text,
                format: spelled(kept.format).to_owned(),
                revision: revision(tx.now(), present.as_ref()),
                hand: lock.hand,
                base_version: match &present {
                    Some(row) => row.base_version,
                    None => live.map(|row| row.newest),
                },
                updated_by: by,
                updated_at: tx.now(),
                name,
            };
            change.after(&Some(told(&row)));
            tx.put_draft(&row);
            Ok(row)
        });
        Ok(DraftView::from(row.await?))
    }

    /// Throws a draft away.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Stale` when it is another one.
    pub async fn discard_draft(
        &self,
        who: &Principal,
        name: &str,
        lock: DraftLock,
    ) -> Result<(), Error> {
        self.check_sight(who, name)?;
        let name = name.to_owned();
        self.write(who, Change::of("draft.discard", &name), move |tx, _| {
            let present = tx.view().draft(&name)?.ok_or_else(|| missing(&name))?;
            lock.check(Some(&present))?;
            tx.remove_draft(&name);
            Ok(())
        })
        .await
    }

    /// Saves a draft as the version that events start from now on, and throws the draft away; runs
    /// that have begun keep theirs.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Stale` when it is another one, `Invalid` with every problem
    /// of the definition; then the draft stays.
    pub async fn publish_draft(
        &self,
        who: &Principal,
        name: &str,
        lock: DraftLock,
        note: Option<String>,
        publish: Publish,
    ) -> Result<WorkflowView, Error> {
        let row = self.read(who, |view| Ok(view.draft(name)?))?.ok_or_else(|| missing(name))?;
        lock.check(Some(&row))?;
        let note = note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
        let length = note.as_ref().map_or(0, |note| note.chars().count());
        if length > NOTE_CHARS_MAX {
            let detail = format!("is {length} characters long, the limit is {NOTE_CHARS_MAX}");
            return Err(Error::Invalid(vec![Problem::new("/note", "too_long", detail)]));
        }
        let revision = row.revision;
        let definition = DraftView::from(row).definition()?;
        let saved = self.put_workflow(who, name, definition, publish).await?;
        let (Saved::Created(view) | Saved::Changed(view) | Saved::Same(view)) = saved;
        let (name, version) = (view.name.clone(), view.version);
        let change = Change::of("draft.publish", &name);
        self.write(who, change, move |tx, change| {
            change.after(&json!({"version": version, "note": note}));
            if tx.view().draft(&name)?.is_some_and(|row| row.revision == revision) {
                tx.remove_draft(&name);
            }
            if let (Some(note), Some(mut row)) = (note, tx.view().version(&name, version)?) {
                row.note = Some(note);
                tx.put_version(&row);
            }
            Ok(())
        })
        .await?;
        self.workflow(who, &view.name, Some(version))
    }
}

impl DraftText {
    /// Takes a text as `json`, or as YAML.
    #[must_use]
    pub fn of(text: &str, format: &str) -> DraftText {
        let format = if format == "json" { Format::Json } else { Format::Yaml };
        DraftText { text: text.to_owned(), format }
    }

    /// Reads the definition.
    ///
    /// # Errors
    /// Returns why the text cannot be read.
    pub fn definition(&self) -> Result<Definition, Problem> {
        let document = parse_text(&self.text, self.format, TextLimits::default())?;
        let source = (self.format == Format::Yaml).then(|| self.text.clone());
        Ok(Definition { document, source })
    }
}

impl DraftView {
    fn definition(&self) -> Result<Definition, Error> {
        let text = DraftText::of(&self.text, self.format);
        text.definition().map_err(|problem| Error::Invalid(vec![problem]))
    }
}

impl From<DraftRow> for DraftView {
    fn from(row: DraftRow) -> DraftView {
        DraftView {
            format: if row.format == "json" { "json" } else { "yaml" },
            name: row.name,
            text: row.text,
            revision: row.revision,
            base_version: row.base_version,
            updated_by: row.updated_by,
            updated_at: row.updated_at,
        }
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { what: "draft", id: name.to_owned() }
}

/// Returns `yaml` or `json`.
#[must_use]
pub fn spelled(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Yaml => "yaml",
    }
}

/// A draft that follows one that was thrown away is told apart from it by the time.
fn revision(now: Timestamp, present: Option<&DraftRow>) -> u64 {
    let now = u64::try_from(now.millis()).unwrap_or_default();
    now.max(present.map_or(0, |row| row.revision) + 1)
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    let detail = format!("`{name}` is no name: lower case letters, digits and hyphens, 1 to 64");
    Err(Error::Invalid(vec![Problem::new("/name", "invalid_name", detail)]))
}
