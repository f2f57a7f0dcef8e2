//! Reads the rows of an export into a tenant with another number.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::access::{APPLIANCE, KeyRow};
use super::super::audit;
use super::super::family::Row;
use super::super::key::Key;
use super::super::people::{LinkRow, PersonRow};
use super::super::seal::Sealer;
use super::super::seam::Space;
use super::super::tenant::{TenantTx, to_json};
use super::MoveFault;
use super::departure::with_id;
use super::entry::{Entry, Table};
use super::passphrase::Lock;
use super::sealed::{Bound, Holder};
use crate::domain::desk::RecordKind;
use crate::domain::id::TenantId;

const DUE_BYTES: usize = 8;

/// A tenant that is read out of an export.
pub struct Arrival<'a> {
    /// Its number here.
    pub tenant: TenantId,
    /// Seals its secrets.
    pub sealer: &'a Sealer,
    /// Opens them as they were sealed for the move.
    pub lock: Option<&'a Lock>,
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrived {
    /// One of the tenant's own.
    Own(ArrivedRow),
    /// One of its audit in the appliance.
    Access(ArrivedRow),
    /// Somebody who signs in.
    Person(Box<PersonRow>),
    /// An API key.
    Key(Box<KeyRow>),
    /// A one-time link.
    Link(LinkRow),
    /// The short name of a hook.
    Hook(String),
}

/// A row with the key under which it is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedRow {
    space: Space,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Arrival<'_> {
    /// Reads one row.
    ///
    /// # Errors
    /// `Damaged` for what makes no sense, or does not open.
    pub fn row(&self, entry: Entry) -> Result<Arrived, MoveFault> {
        let Entry { table, key, value } = entry;
        let value = self.resealed(table, &key, value)?;
        let of_access = |key: Key, space| {
            Arrived::Access(ArrivedRow { space, key: key.done(), value: value.clone() })
        };
        Ok(match table {
            Table::Own(space) => Arrived::Own(self.own(space, key, value)?),
            Table::AccessRecord if key.len() == 8 => {
                of_access(audit::record_key(APPLIANCE, self.tenant).bytes(&key), Space::Row)
            }
            Table::AccessHead => {
                of_access(audit::chain_key(APPLIANCE, audit::HEAD, self.tenant), Space::Meta)
            }
            Table::AccessOrigins => {
                of_access(audit::chain_key(APPLIANCE, audit::ORIGINS, self.tenant), Space::Meta)
            }
            Table::AccessRecord => return Err(MoveFault::damaged("a record without a number")),
            Table::Person => {
                let row: PersonRow = read(&value)?;
                Arrived::Person(Box::new(PersonRow { tenant: self.tenant, ..row }))
            }
            Table::Key => {
                let row: KeyRow = read(&value)?;
                Arrived::Key(Box::new(KeyRow { tenant: self.tenant, ..row }))
            }
            Table::Link => Arrived::Link(read(&value)?),
            Table::Hook => Arrived::Hook(String::from_utf8(key).map_err(MoveFault::damaged)?),
        })
    }

    fn own(&self, space: Space, mut key: Vec<u8>, value: Vec<u8>) -> Result<ArrivedRow, MoveFault> {
        let number = self.tenant.0.to_be_bytes();
        let place = match space {
            Space::Timer | Space::Cron => DUE_BYTES,
            _ => 0, // Every other key begins with the tenant.
        };
        if key.len() < place.max(1) {
            return Err(MoveFault::damaged("a row without a key"));
        }
        let own = [Row::Record as u8, RecordKind::Organization as u8, 0];
        let mut value = value;
        match (space, key.first()) {
            (Space::Meta, Some(&(audit::HEAD | audit::ORIGINS)))
            | (Space::Row, Some(&audit::RECORD)) => {
                let of = key.get_mut(1..9);
                let of = of.ok_or_else(|| MoveFault::damaged("a chain without a tenant"))?;
                of.copy_from_slice(&u64::from(self.tenant.0).to_be_bytes());
            }
            (Space::Row, _) if key == own => {
                let id = self.tenant.to_string();
                value = with_id(&key, &value, &id).map_err(MoveFault::damaged)?;
                key = [&own[..2], id.as_bytes(), &[0]].concat();
            }
            _ => {} // Nothing in it names the tenant.
        }
        key.splice(place..place, number);
        Ok(ArrivedRow { space, key, value })
    }

    fn resealed(&self, table: Table, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, MoveFault> {
        let Some(holder) = Holder::at(table, key) else { return Ok(value) };
        let mut row: Value = read(&value)?;
        let mut is_changed = false;
        holder.each(key, &mut row, &mut |bound: &Bound, slot| {
            let lock = self.lock.ok_or(MoveFault::PassphraseMissing)?;
            let place = bound.place(self.tenant);
            let secret = lock.open(place, slot.as_str().unwrap_or_default())?;
            *slot = serde_json::json!(self.sealer.seal(place, &secret));
            is_changed = true;
            Ok::<_, MoveFault>(())
        })?;
        Ok(if is_changed { to_json(&row) } else { value })
    }
}

impl TenantTx<'_, '_> {
    /// Writes a row that was read out of an export.
    pub fn put_arrived(&mut self, row: ArrivedRow) {
        self.put(row.space, row.key, row.value);
    }
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, MoveFault> {
    serde_json::from_slice(value).map_err(MoveFault::damaged)
}
