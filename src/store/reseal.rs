//! Finds what is sealed with an older key, wherever it lies, and seals it with the newest.
//!
//! Every row of the spaces that may hold something sealed is looked at: a kind of record that is
//! sealed tomorrow needs no entry in a list here, and a key is dropped only when nothing needs it.

use serde_json::Value;

use super::access::APPLIANCE;
use super::key::{Key, Prefix};
use super::seal::{FORMAT, Place, Sealed, Sealer};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, from_json, to_json};

/// Where something sealed may lie.
const SPACES: [Space; 3] = [Space::Meta, Space::Row, Space::Dedupe];

/// How far a walk through one tenant's rows has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    space: usize,
    after: Option<Vec<u8>>,
}

/// A row that holds something sealed with an older key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldRow {
    space: Space,
    key: Vec<u8>,
}

impl TenantView<'_> {
    /// Looks at `limit` rows at most; returns those that are to be sealed anew, and where to go on.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn rows_to_reseal(
        &self,
        walk: Walk,
        limit: usize,
        sealer: &Sealer,
    ) -> Result<(Vec<OldRow>, Option<Walk>), StoreError> {
        let Some(space) = SPACES.get(walk.space).copied() else { return Ok((Vec::new(), None)) };
        let prefix = Prefix::new(Key::of(self.tenant()));
        let range = prefix.after(walk.after.as_deref());
        let rows = self.scan(space, range, Direction::Ascending, limit)?;
        let next = match rows.last() {
            Some((key, _)) if rows.len() == limit => {
                Walk { space: walk.space, after: Some(key.to_vec()) }
            }
            _ => Walk { space: walk.space + 1, after: None }, // The space ends here.
        };
        let old = rows.iter().filter(|(_, value)| resealed(value, sealer).is_some());
        let old = old.map(|(key, _)| OldRow { space, key: key.to_vec() }).collect();
        Ok((old, (next.space < SPACES.len()).then_some(next)))
    }
}

impl TenantTx<'_, '_> {
    /// Seals rows with the newest key that hold something sealed with an older one; returns how
    /// many did.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn reseal(&mut self, rows: &[OldRow], sealer: &Sealer) -> Result<usize, StoreError> {
        let mut done = 0;
        for OldRow { space, key } in rows {
            // It is read again: whatever was written since is kept.
            let Some(value) = self.view().bytes(*space, key)? else { continue };
            let Some(value) = resealed(&value, sealer) else { continue };
            self.put(*space, key.clone(), value);
            done += 1;
        }
        if done > 0 {
            // Subscriptions are kept in memory, sealed as they were read.
            self.note_workflows(Workflows::Changed);
        }
        Ok(done)
    }

    /// Seals anew what was sealed before keys had ids, which opens at its place alone; returns how
    /// many rows did.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn reseal_former(&mut self, sealer: &Sealer) -> Result<usize, StoreError> {
        let tenant = self.tenant();
        let mut done = 0;
        for mut row in self.view().secrets()? {
            let place = super::secrets::place(tenant, &row.name, row.version);
            if let Some(sealed) = anew(sealer, place, &row.sealed) {
                row.sealed = sealed;
                self.put_secret(&row);
                done += 1;
            }
        }
        for mut row in self.view().connections()? {
            let mut changed = false;
            for (secret, values) in &mut row.secrets {
                let id = super::connections::sealed_id(&row.name, secret);
                for value in values {
                    let place =
                        Place { tenant, kind: "connection", id: &id, version: value.version };
                    if let Some(sealed) = anew(sealer, place, &value.sealed) {
                        value.sealed = sealed;
                        changed = true;
                    }
                }
            }
            if changed {
                self.put_connection(&row);
                done += 1;
            }
        }
        done += self.reseal_former_webhooks(sealer)?;
        if tenant == APPLIANCE {
            done += self.reseal_former_people(sealer)?;
        }
        Ok(done)
    }

    fn reseal_former_webhooks(&mut self, sealer: &Sealer) -> Result<usize, StoreError> {
        let (tenant, mut done) = (self.tenant(), 0);
        for mut row in self.view().webhooks()? {
            let parts = row.secrets.iter_mut().map(|secret| &mut secret.part);
            let mut changed = false;
            for part in parts.chain(row.headers.as_mut()) {
                let place = super::webhooks::place(tenant, &row.id, part.version);
                if let Some(sealed) = anew(sealer, place, &part.sealed) {
                    part.sealed = sealed;
                    changed = true;
                }
            }
            if changed {
                self.put_webhook(&row);
                done += 1;
            }
        }
        Ok(done)
    }

    fn reseal_former_people(&mut self, sealer: &Sealer) -> Result<usize, StoreError> {
        let mut done = 0;
        for mut row in self.view().people()? {
            let kept = row.clone();
            let factor = &mut row.second_factor;
            let mut changed = false;
            for sealed in [&mut factor.secret, &mut factor.pending].into_iter().flatten() {
                if let Some(fresh) = anew(sealer, kept.authenticator(), sealed) {
                    *sealed = fresh;
                    changed = true;
                }
            }
            if changed {
                self.put_person(&row);
                done += 1;
            }
        }
        if self.view().has_former_check()? {
            self.put_key_check(sealer);
            done += 1;
        }
        Ok(done)
    }
}

fn anew(sealer: &Sealer, place: Place<'_>, sealed: &Sealed) -> Option<Sealed> {
    let former = sealed.is_former().then_some(sealed)?;
    // What does not open was sealed with a key that is gone already.
    sealer.open(place, former).ok().map(|secret| sealer.seal(place, &secret))
}

/// Returns the row with everything that it holds sealed with the newest key; `None` when it is as it
/// should be.
fn resealed(value: &[u8], sealer: &Sealer) -> Option<Vec<u8>> {
    let mark = format!("\"{FORMAT}");
    // Nearly every row holds nothing sealed, and is not worth being parsed.
    value.windows(mark.len()).find(|part| *part == mark.as_bytes())?;
    let mut tree: Value = from_json(Space::Row, &[], value).ok()?;
    walk(&mut tree, sealer).then(|| to_json(&tree))
}

fn walk(tree: &mut Value, sealer: &Sealer) -> bool {
    match tree {
        Value::String(text) => match sealer.rewrapped(text) {
            Some(sealed) => {
                *tree = serde_json::json!(sealed);
                true
            }
            None => false,
        },
        // Each of them is looked at, so that no `any` may end the walk early.
        Value::Array(items) => items.iter_mut().fold(false, |done, item| walk(item, sealer) | done),
        Value::Object(fields) => {
            fields.values_mut().fold(false, |done, field| walk(field, sealer) | done)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
