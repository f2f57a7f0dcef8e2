//! Which runs wait for which events, so that an event finds those that it may be for and no other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Vis;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use crate::domain::filter::Equality;
use crate::domain::id::RunId;

const WAIT: u8 = Vis::Wait as u8;
/// Longer than what follows a path in a key, and no digest with a run's id is so high.
const BEHIND_A_PATH: [u8; 48] = [u8::MAX; 48];

/// A step of a run that waits for an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitRow {
    /// The run.
    pub run: RunId,
    /// The workflow that it follows.
    pub workflow: String,
    /// Its version.
    pub version: u32,
    /// The step's path.
    pub step: String,
    /// The values of the step's filter.
    pub values: Vec<Value>,
}

/// Where a wait is found: by its event type, and by an equality of its filter where it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitPlace {
    /// The canonical event type.
    pub kind: String,
    /// What every event fulfils that the wait is for.
    pub equality: Option<Equality>,
}

impl TenantView<'_> {
    /// Returns the waits for events of `kind` that fulfil the equality of the wait; `key_at` gives
    /// the key of what stands at a path of the event.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn waits_for(
        &self,
        kind: &str,
        key_at: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<WaitRow>, StoreError> {
        let of_kind = || Key::of(self.tenant()).tag(WAIT).text(kind);
        let prefix = Prefix::new(of_kind());
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            // One step for each path that any wait looks at, however many waits there are.
            let range = prefix.after(after.as_deref());
            let rows = self.scan(Space::Vis, range, Direction::Ascending, 1)?;
            let Some((key, _)) = rows.first() else { return Ok(found) };
            let rest = &key[prefix.start().len()..];
            let path = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            let path = std::str::from_utf8(path).map_err(|e| damaged(Space::Vis, key, e))?;
            let digest =
                if path.is_empty() { Some(0) } else { key_at(path).map(|key| digest(&key)) };
            if let Some(digest) = digest {
                let same = Prefix::new(of_kind().text(path).bytes(&digest.to_be_bytes()));
                let rows = self.scan(Space::Vis, same.range(), Direction::Ascending, usize::MAX)?;
                for (key, bytes) in &rows {
                    found.push(from_json(Space::Vis, key, bytes)?);
                }
            }
            after = Some(of_kind().text(path).bytes(&BEHIND_A_PATH).done());
        }
    }

    /// Returns whether any run of the tenant waits for an event of `kind`.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn has_waits_for(&self, kind: &str) -> Result<bool, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(WAIT).text(kind));
        Ok(!self.scan(Space::Vis, prefix.range(), Direction::Ascending, 1)?.is_empty())
    }

    /// Returns whether any run of the tenant waits for an event.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn has_waits(&self) -> Result<bool, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(WAIT));
        Ok(!self.scan(Space::Vis, prefix.range(), Direction::Ascending, 1)?.is_empty())
    }
}

impl TenantTx<'_, '_> {
    /// Notes that a run waits.
    pub fn put_wait(&mut self, place: &WaitPlace, row: &WaitRow) {
        let key = wait_key(&self.view(), place, row.run, &row.step);
        self.put_json(Space::Vis, key, row);
    }

    /// Notes that a run no longer waits.
    pub fn remove_wait(&mut self, place: &WaitPlace, run: RunId, step: &str) {
        let key = wait_key(&self.view(), place, run, step);
        self.remove(Space::Vis, key);
    }
}

fn wait_key(view: &TenantView<'_>, place: &WaitPlace, run: RunId, step: &str) -> Vec<u8> {
    let (path, digest) = match &place.equality {
        Some(equality) => (equality.path.to_string(), digest(&equality.key)),
        None => (String::new(), 0),
    };
    let base = Key::of(view.tenant()).tag(WAIT).text(&place.kind).text(&path);
    base.bytes(&digest.to_be_bytes()).bytes(&run.to_bytes()).text(step).done()
}

/// The key of a value may be long and holds what users wrote, so its digest stands for it.
fn digest(key: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(key.as_bytes())
}
