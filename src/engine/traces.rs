//! Which runs have spans to tell of, and what calls and events are told of their trace.

use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::domain::id::{RunId, TenantId};
use crate::domain::run::{Effect, Run};
use crate::domain::trace::{RunTrace, Sampled, TRACEPARENT, TraceContext};
use crate::store::tenant::TenantTx;

use super::Engine;

/// Runs that have ended or rest, until somebody tells of them; nobody ever waits for that.
#[derive(Debug, Default)]
pub(super) struct Traces {
    settings: OnceLock<TraceSettings>,
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<(TenantId, RunId)>,
    known: BTreeSet<RunId>,
}

/// How runs are traced.
#[derive(Clone, Copy, Debug)]
pub struct TraceSettings {
    /// Which share of the runs that nobody outside has traced is, in percent.
    pub sample_percent: u32,
    /// How many runs may wait to be told of.
    pub queue_runs_max: usize,
}

impl Traces {
    /// Returns whether a run is one of those that are told of.
    pub(super) fn follows(&self, run: &Run) -> bool {
        self.of(run).is_some_and(|trace| trace.sampled == Sampled::Yes)
    }

    /// Notes a run that has something to tell; a full queue drops it, and counts that.
    pub(super) fn note(&self, tenant: TenantId, run: RunId) {
        let Some(TraceSettings { queue_runs_max: max, .. }) = self.settings.get().copied() else {
            return;
        };
        let mut waiting = self.waiting.lock();
        if waiting.known.contains(&run) {
            return; // What it has to tell is read when its turn comes.
        }
        if waiting.order.len() >= max {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.known.insert(run);
        waiting.order.push_back((tenant, run));
        drop(waiting);
        self.news.notify_one();
    }

    fn of(&self, run: &Run) -> Option<RunTrace> {
        let settings = self.settings.get()?;
        Some(RunTrace::of(run.id, run.traceparent(), settings.sample_percent))
    }

    /// Returns what a call is told. Without traces of our own the caller's is passed on as it is
    /// (W3C Trace Context, section 4.3).
    pub(super) fn of_call(&self, run: &Run, effect: &Effect) -> Option<String> {
        let Some(trace) = self.of(run) else {
            return run.traceparent().and_then(TraceContext::parse).map(|it| it.to_string());
        };
        let span = match effect {
            Effect::Execute { step, attempt } => trace.attempt(step, *attempt),
            Effect::Undo { step, attempt } => trace.undo(step, *attempt),
            _ => trace.root(), // Nothing else is a call.
        };
        Some(trace.context(span).to_string())
    }

    /// Returns what the events of a run are told.
    fn of_events(&self, run: &Run) -> Option<String> {
        match self.of(run) {
            Some(trace) => Some(trace.context(trace.root()).to_string()),
            None => run.traceparent().and_then(TraceContext::parse).map(|it| it.to_string()),
        }
    }

    /// Lets the events that a run has just caused belong to its trace.
    pub(super) fn mark(&self, tx: &mut TenantTx<'_, '_>, run: &Run) {
        if !tx.has_emitted() {
            return;
        }
        if let Some(traceparent) = self.of_events(run) {
            tx.mark_emitted(Some(run.id), TRACEPARENT, &Value::String(traceparent));
        }
    }
}

impl Engine {
    /// Begins to trace runs.
    pub fn trace(&self, settings: TraceSettings) {
        let _ = self.shared.traces.settings.set(settings); // The first word counts.
    }

    /// Notes a run that has something to tell, such as one that ended before a crash.
    pub fn trace_again(&self, tenant: TenantId, run: RunId) {
        self.shared.traces.note(tenant, run);
    }

    /// Waits until a run has something to tell, and returns so many of them at most.
    pub async fn traced(&self, max: usize) -> Vec<(TenantId, RunId)> {
        loop {
            let taken = self.take_traced(max);
            if !taken.is_empty() {
                return taken;
            }
            self.shared.traces.news.notified().await;
        }
    }

    /// Returns runs that have something to tell.
    pub fn take_traced(&self, max: usize) -> Vec<(TenantId, RunId)> {
        let mut waiting = self.shared.traces.waiting.lock();
        let count = max.min(waiting.order.len());
        let taken: Vec<_> = waiting.order.drain(..count).collect();
        for (_, run) in &taken {
            waiting.known.remove(run);
        }
        taken
    }

    /// Returns how many runs were not told of since the last time this was asked.
    pub fn take_untraced(&self) -> u64 {
        self.shared.traces.dropped.swap(0, Ordering::Relaxed)
    }
}
