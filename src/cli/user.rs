//! `ergane user`: people who sign in with a password.

use std::io::{self, Write};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::client::{Body, segment};
use super::failure::Failure;
use super::printer::{cell, list};

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Invites somebody and prints the link by which they set their password, once
    Create {
        /// The mail address
        email: String,
        /// What people call them; the mail address when not given
        #[arg(long)]
        name: Option<String>,
        /// What they may do: owner, admin, editor, operator, approver, viewer or auditor
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// A team, by id, that they are limited to
        #[arg(long = "team")]
        teams: Vec<String>,
    },
    /// Lists the people and their roles
    List,
    /// Ends a password and prints the link by which another is set, once
    ResetPassword {
        /// The mail address or the id
        user: String,
    },
    /// Lets somebody no longer sign in, and ends their sessions
    Disable {
        /// The mail address or the id
        user: String,
    },
}

/// Does what was asked for.
pub async fn run(command: UserCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        UserCommand::Create { email, name, roles, teams } => {
            let mut wanted = json!({ "email": email, "roles": roles, "teams": teams });
            if let Some(name) = name {
                wanted["name"] = json!(name);
            }
            let answer = session.client.post("/v1/people", Body::Json(wanted)).await?;
            print_link(session, answer)?;
        }
        UserCommand::List => {
            let answer = session.client.get("/v1/people?limit=200").await?;
            session.printer.print(&answer, |out| {
                let columns = [
                    ("EMAIL", "/email"),
                    ("NAME", "/name"),
                    ("ROLES", "/roles"),
                    ("STATUS", "/status"),
                    ("CODE", "/secondFactor"),
                    ("SIGNED IN", "/signedInAt"),
                    ("ID", "/id"),
                ];
                list(out, &answer["data"], &columns, "There are no users.")
            })?;
        }
        UserCommand::ResetPassword { user } => {
            let path = format!("/v1/people/{}/reset-password", segment(&user));
            let answer = session.client.post(&path, Body::Empty).await?;
            print_link(session, answer)?;
        }
        UserCommand::Disable { user } => {
            let path = format!("/v1/people/{}", segment(&user));
            let body = Body::Json(json!({ "disabled": true }));
            let answer = session.client.send(Method::PATCH, &path, body).await?;
            session
                .printer
                .print(&answer, |out| writeln!(out, "{} is disabled", cell(&answer, "/email")))?;
        }
    }
    Ok(())
}

fn print_link(session: &mut Session<'_>, mut answer: Value) -> Result<(), Failure> {
    let path = answer["link"]["path"].as_str().unwrap_or_default();
    answer["link"]["url"] = json!(session.client.page(path));
    session.printer.print(&answer, |out| write_link(out, &answer["link"]))?;
    Ok(())
}

/// Writes a one-time link and when it ends.
pub fn write_link(out: &mut dyn Write, link: &Value) -> io::Result<()> {
    writeln!(out, "{}", cell(link, "/url"))?;
    writeln!(out, "works once, until {}", cell(link, "/expiresAt"))
}
