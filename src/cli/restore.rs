//! `ergane restore`: makes a data directory of a backup, and `ergane resume`, which lets it go on.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::backup::{key_ids, logs_of, write_manifest};
use super::client::Body;
use super::failure::Failure;
use super::printer::{Printer, cell};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::domain::time::Timestamp;
use crate::store::backup::{
    Contents, Manifest, Pace, Progress, Restoring, Start, check, restore as restored,
};

/// What to restore, and how.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    file: PathBuf,
    /// Does nothing, and succeeds, where there is a store already
    #[arg(long)]
    if_empty: bool,
    /// Only says what the backup holds
    #[arg(long)]
    dry_run: bool,
    /// Goes on beyond the backup, to the last commit before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Further directories with segments of the log, for --at
    #[arg(long, value_name = "DIRECTORY")]
    log: Vec<PathBuf>,
    /// Goes on at once at its start, where it would rest until `ergane resume`
    #[arg(long)]
    active: bool,
}

/// Restores, or says what would be restored.
pub fn run(
    arguments: &RestoreArguments,
    loaded: &Loaded,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (config, now) = (&loaded.config, Clock::system().now());
    let has_store = config.data_dir.join("ergane.redb").exists();
    if has_store && arguments.if_empty {
        let told = json!({ "restored": false, "reason": "there is a store already" });
        let directory = config.data_dir.display();
        return Ok(
            printer.print(&told, |out| writeln!(out, "there is a store in {directory} already"))?
        );
    }
    let here = key_ids(&config.secret_key, &config.data_dir)?;
    if arguments.dry_run {
        let (manifest, contents) = check(&arguments.file, now, Pace::FULL, &Progress::default())
            .map_err(anyhow::Error::new)?;
        return tell(printer, &manifest, &contents, &here, Vec::new());
    }
    let own = logs_of(&arguments.file, &config.backup, &config.data_dir);
    let logs: Vec<PathBuf> = arguments.log.iter().cloned().chain(own).collect();
    let start = if arguments.active { Start::Active } else { Start::Paused };
    let order = Restoring {
        backup: &arguments.file,
        data_dir: &config.data_dir,
        now,
        at: arguments.at,
        logs: &logs,
        start,
    };
    let outcome = restored(&order).map_err(anyhow::Error::new)?;
    let mut notes = Vec::new();
    if let Some(replayed) = outcome.replayed {
        let reached = replayed.last.unwrap_or(outcome.manifest.taken_at);
        notes.push(format!("the log added {} groups of commits, up to {reached}", replayed.groups));
    }
    notes.push(match start {
        Start::Paused => {
            "restored, and paused: start it, look, then run `ergane resume`".to_owned()
        }
        Start::Active => "restored; everything goes on at its start".to_owned(),
    });
    tell(printer, &outcome.manifest, &outcome.contents, &here, notes)
}

fn tell(
    printer: &mut Printer<'_>,
    manifest: &Manifest,
    contents: &Contents,
    here: &[String],
    notes: Vec<String>,
) -> Result<(), Failure> {
    let has_key = manifest.key_ids.iter().all(|id| here.contains(id));
    let tenants: Vec<_> = contents.tenants.values().filter(|it| !it.slug.is_empty()).collect();
    let told = json!({
        "manifest": manifest,
        "tenants": tenants,
        "overdue": contents.overdue,
        "ahead": contents.ahead,
        "hasKey": has_key,
        "notes": notes,
    });
    let write = |out: &mut dyn Write| -> io::Result<()> {
        write_manifest(out, manifest)?;
        for tenant in &tenants {
            let by_status =
                tenant.by_status.iter().map(|(status, count)| format!("{count} {status}"));
            let by_status = by_status.collect::<Vec<_>>().join(", ");
            let (slug, events, runs) = (&tenant.slug, tenant.events, tenant.runs);
            let by_status =
                if by_status.is_empty() { String::new() } else { format!(" ({by_status})") };
            writeln!(out, "tenant   {slug}: {events} events, {runs} runs{by_status}")?;
        }
        let (overdue, ahead) = (contents.overdue, contents.ahead);
        writeln!(out, "timers   {overdue} in the past, {ahead} to come")?;
        if !has_key {
            let ids = manifest.key_ids.join(", ");
            writeln!(
                out,
                "warning  the key of the secrets is not here: put the `secret.key` with the id \
                 {ids} into the data directory, or give it as ERGANE_SECRET_KEY"
            )?;
        }
        for note in &notes {
            writeln!(out, "{note}")?;
        }
        Ok(())
    };
    Ok(printer.print(&told, write)?)
}

/// What shall go on.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// This run alone
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

/// Lets a restored appliance go on; `tenant` limits it to one.
pub async fn resume(
    arguments: ResumeArguments,
    tenant: Option<String>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut wanted = json!({});
    match (arguments.run, tenant) {
        (Some(run), _) => wanted["run"] = Value::String(run),
        (None, Some(tenant)) => wanted["tenant"] = Value::String(tenant),
        (None, None) => {}
    }
    let answer = session.client.post("/v1/system/resume", Body::Json(wanted)).await?;
    session.printer.print(&answer, |out| match answer["paused"].is_null() {
        true => writeln!(out, "everything goes on"),
        false => writeln!(
            out,
            "still paused but for the tenants [{}] and the runs [{}]",
            cell(&answer, "/paused/tenants"),
            cell(&answer, "/paused/runs")
        ),
    })?;
    Ok(())
}
