//! The organization: the tenant as its own workflows see it, from its beginning to its end.

use serde_json::{Map, Value, json};

use super::App;
use super::audit::Change;
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
            .change(who, (KIND, Change::of("organization.update", "")), move |desk, change| {
                if desk.view().record(KIND, &id)?.is_none() {
                    desk.create(KIND, &input)?;
                }
                change.before(&desk.get(KIND, &id)?);
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

    /// Tells the workflows of a tenant that it ends.
    pub(super) async fn tell_of_the_end(
        &self,
        who: &Principal,
        tenant: TenantId,
    ) -> Result<(), Error> {
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
