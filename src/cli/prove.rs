//! `ergane prove`: what is promised, tried on the machine that it has to hold on.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::printer::Printer;
use crate::clock::Clock;
use crate::prove::{self, Extent, Plan};

const SECONDS_A_MINUTE: u64 = 60;
const KILLS_USUAL: u64 = 100;

/// What is proved.
#[derive(Debug, Subcommand)]
pub enum ProveCommand {
    /// Kills the appliance again and again under load, and checks that nothing is lost or doubled
    Crash(CrashArguments),
}

/// How it is killed, and where.
#[derive(Debug, Args)]
pub struct CrashArguments {
    /// How often it is killed [default: 100]
    #[arg(long, conflicts_with = "minutes")]
    kills: Option<u64>,
    /// How long it is killed, instead of how often
    #[arg(long)]
    minutes: Option<u64>,
    /// Where the data lies, on the disk that is to be tried
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Repeats the chances of another proof
    #[arg(long)]
    seed: Option<u64>,
    /// Keeps what was written
    #[arg(long)]
    keep: bool,
}

/// Proves, prints the certificate, and fails when a promise was broken.
pub async fn run(command: ProveCommand, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let ProveCommand::Crash(arguments) = command;
    let above = arguments.directory.unwrap_or_else(std::env::temp_dir);
    let directory = above.join(format!("ergane-prove-{}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let extent = match arguments.minutes {
        Some(minutes) => Extent::Lasting(Duration::from_secs(minutes * SECONDS_A_MINUTE)),
        None => Extent::Kills(arguments.kills.unwrap_or(KILLS_USUAL)),
    };
    let seed = arguments.seed.unwrap_or_else(|| Clock::system().random());
    let plan = Plan { extent, seed, directory: directory.clone() };
    let mut progress = |what: &str| {
        let _ = writeln!(std::io::stderr(), "{what}"); // Only a courtesy.
    };
    let certificate = prove::crash(&plan, &mut progress).await?;
    printer.print(&json!(certificate), |out| certificate.write(out))?;
    if !certificate.is_kept() {
        let kept = directory.display();
        return Err(Failure::Negative(format!("promises were broken; the data is in {kept}")));
    }
    if !arguments.keep {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
