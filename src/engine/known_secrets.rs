//! Every secret of a tenant, taken out of what calls bring back: another system may say to one call
//! what it was told by another.

use std::rc::Rc;

use crate::domain::secret::{Mask, Secret};
use crate::logs;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

use super::tenant_state::TenantState;

impl TenantState {
    /// Takes up what must not be seen after a change of it, also in the log.
    pub(super) fn learn_secrets(&self, view: TenantView<'_>) {
        self.known_secrets.take();
        if let Ok(secrets) = self.opened(view) {
            let mask = Mask::of_long(&secrets);
            logs::book().learn(&self.facts.slug, mask.clone());
            *self.known_secrets.borrow_mut() = Some(Rc::new(mask));
        }
    }

    /// Returns what takes them out; it is made anew after a change of any of them.
    pub(super) fn known_secrets(&self) -> Rc<Mask> {
        if let Some(known) = &*self.known_secrets.borrow() {
            return Rc::clone(known);
        }
        let read = self.ledger.transact(|tx| self.opened(TenantView::new(self.id(), &*tx)));
        let Ok((secrets, _)) = read else {
            return Rc::default(); // What the call itself was given is masked all the same.
        };
        let mask = Rc::new(Mask::of_long(&secrets));
        *self.known_secrets.borrow_mut() = Some(Rc::clone(&mask));
        mask
    }

    /// What does not open is nowhere else either.
    fn opened(&self, view: TenantView<'_>) -> Result<Vec<Secret>, StoreError> {
        let (sealer, tenant, now) = (&*self.shared.sealer, self.id(), self.shared.clock.now());
        let mut secrets = Vec::new();
        for row in view.secrets()? {
            let place = crate::store::secrets::place(tenant, &row.name, row.version);
            secrets.extend(sealer.open(place, &row.sealed));
        }
        for row in view.connections()? {
            for name in row.secrets.keys() {
                secrets.extend(row.open((sealer, tenant), name, now).unwrap_or_default());
            }
        }
        for row in view.webhooks()? {
            for part in row.secrets.iter().map(|secret| &secret.part) {
                let place = crate::store::webhooks::place(tenant, &row.id, part.version);
                secrets.extend(sealer.open(place, &part.sealed));
            }
        }
        Ok(secrets)
    }
}
