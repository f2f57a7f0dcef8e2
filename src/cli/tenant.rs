//! `ergane tenant`: the organizations of one appliance, each in its walled space.

use std::io;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, segment};
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
    /// Shows a tenant with how much it has
    Show {
        /// The tenant
        slug: String,
    },
    /// Changes what people call a tenant
    Rename {
        /// The tenant
        slug: String,
        /// Its new name
        name: String,
    },
    /// Suspends a tenant: no new work, its runs rest, its deadlines wait
    Suspend {
        /// The tenant
        slug: String,
    },
    /// Lets a suspended tenant go on exactly where it was
    Resume {
        /// The tenant
        slug: String,
    },
    /// Shows the quotas of a tenant and their use, or sets some
    Quotas {
        /// The tenant
        slug: String,
        /// A quota and its limit: 0 for any amount, `default` for that of the settings
        #[arg(long = "set", value_name = "NAME=LIMIT")]
        set: Vec<String>,
    },
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
        TenantCommand::Show { slug } => {
            let answer = session.client.get(&path_of(&slug, "")).await?;
            show(session, &answer)?;
        }
        TenantCommand::Rename { slug, name } => {
            let body = Body::Json(json!({ "name": name }));
            let answer = session.client.send(Method::PATCH, &path_of(&slug, ""), body).await?;
            show(session, &answer)?;
        }
        TenantCommand::Suspend { slug } => {
            let answer = session.client.post(&path_of(&slug, "/suspend"), Body::Empty).await?;
            show(session, &answer)?;
        }
        TenantCommand::Resume { slug } => {
            let answer = session.client.post(&path_of(&slug, "/resume"), Body::Empty).await?;
            show(session, &answer)?;
        }
        TenantCommand::Quotas { slug, set } => {
            let path = path_of(&slug, "/quotas");
            let answer = match set.is_empty() {
                true => session.client.get(&path).await?,
                false => {
                    let body = Body::Json(wanted(&set)?);
                    session.client.send(Method::PUT, &path, body).await?
                }
            };
            session.printer.print(&answer, |out| {
                let columns =
                    [("QUOTA", "/name"), ("LIMIT", "/limit"), ("USED", "/used"), ("%", "/percent")];
                list(out, &answer["data"], &columns, "There are no quotas.")
            })?;
        }
    }
    Ok(())
}

fn path_of(slug: &str, rest: &str) -> String {
    format!("/v1/tenants/{}{rest}", segment(slug))
}

fn show(session: &mut Session<'_>, tenant: &Value) -> Result<(), Failure> {
    let print = |out: &mut dyn io::Write| -> io::Result<()> {
        for (name, value) in tenant.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(out, "{name:<14} {text}")?;
        }
        Ok(())
    };
    Ok(session.printer.print(tenant, print)?)
}

/// Reads limits as they are given: `eventsPerSecond=100`.
fn wanted(set: &[String]) -> Result<Value, Failure> {
    let mut wanted = Map::new();
    for one in set {
        let usage = || Failure::Usage(format!("`{one}` is no quota; write eventsPerSecond=100"));
        let (name, limit) = one.split_once('=').ok_or_else(usage)?;
        let limit = match limit {
            "default" => Value::Null,
            number => json!(number.parse::<u64>().map_err(|_| usage())?),
        };
        wanted.insert(name.to_owned(), limit);
    }
    Ok(wanted.into())
}
