//! `ergane backup`: takes, lists and checks backups, with a server or without one.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use super::client::{Body, Client};
use super::failure::Failure;
use super::printer::{Printer, cell};
use crate::app::backup_settings::BackupSettings;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::store::backup::{Manifest, Order, Pace, Progress, check, copy, files};
use crate::store::redb_store::{RedbStore, StoreSettings};
use crate::store::seal_keys::SealKeys;

const PATH: &str = "/v1/system/backups";
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to do with backups; nothing more takes one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArguments {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// Where to put it, `-` for the standard output [default: the directory of backups]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Lists the backups
    List,
    /// Reads a backup whole and says whether it is sound; needs no server
    Verify {
        /// The backup
        file: PathBuf,
    },
}

impl BackupArguments {
    /// Returns the file that is only to be checked.
    #[must_use]
    pub fn verified(&self) -> Option<&Path> {
        match &self.command {
            Some(BackupCommand::Verify { file }) => Some(file),
            Some(BackupCommand::List) | None => None,
        }
    }
}

/// Does what was asked for with a server.
pub async fn run(arguments: BackupArguments, session: &mut Session<'_>) -> Result<(), Failure> {
    if matches!(arguments.command, Some(BackupCommand::List)) {
        let answer = session.client.get(PATH).await?;
        session.printer.print(&answer, |out| write_list(out, &answer["data"]))?;
        return Ok(());
    }
    let job = session.client.post(PATH, Body::Json(json!({}))).await?;
    let name = cell(&job, "/name");
    let directory = finished(&session.client, &name).await?;
    let Some(output) = arguments.output else {
        let path = Path::new(&directory).join(&name);
        let told = json!({ "name": name, "path": path });
        session.printer.print(&told, |out| writeln!(out, "{}", path.display()))?;
        return Ok(());
    };
    let fetched = fetch(&session.client, &name, &output).await;
    // It was made for this file alone.
    session.client.send(reqwest::Method::DELETE, &format!("{PATH}/{name}"), Body::Empty).await?;
    fetched?;
    told_of(&output, &mut session.printer)
}

/// Waits until the backup is taken; returns where the server keeps it.
async fn finished(client: &Client, name: &str) -> Result<String, Failure> {
    loop {
        let list = client.get(PATH).await?;
        let job = &list["state"]["job"];
        match (job["name"] == name, job["state"].as_str()) {
            (true, Some("completed")) => return Ok(cell(&list, "/state/directory")),
            (true, Some("failed")) => {
                return Err(Failure::Negative(format!("no backup: {}", cell(job, "/reason"))));
            }
            (true, _) => tokio::time::sleep(LOOK_EVERY).await,
            (false, _) => {
                return Err(Failure::Negative("the server has restarted meanwhile".to_owned()));
            }
        }
    }
}

async fn fetch(client: &Client, name: &str, output: &Path) -> Result<(), Failure> {
    let mut pieces = client.stream(&format!("{PATH}/{name}"), None).await?;
    if output == Path::new("-") {
        let mut out = io::stdout();
        while let Some(piece) = client.piece(&mut pieces).await? {
            out.write_all(&piece)?;
        }
        return Ok(out.flush()?);
    }
    let part = part_of(output);
    let written = async {
        // What is in it is for its owner alone, as in the directory that it comes from.
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&part).context(part.display().to_string())?;
        while let Some(piece) = client.piece(&mut pieces).await? {
            file.write_all(&piece).context(part.display().to_string())?;
        }
        file.sync_all().context(part.display().to_string())?;
        let now = Clock::system().now();
        check(&part, now, Pace::FULL, &Progress::default()).map_err(anyhow::Error::new)?;
        files::name_file(&part, output).map_err(anyhow::Error::new)?;
        Ok(())
    };
    let outcome: Result<(), Failure> = written.await;
    if outcome.is_err() {
        let _ = std::fs::remove_file(&part); // It is not whole, whatever there is of it.
    }
    outcome
}

fn part_of(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    output.with_file_name(name)
}

fn told_of(output: &Path, printer: &mut Printer<'_>) -> Result<(), Failure> {
    if output == Path::new("-") {
        return Ok(());
    }
    let told = json!({ "path": output });
    Ok(printer.print(&told, |out| writeln!(out, "{}", output.display()))?)
}

/// Checks a file.
pub fn verify(file: &Path, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let now = Clock::system().now();
    let (manifest, _) =
        check(file, now, Pace::FULL, &Progress::default()).map_err(anyhow::Error::new)?;
    let faults: Vec<&str> =
        manifest.audit.iter().filter_map(|chain| chain.fault.as_deref()).collect();
    let told = json!({ "sound": true, "manifest": manifest });
    printer.print(&told, |out| {
        write_manifest(out, &manifest)?;
        for fault in &faults {
            writeln!(out, "audit    broken in the store itself: {fault}")?;
        }
        writeln!(out, "sound")
    })?;
    Ok(())
}

/// Writes what a backup says of itself.
pub fn write_manifest(out: &mut dyn Write, manifest: &Manifest) -> io::Result<()> {
    writeln!(out, "taken    {} by ergane {}", manifest.taken_at, manifest.taken_by)?;
    let (rows, bytes) = (manifest.rows, manifest.file_bytes);
    writeln!(out, "holds    {rows} rows in {bytes} bytes, format {}", manifest.format)?;
    writeln!(out, "keys     {}", manifest.key_ids.join(", "))?;
    writeln!(out, "sha256   {}", manifest.sha256)
}

fn write_list(out: &mut dyn Write, data: &Value) -> io::Result<()> {
    let columns = [
        ("NAME", "/name"),
        ("TAKEN", "/manifest/takenAt"),
        ("BYTES", "/bytes"),
        ("ROWS", "/manifest/rows"),
        ("FAULT", "/fault"),
    ];
    super::printer::list(out, data, &columns, "There are no backups.")
}

/// Does what was asked for in a data directory that no server has.
pub fn run_alone(
    arguments: &BackupArguments,
    loaded: &Loaded,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let config = &loaded.config;
    let directory = config.backup.directory_in(&config.data_dir);
    if matches!(arguments.command, Some(BackupCommand::List)) {
        let listed = files::list(&directory).map_err(anyhow::Error::new)?;
        let data: Vec<Value> = listed.iter().map(shown).collect();
        let data = Value::Array(data);
        return Ok(printer.print(&json!({ "data": data }), |out| write_list(out, &data))?);
    }
    let store = open(&config.store_settings())?;
    let key_ids = key_ids(&config.secret_key, &config.data_dir)?;
    let at = Clock::system().now();
    let progress = Progress::default();
    let order = Order { at, key_ids, pace: Pace::FULL, progress: &progress };
    let output = match &arguments.output {
        Some(output) if output == Path::new("-") => {
            let taken = copy(&store, &mut io::stdout().lock(), order);
            store.close();
            taken.map_err(anyhow::Error::new)?;
            return Ok(());
        }
        Some(output) => output.clone(),
        None => directory.join(files::name_at(at)),
    };
    let taken = files::take(&store, &output, order);
    store.close();
    taken.map_err(anyhow::Error::new)?;
    told_of(&output, printer)
}

/// Opens a store that is there.
fn open(settings: &StoreSettings) -> Result<RedbStore, Failure> {
    if !settings.data_dir.join("ergane.redb").exists() {
        let directory = settings.data_dir.display();
        return Err(Failure::NotFound(format!("there is no store in {directory}")));
    }
    Ok(RedbStore::open(settings).map_err(anyhow::Error::new)?)
}

/// Returns the ids of the keys that are here, the newest first.
pub fn key_ids(given: &str, data_dir: &Path) -> Result<Vec<String>, Failure> {
    let keys = SealKeys::find(given, data_dir).map_err(anyhow::Error::new)?;
    Ok(keys.ids())
}

fn shown(listed: &files::Listed) -> Value {
    let (manifest, fault) = match &listed.manifest {
        Ok(manifest) => (Some(manifest), None),
        Err(fault) => (None, Some(fault)),
    };
    json!({ "name": listed.name, "bytes": listed.bytes, "manifest": manifest, "fault": fault })
}

/// Returns where the segments of the log may lie that follow a backup.
pub fn logs_of(backup: &Path, settings: &BackupSettings, data_dir: &Path) -> Vec<PathBuf> {
    let beside = backup.parent().unwrap_or(Path::new(".")).join("log");
    let kept = settings.directory_in(data_dir).join("log");
    vec![beside, kept, crate::app::backup_settings::log_directory(data_dir)]
}
