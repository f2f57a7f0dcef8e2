//! What must be true afterwards, found out by the public API alone and compared with the ledger.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::ledger::{Kind, Ledger, Sent};
use super::scenario::{SLEEP, Scenario, words_of, workflow_of};
use crate::subject::appliance::Appliance;
use crate::subject::wire::{Connection, get};

const SETTLE_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many events were sent.
    pub sent: usize,
    /// How many of them were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged events that are gone or started nothing.
    pub lost: Vec<String>,
    /// Events that started more than one run, and effects that happened more than once.
    pub doubled: Vec<String>,
    /// How many runs were undone.
    pub undone: usize,
    /// What failed and was not undone whole and in reverse order.
    pub undo_incomplete: Vec<String>,
    /// How many runs slept.
    pub sleeps: usize,
    /// Sleeps that ended before their time.
    pub early: Vec<String>,
    /// Whatever else is not as it should be.
    pub wrong: Vec<String>,
}

impl Findings {
    /// Returns whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        [&self.lost, &self.doubled, &self.undo_incomplete, &self.early, &self.wrong]
            .into_iter()
            .all(Vec::is_empty)
    }
}

/// Insists that every event that was acknowledged since the last look is there.
pub async fn newly_acknowledged(appliance: &Appliance, ledger: &Ledger) -> anyhow::Result<()> {
    let mut connection = Connection::open(appliance.port).await?;
    for id in ledger.take_unseen() {
        let reply = connection.exchange(&get(&format!("/v1/events/{id}"))).await?;
        reply.json().with_context(|| format!("the acknowledged event {id} is lost"))?;
    }
    Ok(())
}

/// Waits until nothing is under way, and compares everything with the ledger.
pub async fn all(
    appliance: &Appliance,
    scenario: &Scenario,
    ledger: &Ledger,
) -> anyhow::Result<Findings> {
    let mut look = Look { connection: Connection::open(appliance.port).await? };
    let mut findings = Findings::default();
    let runs = look.settled_runs(&mut findings).await?;
    let path = format!("/v1/tickets/{}/comments", scenario.ticket);
    let mut comments: BTreeMap<String, usize> = BTreeMap::new();
    for comment in look.pages(&path).await? {
        *comments.entry(text(&comment["content"])).or_default() += 1;
    }
    for (id, event) in ledger.events() {
        findings.sent += 1;
        findings.acknowledged += usize::from(event.run.is_some());
        let started = runs.get(&id).map_or(&[][..], Vec::as_slice);
        findings.judge_start(&id, &event, started);
        let Some(run) = started.first() else { continue };
        findings.judge_effects(&id, event.kind, &comments);
        match event.kind {
            Kind::Steps => findings.judge_end(run, "succeeded"),
            Kind::Sleep => findings.judge_sleep(run),
            Kind::Undo => {
                findings.judge_end(run, "failed");
                let whole = look.get(&format!("/v1/runs/{}", text(&run["id"]))).await?;
                findings.judge_undo(&whole);
            }
        }
    }
    let audit = look.get("/v1/audit/verify").await?;
    if audit["valid"] != true {
        findings.wrong.push(format!("the audit is broken: {audit}"));
    }
    Ok(findings)
}

impl Findings {
    fn judge_start(&mut self, id: &str, event: &Sent, started: &[Value]) {
        let wanted = workflow_of(event.kind);
        match started {
            [] if event.run.is_some() => self.lost.push(id.to_owned()),
            [] => {}
            [run] => {
                let told = event.run.as_deref().unwrap_or_default();
                if event.was_contradicted || (!told.is_empty() && run["id"] != told) {
                    self.wrong.push(format!("{id}: told of {told}, there is {}", run["id"]));
                }
                if run["workflow"] != wanted {
                    self.wrong.push(format!("{id}: it started {}", run["workflow"]));
                }
            }
            many => self.doubled.push(format!("{id} started {} runs", many.len())),
        }
    }

    fn judge_effects(&mut self, id: &str, kind: Kind, comments: &BTreeMap<String, usize>) {
        for word in words_of(kind) {
            match comments.get(&format!("{word} {id}")).copied().unwrap_or(0) {
                1 => {}
                0 => self.lost.push(format!("{id}: the effect of `{word}`")),
                many => self.doubled.push(format!("{id}: `{word}` happened {many} times")),
            }
        }
        let left = |word: &&str| comments.contains_key(&format!("{word} {id}"));
        if kind == Kind::Undo && ["made", "more"].iter().any(left) {
            self.undo_incomplete.push(format!("{id}: a comment is left"));
        }
    }

    fn judge_end(&mut self, run: &Value, status: &str) {
        if run["status"] != status {
            self.wrong.push(format!("{} ended as {}: {}", run["id"], run["status"], run["error"]));
        }
    }

    fn judge_sleep(&mut self, run: &Value) {
        self.sleeps += 1;
        self.judge_end(run, "succeeded");
        let least = u64::try_from(SLEEP.as_millis()).unwrap_or(u64::MAX);
        if run["durationMs"].as_u64().is_none_or(|took| took < least) {
            self.early.push(format!("{} took {} ms", run["id"], run["durationMs"]));
        }
    }

    fn judge_undo(&mut self, run: &Value) {
        self.undone += 1;
        let undone = run["compensations"].as_array().map_or(&[][..], Vec::as_slice);
        let steps: Vec<String> = undone.iter().map(|one| text(&one["step"])).collect();
        let done = undone.iter().all(|one| one["status"] == "done");
        if run["compensation"] != "done" || !done || steps != ["more", "made"] {
            let told = format!("{}: {} of {steps:?}", run["id"], run["compensation"]);
            self.undo_incomplete.push(told);
        }
    }
}

/// One connection that reads.
struct Look {
    connection: Connection,
}

impl Look {
    async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.connection.exchange(&get(path)).await?.json().with_context(|| format!("GET {path}"))
    }

    /// Returns every item of a list.
    async fn pages(&mut self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?limit=200{cursor}")).await?;
            let Value::Array(found) = page["data"].take() else { return Ok(items) };
            items.extend(found);
            let Some(next) = page["nextCursor"].as_str() else { return Ok(items) };
            cursor = format!("&cursor={next}");
        }
    }

    /// Returns the runs by the event that started them, once all have ended.
    async fn settled_runs(
        &mut self,
        findings: &mut Findings,
    ) -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
        const OPEN: &str = "/v1/runs?limit=1&status=queued,running,retrying,waiting,compensating";
        let began = Instant::now();
        loop {
            let open = self.get(OPEN).await?;
            let Some(run) = open["data"].get(0) else { break };
            if began.elapsed() > SETTLE_MAX {
                findings.wrong.push(format!("{} is stuck: {}", run["id"], run["waitingFor"]));
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let mut runs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for run in self.pages("/v1/runs").await? {
            ensure!(run["eventId"].is_string(), "a run names no event: {run}");
            runs.entry(text(&run["eventId"])).or_default().push(run);
        }
        Ok(runs)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent(kind: Kind, run: Option<&str>) -> Sent {
        let run = run.map(str::to_owned);
        Sent { kind, run, was_contradicted: false, was_seen: true }
    }

    #[test]
    fn what_is_gone_or_doubled_is_found() {
        let run = |id: &str| json!({"id": id, "workflow": "prove-steps", "status": "succeeded"});
        let mut findings = Findings::default();
        findings.judge_start("kept", &sent(Kind::Steps, Some("run-1")), &[run("run-1")]);
        findings.judge_start("never answered", &sent(Kind::Steps, None), &[]);
        assert!(findings.is_clean());
        findings.judge_start("gone", &sent(Kind::Steps, Some("run-2")), &[]);
        findings.judge_start("two", &sent(Kind::Steps, None), &[run("run-3"), run("run-4")]);
        findings.judge_start("other", &sent(Kind::Steps, Some("run-5")), &[run("run-6")]);
        let counts = [&findings.lost, &findings.doubled, &findings.wrong].map(Vec::len);
        assert_eq!(counts, [1, 1, 1]);
    }

    #[test]
    fn an_effect_counts_once_and_what_was_undone_not_at_all() {
        let comments = [("first a", 1), ("second a", 2), ("made b", 1)];
        let comments = comments.map(|(content, count)| (content.to_owned(), count)).into();
        let mut findings = Findings::default();
        findings.judge_effects("a", Kind::Steps, &comments);
        findings.judge_effects("b", Kind::Undo, &comments);
        findings.judge_effects("c", Kind::Sleep, &comments);
        assert_eq!(findings.doubled, ["a: `second` happened 2 times"]);
        assert_eq!(findings.undo_incomplete, ["b: a comment is left"]);
        assert_eq!(findings.lost, ["c: the effect of `woke`"]);
    }

    #[test]
    fn an_early_sleep_and_a_wrong_order_of_undoing_are_found() {
        let mut findings = Findings::default();
        findings.judge_sleep(&json!({"status": "succeeded", "durationMs": 1_000}));
        let undo = |first: &str, second: &str| {
            json!({"compensation": "done", "compensations": [
                {"step": first, "status": "done"}, {"step": second, "status": "done"}]})
        };
        findings.judge_undo(&undo("more", "made"));
        assert!(findings.is_clean());
        findings.judge_sleep(&json!({"status": "succeeded", "durationMs": 999}));
        findings.judge_undo(&undo("made", "more"));
        assert_eq!((findings.early.len(), findings.undo_incomplete.len()), (1, 1));
    }
}
