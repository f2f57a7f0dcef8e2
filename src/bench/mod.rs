//! Measures the appliance from outside: its own binary as a child, real HTTP, and a table of what
//! it must reach beside the roofline of the same machine in the same minutes.

use std::path::PathBuf;
use std::time::Duration;

mod definitions;
mod load;
mod measures;
mod report;

pub use report::{Report, Row};

use crate::subject::machine;

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long each load lasts.
    pub duration: Duration,
    /// How many runs sleep while memory and the start are measured.
    pub sleepers: u64,
    /// How many single runs are timed.
    pub singles: usize,
    /// Where the data lies, on the disk that is to be measured.
    pub directory: PathBuf,
}

impl Plan {
    /// Returns the plan for the figures that are published.
    #[must_use]
    pub fn full(directory: PathBuf) -> Plan {
        let duration = Duration::from_secs(15);
        Plan { duration, sleepers: 1_000_000, singles: 2_000, directory }
    }

    /// Returns the plan for a first impression, in about a minute.
    #[must_use]
    pub fn quick(directory: PathBuf) -> Plan {
        let duration = Duration::from_secs(4);
        Plan { duration, sleepers: 100_000, singles: 300, directory }
    }
}

/// Measures everything in `plan`; `progress` is told what comes next.
///
/// # Errors
/// Fails when the appliance cannot be started or does not answer as it should.
pub async fn run(plan: &Plan, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Report> {
    let mut report = Report::new(machine::describe(&plan.directory));
    progress("the disk and the bare database");
    measures::roofline(plan, &mut report)?;
    progress("the start on an empty directory, and memory at rest");
    measures::start(plan, &mut report).await?;
    progress("one run after the other");
    measures::singles(plan, &mut report).await?;
    progress("runs end to end at 64 connections");
    measures::throughput(plan, &mut report).await?;
    progress("events at 64 connections");
    measures::intake(plan, &mut report).await?;
    progress("failing runs with two compensations");
    measures::undo(plan, &mut report).await?;
    progress("sleeping runs, and the start after a kill");
    measures::sleepers(plan, &mut report).await?;
    Ok(report)
}
