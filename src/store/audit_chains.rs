//! Checks the chains of the audit in rows that go by, without a view: those of a backup.

use std::collections::BTreeMap;

use super::audit::{
    Broken, CUT_OFF, Cut, HEAD, Head, ORIGINS, Origin, RECORD, fits, tells_of, written_as,
};
use super::seam::Space;
use super::tenant::from_json;
use crate::domain::id::TenantId;

/// Chains whose records go by in the order of their keys, what is said of them before the records.
#[derive(Debug, Default)]
pub(super) struct Chains(BTreeMap<(TenantId, TenantId), Seen>);

#[derive(Debug, Default)]
struct Seen {
    told: Head,
    found: Head,
    cut: Cut,
    is_anchored: bool,
    origins: Vec<Origin>,
    fault: Option<String>,
}

impl Chains {
    /// Takes note of a row, if it is of a chain.
    pub(super) fn see(&mut self, space: Space, key: &[u8], payload: &[u8]) {
        let Some((home, of, tag)) = place_of(space, key) else { return };
        let seen = self.0.entry((home, of)).or_default();
        match tag {
            HEAD => seen.told = from_json(space, key, payload).unwrap_or_default(),
            ORIGINS => seen.origins = from_json(space, key, payload).unwrap_or_default(),
            CUT_OFF => {
                seen.cut = from_json(space, key, payload).unwrap_or_default();
                seen.found = Head { count: seen.cut.through, hash: seen.cut.hash };
            }
            _ => seen.follow(of, key, payload),
        }
    }

    /// Returns of each chain whom it tells of, its end, and what is wrong with it.
    pub(super) fn ends(self) -> Vec<(TenantId, Head, Option<String>)> {
        let end = |((_, of), seen): (_, Seen)| (of, seen.told, seen.fault());
        self.0.into_iter().map(end).collect()
    }
}

impl Seen {
    fn follow(&mut self, of: TenantId, key: &[u8], record: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        let written_as = written_as(&self.origins, of, self.found.count + 1);
        match fits(written_as, &self.found, key, record) {
            Ok(hash) => {
                self.found = Head { count: self.found.count + 1, hash };
                self.is_anchored |= tells_of(record, &self.cut);
            }
            Err(Broken { number, reason }) => {
                self.fault = Some(format!("{reason} (number {number})"));
            }
        }
    }

    fn fault(self) -> Option<String> {
        let is_loose = self.cut.through > 0 && !self.is_anchored;
        let loose = is_loose.then(|| "no record tells that its beginning was cut off".to_owned());
        let other = self.told != self.found;
        let other = other.then(|| "its end is not the end of its records".to_owned());
        self.fault.or(loose).or(other)
    }
}

/// Returns where a chain is kept, whom it tells of, and what the row is of it.
fn place_of(space: Space, key: &[u8]) -> Option<(TenantId, TenantId, u8)> {
    let (home, rest) = key.split_first_chunk::<4>()?;
    let (tag, rest) = rest.split_first()?;
    let (of, rest) = rest.split_first_chunk::<8>()?;
    match (space, *tag, rest.len()) {
        (Space::Meta, HEAD | ORIGINS | CUT_OFF, 0) | (Space::Row, RECORD, 8) => {}
        _ => return None,
    }
    let of = u32::try_from(u64::from_be_bytes(*of)).ok()?;
    Some((TenantId(u32::from_be_bytes(*home)), TenantId(of), *tag))
}
