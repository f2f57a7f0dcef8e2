//! The pause of a restored appliance, and its end.

use serde::Serialize;
use serde_json::json;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::backup::pause::PauseRow;

/// Since when nothing goes on by itself, and but for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseView {
    /// When the store was restored.
    pub since: Timestamp,
    /// The moment that it shows.
    pub shows: Timestamp,
    /// Why it is paused, for a person.
    pub reason: String,
    /// The tenants that go on all the same.
    pub tenants: Vec<String>,
    /// The runs that go on all the same.
    pub runs: Vec<RunId>,
}

/// What shall go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Everything.
    Everything,
    /// A tenant, by its name in commands.
    Tenant(String),
    /// A run.
    Run(RunId),
}

impl App {
    /// Returns why the appliance is paused; `None` when it is not.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn pause(&self) -> Result<Option<PauseView>, Error> {
        self.engine().pause().map(|row| self.shown_pause(row)).transpose()
    }

    /// Returns, for a person who acts in a tenant, why it is paused; `None` when it is not.
    #[must_use]
    pub fn pause_of(&self, tenant: TenantId) -> Option<String> {
        if !self.engine().rests(tenant) {
            return None;
        }
        self.engine().pause().map(|row| row.reason)
    }

    /// Lets a restored appliance, a tenant or a run of it go on; returns what is still paused.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for a tenant that does not
    /// exist, `Conflict` when nothing is paused.
    pub async fn resume(
        &self,
        who: &Principal,
        resumed: Resumed,
    ) -> Result<Option<PauseView>, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let target = match &resumed {
            Resumed::Everything => "*".to_owned(),
            Resumed::Tenant(slug) => slug.clone(),
            Resumed::Run(run) => run.to_string(),
        };
        let tenant = match &resumed {
            Resumed::Tenant(slug) => Some(
                self.tenant_by_slug(slug)?
                    .ok_or_else(|| Error::NotFound { what: "tenant", id: slug.clone() })?,
            ),
            Resumed::Everything | Resumed::Run(_) => None,
        };
        let change = Change::of("system.resume", target);
        let row = self
            .write_access(who, change, move |tx, change| {
                let Some(mut row) = tx.view().pause()? else {
                    let detail = "nothing is paused".to_owned();
                    return Err(Error::Conflict { code: "not_paused", detail });
                };
                change.before(&json!({ "paused": row.reason }));
                change.after(&json!({ "paused": null }));
                match (resumed, tenant) {
                    (Resumed::Run(run), _) => drop(row.runs.insert(run)),
                    (_, Some(tenant)) => drop(row.tenants.insert(tenant)),
                    (_, None) => {
                        tx.remove_pause();
                        return Ok(None);
                    }
                }
                tx.put_pause(&row);
                Ok(Some(row))
            })
            .await?;
        self.engine().go_on(row.clone());
        row.map(|row| self.shown_pause(row)).transpose()
    }

    fn shown_pause(&self, row: PauseRow) -> Result<PauseView, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let goes_on = tenants.into_iter().filter(|tenant| row.tenants.contains(&tenant.id));
        Ok(PauseView {
            since: row.since,
            shows: row.shows,
            tenants: goes_on.map(|tenant| tenant.slug).collect(),
            runs: row.runs.into_iter().collect(),
            reason: row.reason,
        })
    }
}
