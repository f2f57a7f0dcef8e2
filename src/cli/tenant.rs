//! `ergane tenant`: the organizations of one appliance, each in its walled space.

use clap::Subcommand;
use serde_json::json;

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::printer::{cell, list};

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Makes a tenant
    Create {
        /// Lower case, digits, hyphens
        slug: String,
        /// What people call it; the slug when not given
        #[arg(long)]
        name: Option<String>,
    },
    /// Lists the tenants
    List,
}

/// Does what was asked for.
pub async fn run(command: TenantCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        TenantCommand::Create { slug, name } => {
            let wanted = json!({ "slug": slug, "name": name.unwrap_or_else(|| slug.clone()) });
            let answer = session.client.post("/v1/tenants", Body::Json(wanted)).await?;
            session.printer.print(&answer, |out| writeln!(out, "{}", cell(&answer, "/slug")))?;
        }
        TenantCommand::List => {
            let answer = session.client.get("/v1/tenants?limit=200").await?;
            session.printer.print(&answer, |out| {
                let columns = [("SLUG", "/slug"), ("NAME", "/name"), ("CREATED", "/createdAt")];
                list(out, &answer["data"], &columns, "There are no tenants.")
            })?;
        }
    }
    Ok(())
}
