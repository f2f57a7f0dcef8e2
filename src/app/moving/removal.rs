//! Removals: a tenant is nobody's at once, and its rows go in the background, through restarts.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;

use super::super::App;
use super::super::audit::Change;
use super::super::error::Error;
use super::super::principal::Principal;
use super::at_home;
use crate::domain::id::{RunId, TenantId};
use crate::domain::problem::Problem;
use crate::domain::run::{Input, Status};
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::moving::removal::Sweep;
use crate::store::moving::state::{MovingRow, Way};
use crate::store::tenant::TenantView;

/// How many rows one transaction looks at, so that others' work goes between.
const ROWS_AT_ONCE: usize = 500;
/// After how many batches it is noted how far a removal has come.
const NOTED_EVERY: u32 = 16;
/// How often it is looked whether runs that are undone have ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const RUNS_AT_ONCE: usize = 256;
const AUTHOR: &str = "Removal";

/// What becomes of the runs of a tenant that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// They stop where they stand.
    Stop,
    /// What they did is undone first, for so long at most.
    Undo(Duration),
}

/// A removal that goes on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovalView {
    /// The name that the tenant had.
    pub slug: String,
    /// `undoing` or `removing`.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// How many of its rows are gone.
    pub rows_removed: u64,
}

impl App {
    /// Removes a tenant: from now on its keys and people are unknown and it takes no work; its
    /// workflows hear of it, and all that it kept is removed in the background.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for an unknown tenant,
    /// `Invalid` when `confirmation` is not its name, `Conflict` for the first tenant, which the
    /// appliance itself lives in.
    pub async fn remove_tenant(
        &self,
        who: &Principal,
        slug: &str,
        confirmation: Option<&str>,
        farewell: Farewell,
    ) -> Result<RemovalView, Error> {
        let row = self.tenant_to_move(who, slug)?;
        if row.id == self.first_tenant()?.id {
            let detail = "the first tenant stays; the appliance belongs to it".to_owned();
            return Err(Error::Conflict { code: "protected", detail });
        }
        if confirmation != Some(slug) {
            let problem = Problem::new("/confirm", "confirmation_required", "must be its name")
                .with_hint(format!("everything of it is removed for good: confirm={slug}"));
            return Err(Error::Invalid(vec![problem]));
        }
        if let Err(error) = self.tell_of_the_end(who, row.id).await {
            // One that rests, or is damaged, goes all the same.
            tracing::warn!(tenant.slug = %slug, "Its end could not be told of: {error}");
        }
        let now = self.now();
        let moving = MovingRow {
            tenant: row.id,
            slug: slug.to_owned(),
            way: Way::Leaving,
            since: now,
            rows_removed: 0,
            undo_until: match farewell {
                Farewell::Stop => None,
                Farewell::Undo(longest) => Some(now + longest),
            },
        };
        let answer = view(&moving);
        let tenant = row.id;
        self.write_access(&at_home(who), Change::of("tenant.remove", slug), move |tx, _| {
            for session in tx.view().sessions()? {
                let person =
                    session.person.as_deref().map(|id| tx.view().person(id)).transpose()?.flatten();
                let key = session.key_digest.as_deref().map(|it| tx.view().key(it)).transpose()?;
                let key = key.flatten().is_some_and(|key| key.tenant == row.id);
                if key || person.is_some_and(|person| person.tenant == row.id) {
                    tx.remove_session(&session.digest);
                }
            }
            for person in tx.view().people()?.iter().filter(|person| person.tenant == row.id) {
                super::super::links::end_links(tx, &person.id)?;
                tx.remove_person(person);
            }
            for key in tx.view().keys()?.iter().filter(|key| key.tenant == row.id) {
                tx.remove_key(&key.digest);
            }
            for name in tx.view().hooks_of(row.id)? {
                tx.release_hook(&name);
            }
            tx.put_moving(&moving);
            tx.put_tenant(&TenantRow { deleted_at: Some(now), ..row });
            Ok::<_, Error>(())
        })
        .await?;
        self.known().forget();
        if farewell == Farewell::Stop {
            self.engine().close_tenant(tenant).await?;
        }
        self.clear_aside();
        Ok(answer)
    }

    /// Lists the removals that go on; those that are done are in the audit.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance.
    pub fn removals(&self, who: &Principal) -> Result<Vec<RemovalView>, Error> {
        self.check_owner(who)?;
        let rows = self.read_of(APPLIANCE, |view| Ok(view.moving()?))?;
        Ok(rows.iter().filter(|row| row.way == Way::Leaving).map(view).collect())
    }

    /// Removes what an import left that a crash broke off. Called before anything is imported.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn abandon_broken_imports(&self) -> Result<(), Error> {
        self.write_of(APPLIANCE, |tx| {
            for row in tx.view().moving()? {
                tx.put_moving(&MovingRow { way: Way::Leaving, ..row });
            }
            Ok(())
        })
        .await?;
        self.clear_aside();
        Ok(())
    }

    /// Removes what was written of a tenant that does not arrive after all; nobody waits for it.
    pub(super) fn abandon_aside(&self, tenant: TenantId) {
        let app = self.clone();
        tokio::spawn(async move {
            let marked = app.write_of(APPLIANCE, move |tx| {
                let row = tx.view().moving()?.into_iter().find(|row| row.tenant == tenant);
                if let Some(row) = row {
                    tx.put_moving(&MovingRow { way: Way::Leaving, ..row });
                }
                Ok(())
            });
            match marked.await {
                Ok(()) => app.clear_aside(),
                Err(error) => tracing::warn!("An import was not cleared away yet: {error}"),
            }
        });
    }

    /// Goes on with removals; nobody waits for it.
    pub fn clear_aside(&self) {
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = app.clear().await {
                tracing::warn!("A removal goes on later: {error}");
            }
        });
    }

    /// Removes what is to be removed, one tenant after another.
    async fn clear(&self) -> Result<(), Error> {
        // Whoever has it looks again before leaving, so nothing waits for the next time.
        let Ok(_alone) = self.removing.try_lock() else { return Ok(()) };
        loop {
            let rows = self.read_of(APPLIANCE, |view| Ok(view.moving()?))?;
            let Some(row) = rows.into_iter().find(|row| row.way == Way::Leaving) else {
                return Ok(());
            };
            self.undo_runs(&row).await?;
            self.engine().close_tenant(row.tenant).await?;
            let rows = self.sweep(row.clone()).await?;
            self.bury(row, rows).await?;
        }
    }

    /// Cancels every run with its undoing and waits for their ends, as long as was asked for.
    async fn undo_runs(&self, row: &MovingRow) -> Result<(), Error> {
        let Some(until) = row.undo_until else { return Ok(()) };
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let Some(tenant) = tenants.into_iter().find(|it| it.id == row.tenant) else {
            return Ok(());
        };
        // After a restart nobody has opened it, and one that rests undoes nothing.
        let tenant = TenantRow { suspended_at: None, ..tenant };
        self.engine().open_tenant(tenant.clone()).await?;
        self.engine().follow(tenant).await?;
        let mut asked = HashSet::new();
        while self.now() < until && !self.engine().is_stopping() {
            let open = self.read_of(row.tenant, |view| open_runs(&view))?;
            if open.is_empty() {
                return Ok(());
            }
            for run in open {
                if asked.insert(run) {
                    let by = "the removal of the tenant".to_owned();
                    let input = Input::Cancel { by, compensate: true };
                    self.engine().deliver(row.tenant, run, input).await?;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn sweep(&self, mut row: MovingRow) -> Result<u64, Error> {
        let (tenant, mut next, mut batches) = (row.tenant, Some(Sweep::default()), 0_u32);
        while let Some(sweep) = next {
            let swept = self.engine().write_closed(tenant, move |tx| tx.sweep(sweep, ROWS_AT_ONCE));
            let (removed, onwards) = swept.await?;
            row.rows_removed += removed;
            next = onwards;
            batches += 1;
            if batches.is_multiple_of(NOTED_EVERY) {
                let noted = row.clone();
                self.write_of(APPLIANCE, move |tx| {
                    tx.put_moving(&noted);
                    Ok(())
                })
                .await?;
            }
            tokio::task::yield_now().await;
        }
        loop {
            let removed = self
                .write_of(APPLIANCE, move |tx| Ok(tx.sweep_access(tenant, ROWS_AT_ONCE)?))
                .await?;
            row.rows_removed += removed;
            if removed == 0 {
                return Ok(row.rows_removed);
            }
        }
    }

    /// Leaves of a tenant its number, which is never given again, and the record that it is gone.
    async fn bury(&self, row: MovingRow, rows: u64) -> Result<(), Error> {
        let author = Principal::program(self.first_tenant()?.id, AUTHOR);
        let mut change = Change::of("tenant.removed", &row.slug);
        change.after(&serde_json::json!({ "rowsRemoved": rows }));
        let (slug, tenant) = (row.slug.clone(), row.tenant);
        self.write_access(&author, change, move |tx, _| {
            tx.remove_moving(tenant);
            if let Some(known) = tx.view().tenants()?.into_iter().find(|it| it.id == tenant) {
                let grave = TenantRow::new(tenant, "", "", known.created_at);
                tx.put_tenant(&TenantRow { deleted_at: known.deleted_at, ..grave });
            }
            Ok(())
        })
        .await?;
        tracing::info!(tenant.slug = %slug, rows, "Nothing of the tenant is left");
        Ok(())
    }
}

fn open_runs(view: &TenantView<'_>) -> Result<Vec<RunId>, Error> {
    let mut open = Vec::new();
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        open.extend(view.runs_in_status(status, None, RUNS_AT_ONCE)?);
    }
    Ok(open)
}

fn view(row: &MovingRow) -> RemovalView {
    RemovalView {
        slug: row.slug.clone(),
        state: if row.undo_until.is_some() && row.rows_removed == 0 {
            "undoing"
        } else {
            "removing"
        },
        since: row.since,
        rows_removed: row.rows_removed,
    }
}
