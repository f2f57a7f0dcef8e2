//! Tells a collector of runs that have ended or rest: spans derived from their journals.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tracing::{debug, warn};

use super::App;
use super::error::Error;
use super::watch_settings::TelemetrySettings;
use crate::activities::outside::collector::{Collector, NotTaken};
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::trace::{RunTrace, Span, Subject, TRACEPARENT, TraceContext, otlp, spans_of};
use crate::domain::workflow::{Action, Undo, Workflow};
use crate::engine::{Engine, TraceSettings};
use crate::store::runs::RunList;
use crate::store::tenant::TenantView;

/// How many runs are read for one request.
const RUNS_AT_ONCE: usize = 64;
/// How many of the newest runs of a tenant are looked at after a start.
const LOOKED_AT_MAX: usize = 1_000;
/// Of how many runs that rest it is remembered what was told already.
const RESTING_MAX: usize = 10_000;
const ATTEMPTS_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What was told of runs that rest: everything up to a time.
type Told = HashMap<RunId, Timestamp>;

impl App {
    /// Begins to trace, if the settings name a collector.
    pub fn begin_traces(&self) {
        let settings = &self.lookout().telemetry;
        if settings.otlp_endpoint.is_empty() {
            return;
        }
        let (sample_percent, queue_runs_max) = (settings.sample_percent, settings.queue_runs_max);
        self.engine().trace(TraceSettings { sample_percent, queue_runs_max });
        self.trace_what_a_crash_kept(Duration::from_millis(settings.resend_ms));
    }

    /// Tells of runs until it is dropped; at once over where nothing is traced.
    pub async fn tell_traces(&self) {
        let settings = self.lookout().telemetry.clone();
        if settings.otlp_endpoint.is_empty() {
            return;
        }
        let timeout = Duration::from_millis(settings.timeout_ms);
        let collector = Collector::new(&settings.otlp_endpoint, settings.header_pairs(), timeout);
        let mut told = Told::new();
        loop {
            let mut runs = self.engine().traced(RUNS_AT_ONCE).await;
            // What ends a moment later goes along.
            tokio::time::sleep(Duration::from_millis(settings.batch_ms)).await;
            runs.extend(self.engine().take_traced(RUNS_AT_ONCE));
            let dropped = usize::try_from(self.engine().take_untraced()).unwrap_or(usize::MAX);
            self.engine().metrics().spans("dropped", dropped.min(RESTING_MAX));
            let mut spans = Vec::new();
            for (tenant, run) in runs {
                match self.fresh_spans(tenant, run, &settings, &mut told) {
                    Ok(fresh) => spans.extend(fresh),
                    Err(error) => debug!(run.id = %run, "Cannot tell of the run: {error}"),
                }
            }
            for batch in spans.chunks(settings.batch_spans_max.max(1)) {
                self.hand_over(&collector, batch, &settings.service_name).await;
            }
        }
    }

    fn trace_what_a_crash_kept(&self, within: Duration) {
        let since = self.now() - within;
        for tenant in self.open_tenants() {
            let newest = self.read_of(tenant.id, |view| {
                Ok(view.runs_before(RunList::All, None, LOOKED_AT_MAX)?)
            });
            let ended = newest.unwrap_or_default().into_iter().map(|row| row.head);
            for head in ended.filter(|head| head.ended_at.is_some_and(|at| at >= since)) {
                self.engine().trace_again(tenant.id, head.id);
            }
        }
    }

    /// Returns the spans of a run that were not told yet.
    fn fresh_spans(
        &self,
        tenant: TenantId,
        run: RunId,
        settings: &TelemetrySettings,
        told: &mut Told,
    ) -> Result<Vec<Span>, Error> {
        let slug = self.slug_of(tenant);
        let (mut spans, is_over) = self.read_of(tenant, |view| {
            let Some(row) = view.run(run)? else { return Ok((Vec::new(), true)) };
            let stored = view.event(row.event)?;
            let cause = stored.as_ref().and_then(|it| it.event.metadata.get(TRACEPARENT));
            let cause = cause.and_then(Value::as_str);
            let workflow = followed(view, &row.head.workflow, row.head.version)?;
            let subject = Subject {
                head: &row.head,
                tenant: &slug,
                trace: RunTrace::of(run, cause, settings.sample_percent),
                producer: cause.and_then(TraceContext::parse),
                activity: &|step| called(workflow.as_deref()?, step),
            };
            Ok((spans_of(&subject, &view.journal(run)?), row.head.status.is_final()))
        })?;
        if let Some(until) = told.remove(&run) {
            spans.retain(|span| span.end > until || span.parent.is_none());
        }
        if let (false, Some(last)) = (is_over, spans.iter().map(|span| span.end).max()) {
            if told.len() >= RESTING_MAX {
                told.clear(); // What is told again is the same span.
            }
            told.insert(run, last);
        }
        Ok(spans)
    }

    /// Hands spans over, and tries again a few times; then they are lost, and counted.
    async fn hand_over(&self, collector: &Collector, spans: &[Span], service: &str) {
        let document = otlp::document(spans, service, env!("CARGO_PKG_VERSION"));
        let metrics = self.engine().metrics();
        for attempt in 1..=ATTEMPTS_MAX {
            match collector.post(&document).await {
                Ok(()) => return metrics.spans("sent", spans.len()),
                Err(NotTaken::Later(reason)) if attempt < ATTEMPTS_MAX => {
                    debug!(attempt, "The collector takes no spans now: {reason}");
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                Err(NotTaken::Later(reason)) => {
                    metrics.spans("dropped", spans.len());
                    warn!("Lost {} spans: {reason}", spans.len());
                }
                Err(NotTaken::Refused(reason)) => {
                    metrics.spans("refused", spans.len());
                    return warn!("The collector refused {} spans: {reason}", spans.len());
                }
            }
        }
    }
}

fn followed(
    view: TenantView<'_>,
    name: &str,
    version: u32,
) -> Result<Option<std::sync::Arc<Workflow>>, Error> {
    let row = view.version(name, version)?;
    Ok(row.and_then(|row| Engine::compile(&row).ok()))
}

/// Returns the activity that a step calls.
fn called(workflow: &Workflow, step: &str) -> Option<String> {
    match &workflow.step_at(step)?.action {
        Action::Call { activity, .. } => Some(activity.clone()),
        _ => match &workflow.step_at(step)?.compensate {
            Undo::Call { activity, .. } => Some(activity.clone()),
            Undo::Auto | Undo::None => None,
        },
    }
}
