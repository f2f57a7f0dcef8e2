//! Writes an export: every row of a tenant, without its number, and its secrets sealed anew or left
//! out.

use bytes::Bytes;
use serde_json::Value;

use super::super::access::{APPLIANCE, TenantRow};
use super::super::alarms::AlarmKind;
use super::super::audit;
use super::super::family::Row;
use super::super::key::{Key, Prefix};
use super::super::ledger::Reads;
use super::super::seal::{Sealed, Sealer, is_sealed_by};
use super::super::seam::{Direction, Part, Space, StoreError};
use super::super::tasks::TaskRow;
use super::super::tenant::{TenantView, damaged, from_json, to_json};
use super::MoveFault;
use super::entry::{Entry, Table, pack};
use super::frame::{FrameKind, FrameWriter};
use super::manifest::{ABOUT, Manifest, MissingSecret, MovedSecrets, ROWS_FORMAT, Trailer};
use super::passphrase::{Lock, LockTerms};
use super::sealed::{Holder, text};
use crate::domain::desk::RecordKind;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// How many rows are read at once.
const CHUNK: usize = 256;
/// After how many bytes of rows a frame ends; one row may be longer.
const FRAME_BYTES: usize = 512 * 1024;
const TENANT_BYTES: usize = 4;
const DUE_BYTES: usize = 8;
const LEFT_OUT: &str = "its secrets were left out when it was moved; give them again";

/// A tenant that is exported, as it is at one moment.
pub struct Departure<'a> {
    /// The tenant.
    pub tenant: &'a TenantRow,
    /// Where it lives.
    pub part: Part,
    /// The rows of that part.
    pub rows: &'a dyn Reads,
    /// The rows of the appliance.
    pub access: &'a dyn Reads,
    /// Opens its secrets.
    pub sealer: &'a Sealer,
    /// Seals them for the move; without it they are left out.
    pub lock: Option<(Lock, LockTerms)>,
    /// When that is.
    pub at: Timestamp,
}

/// Takes what is written, and says whether anybody still wants more.
pub type Sink<'s> = &'s mut dyn FnMut(Bytes) -> Wanted;

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    More,
    /// Whoever asked has gone.
    Nothing,
}

struct Pen<'s> {
    writer: FrameWriter,
    raw: Vec<u8>,
    trailer: Trailer,
    sink: Sink<'s>,
    wanted: Wanted,
}

impl Pen<'_> {
    fn put(&mut self, entry: &Entry) {
        *self.trailer.rows.entry(entry.table.name()).or_default() += 1;
        entry.write_onto(&mut self.raw);
        if self.raw.len() >= FRAME_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.raw.is_empty() {
            let payload = pack(&std::mem::take(&mut self.raw));
            self.frame(FrameKind::Rows, &payload);
        }
    }

    fn frame(&mut self, kind: FrameKind, payload: &[u8]) {
        let frame = self.writer.frame(kind, payload);
        self.send(frame);
    }

    fn send(&mut self, bytes: Bytes) {
        if self.wanted == Wanted::More {
            self.wanted = (self.sink)(bytes);
        }
    }
}

impl Departure<'_> {
    /// Writes the whole export; it takes as long as whoever takes it.
    ///
    /// # Errors
    /// Fails on a damaged record and on something sealed that does not open.
    pub fn write(&self, sink: Sink<'_>) -> Result<(), MoveFault> {
        let (writer, magic) = FrameWriter::begin();
        let trailer = Trailer::default();
        let mut pen = Pen { writer, raw: Vec::new(), trailer, sink, wanted: Wanted::More };
        pen.send(magic);
        pen.frame(FrameKind::Manifest, &to_json(&self.manifest()));
        for space in Space::ALL {
            self.own_rows(space, &mut pen)?;
        }
        self.origins(self.rows, self.tenant.id, Table::Own(Space::Meta), &mut pen)?;
        self.access_rows(&mut pen)?;
        pen.flush();
        let digest = pen.writer.digest();
        pen.trailer.frames = pen.writer.count();
        pen.trailer.sha256 = hex::encode(digest);
        pen.trailer.signature = self.lock.as_ref().map(|(lock, _)| lock.sign(&digest));
        pen.trailer.missing.sort();
        let trailer = to_json(&pen.trailer);
        pen.frame(FrameKind::Trailer, &trailer);
        Ok(())
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            format: ROWS_FORMAT,
            about: ABOUT.to_owned(),
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            exported_at: self.at,
            tenant: TenantRow {
                id: APPLIANCE,
                suspended_at: None,
                ids_part: Some(self.tenant.ids_part.unwrap_or(self.part)),
                ..self.tenant.clone()
            },
            secrets: match &self.lock {
                Some((_, terms)) => MovedSecrets::Sealed(terms.clone()),
                None => MovedSecrets::LeftOut,
            },
        }
    }

    fn own_rows(&self, space: Space, pen: &mut Pen<'_>) -> Result<(), MoveFault> {
        let tenant = self.tenant.id.0.to_be_bytes();
        let is_by_time = matches!(space, Space::Timer | Space::Cron);
        let prefix = match is_by_time {
            true => Prefix::new(Key::bare()),
            false => Prefix::new(Key::of(self.tenant.id)),
        };
        let at = if is_by_time { DUE_BYTES } else { 0 };
        each(self.rows, space, &prefix, &mut |key, value| {
            if key.get(at..at + TENANT_BYTES) != Some(&tenant[..]) {
                return Ok(pen.wanted); // Another's deadline.
            }
            let bare = [&key[..at], &key[at + TENANT_BYTES..]].concat();
            if let Some(entry) = self.own(space, bare, value, &mut pen.trailer.missing)? {
                pen.put(&entry);
            }
            Ok(pen.wanted)
        })
    }

    fn own(
        &self,
        space: Space,
        mut key: Vec<u8>,
        value: &[u8],
        missing: &mut Vec<MissingSecret>,
    ) -> Result<Option<Entry>, MoveFault> {
        const TASK: u8 = Row::Task as u8;
        const LEASE: u8 = AlarmKind::Lease as u8;
        let table = Table::Own(space);
        let value = match (space, key.first()) {
            (Space::Meta, Some(&audit::ORIGINS)) => return Ok(None), // Written for its own.
            (Space::Meta, Some(&audit::HEAD)) | (Space::Row, Some(&audit::RECORD)) => {
                self.check_own_chain(space, &key)?;
                key[1..9].fill(0);
                value.to_vec()
            }
            // A worker's hold ends with the move: it is looked at as soon as the tenant goes on.
            (Space::Cron, _) if key.get(DUE_BYTES) == Some(&LEASE) => {
                key[..DUE_BYTES].fill(0);
                value.to_vec()
            }
            (Space::Row, Some(&TASK)) => without_lease(&key, value)?,
            (Space::Row, _) if is_organization(&key, self.tenant.id) => {
                key.truncate(2);
                key.push(0);
                with_id(&key, value, "")?
            }
            _ => return self.sealed_or_plain(table, key, value, missing),
        };
        Ok(Some(Entry { table, key, value }))
    }

    /// A chain that tells of another tenant would be given to this one.
    fn check_own_chain(&self, space: Space, key: &[u8]) -> Result<(), MoveFault> {
        let own = u64::from(self.tenant.id.0).to_be_bytes();
        if key.get(1..9) == Some(&own[..]) {
            return Ok(());
        }
        Err(damaged(space, key, "a record of another tenant's audit").into())
    }

    fn sealed_or_plain(
        &self,
        table: Table,
        key: Vec<u8>,
        value: &[u8],
        missing: &mut Vec<MissingSecret>,
    ) -> Result<Option<Entry>, MoveFault> {
        let Some(holder) = Holder::at(table, &key) else {
            if is_sealed_by(self.sealer, value) {
                let reason = "it holds something sealed that an export does not know";
                return Err(damaged(Space::Row, &key, reason).into());
            }
            return Ok(Some(Entry { table, key, value: value.to_vec() }));
        };
        let mut row: Value = from_json(Space::Row, &key, value)?;
        let value = match &self.lock {
            Some((lock, _)) => {
                holder.each(&key, &mut row, &mut |bound, slot| {
                    let sealed: Sealed = serde_json::from_value(slot.take())
                        .map_err(|error| damaged(Space::Row, &key, error))?;
                    let secret = self.sealer.open(bound.place(self.tenant.id), &sealed);
                    let secret = secret.map_err(|error| damaged(Space::Row, &key, error))?;
                    *slot = Value::String(lock.seal(bound.place(self.tenant.id), &secret));
                    Ok::<_, StoreError>(())
                })?;
                to_json(&row)
            }
            None => match self.left_out(holder, &key, row, missing) {
                Some(row) => to_json(&row),
                None => return Ok(None),
            },
        };
        Ok(Some(Entry { table, key, value }))
    }

    /// Takes what is sealed out of a row; `None` for a row that is nothing without it.
    fn left_out(
        &self,
        holder: Holder,
        key: &[u8],
        mut row: Value,
        missing: &mut Vec<MissingSecret>,
    ) -> Option<Value> {
        let mut ids = Vec::new();
        let seen: Result<(), ()> = holder.each(key, &mut row, &mut |bound, _| {
            ids.push(bound.id.clone());
            Ok(())
        });
        if seen.is_err() || ids.is_empty() {
            return Some(row);
        }
        ids.dedup();
        let since = self.at;
        let kind = match holder {
            Holder::Answer => return None, // A repeat of that request is a new one.
            Holder::Secret => "secret",
            Holder::Connection => {
                row["secrets"] = serde_json::json!({});
                row["unauthorized"] = serde_json::json!({ "since": since, "reason": LEFT_OUT });
                "connection"
            }
            Holder::Webhook => {
                row["secrets"] = serde_json::json!([]);
                row["headers"] = Value::Null;
                row["enabled"] = false.into();
                row["disabled"] = serde_json::json!({ "at": since, "reason": LEFT_OUT });
                "webhook"
            }
            Holder::Person => {
                // Without the second factor the password alone would open: a reset sets both anew.
                row["secondFactor"] = serde_json::json!({});
                row["password"] = Value::Null;
                ids = vec![text(&row, "email")];
                "person"
            }
        };
        let named = ids.into_iter().map(|name| MissingSecret { kind: kind.to_owned(), name });
        missing.extend(named);
        (holder != Holder::Secret).then_some(row)
    }

    fn origins(
        &self,
        reads: &dyn Reads,
        home: TenantId,
        table: Table,
        pen: &mut Pen<'_>,
    ) -> Result<(), MoveFault> {
        let origins = TenantView::new(home, reads).audit_origins_to_date(self.tenant.id)?;
        let mut key = vec![audit::ORIGINS];
        key.extend_from_slice(&[0; 8]);
        pen.put(&Entry { table, key, value: to_json(&origins) });
        Ok(())
    }

    fn access_rows(&self, pen: &mut Pen<'_>) -> Result<(), MoveFault> {
        let of = self.tenant.id;
        let view = TenantView::new(APPLIANCE, self.access);
        let records = Prefix::new(audit::record_key(APPLIANCE, of));
        each(self.access, Space::Row, &records, &mut |key, value| {
            let key = key[records.start().len()..].to_vec();
            pen.put(&Entry { table: Table::AccessRecord, key, value: value.to_vec() });
            Ok(pen.wanted)
        })?;
        let head = to_json(&view.audit_head(of)?);
        pen.put(&Entry { table: Table::AccessHead, key: Vec::new(), value: head });
        self.origins(self.access, APPLIANCE, Table::AccessOrigins, pen)?;
        let people = view.people()?.into_iter().filter(|person| person.tenant == of);
        let mut ids = Vec::new();
        for mut person in people {
            let key = person.id.clone().into_bytes();
            person.tenant = APPLIANCE;
            ids.push(person.id.clone());
            let value = to_json(&person);
            let missing = &mut pen.trailer.missing;
            if let Some(entry) = self.sealed_or_plain(Table::Person, key, &value, missing)? {
                pen.put(&entry);
            }
        }
        for mut row in view.keys()?.into_iter().filter(|key| key.tenant == of) {
            row.tenant = APPLIANCE;
            let (key, value) = (row.digest.clone().into_bytes(), to_json(&row));
            pen.put(&Entry { table: Table::Key, key, value });
        }
        for row in view.links()? {
            if row.person.as_ref().is_some_and(|person| ids.contains(person)) {
                let (key, value) = (row.digest.clone().into_bytes(), to_json(&row));
                pen.put(&Entry { table: Table::Link, key, value });
            }
        }
        for name in view.hooks_of(of)? {
            pen.put(&Entry { table: Table::Hook, key: name.into_bytes(), value: Vec::new() });
        }
        Ok(())
    }
}

/// Takes the key and value of a row, and says whether another one is wanted.
type Take<'t> = dyn FnMut(&[u8], &[u8]) -> Result<Wanted, MoveFault> + 't;

/// Reads every row of a prefix, however many there are.
fn each(
    reads: &dyn Reads,
    space: Space,
    prefix: &Prefix,
    take: &mut Take<'_>,
) -> Result<(), MoveFault> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows =
            reads.scan(space, prefix.after(after.as_deref()), Direction::Ascending, CHUNK)?;
        for (key, value) in &rows {
            if take(key, value)? == Wanted::Nothing {
                return Ok(());
            }
        }
        match rows.last() {
            Some((key, _)) if rows.len() == CHUNK => after = Some(key.to_vec()),
            _ => return Ok(()), // The last chunk, or none.
        }
    }
}

fn without_lease(key: &[u8], value: &[u8]) -> Result<Vec<u8>, MoveFault> {
    let mut row: TaskRow = from_json(Space::Row, key, value)?;
    if let Some(lease) = &mut row.lease {
        lease.digest = String::new();
        lease.until = Timestamp::default();
        lease.alarm = Timestamp::default();
    }
    Ok(to_json(&row))
}

/// Returns whether a key is that of the record by which the tenant describes itself, which is
/// called by the tenant's number.
fn is_organization(key: &[u8], tenant: TenantId) -> bool {
    let own = [Row::Record as u8, RecordKind::Organization as u8];
    let id = key.strip_prefix(&own).and_then(|id| id.strip_suffix(&[0]));
    id.is_some_and(|id| id == tenant.to_string().as_bytes())
}

/// Returns a record under another id.
pub(super) fn with_id(key: &[u8], value: &[u8], id: &str) -> Result<Vec<u8>, StoreError> {
    let mut row: Value = from_json(Space::Row, key, value)?;
    row["id"] = id.into();
    Ok(to_json(&row))
}
