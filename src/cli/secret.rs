//! `ergane secret`: the key that secrets are sealed with.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::printer::cell;

const PATH: &str = "/v1/system/secrets";
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What to do with the key.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Seals everything with a new key and drops the old one; goes on where it was broken off
    RotateKey,
    /// Says which key seals, and where it is kept
    Key,
}

/// Does what was asked for.
pub async fn run(command: SecretCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut answer = session.client.get(PATH).await?;
    if matches!(command, SecretCommand::RotateKey) {
        // An exchange that was broken off goes on by itself, and is not begun a second time.
        if answer["state"] == "settled" {
            let path = format!("{PATH}/rotate-key");
            answer = session.client.post(&path, Body::Json(json!({}))).await?;
        }
        while answer["state"] != "settled" {
            tokio::time::sleep(LOOK_EVERY).await;
            answer = session.client.get(PATH).await?;
        }
    }
    session.printer.print(&answer, |out| {
        let (key, place) = (cell(&answer, "/keyId"), cell(&answer, "/keptIn"));
        writeln!(out, "{} by the key {key}, kept in {place}", cell(&answer, "/state"))
    })?;
    Ok(())
}
