//! Imports: an export is read piece by piece into a tenant that nobody sees until it is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::super::App;
use super::super::access::digest;
use super::super::audit::Change;
use super::super::error::Error;
use super::super::principal::Principal;
use super::super::tenants::check_slug;
use super::at_home;
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::domain::secret::Secret;
use crate::store::access::{APPLIANCE, KeyRow, TenantRow};
use crate::store::moving::MoveFault;
use crate::store::moving::arrival::{Arrival, Arrived, ArrivedRow};
use crate::store::moving::entry::{Entry, unpack};
use crate::store::moving::frame::{Frame, FrameKind, FrameReader};
use crate::store::moving::manifest::{Manifest, MissingSecret, MovedSecrets, ROWS_FORMAT, Trailer};
use crate::store::moving::passphrase::Lock;
use crate::store::moving::state::{MovingRow, Way};
use crate::store::people::{LinkRow, PersonRow};
use crate::store::tenant::TenantTx;

/// The number of a tenant that is only rehearsed: no row is written under it.
const NOWHERE: TenantId = TenantId(u32::MAX);
const KEY_PREFIX_CHARS: usize = 12;

/// How an export is to be read.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name that the tenant gets; its own without it.
    pub slug: Option<String>,
    /// What its secrets were sealed with.
    pub passphrase: Option<Secret>,
    /// Whether anything is written.
    pub rehearsal: Rehearsal,
    /// What becomes of its API keys.
    pub keys: MovedKeys,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// The file is only checked.
    Dry,
    /// The tenant arrives.
    Real,
}

/// What becomes of a tenant's API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedKeys {
    /// They go on working.
    Same,
    /// Each gets another text; those of installed apps end.
    New,
}

/// What was read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportView {
    /// The name of the tenant here.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// `suspended` until somebody resumes it; `checked` where nothing was written.
    pub state: &'static str,
    /// When it was exported.
    pub exported_at: crate::domain::time::Timestamp,
    /// How many rows there were, by table.
    pub rows: BTreeMap<String, u64>,
    /// How many people it has.
    pub people: usize,
    /// How many API keys it has.
    pub keys: usize,
    /// The secrets that were left out of the export.
    pub missing: Vec<MissingSecret>,
    /// The texts of its keys, where it got others; they are shown this once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_keys: Vec<NewKeyView>,
}

/// A key that got another text.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewKeyView {
    /// Names the key, as before.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Its text.
    pub key: String,
}

/// An export on its way in. One that is dropped before its end leaves nothing behind.
pub struct Import {
    app: App,
    who: Principal,
    options: ImportOptions,
    reader: FrameReader,
    taken: Option<Taken>,
    reservation: Option<Reservation>,
    trailer: Option<Trailer>,
}

struct Taken {
    manifest: Manifest,
    slug: String,
    tenant: TenantId,
    lock: Option<Arc<Lock>>,
    rows: BTreeMap<String, u64>,
    people: Vec<PersonRow>,
    keys: Vec<KeyRow>,
    links: Vec<LinkRow>,
    hooks: Vec<String>,
}

impl App {
    /// Begins to read an export.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance.
    pub fn begin_import(&self, who: &Principal, options: ImportOptions) -> Result<Import, Error> {
        self.check_owner(who)?;
        if let Some(slug) = &options.slug {
            check_slug(slug)?;
        }
        let (app, who, reader) = (self.clone(), at_home(who), FrameReader::default());
        Ok(Import { app, who, options, reader, taken: None, reservation: None, trailer: None })
    }
}

impl Import {
    /// Takes the next piece of the file.
    ///
    /// # Errors
    /// `Invalid` when it is no sound export, `Conflict` when the name is taken.
    pub async fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.reader.feed(piece);
        while let Some(frame) = self.reader.take()? {
            match frame.kind {
                FrameKind::Manifest => self.begin(&frame).await?,
                FrameKind::Rows => self.rows(&frame).await?,
                FrameKind::Trailer => self.end(&frame)?,
            }
        }
        Ok(())
    }

    async fn begin(&mut self, frame: &Frame) -> Result<(), Error> {
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = read(&frame.payload)?;
        if version.format > ROWS_FORMAT {
            return Err(MoveFault::Newer(format!("rows of version {}", version.format)).into());
        }
        let manifest: Manifest = read(&frame.payload)?;
        let lock = self.lock(&manifest).await?;
        let slug = self.options.slug.clone().unwrap_or_else(|| manifest.tenant.slug.clone());
        check_slug(&slug)?;
        let tenant = match self.options.rehearsal {
            Rehearsal::Dry => {
                self.app.read_of(APPLIANCE, |view| is_free(&view.tenants()?, &slug))?;
                NOWHERE
            }
            Rehearsal::Real => {
                let tenant = self.reserve(slug.clone()).await?;
                self.reservation =
                    Some(Reservation { app: self.app.clone(), tenant: Some(tenant) });
                tenant
            }
        };
        let (rows, people, keys, links, hooks) = Default::default();
        let taken = Taken { manifest, slug, tenant, lock, rows, people, keys, links, hooks };
        self.taken = Some(taken);
        Ok(())
    }

    async fn lock(&self, manifest: &Manifest) -> Result<Option<Arc<Lock>>, Error> {
        let MovedSecrets::Sealed(terms) = manifest.secrets.clone() else { return Ok(None) };
        let passphrase = self.options.passphrase.clone().ok_or(MoveFault::PassphraseMissing)?;
        let clock = self.app.clock().clone();
        let made =
            tokio::task::spawn_blocking(move || Lock::reopened(&passphrase, &terms, clock)).await;
        let made = made.map_err(|error| Error::Internal(format!("argon2 broke off: {error}")))?;
        Ok(Some(Arc::new(made?)))
    }

    /// Gives the tenant its number; until it is whole it is known by that alone.
    async fn reserve(&self, slug: String) -> Result<TenantId, Error> {
        let since = self.app.now();
        self.app
            .write_of(APPLIANCE, move |tx| {
                is_free(&tx.view().tenants()?, &slug)?;
                let tenant = tx.view().free_tenant_id()?;
                let way = Way::Arriving;
                let (rows_removed, undo_until) = (0, None);
                tx.put_moving(&MovingRow { tenant, slug, way, since, rows_removed, undo_until });
                Ok(tenant)
            })
            .await
    }

    async fn rows(&mut self, frame: &Frame) -> Result<(), Error> {
        let Some(taken) = &mut self.taken else { return Err(MoveFault::Foreign.into()) };
        let (own, access) = taken.sort(&self.app, unpack(&frame.payload)?)?;
        if self.options.rehearsal == Rehearsal::Dry {
            return Ok(());
        }
        let tenant = taken.tenant;
        if !own.is_empty() {
            let put = move |tx: &mut TenantTx<'_, '_>| {
                put_all(tx, own);
                Ok(())
            };
            self.app.engine().write_closed(tenant, put).await?;
        }
        if !access.is_empty() {
            let put = move |tx: &mut TenantTx<'_, '_>| {
                put_all(tx, access);
                Ok(())
            };
            self.app.write_of(APPLIANCE, put).await?;
        }
        Ok(())
    }

    fn end(&mut self, frame: &Frame) -> Result<(), Error> {
        let Some(taken) = &self.taken else { return Err(MoveFault::Foreign.into()) };
        let trailer: Trailer = read(&frame.payload)?;
        let is_signed = match (&taken.lock, &trailer.signature) {
            (Some(lock), Some(signature)) => lock.believes(&frame.before, signature),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_whole = trailer.frames + 1 == self.reader.count()
            && trailer.rows == taken.rows
            && trailer.sha256 == hex::encode(frame.before);
        if !is_signed || !is_whole {
            let detail = "what it holds is not what its end says".to_owned();
            return Err(MoveFault::Damaged(detail).into());
        }
        self.trailer = Some(trailer);
        Ok(())
    }

    /// Says that there is no more; the tenant becomes visible, suspended.
    ///
    /// # Errors
    /// `Invalid` when the file is not whole, `Unfit` with everything that is taken already: mail
    /// addresses, keys, names of hooks.
    pub async fn finish(mut self) -> Result<ImportView, Error> {
        self.reader.end()?;
        let (Some(trailer), Some(mut taken)) = (self.trailer.take(), self.taken.take()) else {
            return Err(MoveFault::Truncated.into());
        };
        let new_keys = match self.options.keys {
            MovedKeys::Same => Vec::new(),
            MovedKeys::New => taken.exchange_keys(&self.app),
        };
        let view = ImportView {
            slug: taken.slug.clone(),
            name: taken.manifest.tenant.name.clone(),
            state: match self.options.rehearsal {
                Rehearsal::Dry => "checked",
                Rehearsal::Real => "suspended",
            },
            exported_at: taken.manifest.exported_at,
            rows: taken.rows.clone(),
            people: taken.people.len(),
            keys: taken.keys.len(),
            missing: trailer.missing,
            new_keys,
        };
        if self.options.rehearsal == Rehearsal::Dry {
            let conflicts = self.app.read_of(APPLIANCE, |view| taken.conflicts(&view))?;
            return refuse(conflicts).map(|()| view);
        }
        let row = self.appear(taken, view.clone()).await?;
        if let Some(reservation) = &mut self.reservation {
            reservation.tenant = None;
        }
        self.app.known().forget();
        self.app.engine().open_tenant(row).await?;
        Ok(view)
    }

    async fn appear(&self, taken: Taken, shown: ImportView) -> Result<TenantRow, Error> {
        let tenant = taken.tenant;
        for place in [tenant, APPLIANCE] {
            let checked = self.app.read_of(place, |view| Ok(view.check_audit(tenant)?))?;
            if let Err(broken) = checked {
                let detail = format!("record {} of its audit: {}", broken.number, broken.reason);
                return Err(MoveFault::Damaged(detail).into());
            }
        }
        let row = TenantRow {
            id: tenant,
            slug: taken.slug.clone(),
            suspended_at: Some(self.app.now()),
            deleted_at: None,
            ..taken.manifest.tenant.clone()
        };
        let change = Change::of("tenant.import", &taken.slug);
        self.app
            .write_access(&self.who, change, move |tx, change| {
                is_free(&tx.view().tenants()?, &taken.slug)?;
                refuse(taken.conflicts(&tx.view())?)?;
                let arriving = |row: &MovingRow| row.tenant == tenant && row.way == Way::Arriving;
                if !tx.view().moving()?.iter().any(arriving) {
                    let detail = "the import was given up".to_owned();
                    return Err(Error::Conflict { code: "given_up", detail });
                }
                change.after(&serde_json::json!({ "slug": shown.slug, "rows": shown.rows }));
                taken.people.iter().for_each(|row| tx.put_person(row));
                taken.keys.iter().for_each(|row| tx.put_key(row));
                taken.links.iter().for_each(|row| tx.put_link(row));
                taken.hooks.iter().for_each(|name| tx.hold_hook(name, tenant));
                tx.put_tenant(&row);
                tx.remove_moving(tenant);
                Ok(row)
            })
            .await
    }
}

/// A number that is given to a tenant which is not whole yet; what was written under it is removed
/// when it does not become whole.
struct Reservation {
    app: App,
    tenant: Option<TenantId>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant {
            self.app.abandon_aside(tenant);
        }
    }
}

impl Taken {
    /// Puts what belongs to people and keys aside; returns the rows of the tenant and of its audit
    /// in the appliance.
    fn sort(
        &mut self,
        app: &App,
        entries: Vec<Entry>,
    ) -> Result<(Vec<ArrivedRow>, Vec<ArrivedRow>), MoveFault> {
        let lock = self.lock.clone();
        let arrival = Arrival { tenant: self.tenant, sealer: app.sealer(), lock: lock.as_deref() };
        let (mut own, mut access) = (Vec::new(), Vec::new());
        for entry in entries {
            *self.rows.entry(entry.table.name()).or_default() += 1;
            match arrival.row(entry)? {
                Arrived::Own(row) => own.push(row),
                Arrived::Access(row) => access.push(row),
                Arrived::Person(row) => self.people.push(*row),
                Arrived::Key(row) => self.keys.push(*row),
                Arrived::Link(row) => self.links.push(row),
                Arrived::Hook(name) => self.hooks.push(name),
            }
        }
        Ok((own, access))
    }

    fn conflicts(
        &self,
        view: &crate::store::tenant::TenantView<'_>,
    ) -> Result<Vec<Problem>, Error> {
        let mut found = Vec::new();
        for person in &self.people {
            let by_id = view.person(&person.id)?.is_some();
            if by_id || view.person_by_email(&person.email)?.is_some() {
                let detail = format!("`{}` is the mail address of somebody here", person.email);
                found.push(Problem::new("/people", "email_taken", detail));
            }
        }
        for key in &self.keys {
            if view.key(&key.digest)?.is_some() {
                let detail = format!("the key `{}` ({}) is one of a tenant here", key.name, key.id);
                let hint = "remove the tenant that it was exported from, or ask for new keys";
                found.push(Problem::new("/keys", "key_taken", detail).with_hint(hint));
            }
        }
        for name in &self.hooks {
            if view.hook_holder(name)?.is_some() {
                let detail = format!("the hook `{name}` leads to a tenant here");
                found.push(Problem::new("/hooks", "hook_taken", detail));
            }
        }
        Ok(found)
    }

    /// Gives every key another text. The bot of an app is believed by one digest alone, which its
    /// installation holds: it gets a key when it is installed again.
    fn exchange_keys(&mut self, app: &App) -> Vec<NewKeyView> {
        self.keys.retain(|key| key.app.is_none());
        let exchanged = self.keys.iter_mut().map(|row| {
            let key = format!("erg_{}", app.secret());
            row.digest = digest(&key);
            row.prefix = key.chars().take(KEY_PREFIX_CHARS).collect();
            row.last_used_at = None;
            NewKeyView { id: row.id.clone(), name: row.name.clone(), key }
        });
        exchanged.collect()
    }
}

fn put_all(tx: &mut TenantTx<'_, '_>, rows: Vec<ArrivedRow>) {
    for row in rows {
        tx.put_arrived(row);
    }
}

fn is_free(tenants: &[TenantRow], slug: &str) -> Result<(), Error> {
    if tenants.iter().any(|tenant| tenant.slug == slug && tenant.deleted_at.is_none()) {
        let detail = format!("there is a tenant `{slug}` already; give it another name (`as`)");
        return Err(Error::Conflict { code: "tenant_exists", detail });
    }
    Ok(())
}

fn refuse(problems: Vec<Problem>) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let detail = "what the tenant brings along is taken here; nothing was imported".to_owned();
    Err(Error::Unfit { code: "taken", detail, problems })
}

fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(payload).map_err(|error| MoveFault::Damaged(error.to_string()).into())
}
