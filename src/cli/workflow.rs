//! `ergane workflow`: definitions as files, for git.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::client::{Body, segment, with_query};
use super::document::{Document, json_argument};
use super::failure::Failure;
use super::printer::{Form, Printer, cell, list};
use super::run::{show_run, wait_for};
use crate::activities::Activities;
use crate::activities::settings::EgressSettings;
use crate::app::cases::{CasesView, play_offline};
use crate::app::definitions::validate_offline;
use crate::clock::Clock;

/// What to do with workflows.
#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Checks definitions and names every problem; saves nothing
    Validate(Files),
    /// Plays the test cases of definitions; needs no server, and exits with 1 when one fails
    Test(Files),
    /// Saves definitions: new ones, or a new version where something changed
    Apply(Apply),
    /// Shows what `apply` would change
    Diff(Files),
    /// Starts a run by hand
    Run(Start),
    /// Lists the workflows
    List,
    /// Writes a definition to the standard output
    Export(Export),
}

/// Definitions in files.
#[derive(Debug, Args)]
pub struct Files {
    /// JSON or YAML; `-` reads the standard input
    #[arg(required = true)]
    files: Vec<String>,
}

/// Definitions to save.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    files: Files,
    /// Only shows what would change
    #[arg(long)]
    dry_run: bool,
}

/// A run to start.
#[derive(Debug, Args)]
pub struct Start {
    /// The workflow's name
    name: String,
    /// The trigger's payload: JSON, @FILE, or - for the standard input
    #[arg(long, default_value = "{}")]
    payload: String,
    /// Waits until the run is over; exits with 1 when it did not succeed
    #[arg(long)]
    wait: bool,
}

/// A definition to write.
#[derive(Debug, Args)]
pub struct Export {
    /// The workflow's name
    name: String,
    /// Which version; the newest when not given
    #[arg(long)]
    version: Option<u32>,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
}

/// The form of an exported definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For git and for reading
    Yaml,
    /// For programs
    Json,
    /// Thena's own body
    Thena,
}

/// Does what was asked for.
pub async fn run(command: WorkflowCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        WorkflowCommand::Validate(files) => validate(&files, session).await,
        WorkflowCommand::Test(files) => test(&files, &mut session.printer),
        WorkflowCommand::Apply(Apply { files, dry_run: true }) => diff(&files, session).await,
        WorkflowCommand::Apply(Apply { files, dry_run: false }) => apply(&files, session).await,
        WorkflowCommand::Diff(files) => diff(&files, session).await,
        WorkflowCommand::Run(start) => begin(&start, session).await,
        WorkflowCommand::List => list_all(session).await,
        WorkflowCommand::Export(wanted) => export(&wanted, session).await,
    }
}

async fn validate(files: &Files, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for path in &files.files {
        let document = Document::read(path)?;
        let body = Body::Document(document.media_type, document.text);
        let mut answer = session.client.post("/v1/workflows/validate", body).await?;
        answer["file"] = json!(path);
        answers.push(answer);
    }
    let wrong = answers.iter().filter(|answer| answer["valid"] != true).count();
    session.printer.print(&json!({ "data": answers }), |out| {
        for answer in &answers {
            let verdict = if answer["valid"] == true { "valid" } else { "not valid" };
            writeln!(out, "{}: {verdict}", cell(answer, "/file"))?;
            for problem in answer["problems"].as_array().into_iter().flatten() {
                let mark = if problem["severity"] == "warning" { "! " } else { "" };
                let hint = problem["hint"].as_str().map(|hint| format!("; {hint}"));
                let (pointer, detail) = (cell(problem, "/pointer"), cell(problem, "/detail"));
                writeln!(out, "  {mark}{pointer}  {detail}{}", hint.unwrap_or_default())?;
            }
            write_rehearsal(out, &answer["rehearsal"])?;
        }
        Ok(())
    })?;
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::Negative("1 definition is not valid".to_owned())),
        many => Err(Failure::Negative(format!("{many} definitions are not valid"))),
    }
}

/// Plays the test cases of files by themselves: no server, no store, no connection.
pub fn test(files: &Files, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let activities = Activities::built_in(&EgressSettings::default());
    let catalogue = activities.catalogue();
    let now = Clock::system().now();
    let (mut answers, mut bad) = (Vec::new(), 0);
    for path in &files.files {
        let validation = validate_offline(&Document::read(path)?.parsed()?, catalogue);
        let answer = match &validation.workflow {
            Some(workflow) => {
                let results = play_offline(workflow, catalogue, now);
                let cases = CasesView::of(&workflow.name, None, results);
                bad += cases.failed;
                json!({ "file": path, "valid": true, "tests": cases })
            }
            None => {
                bad += 1;
                json!({ "file": path, "valid": false, "problems": validation.problems })
            }
        };
        answers.push(answer);
    }
    printer.print(&json!({ "data": answers }), |out| {
        answers.iter().try_for_each(|answer| write_tests(out, answer))
    })?;
    match bad {
        0 => Ok(()),
        1 => Err(Failure::Negative("1 test fails".to_owned())),
        many => Err(Failure::Negative(format!("{many} tests fail"))),
    }
}

fn write_tests(out: &mut dyn Write, answer: &Value) -> io::Result<()> {
    if answer["valid"] != true {
        writeln!(out, "{}: not valid", cell(answer, "/file"))?;
        for problem in answer["problems"].as_array().into_iter().flatten() {
            writeln!(out, "  {}  {}", cell(problem, "/pointer"), cell(problem, "/detail"))?;
        }
        return Ok(());
    }
    let counts = ["passed", "failed", "skipped"]
        .map(|name| format!("{} {name}", cell(answer, &format!("/tests/{name}"))));
    writeln!(out, "{}: {}", cell(answer, "/file"), counts.join(", "))?;
    for case in answer["tests"]["data"].as_array().into_iter().flatten() {
        writeln!(out, "  {:8} {}", cell(case, "/outcome"), cell(case, "/name"))?;
        for miss in case["misses"].as_array().into_iter().flatten() {
            writeln!(out, "    {}  {}", cell(miss, "/pointer"), cell(miss, "/detail"))?;
        }
    }
    Ok(())
}

/// Writes what happens if a step fails, one line for each.
fn write_rehearsal(out: &mut dyn Write, rehearsal: &Value) -> io::Result<()> {
    for rehearsed in rehearsal.as_array().into_iter().flatten() {
        let fails = &rehearsed["ifFails"];
        let names = |key: &str| -> Vec<String> {
            let items = fails[key].as_array().into_iter().flatten();
            items.map(|item| item["step"].as_str().or(item.as_str()).unwrap_or("").into()).collect()
        };
        let mut told = Vec::new();
        for (key, word) in
            [("undone", "undoes"), ("stays", "leaves"), ("runs", "runs"), ("skipped", "skips")]
        {
            let names = names(key);
            if !names.is_empty() {
                told.push(format!("{word} {}", names.join(", ")));
            }
        }
        told.push(format!("ends as {}", cell(fails, "/outcome")));
        writeln!(out, "  if {} fails: {}", cell(rehearsed, "/step"), told.join("; "))?;
    }
    Ok(())
}

async fn apply(files: &Files, session: &mut Session<'_>) -> Result<(), Failure> {
    let documents: Vec<Document> =
        files.files.iter().map(|path| Document::read(path)).collect::<Result<_, _>>()?;
    let mut saved = Vec::new();
    for document in documents {
        let path = format!("/v1/workflows/{}", segment(&document.name()?));
        let body = Body::Document(document.media_type, document.text);
        saved.push(session.client.send(Method::PUT, &path, body).await?);
    }
    session.printer.print(&json!({ "data": saved }), |out| {
        for workflow in &saved {
            writeln!(out, "{} is version {}", cell(workflow, "/name"), cell(workflow, "/version"))?;
        }
        Ok(())
    })?;
    Ok(())
}

async fn diff(files: &Files, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for path in &files.files {
        let document = Document::read(path)?;
        let target = format!("/v1/workflows/{}?dryRun=true", segment(&document.name()?));
        let body = Body::Document(document.media_type, document.text);
        answers.push((path.clone(), session.client.send(Method::PUT, &target, body).await?));
    }
    let all: Vec<&Value> = answers.iter().map(|(_, answer)| answer).collect();
    session.printer.print(&json!({ "data": all }), |out| {
        for (path, plan) in &answers {
            write_plan(out, path, plan)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Writes what a save would change, one line for each place.
fn write_plan(out: &mut dyn Write, path: &str, plan: &Value) -> io::Result<()> {
    let (name, action) = (cell(plan, "/name"), cell(plan, "/action"));
    writeln!(out, "{path}: {action} {name} {}", cell(plan, "/toVersion"))?;
    for change in plan["diff"].as_array().into_iter().flatten() {
        let pointer = cell(change, "/pointer");
        for (sign, side) in [("-", "before"), ("+", "after")] {
            if let Some(value) = change.get(side) {
                writeln!(out, "  {sign} {pointer}: {value}")?;
            }
        }
    }
    for warning in plan["warnings"].as_array().into_iter().flatten() {
        writeln!(out, "  ! {} {}", cell(warning, "/pointer"), cell(warning, "/detail"))?;
    }
    Ok(())
}

async fn begin(start: &Start, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = format!("/v1/workflows/{}/run", segment(&start.name));
    let body = json!({ "payload": json_argument(&start.payload)? });
    let answer = session.client.post(&path, Body::Json(body)).await?;
    if !start.wait {
        session.printer.print(&answer, |out| writeln!(out, "{}", cell(&answer, "/id")))?;
        return Ok(());
    }
    let id = cell(&answer, "/id");
    let run = wait_for(&id, session).await?;
    session.printer.print(&run, |out| show_run(out, &run))?;
    if run["status"] == "succeeded" {
        return Ok(());
    }
    Err(Failure::Negative(format!("the run {id} is {}", cell(&run, "/status"))))
}

async fn list_all(session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = session.client.get("/v1/workflows?limit=200").await?;
    session.printer.print(&answer, |out| {
        let columns = [
            ("NAME", "/name"),
            ("VERSION", "/version"),
            ("ACTIVE", "/active"),
            ("EVENT", "/event"),
            ("STARTED", "/totals/started"),
            ("FAILED", "/totals/failed"),
            ("CHANGED", "/updatedAt"),
        ];
        let empty = "There are no workflows; save one with `ergane workflow apply FILE`.";
        list(out, &answer["data"], &columns, empty)
    })?;
    Ok(())
}

async fn export(wanted: &Export, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = format!("/v1/workflows/{}", segment(&wanted.name));
    let version = ("version", wanted.version.map(|number| number.to_string()));
    if wanted.format == Format::Thena {
        let path = with_query(&path, &[version, ("format", Some("thena".to_owned()))]);
        let body = session.client.get(&path).await?;
        return Ok(session.printer.text(&format!("{body:#}"))?);
    }
    let workflow = session.client.get(&with_query(&path, &[version])).await?;
    let definition = &workflow["definition"];
    if wanted.format == Format::Json || session.printer.form == Form::Json {
        return Ok(session.printer.text(&format!("{definition:#}"))?);
    }
    let yaml = serde_norway::to_string(definition);
    let yaml = yaml.map_err(|error| anyhow::anyhow!("cannot write the definition: {error}"))?;
    Ok(session.printer.text(&yaml)?)
}
