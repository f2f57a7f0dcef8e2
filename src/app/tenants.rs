//! Tenants: the organisations that share the appliance and nothing else.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, TenantRow};

const SLUG_CHARS_MAX: usize = 63;

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
        let (slug, name, now) = (slug.to_owned(), name.to_owned(), self.now());
        let change = Change::of("tenant.create", slug.as_str());
        let row = self
            .write_access(who, change, move |tx, change| {
                let tenants = tx.view().tenants()?;
                if tenants.iter().any(|tenant| tenant.slug == slug && tenant.deleted_at.is_none()) {
                    let detail = format!("there is a tenant `{slug}` already");
                    return Err(Error::Conflict { code: "tenant_exists", detail });
                }
                let newest = tenants.iter().map(|tenant| tenant.id.0).max().unwrap_or(APPLIANCE.0);
                let row = TenantRow::new(TenantId(newest + 1), &slug, &name, now);
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

fn check_slug(slug: &str) -> Result<(), Error> {
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
    TenantView { id: row.id, slug: row.slug, name: row.name, created_at: row.created_at }
}
