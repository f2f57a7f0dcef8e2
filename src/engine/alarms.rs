//! What happens when an alarm of a tenant rings.

use crate::activities::Caller;
use crate::activities::desk::ring_sla;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::store::alarms::{Alarm, AlarmKind};
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::bulk;
use super::intake::Begun;
use super::lasting;
use super::schedules;
use super::tasks;
use super::tenant_state::TenantState;
use super::windows;

/// Takes the alarm away and does what it is for, in one transaction; runs that it starts are noted
/// in `begun`.
pub(super) fn ring(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    due: Timestamp,
    alarm: &Alarm,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    failpoint::hit("alarm.ring");
    tx.lift_alarm(due, alarm.kind, &alarm.id);
    match alarm.kind {
        AlarmKind::Schedule => schedules::come(tenant, tx, (due, &alarm.id), begun),
        AlarmKind::Window => windows::ring(tenant, tx, &alarm.id, begun),
        AlarmKind::Lasting => lasting::ring(tenant, tx, &alarm.id, begun),
        AlarmKind::Lease => tasks::ring(tenant, tx, &alarm.id),
        AlarmKind::Bulk => bulk::ring(tenant, tx, (due, &alarm.id), begun),
        AlarmKind::Sla => ring_sla(tx, &Caller::platform(), &alarm.id),
        AlarmKind::Delivery => {
            tenant.deliveries.wake(&alarm.id);
            Ok(())
        }
    }
}
