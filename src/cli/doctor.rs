//! `ergane doctor`, `ergane alerts` and `ergane logs`: how the appliance does.

use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

use anyhow::Context;

use super::Session;
use super::client::{Body, with_query};
use super::failure::Failure;
use super::printer::{Form, cell, list};
use super::sse::Reader;

const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// How deep to look.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Reads every record of the store as well
    #[arg(long)]
    deep: bool,
    /// Shows the checks that found nothing, too
    #[arg(long)]
    all: bool,
}

/// What to do about alerts.
#[derive(Debug, Args)]
pub struct Alerts {
    /// Sends a notice to every destination, to see whether it arrives
    #[arg(long)]
    test: bool,
}

/// Which lines to show.
#[derive(Debug, Args)]
pub struct Logs {
    /// Goes on showing lines as they are written
    #[arg(short, long)]
    follow: bool,
    /// The least level: trace, debug, info, warn or error
    #[arg(long)]
    level: Option<String>,
    /// Only lines about this run
    #[arg(long)]
    run: Option<String>,
    /// Only lines with this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Not older than a time, or than a span ago: 10m
    #[arg(long)]
    since: Option<String>,
    /// How many lines at most
    #[arg(long, default_value_t = 200)]
    limit: u32,
}

/// Examines the appliance; exits with 1 when something fails.
pub async fn doctor(wish: &Doctor, session: &mut Session<'_>) -> Result<(), Failure> {
    let deep = wish.deep.then(|| "true".to_owned());
    let answer = session.client.get(&with_query("/v1/system/doctor", &[("deep", deep)])).await?;
    let none = Vec::new();
    let findings = answer["data"].as_array().unwrap_or(&none);
    let count = |status: &str| findings.iter().filter(|it| it["status"] == status).count();
    let (failed, warned) = (count("fail"), count("warn"));
    session.printer.print(&answer, |out| {
        for finding in findings.iter().filter(|it| wish.all || it["status"] != "ok") {
            let [status, check, tenant, detail] =
                ["/status", "/check", "/tenant", "/detail"].map(|at| cell(finding, at));
            let place =
                if finding["tenant"].is_string() { format!(" {tenant}") } else { String::new() };
            writeln!(out, "{status:<5} {check}{place}: {detail}")?;
            if let Some(cure) = finding["cure"].as_str().filter(|_| finding["status"] != "ok") {
                writeln!(out, "      {cure}")?;
            }
        }
        writeln!(out, "{} checks, {warned} to look at, {failed} failed", findings.len())
    })?;
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Negative(format!("{failed} checks failed"))),
    }
}

/// Lists alerts, or tries whether notices arrive; exits with 1 when one does not.
pub async fn alerts(wish: &Alerts, session: &mut Session<'_>) -> Result<(), Failure> {
    if wish.test {
        let answer = session.client.post("/v1/system/notices/test", Body::Json(json!({}))).await?;
        session.printer.print(&answer, |out| {
            let columns = [("NAME", "/name"), ("ARRIVED", "/ok"), ("WHAT CAME OF IT", "/detail")];
            list(
                out,
                &answer["data"],
                &columns,
                "Alerts are told nowhere; see `notices` in config.toml.",
            )
        })?;
        let lost = |all: &Vec<Value>| all.iter().any(|it| it["ok"] != true);
        return match answer["data"].as_array().is_some_and(lost) {
            true => Err(Failure::Negative("a notice did not arrive".to_owned())),
            false => Ok(()),
        };
    }
    let answer = session.client.get("/v1/system/alerts").await?;
    session.printer.print(&answer, |out| {
        let columns = [
            ("SINCE", "/raisedAt"),
            ("ALERT", "/kind"),
            ("TENANT", "/tenant"),
            ("WHAT", "/detail"),
            ("TO DO", "/cure"),
        ];
        list(out, &answer["data"], &columns, "Nothing is the matter.")
    })?;
    Ok(())
}

/// Shows log lines, and goes on if asked to.
pub async fn logs(wish: &Logs, session: &mut Session<'_>) -> Result<(), Failure> {
    let parameters = [
        ("level", wish.level.clone()),
        ("run", wish.run.clone()),
        ("q", wish.grep.clone()),
        ("since", wish.since.clone()),
        ("limit", Some(wish.limit.to_string())),
    ];
    let answer = session.client.get(&with_query("/v1/system/logs", &parameters)).await?;
    let none = Vec::new();
    let lines = answer["data"].as_array().unwrap_or(&none);
    let mut last = lines.last().and_then(|line| line["number"].as_u64()).map(|it| it.to_string());
    for line in lines {
        show(line, session)?;
    }
    if !wish.follow {
        return Ok(());
    }
    let path = with_query("/v1/system/logs/stream", &parameters[..3]);
    loop {
        let mut reader = Reader::default();
        let mut stream = session.client.stream(&path, last.as_deref()).await?;
        // A stream that ends was a server that stopped; it is opened again where it was.
        while let Some(piece) = session.client.piece(&mut stream).await? {
            for message in reader.take(&piece).into_iter().filter(|it| it.name.is_empty()) {
                let line: Value =
                    serde_json::from_str(&message.data).context("a stream of JSON")?;
                show(&line, session)?;
            }
            last = reader.last_id().map(str::to_owned).or(last);
        }
        tokio::time::sleep(COME_BACK_AFTER).await;
    }
}

fn show(line: &Value, session: &mut Session<'_>) -> Result<(), Failure> {
    let text = match session.printer.form {
        Form::Json => line.to_string(),
        Form::People => {
            let [time, level, message] = ["/time", "/level", "/message"].map(|at| cell(line, at));
            let mut text = format!("{time} {level:>5} {message}");
            for name in ["tenant", "run", "step", "requestId"] {
                if let Some(value) = line[name].as_str() {
                    text.push_str(&format!(" {name}={value}"));
                }
            }
            for (name, value) in line["fields"].as_object().into_iter().flatten() {
                text.push_str(&format!(" {name}={value}"));
            }
            text
        }
    };
    Ok(session.printer.text(&text)?)
}
