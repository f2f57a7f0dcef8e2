//! The work that goes on while the appliance is killed: steps, undoing and sleeping.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::chance::Chance;
use super::ledger::{Kind, Ledger};
use crate::subject::appliance::Appliance;
use crate::subject::wire::{Connection, post};

/// How long a run of the kind sleeps.
pub const SLEEP: Duration = Duration::from_secs(1);
const SENDERS: u64 = 4;
const PAUSE_MS: (u64, u64) = (2, 20);
/// Of so many events one is sent a second time.
const REPEATED_ONE_IN: u64 = 10;
const LAST_ANSWERS_MAX: u32 = 1_000;
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// What the appliance was given before it is killed.
pub struct Scenario {
    /// The ticket that every step comments on.
    pub ticket: String,
}

impl Scenario {
    /// Saves the workflows and opens the ticket that they comment on.
    pub async fn prepare(appliance: &Appliance) -> anyhow::Result<Scenario> {
        let team = appliance.post("/v1/teams", &json!({ "name": "Proof" })).await?;
        let ticket = json!({
            "title": "Proof",
            "requestorEmail": "proof@example.com",
            "teamId": team["id"],
        });
        let ticket = appliance.post("/v1/tickets", &ticket).await?;
        let ticket = ticket["id"].as_str().context("the ticket has no id")?.to_owned();
        for (kind, steps) in [
            (Kind::Steps, json!([comment("first"), comment("second")])),
            (Kind::Undo, json!([comment("made"), comment("more"), broken()])),
            (Kind::Sleep, json!([{ "id": "rest", "sleep": SLEEP.as_secs() }, comment("woke")])),
        ] {
            let event = type_of(kind);
            let definition = json!({
                "name": workflow_of(kind), "trigger": { "event": event }, "steps": steps,
            });
            appliance.post("/v1/event-types", &json!({ "type": event })).await?;
            appliance.post("/v1/workflows", &definition).await?;
        }
        Ok(Scenario { ticket })
    }

    /// Sends events until it is dropped; fails when one is refused that must be taken.
    pub async fn load(&self, port: u16, ledger: &Ledger, seed: u64) -> anyhow::Result<()> {
        let senders = (0..SENDERS).map(|sender| self.send_on(port, ledger, seed ^ sender << 32));
        try_join_all(senders).await.map(drop)
    }

    async fn send_on(&self, port: u16, ledger: &Ledger, seed: u64) -> anyhow::Result<()> {
        let mut chance = Chance::new(seed);
        loop {
            // Whoever was cut off sends again, as a good client does.
            let open = ledger.unanswered();
            let (id, kind) = match open.len() as u64 {
                0 => fresh(&mut chance),
                many if many > SENDERS => open[chance.below(many) as usize].clone(),
                _ => fresh(&mut chance),
            };
            let again = chance.below(REPEATED_ONE_IN) == 0;
            for _ in 0..=u8::from(again) {
                if !self.send(port, ledger, (&id, kind)).await? {
                    // It is dead or about to die; whoever kills it drops us.
                    tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(chance.between(PAUSE_MS))).await;
        }
    }

    /// Sends every event that was never answered, until each is.
    pub async fn send_what_is_left(&self, port: u16, ledger: &Ledger) -> anyhow::Result<()> {
        for _ in 0..LAST_ANSWERS_MAX {
            let open = ledger.unanswered();
            if open.is_empty() {
                return Ok(());
            }
            for (id, kind) in &open {
                if !self.send(port, ledger, (id, *kind)).await? {
                    tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                }
            }
        }
        bail!("the appliance takes no events after the last start")
    }

    /// Sends one event once; answers whether it was acknowledged.
    async fn send(
        &self,
        port: u16,
        ledger: &Ledger,
        (id, kind): (&str, Kind),
    ) -> anyhow::Result<bool> {
        ledger.sent(id, kind);
        let path = format!("/v1/events/{}?id={id}", type_of(kind));
        let payload = json!({ "mark": id, "ticketId": self.ticket });
        let Some((status, answer)) = exchange(port, &post(&path, &payload)).await else {
            return Ok(false);
        };
        match status {
            202 => {
                let run = answer["accepted"][0]["runs"][0].as_str();
                ledger.acknowledged(id, run.unwrap_or("none"));
                Ok(true)
            }
            429 | 503 => Ok(false),
            _ => bail!("an event was refused with status {status}: {answer}"),
        }
    }
}

/// Returns the status and the JSON of an answer, or nothing where there was none.
async fn exchange(port: u16, request: &[u8]) -> Option<(u16, Value)> {
    let mut connection = Connection::open(port).await.ok()?;
    let reply = connection.exchange(request).await.ok()?;
    Some((reply.status, serde_json::from_slice(reply.body).unwrap_or_default()))
}

fn fresh(chance: &mut Chance) -> (String, Kind) {
    let kind = match chance.below(4) {
        0 | 1 => Kind::Steps,
        2 => Kind::Undo,
        _ => Kind::Sleep,
    };
    (format!("proof-{:016x}", chance.next()), kind)
}

fn type_of(kind: Kind) -> String {
    format!("prove:{}", kind.name())
}

/// Returns the name of the workflow that a kind starts.
pub fn workflow_of(kind: Kind) -> String {
    format!("prove-{}", kind.name())
}

/// Returns what the steps of a run of the kind write, once each, when nothing undoes it.
pub fn words_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Steps => &["first", "second"],
        Kind::Undo => &[],
        Kind::Sleep => &["woke"],
    }
}

fn comment(word: &str) -> Value {
    json!({
        "id": word,
        "activity": "communications:create-comment-platform",
        "input": {
            "ticketId": "{{trigger.payload.ticketId}}",
            "content": format!("{word} {{{{trigger.payload.mark}}}}"),
        },
    })
}

fn broken() -> Value {
    json!({
        "id": "break",
        "activity": "tickets:update-ticket-platform",
        "input": { "ticketId": "there-is-no-such-ticket", "priorityName": "low" },
        "retry": { "attempts": 1 },
    })
}
