//! `ergane bench`: how fast this build is on this machine.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::printer::Printer;
use crate::bench::{self, Plan};

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// About a minute instead of ten
    #[arg(long)]
    quick: bool,
    /// How many runs sleep while memory and the start are measured
    #[arg(long)]
    sleepers: Option<u64>,
    /// Where the data lies, on the disk that is to be measured
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Measures, prints the table, and removes what it made.
pub async fn run(arguments: BenchArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let above = arguments.directory.unwrap_or_else(std::env::temp_dir);
    let directory = above.join(format!("ergane-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut plan = match arguments.quick {
        true => Plan::quick(directory.clone()),
        false => Plan::full(directory.clone()),
    };
    plan.sleepers = arguments.sleepers.unwrap_or(plan.sleepers);
    let mut progress = |what: &str| {
        let _ = writeln!(std::io::stderr(), "measuring {what} …"); // Only a courtesy.
    };
    let report = bench::run(&plan, &mut progress).await?;
    std::fs::remove_dir_all(&directory)
        .with_context(|| format!("cannot remove {}", directory.display()))?;
    Ok(printer.print(&json!(report), |out| report.write(out))?)
}
