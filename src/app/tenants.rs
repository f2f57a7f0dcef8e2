//! Tenants: the organisations that share the appliance and nothing else.

use serde::Serialize;
use serde_json::Map;

use super::App;
use super::audit::Change;
use super::desk::Precondition;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::quota::Quota;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, TenantRow};

const SLUG_CHARS_MAX: usize = 63;
/// As long as the name of the organization, its record inside the tenant.
const NAME_CHARS_MAX: usize = 255;

/// An organisation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    /// Its number.
    pub id: TenantId,
    /// Its name in commands and headers.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is suspended, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
}

/// An organisation, with how much it has.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantDetails {
    /// What lists show.
    #[serde(flatten)]
    pub view: TenantView,
    /// How many people it has.
    pub people: u64,
    /// How many API keys it has.
    pub keys: u64,
    /// How many workflows it has.
    pub workflows: u64,
    /// How many bytes are kept of it, as an estimate.
    pub stored_bytes: u64,
    /// How many of its runs are at work.
    pub active_runs: u64,
    /// How many of its runs wait or queue.
    pub waiting_runs: u64,
    /// How many events it has taken in, those included that are no longer kept.
    pub events: u64,
    /// How many runs it has, in every status.
    pub runs: u64,
    /// Whether the appliance itself lives in it; such a one is neither suspended nor removed.
    pub first: bool,
}

/// Whether a tenant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It takes no new work, its runs rest, its deadlines wait.
    Suspend,
    /// It goes on exactly where it was.
    Resume,
}

impl App {
    /// Returns one tenant.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn tenant(&self, id: TenantId) -> Result<TenantView, Error> {
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let row = rows.into_iter().find(|row| row.id == id);
        row.map(view).ok_or_else(|| Error::NotFound { what: "tenant", id: id.to_string() })
    }

    /// Lists the tenants that the caller may act in.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn tenants(&self, who: &Principal, page: &PageRequest) -> Result<Page<TenantView>, Error> {
        let owner = self.owns_appliance(who)?;
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let is_visible =
            |row: &TenantRow| row.deleted_at.is_none() && (owner || row.id == who.tenant);
        let visible = rows.into_iter().filter(is_visible).collect();
        Ok(page.cut(visible, |row: &TenantRow| format!("{:010}", row.id.0)).map(view))
    }

    /// Returns a tenant that the caller sees: their own, or any where they own the appliance.
    pub(super) fn tenant_row(&self, who: &Principal, slug: &str) -> Result<TenantRow, Error> {
        let owner = self.owns_appliance(who)?;
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let row = rows.into_iter().find(|row| row.slug == slug && row.deleted_at.is_none());
        row.filter(|row| owner || row.id == who.tenant).ok_or_else(|| missing(slug))
    }

    /// Shows a tenant with how much it has.
    ///
    /// # Errors
    /// `NotFound` for a tenant that the caller does not see.
    pub fn tenant_details(&self, who: &Principal, slug: &str) -> Result<TenantDetails, Error> {
        let row = self.tenant_row(who, slug)?;
        let counts = self.counts_of(row.id)?;
        let totals = self.read_of(row.id, |view| Ok(view.totals()?))?;
        Ok(TenantDetails {
            people: counts.of(Quota::People),
            keys: counts.of(Quota::Keys),
            workflows: counts.of(Quota::Workflows),
            stored_bytes: counts.of(Quota::StoredBytes),
            active_runs: counts.of(Quota::ActiveRuns),
            waiting_runs: counts.of(Quota::WaitingRuns),
            events: totals.events,
            runs: totals.runs.iter().sum(),
            first: self.first_tenant()?.id == row.id,
            view: view(row),
        })
    }

    /// Changes what people call a tenant.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` unless the caller owns the appliance, `Invalid` for an empty name.
    pub async fn name_tenant(
        &self,
        who: &Principal,
        slug: &str,
        name: &str,
    ) -> Result<TenantView, Error> {
        check_name(name)?;
        let id = self.tenant_row(who, slug)?.id;
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        // The tenant's own workflows hear of it by the record of their organization.
        let inside = Principal { tenant: id, ..who.clone() };
        let patch = Map::from_iter([("name".to_owned(), name.into())]);
        self.update_organization(&inside, patch, Precondition::none()).await?;
        self.tenant(id)
    }

    /// Suspends a tenant or lets it go on.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` unless the caller owns the appliance, `Conflict` for the first
    /// tenant, which the appliance itself lives in.
    pub async fn rest_tenant(
        &self,
        who: &Principal,
        slug: &str,
        rest: Rest,
    ) -> Result<TenantView, Error> {
        let row = self.tenant_row(who, slug)?;
        if self.owns_appliance(who)? && row.id == self.first_tenant()?.id {
            let detail = "the first tenant goes on; the appliance belongs to it".to_owned();
            return Err(Error::Conflict { code: "protected", detail });
        }
        let (action, now) = match rest {
            Rest::Suspend => ("tenant.suspend", Some(self.now())),
            Rest::Resume => ("tenant.resume", None),
        };
        let row = self
            .alter_tenant(who, (slug, action), move |row| {
                row.suspended_at = now.map(|now| row.suspended_at.unwrap_or(now));
            })
            .await?;
        Ok(view(row))
    }

    /// Makes a tenant and opens it.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `Invalid` for a slug that is none,
    /// `Conflict` for one that is taken.
    pub async fn create_tenant(
        &self,
        who: &Principal,
        slug: &str,
        name: &str,
    ) -> Result<TenantView, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        check_slug(slug)?;
        // Before the tenant is there, since what stands in it is written afterwards.
        check_name(name)?;
        let (slug, name, now) = (slug.to_owned(), name.to_owned(), self.now());
        let change = Change::of("tenant.create", slug.as_str());
        let row = self
            .write_access(who, change, move |tx, change| {
                let tenants = tx.view().tenants()?;
                if tenants.iter().any(|tenant| tenant.slug == slug && tenant.deleted_at.is_none()) {
                    let detail = format!("there is a tenant `{slug}` already");
                    return Err(Error::Conflict { code: "tenant_exists", detail });
                }
                let id = tx.view().free_tenant_id()?;
                let row = TenantRow::new(id, &slug, &name, now);
                tx.put_tenant(&row);
                change.after(&view(row.clone()));
                Ok(row)
            })
            .await?;
        self.engine().open_tenant(row.clone()).await?;
        let tenant = view(row);
        self.found_organization(who, &tenant).await?;
        Ok(tenant)
    }
}

pub(super) fn missing(slug: &str) -> Error {
    Error::NotFound { what: "tenant", id: slug.to_owned() }
}

fn check_name(name: &str) -> Result<(), Error> {
    let chars = name.chars().count();
    if name.trim().is_empty() {
        return Err(Error::Invalid(vec![Problem::new("/name", "empty", "must not be empty")]));
    }
    if chars > NAME_CHARS_MAX {
        let detail =
            format!("has {chars} characters, of which at most {NAME_CHARS_MAX} are allowed");
        return Err(Error::Invalid(vec![Problem::new("/name", "too_long", detail)]));
    }
    Ok(())
}

pub(super) fn check_slug(slug: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if slug.len() <= SLUG_CHARS_MAX
        && slug.chars().all(fits)
        && slug.starts_with(ends)
        && slug.ends_with(ends)
    {
        return Ok(());
    }
    let detail = "must have 1 to 63 lower-case letters, digits and hyphens, no hyphen at the ends";
    Err(Error::Invalid(vec![Problem::new("/slug", "invalid_slug", detail)]))
}

fn view(row: TenantRow) -> TenantView {
    TenantView {
        id: row.id,
        slug: row.slug,
        name: row.name,
        created_at: row.created_at,
        suspended_at: row.suspended_at,
    }
}
