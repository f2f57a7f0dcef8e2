//! What people and keys changed, as a chain: each record holds the hash of the one before it.
//!
//! A chain lies beside what it tells of, so that a change and its record are one commit: changes
//! of a tenant's things in the tenant's own rows, changes of who may do what in the appliance's.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::family::{Meta, Row};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json, to_json};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

pub(super) const RECORD: u8 = Row::AuditRecord as u8;
pub(super) const HEAD: u8 = Meta::AuditHead as u8;
/// Under which numbers a tenant wrote its chain before it was moved.
pub(super) const ORIGINS: u8 = Meta::AuditOrigins as u8;
/// What was cut off its beginning.
pub(super) const CUT_OFF: u8 = Meta::AuditCut as u8;
const HASH_BYTES: usize = 32;
/// Keeps the hashes of this chain apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"ergane audit 1\0";
const CHECKED_AT_ONCE: usize = 1_000;

/// SHA-256 of a record and of everything before it.
pub type Hash = [u8; HASH_BYTES];

/// One change, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// When it was made.
    pub at: Timestamp,
    /// `person`, `key`, `commandLine` or `program`.
    pub actor_kind: String,
    /// The id of who made it.
    pub actor_id: String,
    /// What people call them.
    pub actor_name: String,
    /// What was done: `workflow.save`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// The fields that changed, as they were.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// The fields that changed, as they are now.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// The network address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// A record with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its number in the chain, from 1.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
    /// The hash of the record before it.
    pub previous: Hash,
    /// What it says.
    pub row: AuditRow,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many records there are.
    pub count: u64,
    /// The hash of the last one.
    pub hash: Hash,
}

/// A stretch of a chain that was written elsewhere: the hashes of its records hold the number that
/// the tenant had there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The number of its last record.
    pub until: u64,
    /// The number that the tenant had.
    pub of: TenantId,
}

/// What was cut off the beginning of a chain. The record of the cut in the chain itself says the
/// same, so that nobody can shorten a chain without leaving a record behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// The number of the last record that went.
    pub through: u64,
    /// Its hash, which stands for everything that went.
    pub hash: Hash,
}

/// What the record of a cut calls it.
pub const CUT: &str = "audit.cut";

/// The first record that does not fit the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its number.
    pub number: u64,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Returns the hash of a record: of its tenant, its number, the hash before it and its bytes.
#[must_use]
pub fn hash(of: TenantId, number: u64, previous: &Hash, record: &[u8]) -> Hash {
    let mut digest = Sha256::new();
    digest.update(DOMAIN);
    digest.update(of.0.to_be_bytes());
    digest.update(number.to_be_bytes());
    digest.update(previous);
    digest.update(record);
    digest.finalize().into()
}

impl TenantView<'_> {
    /// Returns the end of the chain that tells of `of`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_head(&self, of: TenantId) -> Result<Head, StoreError> {
        Ok(self.json(Space::Meta, &head_key(self.tenant(), of))?.unwrap_or_default())
    }

    /// Returns where the chain that tells of `of` was written before the tenant came here.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_origins(&self, of: TenantId) -> Result<Vec<Origin>, StoreError> {
        let key = chain_key(self.tenant(), ORIGINS, of).done();
        Ok(self.json(Space::Meta, &key)?.unwrap_or_default())
    }

    /// Returns the same together with what was written here.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_origins_to_date(&self, of: TenantId) -> Result<Vec<Origin>, StoreError> {
        let mut origins = self.audit_origins(of)?;
        let until = self.audit_head(of)?.count;
        if until > origins.last().map_or(0, |last| last.until) {
            origins.push(Origin { until, of });
        }
        Ok(origins)
    }

    /// Returns at most `limit` records before number `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_before(
        &self,
        of: TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Link>, StoreError> {
        let prefix = Prefix::new(record_key(self.tenant(), of));
        let before = before.map(|number| record_key(self.tenant(), of).number(number).done());
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| link(key, row)).collect()
    }

    /// Returns what was cut off the beginning of the chain that tells of `of`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_cut(&self, of: TenantId) -> Result<Cut, StoreError> {
        Ok(self.json(Space::Meta, &cut_key(self.tenant(), of))?.unwrap_or_default())
    }

    /// Returns the oldest `limit` records of the chain that tells of `of`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn audit_oldest(&self, of: TenantId, limit: usize) -> Result<Vec<Link>, StoreError> {
        let prefix = Prefix::new(record_key(self.tenant(), of));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, limit)?;
        rows.iter().map(|(key, row)| link(key, row)).collect()
    }

    /// Walks the whole chain that tells of `of` and returns its end, or the first record that was
    /// changed, moved, added or taken away.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn check_audit(&self, of: TenantId) -> Result<Result<Head, Broken>, StoreError> {
        let prefix = Prefix::new(record_key(self.tenant(), of));
        let cut = self.audit_cut(of)?;
        let mut seen = Head { count: cut.through, hash: cut.hash };
        let mut is_anchored = cut.through == 0;
        let origins = self.audit_origins(of)?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let range = prefix.after(after.as_deref());
            let rows = self.scan(Space::Row, range, Direction::Ascending, CHECKED_AT_ONCE)?;
            for (key, row) in &rows {
                match fits(written_as(&origins, of, seen.count + 1), &seen, key, row) {
                    Ok(hash) => {
                        seen = Head { count: seen.count + 1, hash };
                        is_anchored = is_anchored || tells_of(row, &cut);
                    }
                    Err(broken) => return Ok(Err(broken)),
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == CHECKED_AT_ONCE => after = Some(key.to_vec()),
                _ => break, // The last chunk, or none.
            }
        }
        let head = self.audit_head(of)?;
        if !is_anchored {
            let reason = "the records before it are gone, and none tells that they were cut off";
            return Ok(Err(Broken { number: cut.through + 1, reason }));
        }
        if head.count > seen.count {
            let reason = "the records from here to the end are gone";
            return Ok(Err(Broken { number: seen.count + 1, reason }));
        }
        if head != seen {
            let reason = "the chain goes on after its end, or its end was changed";
            return Ok(Err(Broken { number: head.count.max(1), reason }));
        }
        Ok(Ok(seen))
    }
}

impl TenantTx<'_, '_> {
    /// Adds a record to the chain that tells of `of`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged end of the chain.
    pub fn append_audit(&mut self, of: TenantId, row: &AuditRow) -> Result<(), StoreError> {
        let home = self.tenant();
        let head = self.view().audit_head(of)?;
        let number = head.count + 1;
        let record = to_json(row);
        let hash = hash(of, number, &head.hash, &record);
        let mut bytes = Vec::with_capacity(2 * HASH_BYTES + record.len());
        bytes.extend_from_slice(&head.hash);
        bytes.extend_from_slice(&hash);
        bytes.extend_from_slice(&record);
        self.put(Space::Row, record_key(home, of).number(number).done(), bytes);
        self.put_json(Space::Meta, head_key(home, of), &Head { count: number, hash });
        Ok(())
    }
}

/// Returns the number that the tenant had when it wrote a record.
pub(super) fn written_as(origins: &[Origin], of: TenantId, number: u64) -> TenantId {
    origins.iter().find(|origin| number <= origin.until).map_or(of, |origin| origin.of)
}

impl TenantTx<'_, '_> {
    /// Cuts at most `limit` records older than `before` off the beginning of the chain that tells
    /// of `of`, and adds the record of the cut to its end; returns how many went.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn cut_audit(
        &mut self,
        of: TenantId,
        (before, limit): (Timestamp, usize),
        record: impl FnOnce(&Cut, u64) -> AuditRow,
    ) -> Result<u64, StoreError> {
        let home = self.tenant();
        let oldest = self.view().audit_oldest(of, limit)?;
        let going: Vec<Link> = oldest.into_iter().take_while(|link| link.row.at < before).collect();
        // A record of nothing but cuts would be cut and written again for ever.
        let Some(last) = going.last().filter(|_| going.iter().any(|it| it.row.action != CUT))
        else {
            return Ok(0);
        };
        let cut = Cut { through: last.number, hash: last.hash };
        for link in &going {
            self.remove(Space::Row, record_key(home, of).number(link.number).done());
        }
        let count = going.len() as u64;
        self.put_json(Space::Meta, cut_key(home, of), &cut);
        self.append_audit(of, &record(&cut, count))?;
        Ok(count)
    }
}

pub(super) fn tells_of(bytes: &[u8], cut: &Cut) -> bool {
    let Some((.., record)) = parts(bytes) else { return false };
    let Ok(row) = serde_json::from_slice::<AuditRow>(record) else { return false };
    row.action == CUT
        && row.after["through"] == cut.through
        && row.after["hash"] == hex::encode(cut.hash)
}

pub(super) fn fits(of: TenantId, seen: &Head, key: &[u8], row: &[u8]) -> Result<Hash, Broken> {
    let number = seen.count + 1;
    let broken = |reason| Broken { number, reason };
    if number_of(key) != Some(number) {
        return Err(broken("the record is gone"));
    }
    let Some((previous, kept, record)) = parts(row) else {
        return Err(broken("the record is cut short"));
    };
    if previous != seen.hash {
        return Err(broken("the record does not follow from the one before it"));
    }
    if hash(of, number, &previous, record) != kept {
        return Err(broken("the record was changed"));
    }
    Ok(kept)
}

fn link(key: &[u8], bytes: &[u8]) -> Result<Link, StoreError> {
    let number = number_of(key).ok_or_else(|| damaged(Space::Row, key, "no number"))?;
    let cut = || damaged(Space::Row, key, "the record is cut short");
    let (previous, hash, record) = parts(bytes).ok_or_else(cut)?;
    Ok(Link { number, hash, previous, row: from_json(Space::Row, key, record)? })
}

fn parts(bytes: &[u8]) -> Option<(Hash, Hash, &[u8])> {
    let (previous, rest) = bytes.split_first_chunk::<HASH_BYTES>()?;
    let (hash, record) = rest.split_first_chunk::<HASH_BYTES>()?;
    Some((*previous, *hash, record))
}

fn number_of(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

pub(super) fn record_key(home: TenantId, of: TenantId) -> Key {
    Key::of(home).tag(RECORD).number(of.0.into())
}

fn cut_key(home: TenantId, of: TenantId) -> Vec<u8> {
    chain_key(home, CUT_OFF, of).done()
}

fn head_key(home: TenantId, of: TenantId) -> Vec<u8> {
    chain_key(home, HEAD, of).done()
}

pub(super) fn chain_key(home: TenantId, family: u8, of: TenantId) -> Key {
    Key::of(home).tag(family).number(of.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::ledger::{Ledger, Tx};
    use crate::store::seam::Store as _;
    use crate::store::sim::{Faults, SimStore};

    const HOME: TenantId = TenantId(1);

    fn row(number: usize) -> AuditRow {
        AuditRow {
            at: Timestamp::from_millis(1_000),
            actor_kind: "person".to_owned(),
            actor_id: "psn_1".to_owned(),
            actor_name: "Ada".to_owned(),
            action: "workflow.save".to_owned(),
            target: format!("w{number}"),
            before: Value::Null,
            after: serde_json::json!({ "version": number }),
            address: None,
            request: None,
        }
    }

    /// Writes five records, lets `touch` loose on them, and says what the check finds.
    fn found(touch: impl FnOnce(&mut Tx<'_>)) -> Result<Head, Broken> {
        let store = SimStore::new(1, 1, Faults::NONE);
        let (ledger, _committer) = Ledger::open(store.claim(0).expect("claimed")).expect("opened");
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let outcome = ledger.transact(|tx| {
            let mut own = TenantTx::new(HOME, tx, &clock);
            for number in 1..=5 {
                own.append_audit(HOME, &row(number))?;
            }
            touch(tx);
            TenantView::new(HOME, &*tx).check_audit(HOME)
        });
        outcome.map(|(found, _)| found).unwrap_or_else(|abort| panic!("{abort:?}"))
    }

    fn key(number: u64) -> Vec<u8> {
        record_key(HOME, HOME).number(number).done()
    }

    fn bytes(tx: &Tx<'_>, number: u64) -> Vec<u8> {
        use crate::store::ledger::Reads as _;
        tx.get(Space::Row, &key(number)).expect("readable").expect("there").to_vec()
    }

    #[test]
    fn an_untouched_chain_is_whole() {
        assert_eq!(found(|_| ()).expect("whole").count, 5);
    }

    #[test]
    fn a_changed_record_is_named() {
        let found = found(|tx| {
            let text = String::from_utf8_lossy(&bytes(tx, 3)[64..]).replace("Ada", "Eve");
            let mut changed = bytes(tx, 3)[..64].to_vec();
            changed.extend_from_slice(text.as_bytes());
            tx.put(Space::Row, key(3), changed);
        });
        assert_eq!(found.expect_err("touched").number, 3);
    }

    #[test]
    fn a_record_that_was_taken_out_is_named() {
        for number in 1..=5 {
            let found = found(|tx| tx.remove(Space::Row, key(number)));
            assert_eq!(found.expect_err("touched").number, number);
        }
    }

    #[test]
    fn records_that_changed_places_are_named() {
        let found = found(|tx| {
            let (second, fourth) = (bytes(tx, 2), bytes(tx, 4));
            tx.put(Space::Row, key(2), fourth);
            tx.put(Space::Row, key(4), second);
        });
        assert_eq!(found.expect_err("touched").number, 2);
    }

    fn cut(tx: &mut Tx<'_>, clock: &Clock, before: i64) -> u64 {
        let record = |cut: &Cut, _| AuditRow {
            action: CUT.to_owned(),
            after: serde_json::json!({ "through": cut.through, "hash": hex::encode(cut.hash) }),
            ..row(9)
        };
        let mut own = TenantTx::new(HOME, tx, clock);
        own.cut_audit(HOME, (Timestamp::from_millis(before), 3), record).expect("cut")
    }

    #[test]
    fn a_chain_that_was_cut_stays_whole_and_says_so() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let found = found(|tx| {
            assert_eq!(cut(tx, &clock, 1_000), 0, "nothing is old enough");
            assert_eq!(cut(tx, &clock, 1_001), 3);
            assert_eq!(cut(tx, &clock, 1_001), 3, "the record of the first cut goes with them");
            assert_eq!(cut(tx, &clock, 1_001), 0, "nothing but cuts is left");
        });
        assert_eq!(found.expect("whole").count, 7);
    }

    #[test]
    fn a_chain_that_was_shortened_by_hand_is_found_out() {
        let found = found(|tx| {
            let cut = Cut { through: 2, hash: hash_of(tx, 2) };
            tx.remove(Space::Row, key(1));
            tx.remove(Space::Row, key(2));
            tx.put(Space::Meta, cut_key(HOME, HOME), to_json(&cut));
        });
        assert_eq!(found.expect_err("touched").number, 3);
    }

    fn hash_of(tx: &Tx<'_>, number: u64) -> Hash {
        bytes(tx, number)[HASH_BYTES..2 * HASH_BYTES].try_into().expect("a hash")
    }

    #[test]
    fn a_record_that_was_added_is_named() {
        let found = found(|tx| tx.put(Space::Row, key(6), bytes(tx, 5)));
        assert_eq!(found.expect_err("touched").number, 6);
    }
}
