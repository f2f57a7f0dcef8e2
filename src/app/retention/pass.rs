//! One walk over what a tenant keeps: each look finds a few things that the rules give up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::id::RunId;
use crate::domain::retention::{Keep, Outcome, Rules, RunRules};
use crate::domain::time::Timestamp;
use crate::domain::webhook::DeliveryStatus;
use crate::store::events::EventKey;
use crate::store::retention::{Doomed, Needed};
use crate::store::runs::RunRow;
use crate::store::seam::StoreError;
use crate::store::storage::{Kind, Measured};
use crate::store::tenant::TenantView;

/// Which rule gives something up, and for which workflow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Why {
    /// The place of the rule: `runs.succeeded`.
    pub(super) rule: &'static str,
    /// The workflow, of a run.
    pub(super) workflow: Option<String>,
}

/// What a look found.
pub(super) type Found = Vec<(Doomed, Why)>;

/// Whether what was found goes, or is only counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It goes.
    Remove,
    /// It is counted, as if what was counted before were gone.
    Count,
}

/// A walk and how far it came.
pub(super) struct Pass {
    rules: Rules,
    /// What the definitions of workflows say, by name.
    definitions: BTreeMap<String, RunRules>,
    now: Timestamp,
    purpose: Purpose,
    stages: Vec<Stage>,
    going: HashSet<RunId>,
    /// Events that something other than their runs needs.
    pub(super) needed: Arc<Needed>,
}

/// What is walked over, and where the walk is.
enum Stage {
    RunsByAge(Option<RunId>),
    RunsByCount { workflow: String, count: usize, last: Option<RunId>, after: Option<RunId> },
    RunsByBytes { left: u64, after: Option<RunId> },
    Events { over: u64, rule: &'static str, after: EventKey },
    Rejected(Option<String>),
    Hook { connection: String, after: Option<u64> },
    Webhook { webhook: String, status: DeliveryStatus, seen: usize },
    Remembered(Option<Vec<u8>>),
}

impl Pass {
    /// Begins a walk.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub(super) fn begin(
        view: TenantView<'_>,
        rules: Rules,
        measured: Option<&Measured>,
        (now, purpose): (Timestamp, Purpose),
    ) -> Result<Pass, StoreError> {
        let definitions = definitions(view)?;
        let mut stages = vec![Stage::RunsByAge(None)];
        let named = rules.workflows.keys().chain(definitions.keys());
        let mut workflows: Vec<String> =
            view.workflows()?.into_iter().map(|row| row.name).collect();
        workflows.extend(named.cloned());
        workflows.sort_unstable();
        workflows.dedup();
        for workflow in workflows {
            let count = rules.of_workflow(&workflow, definitions.get(&workflow)).count;
            if let Some(count) = count.filter(|count| *count > 0) {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                stages.push(Stage::RunsByCount { workflow, count, last: None, after: None });
            }
        }
        let runs = measured.map(|it| {
            let runs = it.of(view.tenant(), &[Kind::Runs, Kind::Journals]);
            (runs.bytes, it.of(view.tenant(), &[Kind::Runs]).rows)
        });
        let left = runs.map_or(0, |(bytes, rows)| beyond(rules.runs.bytes, bytes, rows));
        if left > 0 {
            stages.push(Stage::RunsByBytes { left, after: None });
        }
        let events = measured.map(|it| it.of(view.tenant(), &[Kind::Events])).unwrap_or_default();
        let by_count = match rules.events.count {
            Some(count) if count > 0 => events.rows.saturating_sub(count),
            Some(_) | None => 0,
        };
        let by_bytes = beyond(rules.events.bytes, events.bytes, events.rows);
        let rule = if by_count >= by_bytes { "events.count" } else { "events.bytes" };
        stages.push(Stage::Events { over: by_count.max(by_bytes), rule, after: EventKey(0) });
        stages.push(Stage::Rejected(None));
        for connection in view.connections()? {
            stages.push(Stage::Hook { connection: connection.name, after: None });
        }
        for webhook in view.webhooks()? {
            for status in [DeliveryStatus::Delivered, DeliveryStatus::Dead] {
                stages.push(Stage::Webhook { webhook: webhook.id.clone(), status, seen: 0 });
            }
        }
        stages.push(Stage::Remembered(None));
        stages.reverse(); // The last one is next.
        let (going, needed) = (HashSet::new(), Arc::new(Needed::new()));
        Ok(Pass { rules, definitions, now, purpose, stages, going, needed })
    }

    /// Looks at the next `limit` rows at most; `None` when the walk is over.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub(super) fn look(
        &mut self,
        view: TenantView<'_>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        let Some(stage) = self.stages.pop() else { return Ok(None) };
        let mut found = Found::new();
        let next = match stage {
            Stage::RunsByAge(after) => self.runs_by_age(view, after, limit, &mut found)?,
            Stage::RunsByCount { workflow, count, last, after } => {
                self.runs_by_count(view, (workflow, count), (last, after), limit, &mut found)?
            }
            Stage::RunsByBytes { left, after } => {
                let rows = view.runs_after(after, limit)?;
                let left = self.give_up(view, &rows, (left, "runs.bytes"), &mut found)?;
                more(&rows, limit)
                    .filter(|_| left > 0)
                    .map(|after| Stage::RunsByBytes { left, after: Some(after) })
            }
            Stage::Events { over, rule, after } => {
                self.events(view, (over, rule, after), limit, &mut found)?
            }
            Stage::Rejected(after) => self.rejected(view, after, limit, &mut found)?,
            Stage::Hook { connection, after } => {
                self.hook(view, connection, after, limit, &mut found)?
            }
            Stage::Webhook { webhook, status, seen } => {
                self.webhook(view, (webhook, status, seen), limit, &mut found)?
            }
            Stage::Remembered(after) => self.remembered(view, after, limit, &mut found)?,
        };
        self.stages.extend(next);
        if self.purpose == Purpose::Count {
            // A run may be beyond its count and too old as well; it goes only once.
            found.retain(|(doomed, _)| match doomed {
                Doomed::Run(id, _) => self.going.insert(*id),
                _ => true, // Everything else is found by one rule.
            });
        }
        Ok(Some(found))
    }

    fn is_past(&self, since: Timestamp, keep: Option<Keep>) -> bool {
        let limit = keep.and_then(Keep::limit);
        limit.is_some_and(|limit| since + limit <= self.now)
    }

    fn rules_of(&self, workflow: &str) -> RunRules {
        self.rules.of_workflow(workflow, self.definitions.get(workflow))
    }

    /// Returns the shortest time that any run is kept.
    fn shortest(&self) -> Option<Duration> {
        let all = self.rules.workflows.values().chain(self.definitions.values());
        let all = all.chain([&self.rules.runs]);
        let ages = all.flat_map(|rules| {
            [rules.succeeded, rules.failed, rules.cancelled, rules.compensation_incomplete]
        });
        ages.flatten().filter_map(Keep::limit).min()
    }

    fn runs_by_age(
        &self,
        view: TenantView<'_>,
        after: Option<RunId>,
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let Some(shortest) = self.shortest() else { return Ok(None) };
        let rows = view.runs_after(after, limit)?;
        for row in &rows {
            // A run ends after its creation, so none behind this one is old enough.
            if row.head.created_at + shortest > self.now {
                return Ok(None);
            }
            let Some((outcome, ended_at)) = end_of(row) else { continue };
            let keep = self.rules_of(&row.head.workflow).of(outcome);
            if self.is_past(ended_at, keep) && self.may_go(view, row)? {
                found.push(doomed(row, ended_at, rule_of(outcome)));
            }
        }
        Ok(more(&rows, limit).map(|after| Stage::RunsByAge(Some(after))))
    }

    fn runs_by_count(
        &self,
        view: TenantView<'_>,
        (workflow, count): (String, usize),
        (last, after): (Option<RunId>, Option<RunId>),
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let last = match last {
            Some(last) => Some(last),
            None => view.run_beyond(&workflow, count)?,
        };
        let Some(last) = last else { return Ok(None) };
        let rows = view.runs_of_workflow_up_to(&workflow, (after, last), limit)?;
        self.give_up(view, &rows, (u64::MAX, "runs.count"), found)?;
        let after = more(&rows, limit);
        Ok(after.map(|after| Stage::RunsByCount {
            workflow,
            count,
            last: Some(last),
            after: Some(after),
        }))
    }

    /// Gives up at most `left` of the runs that are over; returns how many may still go.
    fn give_up(
        &self,
        view: TenantView<'_>,
        rows: &[RunRow],
        (mut left, rule): (u64, &'static str),
        found: &mut Found,
    ) -> Result<u64, StoreError> {
        for row in rows {
            let Some((_, ended_at)) = end_of(row).filter(|_| left > 0) else { continue };
            if !self.going.contains(&row.head.id) && self.may_go(view, row)? {
                found.push(doomed(row, ended_at, rule));
                left -= 1;
            }
        }
        Ok(left)
    }

    /// The transaction that removes a run asks by itself whether the run is needed.
    fn may_go(&self, view: TenantView<'_>, row: &RunRow) -> Result<bool, StoreError> {
        Ok(self.purpose == Purpose::Remove || !view.is_run_needed(row)?)
    }

    fn events(
        &mut self,
        view: TenantView<'_>,
        (mut over, rule, after): (u64, &'static str, EventKey),
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let ages = [self.rules.events.matched, self.rules.events.unmatched];
        let shortest = ages.into_iter().flatten().filter_map(Keep::limit).min();
        if after == EventKey(0) {
            self.needed = Arc::new(view.needed_events()?);
        }
        let rows = view.events_after(after, limit)?;
        for (key, stored) in &rows {
            let is_young = shortest.is_none_or(|age| stored.received_at + age > self.now);
            if is_young && over == 0 {
                return Ok(None);
            }
            let (age, by_age) = match stored.runs.is_empty() {
                true => (ages[1], "events.unmatched"),
                false => (ages[0], "events.matched"),
            };
            let is_past = self.is_past(stored.received_at, age);
            let goes = (is_past || over > 0)
                && !self.needed.contains(key)
                && !view.has_kept_runs(stored, &self.going)?;
            if goes {
                over = over.saturating_sub(1);
                let rule = if is_past { by_age } else { rule };
                found.push((Doomed::Event(*key), Why { rule, workflow: None }));
            }
        }
        let last = rows.last().filter(|_| rows.len() == limit);
        Ok(last.map(|(after, _)| Stage::Events { over, rule, after: *after }))
    }

    fn rejected(
        &self,
        view: TenantView<'_>,
        after: Option<String>,
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let rows = view.rejected_after(after.as_deref(), limit)?;
        for (id, at) in &rows {
            if !self.is_past(*at, self.rules.rejected_events) {
                return Ok(None);
            }
            let why = Why { rule: "rejectedEvents", workflow: None };
            found.push((Doomed::Rejected(id.clone()), why));
        }
        let last = rows.last().filter(|_| rows.len() == limit);
        Ok(last.map(|(id, _)| Stage::Rejected(Some(id.clone()))))
    }

    fn hook(
        &self,
        view: TenantView<'_>,
        connection: String,
        after: Option<u64>,
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let rows = view.hook_deliveries_after(&connection, after, limit)?;
        for row in &rows {
            if !self.is_past(row.received_at, self.rules.hook_deliveries) {
                return Ok(None);
            }
            let why = Why { rule: "hookDeliveries", workflow: None };
            found.push((Doomed::HookDelivery(connection.clone(), row.number), why));
        }
        let last = rows.last().filter(|_| rows.len() == limit).map(|row| row.number);
        Ok(last.map(|number| Stage::Hook { connection, after: Some(number) }))
    }

    /// Deliveries are listed from the oldest place, so what goes makes room for the next look.
    fn webhook(
        &self,
        view: TenantView<'_>,
        (webhook, status, seen): (String, DeliveryStatus, usize),
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let (keep, rule) = match status {
            DeliveryStatus::Delivered => {
                (self.rules.webhook_deliveries.delivered, "webhookDeliveries.delivered")
            }
            _ => (self.rules.webhook_deliveries.dead, "webhookDeliveries.dead"),
        };
        let rows = view.first_webhook_deliveries(&webhook, status, seen + limit)?;
        let is_full = rows.len() == seen + limit;
        for row in rows.into_iter().skip(seen) {
            if !row.ended_at.is_some_and(|at| self.is_past(at, keep)) {
                return Ok(None);
            }
            let why = Why { rule, workflow: None };
            found.push((Doomed::WebhookDelivery(webhook.clone(), row.number), why));
        }
        let seen = if self.purpose == Purpose::Count { seen + limit } else { 0 };
        Ok(is_full.then_some(Stage::Webhook { webhook, status, seen }))
    }

    fn remembered(
        &self,
        view: TenantView<'_>,
        after: Option<Vec<u8>>,
        limit: usize,
        found: &mut Found,
    ) -> Result<Option<Stage>, StoreError> {
        let Some(limit_of_age) = self.rules.dedupe.and_then(Keep::limit) else { return Ok(None) };
        let age = i64::try_from(limit_of_age.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now.millis().saturating_sub(age));
        let before = EventKey::at(before);
        let rows = view.remembered_after(after.as_deref(), limit)?;
        for (key, event) in &rows {
            if *event < before && view.event(*event)?.is_none() {
                let why = Why { rule: "dedupe", workflow: None };
                found.push((Doomed::Remembered(key.clone()), why));
            }
        }
        let last = rows.last().filter(|_| rows.len() == limit);
        Ok(last.map(|(key, _)| Stage::Remembered(Some(key.clone()))))
    }
}

fn definitions(view: TenantView<'_>) -> Result<BTreeMap<String, RunRules>, StoreError> {
    let mut definitions = BTreeMap::new();
    for row in view.workflows()? {
        let Some(version) = view.version(&row.name, row.version)? else { continue };
        // It was checked when it was saved.
        if let Ok(rules) = RunRules::parse(&version.definition["retention"], "") {
            definitions.insert(row.name, rules);
        }
    }
    Ok(definitions)
}

fn end_of(row: &RunRow) -> Option<(Outcome, Timestamp)> {
    Outcome::of(row.head.status, row.head.compensation).zip(row.head.ended_at)
}

fn doomed(row: &RunRow, ended_at: Timestamp, rule: &'static str) -> (Doomed, Why) {
    let workflow = Some(row.head.workflow.clone());
    (Doomed::Run(row.head.id, ended_at), Why { rule, workflow })
}

const fn rule_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "runs.succeeded",
        Outcome::Failed => "runs.failed",
        Outcome::Cancelled => "runs.cancelled",
        Outcome::CompensationIncomplete => "runs.compensationIncomplete",
    }
}

fn more(rows: &[RunRow], limit: usize) -> Option<RunId> {
    rows.last().filter(|_| rows.len() == limit).map(|row| row.head.id)
}

/// Returns how many rows of the usual size are beyond a limit of bytes.
fn beyond(limit: Option<u64>, bytes: u64, rows: u64) -> u64 {
    let Some(limit) = limit.filter(|limit| *limit > 0) else { return 0 };
    let each = (bytes / rows.max(1)).max(1);
    bytes.saturating_sub(limit).div_ceil(each)
}
