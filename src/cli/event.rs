//! `ergane event`: send one by hand, and ask why it did what it did.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

use super::Session;
use super::client::{Body, segment};
use super::document::json_argument;
use super::failure::Failure;
use super::printer::cell;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Sends an event and prints the runs that it started
    Send(Send),
    /// Says for every workflow that listens why it did or did not start
    Explain {
        /// The event's id
        id: String,
    },
}

/// An event to send.
#[derive(Debug, Args)]
pub struct Send {
    /// The event type: `ticket:created`
    kind: String,
    /// The type's own data: JSON, @FILE, or - for the standard input
    #[arg(long, default_value = "{}")]
    payload: String,
    /// Makes a repeat recognisable; made by the server when not given
    #[arg(long)]
    id: Option<String>,
    /// Who says so
    #[arg(long)]
    source: Option<String>,
    /// What it is about
    #[arg(long)]
    subject: Option<String>,
}

/// Does what was asked for.
pub async fn run(command: EventCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        EventCommand::Send(event) => send(&event, session).await,
        EventCommand::Explain { id } => explain(&id, session).await,
    }
}

async fn send(event: &Send, session: &mut Session<'_>) -> Result<(), Failure> {
    let payload = json_argument(&event.payload)?;
    let answer = match attributes(event) {
        None => {
            let path = format!("/v1/events/{}", segment(&event.kind));
            session.client.post(&path, Body::Json(payload)).await?
        }
        Some(mut attributes) => {
            attributes.insert("data".to_owned(), payload);
            let document = Value::Object(attributes).to_string();
            let body = Body::Document("application/cloudevents+json", document);
            session.client.post("/v1/events", body).await?
        }
    };
    session.printer.print(&answer, |out| {
        for event in answer["accepted"].as_array().into_iter().flatten() {
            let repeat = if event["duplicate"] == true { " (already known)" } else { "" };
            let runs = event["runs"].as_array().map_or(0, Vec::len);
            let started =
                if runs == 0 { "started no run".to_owned() } else { cell(event, "/runs") };
            writeln!(out, "{}{repeat}  {started}", cell(event, "/id"))?;
        }
        Ok(())
    })?;
    match answer["rejected"].as_array().and_then(|rejected| rejected.first()) {
        None => Ok(()),
        Some(rejected) => Err(Failure::Negative(cell(rejected, "/problem/detail"))),
    }
}

/// Returns the CloudEvents attributes when the event needs more than its type.
fn attributes(event: &Send) -> Option<Map<String, Value>> {
    if event.id.is_none() && event.source.is_none() && event.subject.is_none() {
        return None;
    }
    let source = event.source.as_deref().unwrap_or("ergane-cli");
    let mut attributes = Map::new();
    attributes.insert("specversion".to_owned(), json!("1.0"));
    attributes.insert("type".to_owned(), json!(event.kind));
    attributes.insert("source".to_owned(), json!(source));
    let id = event.id.clone().unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    attributes.insert("id".to_owned(), json!(id));
    if let Some(subject) = &event.subject {
        attributes.insert("subject".to_owned(), json!(subject));
    }
    Some(attributes)
}

async fn explain(id: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = session.client.get(&format!("/v1/events/{}/explain", segment(id))).await?;
    session.printer.print(&answer, |out| {
        let explanations = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        if explanations.is_empty() {
            writeln!(out, "No workflow listens to this type.")?;
        }
        for explanation in explanations {
            write!(out, "{} v{}", cell(explanation, "/workflow"), cell(explanation, "/version"))?;
            writeln!(out, "  {}  {}", cell(explanation, "/outcome"), cell(explanation, "/reason"))?;
            write_trace(out, &explanation["trace"], 1)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Writes a filter's tree, one condition a line, with what was wanted and what was there.
fn write_trace(out: &mut dyn Write, node: &Value, depth: usize) -> io::Result<()> {
    if !node.is_object() {
        return Ok(());
    }
    let mark = if node["result"] == true { "✓" } else { "✗" };
    let indent = "  ".repeat(depth);
    let (path, op) = (cell(node, "/path"), cell(node, "/op"));
    if node.get("path").is_some_and(|path| !path.is_null()) {
        let (expected, actual) = (&node["expected"], &node["actual"]);
        writeln!(out, "{indent}{mark} {path} {op} {expected}; it was {actual}")?;
    } else {
        writeln!(out, "{indent}{mark} {op}")?;
    }
    for name in ["children", "items"] {
        for child in node[name].as_array().into_iter().flatten() {
            write_trace(out, child, depth + 1)?;
        }
    }
    Ok(())
}
