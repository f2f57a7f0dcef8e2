//! `ergane tenant`: the organizations of one appliance, each in its walled space.

use clap::Subcommand;
use serde_json::json;

use super::client::Body;
use super::failure::Failure;
use super::printer::{cell, list};
use super::{Session, moving};

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
    /// Writes everything of a tenant to a file
    Export(moving::ExportArguments),
    /// Reads a tenant out of such a file; it rests until it is resumed
    Import(moving::ImportArguments),
    /// Removes a tenant with everything that it has
    Delete(moving::DeleteArguments),
}

/// Does what was asked for.
pub async fn run(command: TenantCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        TenantCommand::Create { slug, name } => {
            let wanted = json!({ "slug": slug, "name": name.unwrap_or_else(|| slug.clone()) });
            let answer = session.client.post("/v1/tenants", Body::Json(wanted)).await?;
            session.printer.print(&answer, |out| writeln!(out, "{}", cell(&answer, "/slug")))?;
        }
        TenantCommand::Export(wanted) => moving::export(wanted, session).await?,
        TenantCommand::Import(wanted) => moving::import(wanted, session).await?,
        TenantCommand::Delete(wanted) => moving::delete(wanted, session).await?,
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
