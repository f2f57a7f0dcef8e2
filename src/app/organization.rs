//! The organization: the tenant as its own workflows see it, from its beginning to its end.

use serde_json::{Map, Value, json};

use super::App;
use super::desk::{Precondition, Record, tag_of};
use super::error::Error;
use super::events::actor;
use super::principal::Principal;
use super::tenants::TenantView;
use crate::activities::desk::{Desk, DeskError};
use crate::domain::desk::{RecordKind, joined};
use crate::domain::id::TenantId;
use crate::store::access::{APPLIANCE, TenantRow};

/// Who says what the platform's own records do.
const SOURCE: &str = "ergane";
const KIND: RecordKind = RecordKind::Organization;

impl App {
    /// Returns the caller's organization.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn organization(&self, who: &Principal) -> Result<Record, Error> {
        let id = who.tenant.to_string();
        if let Some(record) = self.read(who, |view| Ok(view.record(KIND, &id)?))? {
            return Ok(record);
        }
        // A tenant that nobody has described yet is what its row says.
        let tenant = self.tenant(who.tenant)?;
        let mut record: Record =
            KIND.fields().iter().map(|field| (field.name.to_owned(), Value::Null)).collect();
        record.extend(described(&tenant));
        record.insert("id".to_owned(), json!(id));
        record.insert("status".to_owned(), json!("ACTIVE"));
        for name in ["settings", "metadata"] {
            record.insert(name.to_owned(), json!({}));
        }
        for name in ["createdAt", "updatedAt"] {
            record.insert(name.to_owned(), json!(tenant.created_at));
        }
        Ok(record)
    }

    /// Changes the fields of the caller's organization that `patch` gives; null clears one.
    ///
    /// # Errors
    /// `Stale` for another version, `Invalid` with every problem.
    pub async fn update_organization(
        &self,
        who: &Principal,
        patch: Record,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        precondition.check(&tag_of(&self.organization(who)?))?;
        let (id, tenant) = (who.tenant.to_string(), self.tenant(who.tenant)?);
        let input = described(&tenant);
        let changed = self
            .change(who, move |desk| {
                if desk.view().record(KIND, &id)?.is_none() {
                    desk.create(KIND, &input)?;
                }
                Ok(desk.update(KIND, &id, &patch)?)
            })
            .await?;
        match changed.get("name").and_then(Value::as_str) {
            Some(name) if name != tenant.name => self.rename_tenant(who.tenant, name).await?,
            _ => {} // The lists of tenants show the right name already.
        }
        Ok(changed)
    }

    /// Describes a tenant to itself: the organization was made, and its maker joined. Where the
    /// appliance made it for itself, at the first start, there is no maker to tell of.
    pub(super) async fn found_organization(
        &self,
        who: &Principal,
        tenant: &TenantView,
    ) -> Result<(), Error> {
        let caller = self.engine().activities().caller(actor(who), None);
        let input = described(tenant);
        let is_own = who.tenant == APPLIANCE;
        let maker = json!({
            "id": who.id, "name": who.name, "email": null, "userType": "ORG_ADMIN",
            "status": "ACTIVE", "roles": ["owner"],
        });
        let maker = maker.as_object().cloned().unwrap_or_default();
        self.write_of(tenant.id, move |tx| {
            let mut desk = Desk::new(tx, &caller);
            let organization = desk.create(KIND, &input)?;
            desk.publish(SOURCE, joined(&organization, &maker));
            if is_own {
                drop(tx.take_emitted());
            }
            Ok::<_, Error>(())
        })
        .await
    }

    /// Closes a tenant: its workflows hear of it, its keys end, and nobody enters it again. What it
    /// kept stays in the file.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for an unknown tenant,
    /// `Conflict` for the first tenant, which the appliance itself lives in.
    pub async fn close_tenant(&self, who: &Principal, slug: &str) -> Result<(), Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let first = rows.iter().map(|row| row.id).min();
        let row = rows.into_iter().find(|row| row.slug == slug && row.deleted_at.is_none());
        let missing = || Error::NotFound { what: "tenant", id: slug.to_owned() };
        let row = row.ok_or_else(missing)?;
        if Some(row.id) == first {
            let detail = "the first tenant stays; the appliance belongs to it".to_owned();
            return Err(Error::Conflict { code: "protected", detail });
        }
        self.tell_of_the_end(who, row.id).await?;
        let now = self.now();
        self.write_of(APPLIANCE, move |tx| {
            for key in tx.view().keys()?.iter().filter(|key| key.tenant == row.id) {
                tx.remove_key(&key.digest);
            }
            tx.put_tenant(&TenantRow { deleted_at: Some(now), ..row });
            Ok::<_, Error>(())
        })
        .await?;
        self.keys.forget();
        Ok(())
    }

    async fn tell_of_the_end(&self, who: &Principal, tenant: TenantId) -> Result<(), Error> {
        let caller = self.engine().activities().caller(actor(who), None);
        self.write_of(tenant, move |tx| {
            match Desk::new(tx, &caller).remove(KIND, &tenant.to_string()) {
                // A tenant that nobody had described, or whose end was told before.
                Ok(_) | Err(DeskError::NotFound { .. }) => Ok(()),
                Err(error) => Err(Error::from(error)),
            }
        })
        .await
    }

    async fn rename_tenant(&self, id: TenantId, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write_of(APPLIANCE, move |tx| {
            let row = tx.view().tenants()?.into_iter().find(|row| row.id == id);
            if let Some(row) = row {
                tx.put_tenant(&TenantRow { name, ..row });
            }
            Ok(())
        })
        .await
    }
}

fn described(tenant: &TenantView) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), json!(tenant.name)),
        ("subdomain".to_owned(), json!(tenant.slug)),
        ("plan".to_owned(), json!("self-hosted")),
    ])
}
