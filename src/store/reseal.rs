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

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::super::seal_keys::{Home, KeyBytes, SealKeys};
    use super::super::seam::Store;
    use super::super::secrets::{SecretRow, place};
    use super::super::sim::{Faults, SimStore};
    use super::*;
    use crate::clock::Clock;
    use crate::domain::id::TenantId;
    use crate::domain::secret::Secret;
    use crate::domain::time::Timestamp;

    const TENANT: TenantId = TenantId(1);
    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const SECRETS: u64 = 7;

    struct Bench {
        ledger: Ledger,
        clock: Clock,
    }

    impl Bench {
        fn write<T>(&self, act: impl FnOnce(&mut TenantTx<'_, '_>) -> T) -> T {
            let decide = |tx: &mut super::super::ledger::Tx<'_>| {
                Ok::<_, ()>(act(&mut TenantTx::new(TENANT, tx, &self.clock)))
            };
            self.ledger.transact(decide).expect("open").0
        }

        /// Does at most `batches` batches; returns whether everything was looked at.
        fn reseal(&self, sealer: &Sealer, batches: usize) -> bool {
            let mut walk = Walk::default();
            for _ in 0..batches {
                let next = self.write(|tx| {
                    let (old, next) =
                        tx.view().rows_to_reseal(walk.clone(), 2, sealer).expect("read");
                    tx.reseal(&old, sealer).expect("written");
                    next
                });
                match next {
                    Some(next) => walk = next,
                    None => return true,
                }
            }
            false
        }

        fn all_open(&self, sealer: &Sealer) -> bool {
            self.write(|tx| {
                let rows = tx.view().secrets().expect("read");
                let open = |row: &SecretRow| {
                    let opened = sealer.open(place(TENANT, &row.name, row.version), &row.sealed);
                    opened.is_ok_and(|secret| secret.expose() == format!("value of {}", row.name))
                };
                rows.len() == usize::try_from(SECRETS).unwrap() && rows.iter().all(open)
            })
        }
    }

    fn row(sealer: &Sealer, name: &str) -> SecretRow {
        let sealed = sealer.seal(place(TENANT, name, 1), &Secret::new(format!("value of {name}")));
        let hosts = vec!["s2.0123456789abcdef.AAAA".to_owned(), "\"s2.".to_owned()];
        SecretRow {
            name: name.to_owned(),
            hosts,
            version: 1,
            sealed,
            created_at: NOW,
            updated_at: NOW,
            updated_by: None,
        }
    }

    fn with_bench(test: impl FnOnce(&Bench)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let store = SimStore::new(3, 1, Faults::NONE);
            let (ledger, committer) =
                Ledger::open(store.claim(0).expect("claimed")).expect("opened");
            let committing = tokio::task::spawn_local(committer.run(|_| ()));
            test(&Bench { ledger, clock: Clock::manual(NOW) });
            committing.abort();
        });
    }

    fn found(directory: &std::path::Path) -> Sealer {
        let keys = SealKeys::find("", directory).expect("keys");
        keys.for_tests(Clock::system())
    }

    #[test]
    fn an_exchange_that_ends_after_any_of_its_writes_goes_on_from_there() {
        with_bench(|bench| {
            let directory = tempfile::tempdir().expect("a directory");
            let first: KeyBytes = [7; 32];
            let home = Home::File(directory.path().join("secret.key"));
            home.replace(&[first]).expect("kept");
            let sealer = found(directory.path());
            for number in 0..SECRETS {
                bench.write(|tx| tx.put_secret(&row(&sealer, &format!("s{number}"))));
            }
            let mut batches = 0;
            loop {
                // Each round a process that exchanges the key, and ends after some of its writes.
                let sealer = found(directory.path());
                if sealer.keys().older.is_empty() {
                    sealer.add_key().expect("another key");
                }
                assert!(bench.all_open(&found(directory.path())), "after the key was kept");
                let is_whole = bench.reseal(&sealer, batches);
                let after = found(directory.path());
                assert!(bench.all_open(&after), "after {batches} batches");
                assert_eq!(after.keys().older.len(), 1);
                assert!(bench.reseal(&after, 99), "another process goes on");
                assert!(bench.all_open(&after));
                after.drop_older().expect("dropped");
                let last = found(directory.path());
                assert!(last.keys().older.is_empty() && bench.all_open(&last));
                if is_whole {
                    break;
                }
                batches += 1;
            }
            assert!(batches > 4, "there were several places to end at");
            assert!(!bench.all_open(&Sealer::new(&first, Clock::system())), "the first key opens");
        });
    }

    #[test]
    fn a_row_that_is_copied_to_another_name_or_tenant_does_not_open() {
        with_bench(|bench| {
            let sealer = Sealer::new(&[7; 32], Clock::system());
            bench.write(|tx| tx.put_secret(&row(&sealer, "mine")));
            let mut copy =
                bench.write(|tx| tx.view().secret("mine").expect("read").expect("there"));
            copy.name = "yours".to_owned();
            bench.write(|tx| tx.put_secret(&copy));
            let copy = bench.write(|tx| tx.view().secret("yours").expect("read").expect("there"));
            assert!(sealer.open(place(TENANT, "yours", copy.version), &copy.sealed).is_err());
            assert!(sealer.open(place(TenantId(2), "mine", 1), &copy.sealed).is_err());
            assert!(sealer.open(place(TENANT, "mine", 2), &copy.sealed).is_err());
            assert!(sealer.open(place(TENANT, "mine", 1), &copy.sealed).is_ok());
        });
    }
}
