//! `ergane event`: send one by hand, and ask why it did what it did.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Session;
use super::client::{Body, segment, with_query};
use super::document::json_argument;
use super::failure::Failure;
use super::printer::{Form, cell};
use super::sse::Reader;

/// How long a stream that ended is left alone, and how often in a row it is sought in vain.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
const RECONNECTS_MAX: u32 = 60;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Sends an event and prints the runs that it started
    Send(Send),
    /// Prints events as they are accepted, until it is interrupted
    Tail(Tail),
    /// Says for every workflow that listens why it did or did not start
    Explain(Explain),
}

/// What to explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// The event's id
    id: String,
    /// Tells of workflows that listen to other types as well
    #[arg(long)]
    all: bool,
}

/// Which events to print.
#[derive(Debug, Args)]
pub struct Tail {
    /// Only this event type, or all that begin as `ticket:*` does
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only events for which this filter holds: JSON, @FILE, or - for the standard input
    #[arg(long)]
    filter: Option<String>,
    /// Begins with events of this time, or of this long ago: 10m
    #[arg(long)]
    since: Option<String>,
    /// Ends after this many events
    #[arg(long)]
    count: Option<u64>,
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
        EventCommand::Tail(wish) => tail(&wish, session).await,
        EventCommand::Explain(wish) => explain(&wish, session).await,
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

/// Follows the stream, and comes back to where it was when the server was away.
async fn tail(wish: &Tail, session: &mut Session<'_>) -> Result<(), Failure> {
    let filter = wish.filter.as_deref().map(json_argument).transpose()?;
    let parameters = [
        ("type", wish.kind.clone()),
        ("filter", filter.map(|filter| filter.to_string())),
        ("since", wish.since.clone()),
    ];
    let path = with_query("/v1/events/stream", &parameters);
    let (mut last, mut left, mut failures) = (None, wish.count, 0);
    while left != Some(0) {
        match follow(&path, &mut last, &mut left, session).await {
            Ok(()) => failures = 0,
            Err(Failure::Unreachable(_)) if failures < RECONNECTS_MAX && last.is_some() => {
                failures += 1;
            }
            Err(failure) => return Err(failure),
        }
        if left != Some(0) {
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }
    Ok(())
}

/// Prints what one connection brings, until it ends.
async fn follow(
    path: &str,
    last: &mut Option<String>,
    left: &mut Option<u64>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut stream = session.client.stream(path, last.as_deref()).await?;
    let mut reader = Reader::default();
    while let Some(piece) = session.client.piece(&mut stream).await? {
        let messages = reader.take(&piece);
        if let Some(id) = reader.last_id() {
            *last = Some(id.to_owned());
        }
        for message in messages {
            if !message.name.is_empty() {
                continue; // What the stream says of itself; it goes on after a reconnect.
            }
            let event: Value = serde_json::from_str(&message.data).context("a stream of JSON")?;
            session.printer.text(&match session.printer.form {
                Form::Json => event.to_string(),
                Form::People => line(&event),
            })?;
            if let Some(left) = left {
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn line(event: &Value) -> String {
    let runs = event["runs"].as_array().map_or(0, Vec::len);
    let runs = match runs {
        0 => String::new(),
        1 => "  1 run".to_owned(),
        many => format!("  {many} runs"),
    };
    let [at, kind, subject, id] =
        ["/receivedAt", "/type", "/subject", "/id"].map(|pointer| cell(event, pointer));
    format!("{at}  {kind}  {subject}  {id}{runs}")
}

async fn explain(wish: &Explain, session: &mut Session<'_>) -> Result<(), Failure> {
    let all = wish.all.then(|| "true".to_owned());
    let path = format!("/v1/events/{}/explain", segment(&wish.id));
    let answer = session.client.get(&with_query(&path, &[("all", all)])).await?;
    session.printer.print(&answer, |out| {
        let explanations = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        if explanations.is_empty() {
            writeln!(out, "No workflow listens to this type.")?;
        }
        for explanation in explanations {
            write!(out, "{} v{}", cell(explanation, "/workflow"), cell(explanation, "/version"))?;
            writeln!(out, "  {}  {}", cell(explanation, "/outcome"), cell(explanation, "/reason"))?;
            if explanation["hint"].is_string() {
                writeln!(out, "  {}", cell(explanation, "/hint"))?;
            }
            write_trace(out, &explanation["trace"], 1)?;
        }
        if answer["duplicates"].is_object() {
            let [count, at] =
                ["/duplicates/count", "/duplicates/lastAt"].map(|at| cell(&answer, at));
            writeln!(out, "Delivered again and recognised: {count}, the last at {at}")?;
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
        let hint = node["hint"].as_str();
        let hint = hint.map_or_else(String::new, |hint| format!(" (did you mean {hint}?)"));
        writeln!(out, "{indent}{mark} {path} {op} {expected}; it was {actual}{hint}")?;
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
