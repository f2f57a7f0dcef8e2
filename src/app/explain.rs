//! Says for each workflow why an event did or did not start it.

use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::events::find_event;
use super::joined::{joined_then, joined_views};
use super::principal::Principal;
use super::views::{Explanation, RepeatsView};
use crate::domain::desk;
use crate::domain::id::RunId;
use crate::domain::problem::nearest;
use crate::domain::scope::Scope;
use crate::domain::workflow::Workflow;
use crate::engine::Engine;
use crate::store::events::StoredEvent;
use crate::store::runs::RunRow;
use crate::store::tenant::TenantView;
use crate::store::workflows::{VersionRow, WorkflowRow};

/// The outcomes that the intake records with its reason when it withholds a run.
const WITHHELD: [&str; 6] = ["limited", "duplicate", "delayed", "batched", "loop", "other-team"];

/// Which workflows are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Those that listen to the event's type.
    Listening,
    /// Every one; for the others it is said what they listen to instead.
    All,
}

/// What became of an event.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EventExplanation {
    /// For every workflow.
    pub data: Vec<Explanation>,
    /// Further deliveries of the same event, which start nothing; `None` when there was none.
    pub duplicates: Option<RepeatsView>,
}

impl App {
    /// Explains one event.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such event.
    pub fn explain_event(
        &self,
        who: &Principal,
        id: &str,
        breadth: Breadth,
    ) -> Result<EventExplanation, Error> {
        self.read(who, |view| {
            let (key, stored) = find_event(view, id)?;
            let mut started = Vec::new();
            for run in &stored.runs {
                started.extend(view.run(*run)?);
            }
            let scope = Scope::of_event(stored.event.to_value());
            let past = Past { view, stored: &stored, scope: &scope, started: &started, breadth };
            let mut data = Vec::new();
            for workflow in view.workflows()? {
                data.extend(past.explain(&workflow)?);
            }
            // Near misses come before what has nothing to do with the event.
            data.sort_by_key(|it| (it.outcome == "other-type", it.hint.is_none()));
            let duplicates = view
                .repeats(key)?
                .map(|repeats| RepeatsView { count: repeats.count, last_at: repeats.last_at });
            Ok(EventExplanation { data, duplicates })
        })
    }
}

/// An event and what was there when it came.
struct Past<'a> {
    view: TenantView<'a>,
    stored: &'a StoredEvent,
    scope: &'a Scope,
    started: &'a [RunRow],
    breadth: Breadth,
}

impl Past<'_> {
    fn explain(&self, row: &WorkflowRow) -> Result<Option<Explanation>, Error> {
        let run = self.started.iter().find(|run| run.head.workflow == row.name);
        let run = run.map(|run| &run.head);
        if run.is_none() && row.deleted_at.is_some() {
            return Ok(None);
        }
        let Some(version) = self.version_of_then(row, run.map(|run| run.version))? else {
            return Ok(None);
        };
        let explanation = |outcome: &str, reason: String| Explanation {
            workflow: row.name.clone(),
            version: version.version,
            outcome: outcome.to_owned(),
            reason,
            hint: None,
            run_id: run.map(|run| run.id),
            trace: Value::Null,
            annotations: Vec::new(),
        };
        let workflow = match Engine::compile(&version) {
            Ok(workflow) => workflow,
            // One that cannot be read must not keep the others from being explained.
            Err(error) if self.breadth == Breadth::All => {
                return Ok(Some(explanation("unreadable", error.to_string())));
            }
            Err(_) => return Ok(None),
        };
        let given = joined_then(self.view, &workflow, &self.stored.event, run.map(|run| run.id))?;
        let joined = (!given.annotations.is_empty())
            .then(|| Scope::of_event(given.seen(&self.stored.event)));
        let scope = joined.as_ref().unwrap_or(self.scope);
        let traces = workflow.filters_of(&self.stored.event.kind).map(|filter| filter.trace(scope));
        // Of several triggers the one that matched tells why, else the first.
        let trace = traces.reduce(|first, other| if first.result { first } else { other });
        // A run that was asked for by name needs no trigger; others do not listen.
        if trace.is_none() && run.is_none() {
            let hint = self.near_miss(&workflow);
            let told = || Explanation { hint, ..explanation("other-type", listens_to(&workflow)) };
            return Ok((self.breadth == Breadth::All).then(told));
        }
        let matches = trace.as_ref().is_none_or(|trace| trace.result);
        let (outcome, reason) = self.outcome(row, &version, run.map(|run| run.id), matches);
        let annotations = joined_views(&given);
        let trace = json!(trace);
        Ok(Some(Explanation { trace, annotations, ..explanation(outcome, reason) }))
    }

    /// The version that the run follows, else the newest that was saved before the event came, else
    /// the present one.
    fn version_of_then(
        &self,
        row: &WorkflowRow,
        ran: Option<u32>,
    ) -> Result<Option<VersionRow>, Error> {
        if let Some(version) = ran {
            return Ok(self.view.version(&row.name, version)?);
        }
        let is_of_then = |version: &VersionRow| version.created_at <= self.stored.received_at;
        let present = self.view.version(&row.name, row.version)?;
        if present.as_ref().is_some_and(is_of_then) {
            return Ok(present);
        }
        let mut earlier = self.view.versions(&row.name)?.into_iter();
        Ok(earlier.find(is_of_then).or(present))
    }

    fn outcome(
        &self,
        row: &WorkflowRow,
        version: &VersionRow,
        run: Option<RunId>,
        matches: bool,
    ) -> (&'static str, String) {
        if run.is_some() {
            return ("started", "its trigger matched and a run was started".to_owned());
        }
        let withheld = self.stored.withheld.iter().find(|(name, _)| *name == row.name);
        if let Some((_, reason)) = withheld {
            return (outcome_of(reason), reason.clone());
        }
        if version.created_at > self.stored.received_at {
            let reason = format!("version {} was saved after the event came", version.version);
            return ("newer", reason);
        }
        if !matches {
            return ("filtered", "its filter did not hold; the trace says where".to_owned());
        }
        if !row.active {
            return ("inactive", "it is not active".to_owned());
        }
        ("newer", "it was made active after the event came".to_owned())
    }

    /// Says what was probably meant by a workflow that listens to something like the event's type.
    fn near_miss(&self, workflow: &Workflow) -> Option<String> {
        let came = self.stored.event.kind.as_str();
        let listened = workflow.event_kinds();
        let related = listened.iter().find_map(|kind| self.relation(came, kind));
        let alike = || {
            let near = nearest(came, listened.iter().copied())?;
            Some(format!("`{near}` is spelled almost like `{came}`, which is what came"))
        };
        let fits = || {
            let mut meant = workflow.filters().filter(|filter| !filter.references().is_empty());
            let listened = listened.join("` and `");
            let told =
                format!("its filter would hold for this `{came}`, but it listens to `{listened}`");
            meant.any(|filter| filter.matches(self.scope)).then_some(told)
        };
        related.or_else(alike).or_else(fits)
    }

    /// Says how two types of one family belong together.
    fn relation(&self, came: &str, listened: &str) -> Option<String> {
        if let Some((general, field)) = desk::derived_from(listened)
            && general == came
        {
            let record = field.map(|field| format!("`{field}`"));
            let field = record.as_deref().unwrap_or("the field");
            return Some(match self.has_changed(listened) {
                Some(true) => {
                    format!("{field} changed here, so `{listened}` came as an event of its own")
                }
                Some(false) => format!("`{listened}` comes when {field} changes; here it did not"),
                None => format!("the platform makes `{listened}` of `{came}` when {field} changes"),
            });
        }
        let (general, _) = desk::derived_from(came)?;
        (general == listened)
            .then(|| format!("`{came}` is derived from a `{listened}`, which came just before it"))
    }

    /// Compares the field that a derived event is about with its value before.
    fn has_changed(&self, derived: &str) -> Option<bool> {
        let (general, field) = desk::derived_from(derived)?;
        let payload = self.stored.event.payload.as_object()?;
        let previous = payload.iter().find(|(name, _)| name.starts_with("previous"))?;
        let family = general.split(':').next()?;
        let record = payload.iter().find(|(name, _)| !name.starts_with("previous"));
        let (_, record) = payload.get_key_value(family).or(record)?;
        let field = field?;
        Some(record.get(field) != previous.1.get(field))
    }
}

fn outcome_of(reason: &str) -> &'static str {
    let word = reason.split(':').next().unwrap_or_default();
    // A reason without a known word is a limit that was met.
    WITHHELD.into_iter().find(|known| *known == word).unwrap_or("limited")
}

fn listens_to(workflow: &Workflow) -> String {
    let kinds = workflow.event_kinds();
    if kinds.is_empty() {
        return "it listens to no event".to_owned();
    }
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    format!("it listens to {} and to nothing else", kinds.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_colon_is_the_outcome() {
        for (reason, outcome) in [
            ("limited: a run of the same key is active", "limited"),
            ("duplicate: the same ticket within 5 m", "duplicate"),
            ("delayed: until 10:00", "delayed"),
            ("batched: with 3 others", "batched"),
            ("loop: 8 runs had already followed from one another", "loop"),
            ("its key failed", "limited"),
        ] {
            assert_eq!(outcome_of(reason), outcome, "{reason}");
        }
    }
}
