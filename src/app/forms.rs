//! Hosted forms: made, changed, listed, removed, and filled in by anybody.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::events::{AcceptedEvent, EventOutcome, IncomingEvent};
use super::page::PageRequest;
use super::principal::{Principal, Scopes};
use super::views::Page;
use crate::domain::event::Actor;
use crate::domain::event_type;
use crate::domain::form::Form;
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::forms::FormRow;

/// The type of the event that a submission makes unless the form says another.
pub const EVENT_TYPE: &str = "form:submitted";
const NAME_CHARS_MAX: usize = 64;
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
const FORMS_MAX: usize = 500;

/// A form as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FormView {
    /// Its name in its address.
    pub name: String,
    /// What stands above it.
    pub title: String,
    /// What stands below that.
    pub description: String,
    /// JSON Schema of its values.
    pub schema: Value,
    /// The type of the event that a submission makes.
    pub event_type: String,
    /// The team that it is for.
    pub team_id: Option<String>,
    /// What is said to whoever has sent it.
    pub thanks: String,
    /// The path of its page.
    pub path: String,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A form that is to be put.
#[derive(Clone, Debug)]
pub struct NewForm {
    /// Its name in its address.
    pub name: String,
    /// What stands above it; the name when empty.
    pub title: String,
    /// What stands below that.
    pub description: String,
    /// JSON Schema of its values.
    pub schema: Value,
    /// The type of the event; `form:submitted` when `None`.
    pub event_type: Option<String>,
    /// The team that it is for.
    pub team_id: Option<String>,
    /// What is said to whoever has sent it.
    pub thanks: String,
}

/// Whether a form may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It must be new.
    Free,
    /// One that is there is replaced.
    Any,
}

/// A form on its page.
#[derive(Debug)]
pub struct OpenForm {
    tenant: TenantId,
    row: FormRow,
    /// Its fields.
    pub form: Form,
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submission {
    /// It is durable.
    Accepted(AcceptedEvent),
    /// By field, what is wrong; what concerns none is under `""`.
    Wrong(BTreeMap<String, String>),
}

impl OpenForm {
    /// Returns what stands above the form.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.row.title
    }

    /// Returns what stands below the title.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.row.description
    }

    /// Returns what is said to whoever has sent it.
    #[must_use]
    pub fn thanks(&self) -> &str {
        &self.row.thanks
    }
}

impl App {
    /// Lists the forms of the caller's tenant by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn forms(&self, who: &Principal, page: &PageRequest) -> Result<Page<FormView>, Error> {
        let slug = self.tenant(who.tenant)?.slug;
        let rows = self.read(who, |view| Ok(view.forms()?))?;
        Ok(page.cut(rows, |row: &FormRow| row.name.clone()).map(|row| shown(row, &slug)))
    }

    /// Returns one form.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn form(&self, who: &Principal, name: &str) -> Result<FormView, Error> {
        let slug = self.tenant(who.tenant)?.slug;
        let row = self.read(who, |view| Ok(view.form(name)?))?;
        let row = row.ok_or_else(|| Error::NotFound { what: "form", id: name.to_owned() })?;
        Ok(shown(row, &slug))
    }

    /// Puts a form in place.
    ///
    /// # Errors
    /// `Invalid` for a name or schema that makes no form, `Conflict` when it is to be new and is not.
    pub async fn put_form(
        &self,
        who: &Principal,
        wanted: NewForm,
        place: Place,
    ) -> Result<FormView, Error> {
        wanted.check()?;
        let slug = self.tenant(who.tenant)?.slug;
        let row = self
            .write(who, move |tx| {
                let before = tx.view().form(&wanted.name)?;
                if before.is_some() && place == Place::Free {
                    let detail = format!("there is a form `{}` already", wanted.name);
                    return Err(Error::Conflict { code: "form_exists", detail });
                }
                if before.is_none() && tx.view().forms()?.len() >= FORMS_MAX {
                    let detail = format!("a tenant has at most {FORMS_MAX} forms");
                    return Err(Error::Conflict { code: "too_many_forms", detail });
                }
                let row = wanted.row(before.as_ref(), tx.now());
                tx.put_form(&row);
                Ok(row)
            })
            .await?;
        Ok(shown(row, &slug))
    }

    /// Removes a form.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn remove_form(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(who, move |tx| {
            if tx.view().form(&name)?.is_none() {
                return Err(Error::NotFound { what: "form", id: name });
            }
            tx.remove_form(&name);
            Ok(())
        })
        .await
    }

    /// Opens the page of a form, which anybody may.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant or form.
    pub fn open_form(&self, slug: &str, name: &str) -> Result<OpenForm, Error> {
        let missing = || Error::NotFound { what: "form", id: format!("{slug}/{name}") };
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let tenant = tenants.into_iter().find(|tenant| tenant.slug == slug);
        let tenant = tenant.ok_or_else(missing)?.id;
        let row = self.read_of(tenant, |view| Ok(view.form(name)?))?.ok_or_else(missing)?;
        let form = Form::read(&row.schema).map_err(Error::Invalid)?;
        Ok(OpenForm { tenant, row, form })
    }

    /// Takes what somebody filled in; `id` is the same when the same page is sent again.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was accepted; what is wrong with it is no error.
    pub async fn submit_form(
        &self,
        open: &OpenForm,
        values: Map<String, Value>,
        id: Option<String>,
    ) -> Result<Submission, Error> {
        let wrong = open.form.problems(&values);
        if !wrong.is_empty() {
            return Ok(Submission::Wrong(wrong));
        }
        let who = Principal {
            tenant: open.tenant,
            id: format!("form:{}", open.row.name),
            name: open.row.title.clone(),
            scopes: Scopes::new(vec!["events:write".to_owned()]),
        };
        let event = self.submission(open, values, id);
        let outcomes = self.accept_events(&who, vec![event]).await?;
        Ok(match outcomes.into_iter().next() {
            Some(EventOutcome::Accepted(accepted)) => {
                self.engine().metrics().hook_delivered(&who.id, "accepted");
                Submission::Accepted(accepted)
            }
            Some(EventOutcome::Rejected(problems)) => {
                self.engine().metrics().hook_delivered(&who.id, "rejected");
                tracing::warn!(
                    form = open.row.name, tenant = %open.tenant,
                    "A form's event breaks the schema of its type: {problems:?}"
                );
                let told = "This form cannot be taken at the moment; its owner was told.";
                Submission::Wrong(BTreeMap::from([(String::new(), told.to_owned())]))
            }
            None => Submission::Wrong(BTreeMap::new()),
        })
    }

    fn submission(
        &self,
        open: &OpenForm,
        values: Map<String, Value>,
        id: Option<String>,
    ) -> IncomingEvent {
        let row = &open.row;
        let email = open.form.email(&values).unwrap_or_default().to_owned();
        let mut payload = json!({
            "form": { "name": row.name, "title": row.title },
            "values": values,
            "submittedAt": self.now(),
        });
        if let Some(team) = &row.team_id {
            payload["teamId"] = json!(team);
        }
        let actor = Actor { id: format!("form:{}", row.name), kind: "CUSTOMER".to_owned(), email };
        IncomingEvent {
            id,
            kind: row.event_type.clone(),
            source: format!("/forms/{}", row.name),
            subject: Some(row.name.clone()),
            time: None,
            actor: Some(actor),
            payload,
            metadata: Map::new(),
        }
    }
}

impl NewForm {
    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > NAME_CHARS_MAX || !self.name.chars().all(fits)
        {
            let detail = "must have 1 to 64 letters, digits, `-` and `_`";
            problems.push(Problem::new("/name", "invalid_name", detail));
        }
        if self.schema.to_string().len() > SCHEMA_BYTES_MAX {
            let detail = format!("has more than {SCHEMA_BYTES_MAX} bytes of JSON");
            problems.push(Problem::new("/schema", "too_long", detail));
        }
        if let Some(kind) = &self.event_type {
            let known = event_type::find(kind);
            let is_ours = known.is_some_and(|known| known.source != "form");
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
            if is_ours {
                let detail = format!("`{kind}` is an event of the platform, which no form makes");
                problems.push(Problem::new("/eventType", "reserved_type", detail));
            } else if kind.is_empty() || !kind.chars().all(fits) {
                let detail = "must have letters, digits and `_-.:/`";
                problems.push(Problem::new("/eventType", "invalid_type", detail));
            }
        }
        problems.extend(Form::read(&self.schema).err().unwrap_or_default());
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }

    fn row(self, before: Option<&FormRow>, now: Timestamp) -> FormRow {
        let title = if self.title.is_empty() { self.name.clone() } else { self.title };
        FormRow {
            name: self.name,
            title,
            description: self.description,
            schema: self.schema,
            event_type: self.event_type.unwrap_or_else(|| EVENT_TYPE.to_owned()),
            team_id: self.team_id,
            thanks: self.thanks,
            version: before.map_or(0, |row| row.version) + 1,
            created_at: before.map_or(now, |row| row.created_at),
            updated_at: now,
        }
    }
}

fn shown(row: FormRow, slug: &str) -> FormView {
    FormView {
        path: format!("/forms/{slug}/{}", row.name),
        name: row.name,
        title: row.title,
        description: row.description,
        schema: row.schema,
        event_type: row.event_type,
        team_id: row.team_id,
        thanks: row.thanks,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
