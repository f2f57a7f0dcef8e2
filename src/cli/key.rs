//! `ergane key`: API keys of a tenant.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Session;
use super::client::{Body, segment};
use super::failure::Failure;
use super::printer::{cell, list};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key and prints it, once
    Create {
        /// What the key is for
        name: String,
        /// What it may do: `events:write`, `runs:read` … or `*`
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// When it ends: 2027-01-01T00:00:00Z
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Lists the keys without their secrets
    List,
    /// Makes a key useless at once
    Revoke {
        /// The key's id, as `list` shows it
        id: String,
    },
}

/// Does what was asked for.
pub async fn run(command: KeyCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { name, scopes, expires_at } => {
            let mut wanted = json!({ "name": name, "scopes": scopes });
            if let Some(moment) = expires_at {
                wanted["expiresAt"] = json!(moment);
            }
            let answer = session.client.post("/v1/keys", Body::Json(wanted)).await?;
            session.printer.print(&answer, |out| writeln!(out, "{}", cell(&answer, "/key")))?;
        }
        KeyCommand::List => {
            let answer = session.client.get("/v1/keys?limit=200").await?;
            session.printer.print(&answer, |out| {
                let columns = [
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("KEY", "/prefix"),
                    ("SCOPES", "/scopes"),
                    ("CREATED", "/createdAt"),
                    ("USED", "/lastUsedAt"),
                    ("ENDS", "/expiresAt"),
                ];
                list(out, &answer["data"], &columns, "There are no keys.")
            })?;
        }
        KeyCommand::Revoke { id } => {
            let path = format!("/v1/keys/{}", segment(&id));
            session.client.send(Method::DELETE, &path, Body::Empty).await?;
            let answer = json!({ "id": id, "revoked": true });
            session.printer.print(&answer, |out| writeln!(out, "{id} is revoked"))?;
        }
    }
    Ok(())
}
