//! What leaves and what goes, row by row, without an appliance around it.

use std::ops::Bound;

use serde_json::json;

use super::MoveFault;
use super::departure::{Departure, Wanted};
use super::removal::Sweep;
use crate::clock::Clock;
use crate::domain::id::TenantId;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::access::TenantRow;
use crate::store::key::Key;
use crate::store::ledger::{Ledger, Reads as _, Tx};
use crate::store::seal::{Place, Sealer};
use crate::store::seam::{Direction, Space, Store as _};
use crate::store::sim::{Faults, SimStore};
use crate::store::tenant::TenantTx;

const TENANT: TenantId = TenantId(7);
const OTHER: TenantId = TenantId(8);
const NOW: Timestamp = Timestamp::from_millis(1_000);

fn with_tx<T>(act: impl FnOnce(&mut Tx<'_>) -> T) -> T {
    let store = SimStore::new(1, 1, Faults::NONE);
    let (ledger, _committer) = Ledger::open(store.claim(0).expect("claimed")).expect("opened");
    let outcome = ledger.transact(|tx| Ok::<_, ()>(act(tx)));
    outcome.expect("open").0
}

/// Writes one row of an unknown kind with `text` in it, and exports the tenant.
fn exported(text: impl FnOnce(&Sealer) -> String) -> Result<Vec<u8>, MoveFault> {
    let (clock, sealer) = (Clock::manual(NOW), Sealer::new(&[7; 32], Clock::system()));
    with_tx(|tx| {
        let row = json!({ "text": text(&sealer) });
        let key = Key::of(TENANT).tag(b'$').done();
        TenantTx::new(TENANT, tx, &clock).put_json(Space::Row, key, &row);
        let tenant = TenantRow::new(TENANT, "acme", "Acme", NOW);
        let departure = Departure {
            tenant: &tenant,
            part: 0,
            rows: &*tx,
            access: &*tx,
            sealer: &sealer,
            lock: None,
            at: NOW,
        };
        let mut file = Vec::new();
        let written = departure.write(&mut |piece| {
            file.extend_from_slice(&piece);
            Wanted::More
        });
        written.map(|()| file)
    })
}

#[test]
fn something_sealed_where_nobody_knows_of_it_does_not_leave() {
    let place = Place { tenant: TENANT, kind: "novelty", id: "n", version: 1 };
    let sealed = |sealer: &Sealer| {
        let sealed = sealer.seal(place, &Secret::new("xoxb-1"));
        json!(sealed).as_str().expect("a text").to_owned()
    };
    assert!(matches!(exported(sealed), Err(MoveFault::Store(_))));
    assert!(exported(|_| "s2.0123456789abcdef.AAAA".to_owned()).is_ok(), "what people write");
}

#[test]
fn a_sweep_takes_the_rows_of_one_tenant_in_every_space_and_no_other() {
    let clock = Clock::manual(NOW);
    let left = with_tx(|tx| {
        for tenant in [TENANT, OTHER] {
            for space in Space::ALL {
                for number in 0..5 {
                    let key = match space {
                        Space::Timer | Space::Cron => {
                            Key::bare().number(number).bytes(&tenant.0.to_be_bytes())
                        }
                        _ => Key::of(tenant).number(number), // Every other key begins with it.
                    };
                    tx.put(space, key.done(), b"row".to_vec());
                }
            }
        }
        let (mut next, mut removed) = (Some(Sweep::default()), 0);
        while let Some(sweep) = next {
            let swept = TenantTx::new(TENANT, tx, &clock).sweep(sweep, 2).expect("swept");
            removed += swept.0;
            next = swept.1;
        }
        assert_eq!(removed, 5 * Space::ALL.len() as u64);
        let all = (Bound::Unbounded, Bound::Unbounded);
        let scan = |space| tx.scan(space, all, Direction::Ascending, 99).expect("rows").len();
        Space::ALL.map(scan)
    });
    assert_eq!(left, [5; Space::ALL.len()]);
}
