//! Proves on the user's own disk, with his own binary, that a crash loses nothing and doubles
//! nothing: it kills a child of itself under load and checks by the public API alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::clock::Clock;
use crate::subject::appliance::Appliance;
use certificate::Certificate;
use chance::Chance;
use ledger::Ledger;
use scenario::Scenario;

mod certificate;
mod chance;
mod check;
mod ledger;
mod scenario;

/// The pauses between two kills lie in this range, in milliseconds.
const LIVES_MS: (u64, u64) = (30, 600);
/// How long a start may go on before it is killed as well, in milliseconds.
const RECOVERY_MS: (u64, u64) = (1, 60);
/// Of so many kills one is followed by another during the recovery.
const RECOVERY_KILLED_ONE_IN: u64 = 5;
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// When the proof ends.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// After so many kills.
    Kills(u64),
    /// After this time.
    Lasting(Duration),
}

/// What is proved, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When it ends.
    pub extent: Extent,
    /// Decides every chance.
    pub seed: u64,
    /// A directory of its own, on the disk that is to be tried.
    pub directory: PathBuf,
}

/// How often it was killed, and how long it took to come back each time.
#[derive(Debug, Default)]
struct Course {
    kills: u64,
    kills_during_recovery: u64,
    recoveries: Vec<Duration>,
}

/// Kills an appliance under load as the plan says, checks what it promised and says what was found.
///
/// # Errors
/// Fails when the appliance cannot be started or refuses what it should take.
pub async fn crash(plan: &Plan, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Certificate> {
    let began = Instant::now();
    let data = plan.directory.join("data");
    progress(&format!("seed {}, data in {}", plan.seed, data.display()));
    let mut chance = Chance::new(plan.seed);
    let (mut appliance, _) = Appliance::start(&data).await?;
    let scenario = Scenario::prepare(&appliance).await?;
    let ledger = Ledger::default();
    let (mut course, mut told) = (Course::default(), Instant::now());
    while plan.extent.goes_on(course.kills, began.elapsed()) {
        let life = Duration::from_millis(chance.between(LIVES_MS));
        tokio::select! {
            // The load ends by itself only when something is refused that must be taken.
            refused = scenario.load(appliance.port, &ledger, chance.next()) => refused?,
            () = tokio::time::sleep(life) => {}
        }
        appliance.kill();
        course.kills += 1;
        if chance.below(RECOVERY_KILLED_ONE_IN) == 0 {
            let moment = Duration::from_millis(chance.between(RECOVERY_MS));
            // Whoever gives up waiting for a start drops the process, which kills it.
            let started = tokio::time::timeout(moment, Appliance::start(&data)).await;
            drop(started.ok().transpose().context("after a kill during the recovery")?);
            course.kills += 1;
            course.kills_during_recovery += 1;
        }
        let (started, took) = Appliance::start(&data).await.context("after a kill")?;
        appliance = started;
        course.recoveries.push(took);
        check::newly_acknowledged(&appliance, &ledger).await?;
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            progress(&format!("{} kills, {}", course.kills, ledger.tell()));
        }
    }
    progress(&format!("{} kills, {}; checking everything", course.kills, ledger.tell()));
    scenario.send_what_is_left(appliance.port, &ledger).await?;
    let findings = check::all(&appliance, &scenario, &ledger).await?;
    let at = Clock::system().now();
    let taken = certificate::Taken { at, seconds: began.elapsed().as_secs_f64() };
    Certificate::new(plan, taken, course, findings)
}

impl Extent {
    fn goes_on(self, kills: u64, elapsed: Duration) -> bool {
        match self {
            Extent::Kills(wanted) => kills < wanted,
            Extent::Lasting(wanted) => elapsed < wanted,
        }
    }
}
