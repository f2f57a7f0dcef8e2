//! `ergane audit`: who changed what, and whether the record of it is whole.

use clap::Subcommand;

use super::Session;
use super::client::with_query;
use super::failure::Failure;
use super::printer::{cell, list};

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Lists what was changed, newest first
    List {
        /// The id or the name of who made the change
        #[arg(long)]
        actor: Option<String>,
        /// What was done: `workflow.save`, or `workflow` for all
        #[arg(long)]
        action: Option<String>,
        /// What it was done to
        #[arg(long)]
        target: Option<String>,
        /// Not earlier than a time, or than a span ago: 24h
        #[arg(long)]
        since: Option<String>,
        /// How many records at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Checks every record; exits with 1 and names the first that was touched
    Verify,
}

/// Does what was asked for.
pub async fn run(command: AuditCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        AuditCommand::List { actor, action, target, since, limit } => {
            let parameters = [
                ("actor", actor),
                ("action", action),
                ("target", target),
                ("since", since),
                ("limit", Some(limit.to_string())),
            ];
            let answer = session.client.get(&with_query("/v1/audit", &parameters)).await?;
            session.printer.print(&answer, |out| {
                let columns = [
                    ("AT", "/at"),
                    ("WHO", "/actor/name"),
                    ("KIND", "/actor/kind"),
                    ("WHAT", "/action"),
                    ("TO WHAT", "/target"),
                    ("FROM", "/from/address"),
                    ("ID", "/id"),
                ];
                list(out, &answer["data"], &columns, "Nothing was changed yet.")
            })?;
        }
        AuditCommand::Verify => {
            let answer = session.client.get("/v1/audit/verify").await?;
            let is_valid = answer["valid"] == true;
            session.printer.print(&answer, |out| match is_valid {
                true => writeln!(out, "{} records, all as they were written", answer["count"]),
                false => writeln!(
                    out,
                    "{}: {}",
                    cell(&answer, "/firstBroken/id"),
                    cell(&answer, "/firstBroken/reason")
                ),
            })?;
            if !is_valid {
                return Err(Failure::Negative("the audit was touched".to_owned()));
            }
        }
    }
    Ok(())
}
