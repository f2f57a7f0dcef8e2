//! `ergane tenant export`, `import` and `delete`: a tenant as a file, from a file, and gone.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::Session;
use super::client::{Body, segment, with_query};
use super::failure::Failure;
use super::printer::cell;
use crate::store::moving::frame::FrameReader;

const PASSPHRASE: &str = "X-Passphrase";
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// What is exported, and how.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The tenant
    slug: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Seals the secrets in the file with the first line of this one
    #[arg(long, value_name = "FILE", conflicts_with = "without_secrets")]
    passphrase_file: Option<PathBuf>,
    /// Leaves secrets out; connections then say that theirs are missing
    #[arg(long)]
    without_secrets: bool,
    /// Suspends the tenant first, so that it goes on in one place alone
    #[arg(long = "move")]
    moves: bool,
}

/// What is imported, and how.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// A file that `ergane tenant export` wrote
    file: PathBuf,
    /// The name that the tenant gets; its own when not given
    #[arg(long = "as", value_name = "SLUG")]
    name: Option<String>,
    /// Opens the secrets in the file with the first line of this one
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Gives every API key another text
    #[arg(long)]
    new_keys: bool,
    /// Only checks the file
    #[arg(long)]
    dry_run: bool,
}

/// What is removed, and how.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// The tenant
    slug: String,
    /// Its name once more: everything of it is removed for good
    #[arg(long, value_name = "SLUG")]
    confirm: Option<String>,
    /// Undoes what its runs did first, for so long at most, such as 10m
    #[arg(long, value_name = "DURATION")]
    undo: Option<String>,
    /// Returns when nothing is left
    #[arg(long)]
    wait: bool,
}

/// Writes a tenant to a file, which has its name only when it is whole.
pub async fn export(wanted: ExportArguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let passphrase = passphrase(wanted.passphrase_file.as_deref())?;
    if passphrase.is_none() && !wanted.without_secrets {
        let hint = "say how secrets leave: --passphrase-file FILE, or --without-secrets";
        return Err(Failure::Usage(hint.to_owned()));
    }
    let path = format!("/v1/tenants/{}", segment(&wanted.slug));
    if wanted.moves {
        session.client.post(&format!("{path}/suspend"), Body::Empty).await?;
    }
    let secrets = wanted.without_secrets.then(|| "none".to_owned());
    let path = with_query(&format!("{path}/export"), &[("secrets", secrets)]);
    let mut unfinished = wanted.output.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let written = download(&path, passphrase, &unfinished, session).await;
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(failure) => {
            // What is left of it is no export; that it cannot be removed changes nothing.
            let _ = std::fs::remove_file(&unfinished);
            return Err(failure);
        }
    };
    std::fs::rename(&unfinished, &wanted.output)
        .with_context(|| format!("cannot name {}", wanted.output.display()))?;
    let shown = wanted.output.display().to_string();
    let answer = json!({ "tenant": wanted.slug, "file": shown, "bytes": bytes });
    Ok(session.printer.print(&answer, |out| writeln!(out, "{shown}: {bytes} bytes"))?)
}

async fn download(
    path: &str,
    passphrase: Option<String>,
    to: &Path,
    session: &mut Session<'_>,
) -> Result<u64, Failure> {
    let headers: Vec<_> = passphrase.map(|text| (PASSPHRASE, text)).into_iter().collect();
    let mut stream = session.client.download(path, &headers).await?;
    let cannot = || format!("cannot write {}", to.display());
    let mut options = tokio::fs::OpenOptions::new();
    // It holds what the tenant's people see, and what signs them in.
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(to).await.with_context(cannot)?;
    let (mut reader, mut bytes) = (FrameReader::default(), 0);
    while let Some(piece) = session.client.piece(&mut stream).await? {
        file.write_all(&piece).await.with_context(cannot)?;
        bytes += piece.len() as u64;
        reader.feed(&piece);
        while reader.take().map_err(anyhow::Error::new)?.is_some() {}
    }
    reader.end().map_err(anyhow::Error::new)?;
    file.sync_all().await.with_context(cannot)?;
    Ok(bytes)
}

/// Reads a tenant out of a file.
pub async fn import(wanted: ImportArguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let headers: Vec<_> = passphrase(wanted.passphrase_file.as_deref())?
        .map(|text| (PASSPHRASE, text))
        .into_iter()
        .collect();
    let path = with_query(
        "/v1/tenants/import",
        &[
            ("as", wanted.name),
            ("keys", wanted.new_keys.then(|| "new".to_owned())),
            ("dryRun", wanted.dry_run.then(|| "true".to_owned())),
        ],
    );
    let file = tokio::fs::File::open(&wanted.file).await;
    let file = file.with_context(|| format!("cannot read {}", wanted.file.display()))?;
    let answer = session.client.upload(&path, &headers, file).await?;
    session.printer.print(&answer, |out| {
        let (slug, state) = (cell(&answer, "/slug"), cell(&answer, "/state"));
        let rows: u64 = answer["rows"]
            .as_object()
            .map_or(0, |rows| rows.values().filter_map(Value::as_u64).sum());
        writeln!(out, "{slug}: {state}, {rows} rows")?;
        for missing in answer["missing"].as_array().into_iter().flatten() {
            let (kind, name) = (cell(missing, "/kind"), cell(missing, "/name"));
            writeln!(out, "missing secret: {kind} {name}")?;
        }
        for key in answer["newKeys"].as_array().into_iter().flatten() {
            writeln!(out, "{}: {}", cell(key, "/name"), cell(key, "/key"))?;
        }
        match state == "suspended" {
            true => writeln!(out, "It rests until `ergane tenant resume {slug}`."),
            false => Ok(()),
        }
    })?;
    Ok(())
}

/// Removes a tenant for good.
pub async fn delete(wanted: DeleteArguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let parameters = [("confirm", wanted.confirm), ("undo", wanted.undo)];
    let path = with_query(&format!("/v1/tenants/{}", segment(&wanted.slug)), &parameters);
    let answer = session.client.send(Method::DELETE, &path, Body::Empty).await?;
    while wanted.wait && is_removed_yet(&wanted.slug, session).await? == Removed::NotYet {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let slug = wanted.slug;
    Ok(session.printer.print(&answer, |out| match wanted.wait {
        true => writeln!(out, "{slug} is gone."),
        false => writeln!(out, "{slug} is nobody's any more; its rows go in the background."),
    })?)
}

#[derive(PartialEq, Eq)]
enum Removed {
    Wholly,
    NotYet,
}

async fn is_removed_yet(slug: &str, session: &mut Session<'_>) -> Result<Removed, Failure> {
    let removals = session.client.get("/v1/system/removals").await?;
    let goes_on = |row: &Value| row["slug"] == slug;
    match removals["data"].as_array().is_some_and(|rows| rows.iter().any(goes_on)) {
        true => Ok(Removed::NotYet),
        false => Ok(Removed::Wholly),
    }
}

fn passphrase(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}
