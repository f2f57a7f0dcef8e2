//! `ergane run`: see what runs do, stop them, let them try again.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use super::client::{Body, segment, with_query};
use super::document::json_argument;
use super::failure::Failure;
use super::printer::{cell, list, table};

const FINAL: [&str; 3] = ["succeeded", "failed", "cancelled"];

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Lists runs, newest first
    List(Wanted),
    /// Shows one run with its steps
    Show {
        /// The run's id
        id: String,
        /// Shows the journal instead: what the run recorded, in order
        #[arg(long)]
        journal: bool,
        /// Waits until the run is over
        #[arg(long)]
        wait: bool,
    },
    /// Stops a run and undoes its finished steps
    Cancel {
        /// The run's id
        id: String,
        /// Leaves the finished steps as they are
        #[arg(long)]
        keep: bool,
    },
    /// Goes on from the failed step
    Retry {
        /// The run's id
        id: String,
        /// The step to go on from, when it is not the failed one
        #[arg(long)]
        from: Option<String>,
        /// The version to go on with: a number, or `latest`
        #[arg(long)]
        version: Option<String>,
        /// Replaces the input of that step: JSON, @FILE, or - for the standard input
        #[arg(long)]
        input: Option<String>,
        /// Only says what it would do
        #[arg(long)]
        dry_run: bool,
    },
    /// Starts a new run with the same event
    Restart {
        /// The run's id
        id: String,
        /// The version to start: a number, or `latest`
        #[arg(long)]
        version: Option<String>,
        /// Takes the place of the event's payload: JSON, @FILE, or - for the standard input
        #[arg(long)]
        payload: Option<String>,
        /// Only says what it would do
        #[arg(long)]
        dry_run: bool,
    },
    /// Moves a run that goes on to another version of its workflow
    Migrate {
        /// The run's id
        id: String,
        /// The version: a number, or `latest`
        #[arg(long, default_value = "latest")]
        version: String,
        /// Only says whether it can be moved
        #[arg(long)]
        dry_run: bool,
    },
    /// Does one thing to all runs that a filter holds
    Bulk(Bulk),
}

/// One action on many runs.
#[derive(Debug, Args)]
pub struct Bulk {
    /// retry, restart, cancel or migrate
    action: String,
    /// Only those of this status
    #[arg(long)]
    status: Option<String>,
    /// Only those of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Only those whose error has this code
    #[arg(long)]
    error_code: Option<String>,
    /// Only those created since this time, or this long ago: 2h
    #[arg(long)]
    since: Option<String>,
    /// The version to act with: a number, or `latest`
    #[arg(long)]
    version: Option<String>,
    /// Only counts them
    #[arg(long)]
    dry_run: bool,
}

/// Which runs to list.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only those of this status
    #[arg(long)]
    status: Option<String>,
    /// Only those of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Only those that this event started
    #[arg(long)]
    event: Option<String>,
    /// Only those created at or after this time
    #[arg(long)]
    since: Option<String>,
    /// How many, 1 to 200
    #[arg(long, default_value_t = 50)]
    limit: u16,
}

/// Does what was asked for.
pub async fn run(command: RunCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        RunCommand::List(wanted) => list_some(wanted, session).await,
        RunCommand::Show { id, journal: true, .. } => show_journal(&id, session).await,
        RunCommand::Show { id, journal: false, wait } => {
            let run = match wait {
                true => wait_for(&id, session).await?,
                false => session.client.get(&format!("/v1/runs/{}", segment(&id))).await?,
            };
            Ok(session.printer.print(&run, |out| show_run(out, &run))?)
        }
        RunCommand::Cancel { id, keep } => {
            change(&id, "cancel", json!({ "compensate": !keep }), session).await
        }
        RunCommand::Retry { id, from, version, input, dry_run } => {
            let input = input.map(|input| json_argument(&input)).transpose()?;
            let version = version.map(version_argument).transpose()?;
            let body = json!({ "from": from, "version": version, "input": input });
            match dry_run {
                true => plan(&id, "retry", body, session).await,
                false => change(&id, "retry", body, session).await,
            }
        }
        RunCommand::Restart { id, version, payload, dry_run } => {
            let payload = payload.map(|payload| json_argument(&payload)).transpose()?;
            let version = version.map(version_argument).transpose()?;
            let body = json!({ "version": version, "payload": payload });
            match dry_run {
                true => plan(&id, "restart", body, session).await,
                false => change(&id, "restart", body, session).await,
            }
        }
        RunCommand::Migrate { id, version, dry_run } => {
            let body = json!({ "version": version_argument(version)? });
            match dry_run {
                true => plan(&id, "migrate", body, session).await,
                false => change(&id, "migrate", body, session).await,
            }
        }
        RunCommand::Bulk(asked) => bulk(asked, session).await,
    }
}

/// Asks until the run is over, and returns it.
pub async fn wait_for(id: &str, session: &Session<'_>) -> Result<Value, Failure> {
    let path = format!("/v1/runs/{}?wait=30s", segment(id));
    loop {
        let run = session.client.get(&path).await?;
        if run["status"].as_str().is_some_and(|status| FINAL.contains(&status)) {
            return Ok(run);
        }
    }
}

/// Writes a run for a person: one line for the whole, one for each step.
pub fn show_run(out: &mut dyn Write, run: &Value) -> io::Result<()> {
    writeln!(
        out,
        "{}  {} v{}  {}",
        cell(run, "/id"),
        cell(run, "/workflow"),
        cell(run, "/version"),
        cell(run, "/status"),
    )?;
    for (name, pointer) in [("event", "/eventId"), ("started", "/startedAt"), ("ended", "/endedAt")]
    {
        writeln!(out, "{name:9} {}", cell(run, pointer))?;
    }
    if run["waitingFor"].is_object() {
        let (kind, until) = (cell(run, "/waitingFor/kind"), cell(run, "/waitingFor/until"));
        writeln!(out, "waits for {kind} until {until}")?;
    }
    if run["error"].is_object() {
        writeln!(out, "error     {}", cell(run, "/error/message"))?;
    }
    if run["compensation"].as_str().is_some_and(|undone| undone != "none") {
        writeln!(out, "undone    {}", cell(run, "/compensation"))?;
    }
    writeln!(out)?;
    let titles = ["STEP", "ACTIVITY", "STATUS", "ATTEMPTS", "UNDO", "ERROR"];
    let steps = run["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = steps.iter().map(|step| {
        let attempts = step["attempts"].as_array().map_or(0, Vec::len).to_string();
        let [id, activity, status, undo, error] =
            ["/id", "/activity", "/status", "/compensation", "/error/message"]
                .map(|pointer| cell(step, pointer));
        vec![id, activity, status, attempts, undo, error]
    });
    table(out, titles.map(str::to_owned).to_vec(), rows.collect())
}

async fn list_some(wanted: Wanted, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = with_query(
        "/v1/runs",
        &[
            ("status", wanted.status),
            ("workflow", wanted.workflow),
            ("event", wanted.event),
            ("since", wanted.since),
            ("limit", Some(wanted.limit.to_string())),
        ],
    );
    let answer = session.client.get(&path).await?;
    session.printer.print(&answer, |out| {
        let columns = [
            ("RUN", "/id"),
            ("WORKFLOW", "/workflow"),
            ("STATUS", "/status"),
            ("CREATED", "/createdAt"),
            ("MS", "/durationMs"),
            ("DONE", "/stepsDone"),
            ("STEPS", "/stepsTotal"),
            ("ERROR", "/error/message"),
        ];
        list(out, &answer["data"], &columns, "There are no such runs.")
    })?;
    Ok(())
}

async fn show_journal(id: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = session.client.get(&format!("/v1/runs/{}/journal", segment(id))).await?;
    session.printer.print(&answer, |out| {
        let columns = [("NUMBER", "/number"), ("AT", "/at"), ("ENTRY", "/entry")];
        list(out, &answer["data"], &columns, "The journal is empty.")
    })?;
    Ok(())
}

async fn change(
    id: &str,
    action: &str,
    body: Value,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let path = format!("/v1/runs/{}/{action}", segment(id));
    let run = session.client.post(&path, Body::Json(body)).await?;
    session
        .printer
        .print(&run, |out| writeln!(out, "{}  {}", cell(&run, "/id"), cell(&run, "/status")))?;
    Ok(())
}

/// Shows what an action would do to a run.
async fn plan(
    id: &str,
    action: &str,
    body: Value,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let path = format!("/v1/runs/{}/{action}?dryRun=true", segment(id));
    let plan = session.client.post(&path, Body::Json(body)).await?;
    session.printer.print(&plan, |out| {
        for (name, value) in plan.as_object().into_iter().flatten() {
            match value.as_array() {
                Some(items) if items.is_empty() => {}
                Some(items) if items.iter().all(Value::is_string) => {
                    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    writeln!(out, "{name:12} {}", items.join(", "))?;
                }
                Some(items) => {
                    for item in items {
                        let (at, detail) = (cell(item, "/pointer"), cell(item, "/detail"));
                        writeln!(out, "{name:12} {at}  {detail}")?;
                    }
                }
                None => writeln!(out, "{name:12} {}", cell(value, ""))?,
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Counts runs, or starts a job for them.
async fn bulk(asked: Bulk, session: &mut Session<'_>) -> Result<(), Failure> {
    let version = asked.version.map(version_argument).transpose()?;
    let body = json!({
        "action": asked.action,
        "filter": {
            "status": asked.status,
            "workflow": asked.workflow,
            "errorCode": asked.error_code,
            "since": asked.since,
        },
        "options": { "version": version },
        "dryRun": asked.dry_run,
    });
    let answer = session.client.post("/v1/bulk", Body::Json(body)).await?;
    session.printer.print(&answer, |out| {
        let total = cell(&answer, "/total");
        match asked.dry_run {
            true => writeln!(out, "{total} runs"),
            false => writeln!(out, "{}  {total} runs", cell(&answer, "/id")),
        }
    })?;
    Ok(())
}

/// Reads a version: a number, or `latest`.
fn version_argument(text: String) -> Result<Value, Failure> {
    if text == "latest" {
        return Ok(Value::from(text));
    }
    let wrong = |_| Failure::Usage(format!("`{text}` is no version: a number, or `latest`"));
    text.parse::<u32>().map(Value::from).map_err(wrong)
}
