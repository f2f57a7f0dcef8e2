//! The desk's records (tickets, accounts, comments …) with what makes them unique and what they
//! belong to.

use serde_json::{Map, Value};

use super::family::{Meta, Row, Vis};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use crate::domain::desk::RecordKind;

const RECORD: u8 = Row::Record as u8;
const UNIQUE: u8 = Vis::UniqueRecord as u8;
const CHILD: u8 = Vis::ChildRecord as u8;
const SEQUENCE: u8 = Meta::Sequence as u8;

impl TenantView<'_> {
    /// Returns a record by its id.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn record(
        &self,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Map<String, Value>>, StoreError> {
        self.json(Space::Row, &record_key(self, kind).text(id).done())
    }

    /// Returns records before the one called `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn records_before(
        &self,
        kind: RecordKind,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Map<String, Value>>, StoreError> {
        let prefix = Prefix::new(record_key(self, kind));
        let before = before.map(|id| record_key(self, kind).text(id).done());
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns the ids of the records of `kind` that belong to `parent`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn children(&self, kind: RecordKind, parent: &str) -> Result<Vec<String>, StoreError> {
        let prefix = Prefix::new(child_key(self, kind, parent));
        let rows = self.scan(Space::Vis, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter()
            .map(|(key, _)| {
                let id = &key[prefix.start().len()..];
                let text = std::str::from_utf8(id).map_err(|e| damaged(Space::Vis, key, e))?;
                Ok(text.trim_end_matches('\0').to_owned())
            })
            .collect()
    }

    /// Returns the id of the record that holds a unique value such as a mail address.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn holder(
        &self,
        kind: RecordKind,
        field: &str,
        value: &str,
    ) -> Result<Option<String>, StoreError> {
        self.json(Space::Vis, &unique_key(self, kind, field, value))
    }
}

impl TenantTx<'_, '_> {
    /// Writes a record.
    pub fn put_record(&mut self, kind: RecordKind, id: &str, record: &Map<String, Value>) {
        let key = record_key(&self.view(), kind).text(id).done();
        self.put_json(Space::Row, key, record);
    }

    /// Removes a record.
    pub fn remove_record(&mut self, kind: RecordKind, id: &str) {
        let key = record_key(&self.view(), kind).text(id).done();
        self.remove(Space::Row, key);
    }

    /// Gives a unique value to a record.
    pub fn hold(&mut self, kind: RecordKind, field: &str, value: &str, id: &str) {
        let key = unique_key(&self.view(), kind, field, value);
        self.put_json(Space::Vis, key, &id);
    }

    /// Frees a unique value.
    pub fn release(&mut self, kind: RecordKind, field: &str, value: &str) {
        let key = unique_key(&self.view(), kind, field, value);
        self.remove(Space::Vis, key);
    }

    /// Notes that a record belongs to `parent`.
    pub fn attach(&mut self, kind: RecordKind, parent: &str, id: &str) {
        let key = child_key(&self.view(), kind, parent).text(id).done();
        self.put(Space::Vis, key, Vec::new());
    }

    /// Notes that a record no longer belongs to `parent`.
    pub fn detach(&mut self, kind: RecordKind, parent: &str, id: &str) {
        let key = child_key(&self.view(), kind, parent).text(id).done();
        self.remove(Space::Vis, key);
    }

    /// Returns the next number of a named sequence, from 1.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn next_number(&mut self, sequence: &str) -> Result<u64, StoreError> {
        let key = Key::of(self.tenant()).tag(SEQUENCE).text(sequence).done();
        let number = self.view().json::<u64>(Space::Meta, &key)?.unwrap_or(0) + 1;
        self.put_json(Space::Meta, key, &number);
        Ok(number)
    }
}

fn record_key(view: &TenantView<'_>, kind: RecordKind) -> Key {
    Key::of(view.tenant()).tag(RECORD).tag(kind as u8)
}

fn child_key(view: &TenantView<'_>, kind: RecordKind, parent: &str) -> Key {
    Key::of(view.tenant()).tag(CHILD).tag(kind as u8).text(parent)
}

/// Unique values are compared without regard to case, as mail addresses and domains are.
fn unique_key(view: &TenantView<'_>, kind: RecordKind, field: &str, value: &str) -> Vec<u8> {
    let base = Key::of(view.tenant()).tag(UNIQUE).tag(kind as u8).text(field);
    base.text(&value.to_lowercase()).done()
}
