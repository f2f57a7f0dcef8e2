//! `ergane retention`: for how long what is over is kept.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::printer::{cell, list};

const PATH: &str = "/v1/retention";

/// What to do about it.
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Shows the rules that hold and what was removed
    Show,
    /// Replaces the tenant's rules by those of a JSON file; `-` reads from the standard input
    Set {
        /// The file
        file: PathBuf,
        /// Changes nothing; counts what would go, by rule
        #[arg(long)]
        dry_run: bool,
    },
    /// Counts what would be removed now, by rule
    Preview,
    /// Removes now what is past its time
    Run,
    /// Removes nothing, of any tenant, until it is resumed
    Pause,
    /// Removes again what is past its time
    Resume,
}

/// Does what was asked for.
pub async fn run(command: RetentionCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        RetentionCommand::Show => {
            let answer = session.client.get(PATH).await?;
            shown(session, &answer)
        }
        RetentionCommand::Set { file, dry_run } => {
            let rules = Body::Json(read(&file)?);
            if dry_run {
                let answer =
                    session.client.send(Method::PUT, &format!("{PATH}?dryRun=true"), rules).await?;
                return counted(session, &answer);
            }
            let answer = session.client.send(Method::PUT, PATH, rules).await?;
            shown(session, &answer)
        }
        RetentionCommand::Preview => {
            let answer = session.client.get(&format!("{PATH}/preview")).await?;
            counted(session, &answer)
        }
        RetentionCommand::Run => {
            let answer = session.client.post(&format!("{PATH}/run"), Body::Json(json!({}))).await?;
            session.printer.print(&answer, |out| removed(out, &answer["removed"]))?;
            Ok(())
        }
        RetentionCommand::Pause | RetentionCommand::Resume => {
            let word = if matches!(command, RetentionCommand::Pause) { "pause" } else { "resume" };
            let path = format!("{PATH}/{word}");
            let answer = session.client.post(&path, Body::Json(json!({}))).await?;
            shown(session, &answer)
        }
    }
}

fn read(file: &Path) -> Result<Value, Failure> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let text =
        text.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{} is no JSON: {error}", file.display())))
}

fn shown(session: &mut Session<'_>, answer: &Value) -> Result<(), Failure> {
    session.printer.print(answer, |out| {
        if answer["paused"] == true {
            writeln!(out, "paused: nothing is removed")?;
        }
        writeln!(out, "{:#}", answer["effective"])?;
        removed(out, &answer["removed"])
    })?;
    Ok(())
}

fn removed(out: &mut dyn std::io::Write, kinds: &Value) -> std::io::Result<()> {
    let kinds = kinds.as_object().filter(|kinds| !kinds.is_empty());
    let Some(kinds) = kinds else { return writeln!(out, "nothing was removed") };
    for (kind, count) in kinds {
        writeln!(out, "removed {count} {kind}")?;
    }
    Ok(())
}

fn counted(session: &mut Session<'_>, answer: &Value) -> Result<(), Failure> {
    session.printer.print(answer, |out| {
        let columns = [("RULE", "/rule"), ("WORKFLOW", "/workflow"), ("COUNT", "/count")];
        list(out, &answer["data"], &columns, "Nothing is past its time.")?;
        match answer["truncated"] == true {
            true => writeln!(out, "and perhaps more: {} or more", cell(answer, "/total")),
            false => Ok(()),
        }
    })?;
    Ok(())
}
