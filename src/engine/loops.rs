//! Cuts chains of runs that follow from one another without end.

use crate::domain::event::Event;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

use super::settings::EngineSettings;

/// Says why an event may not start a workflow again; `None` when it may. Nearly every event is
/// answered without a look at the store: a chain must be long before somebody can be in it often.
pub(super) fn loop_of(
    view: TenantView<'_>,
    settings: &EngineSettings,
    workflow: &str,
    event: &Event,
) -> Result<Option<String>, StoreError> {
    let Some(cause) = event.cause else { return Ok(None) };
    let (depth_max, repeats_max) = (settings.cause_depth_max, settings.cause_repeats_max);
    if cause.depth >= depth_max {
        let reason = format!("loop: {depth_max} runs had already followed from one another");
        return Ok(Some(reason));
    }
    if cause.depth <= repeats_max {
        return Ok(None);
    }
    let (mut chain, mut repeats, mut cause) = (Vec::new(), 0, Some(cause));
    while let Some(run) = cause.take().filter(|_| chain.len() < depth_max as usize) {
        let Some(row) = view.run(run.run_id)? else { break };
        chain.push(run.run_id.to_string());
        repeats += u32::from(row.head.workflow == workflow);
        cause = view.event(row.event)?.and_then(|stored| stored.event.cause);
    }
    chain.reverse();
    let reason = format!("loop: {}", chain.join(" → "));
    Ok((repeats > repeats_max).then_some(reason))
}
