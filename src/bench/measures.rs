//! Each measurement: what is done to the appliance, and which figures come of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::Plan;
use super::definitions::{self, Stencil, batch, payload};
use super::load::{End, Load, drive, percentile};
use super::report::{Goal, Report};
use crate::store::roofline::{self, Shape};
use crate::subject::appliance::Appliance;
use crate::subject::wire::{Connection, get, post, write_request};

const CONNECTIONS: usize = 64;
const BATCH: u64 = 100;
const STARTS: usize = 5;
const PAGE_REQUESTS: u64 = 200;
const SETTLE_MAX: Duration = Duration::from_secs(600);
const JSON: &str = "application/json";
const CLOUD_BATCH: &str = "application/cloudevents-batch+json";

/// The disk, and the database without anything above it.
pub fn roofline(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let directory = fresh(plan, "roofline")?;
    std::fs::create_dir_all(&directory)?;
    let times = roofline::sync_times(&directory)?;
    report.tell("disk: fdatasync of 4 KiB, p50", milliseconds(times.p50), "ms");
    report.tell("disk: fdatasync of 4 KiB, p99", milliseconds(times.p99), "ms");
    for (shape, name) in [(Shape::Stepwise, "4 durable writes"), (Shape::Fused, "1 durable write")]
    {
        for in_flight in [64, 1024] {
            let duration = plan.duration / 4;
            let rate = roofline::workflows_per_second(&directory, shape, in_flight, duration)?;
            report.tell(
                format!("bare redb: workflows of {name}, {in_flight} at a time"),
                rate,
                "/s",
            );
        }
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// The binary, the start on an empty directory, and memory at rest.
pub async fn start(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let binary = std::fs::metadata(std::env::current_exe()?)?.len();
    report.add("binary", binary as f64 / 1e6, "MB", Goal { must: 30.0, aim: 15.0 });
    let mut times = Vec::new();
    let mut memory = 0.0;
    for _ in 0..STARTS {
        let (appliance, time) = Appliance::start(&fresh(plan, "start")?).await?;
        times.push(time);
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory = appliance.memory_mb()?;
    }
    times.sort();
    let goal = Goal { must: 100.0, aim: 30.0 };
    report.add("start on an empty directory", milliseconds(times[STARTS / 2]), "ms", goal);
    report.add("memory at rest", memory, "MB", Goal { must: 40.0, aim: 25.0 });
    Ok(())
}

/// One connection, one run after the other: from sending the event to the end of its run.
pub async fn singles(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let (appliance, _) = Appliance::start(&fresh(plan, "singles")?).await?;
    save(&appliance, &definitions::three_steps()).await?;
    let mut connection = Connection::open(appliance.port).await?;
    let mut times = Vec::new();
    for _ in 0..plan.singles {
        let request = post("/v1/events/bench:steps", &payload(""));
        let began = Instant::now();
        let answer = connection.exchange(&request).await?.json()?;
        let run = answer["accepted"][0]["runs"][0].as_str().context("the event started no run")?;
        let request = get(&format!("/v1/runs/{run}?wait=30s"));
        let run = connection.exchange(&request).await?.json()?;
        times.push(began.elapsed());
        ensure!(run["status"] == "succeeded", "a run ended as {}: {run}", run["status"]);
    }
    times.sort();
    let goal = Goal { must: 1.2, aim: 0.6 };
    let p50 = milliseconds(percentile(&times, 0.5));
    report.add("event to the end of its run, 1 connection, p50", p50, "ms", goal);
    let p99 = milliseconds(percentile(&times, 0.99));
    report.tell("event to the end of its run, 1 connection, p99", p99, "ms");
    Ok(())
}

/// Runs end to end, what they leave on disk, and pages over them.
pub async fn throughput(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let (appliance, _) = Appliance::start(&fresh(plan, "throughput")?).await?;
    save(&appliance, &definitions::three_steps()).await?;
    save(&appliance, &definitions::ticket_steps()).await?;
    let ticket = open_ticket(&appliance).await?;
    let of = |kind, ticket| Stream { kind, ticket, status: "succeeded", connections: CONNECTIONS };
    let before = appliance.bytes_on_disk()?;
    let done = run_load(&appliance, plan, of("bench:steps", "")).await?;
    let goal = Goal { must: 8_000.0, aim: 20_000.0 };
    report.add("runs of 3 steps end to end, 64 connections", done.per_second, "/s", goal);
    let p99 = milliseconds(done.load.percentile(0.99));
    report.tell("  its events answered, p99", p99, "ms");
    report.tell("  its events refused for the time being", done.load.refused as f64, "");
    report.tell("  processor time of a run", done.cpu_micros, "us");
    let grown = appliance.bytes_on_disk()?.saturating_sub(before) as f64;
    let goal = Goal { must: 3.0, aim: 1.5 };
    report.add("disk of a finished run", grown / done.runs as f64 / 1024.0, "KiB", goal);
    pages(&appliance, &format!("{} runs", done.runs), report).await?;
    let done = run_load(&appliance, plan, of("bench:tickets", ticket.as_str())).await?;
    report.tell("runs that change a ticket and comment, 64 connections", done.per_second, "/s");
    report.tell("  processor time of such a run", done.cpu_micros, "us");
    Ok(())
}

/// Events that nobody listens to, one a request and a hundred a request.
pub async fn intake(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let (appliance, _) = Appliance::start(&fresh(plan, "intake")?).await?;
    let body = payload("").to_string();
    let end = End::After(plan.duration);
    let cpu = appliance.cpu_seconds()?;
    let single = drive(appliance.port, CONNECTIONS, end, |_, request| {
        write_request(request, "POST /v1/events/bench:idle", JSON, body.as_bytes());
    });
    let single = single.await?;
    let goal = Goal { must: 15_000.0, aim: 30_000.0 };
    report.add("durable events, one a request, 64 connections", single.per_second(), "/s", goal);
    report.tell("  answered, p99", milliseconds(single.percentile(0.99)), "ms");
    let cpu_of_singles = appliance.cpu_seconds()?;
    let micros = (cpu_of_singles - cpu) * 1e6 / single.granted as f64;
    report.tell("  processor time of an event", micros, "us");
    let stencil = Stencil::new(&batch("bench:idle", BATCH as usize));
    let batches = drive(appliance.port, CONNECTIONS, end, |number, request| {
        let body = stencil.fill(number, BATCH);
        write_request(request, "POST /v1/events", CLOUD_BATCH, &body);
    });
    let batches = batches.await?;
    let rate = batches.per_second() * BATCH as f64;
    let events = (batches.granted * BATCH) as f64;
    let micros = (appliance.cpu_seconds()? - cpu_of_singles) * 1e6 / events;
    let goal = Goal { must: 60_000.0, aim: 120_000.0 };
    report.add("durable events, 100 a request, 64 connections", rate, "/s", goal);
    report.tell("  processor time of an event", micros, "us");
    Ok(())
}

/// Runs whose third step fails, so that two steps are undone.
pub async fn undo(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let (appliance, _) = Appliance::start(&fresh(plan, "undo")?).await?;
    save(&appliance, &definitions::failing_steps()).await?;
    save(&appliance, &definitions::failing_comments()).await?;
    let ticket = open_ticket(&appliance).await?;
    let of = |kind| Stream { kind, ticket: &ticket, status: "failed", connections: 16 };
    let done = run_load(&appliance, plan, of("bench:undo")).await?;
    let goal = Goal { must: 2_800.0, aim: 8_000.0 };
    report.add("failing runs with 2 compensations, 16 connections", done.per_second, "/s", goal);
    report.tell("  processor time of such a run", done.cpu_micros, "us");
    let done = run_load(&appliance, plan, of("bench:uncomment")).await?;
    report.tell("failing runs that take 2 comments back", done.per_second, "/s");
    report.tell("  processor time of such a run", done.cpu_micros, "us");
    Ok(())
}

/// After this long without work the store has prepared its file for an instant start.
const AT_REST: Duration = Duration::from_secs(1);

/// Memory with many sleeping runs, and the start after a kill with all of them.
pub async fn sleepers(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let directory = fresh(plan, "sleepers")?;
    let (mut appliance, _) = Appliance::start(&directory).await?;
    save(&appliance, &definitions::sleeping()).await?;
    let end = End::Count(plan.sleepers / BATCH);
    let stencil = Stencil::new(&batch("bench:sleep", BATCH as usize));
    let load = drive(appliance.port, 8, end, |number, request| {
        let body = stencil.fill(number, BATCH);
        write_request(request, "POST /v1/events", CLOUD_BATCH, &body);
    });
    load.await?;
    until_quiet(&appliance).await?;
    let count = plan.sleepers;
    let memory_goal = Goal { must: 150.0, aim: 100.0 };
    let memory = appliance.memory_mb()?;
    report.add(format!("memory with {count} sleeping runs"), memory, "MB", memory_goal);
    appliance.kill();
    let (mut appliance, time) = Appliance::start(&directory).await?;
    let goal = Goal { must: 3_000.0, aim: 1_000.0 };
    let what = format!("start after kill -9 amid work, {count} sleeping runs");
    report.add(what, milliseconds(time), "ms", goal);
    tokio::time::sleep(AT_REST).await;
    appliance.kill();
    let (appliance, time) = Appliance::start(&directory).await?;
    let what = format!("start after kill -9 at rest, {count} sleeping runs");
    report.add(what, milliseconds(time), "ms", goal);
    let memory = appliance.memory_mb()?;
    report.add(
        format!("memory after that start, {count} sleeping runs"),
        memory,
        "MB",
        goal_of_rest(),
    );
    Ok(())
}

fn goal_of_rest() -> Goal {
    Goal { must: 150.0, aim: 100.0 }
}

/// Lists that people look at, as the server answers them.
async fn pages(appliance: &Appliance, among: &str, report: &mut Report) -> anyhow::Result<()> {
    for path in ["/", "/runs", "/events", "/v1/runs?limit=50"] {
        let request = get(path);
        let load = drive(appliance.port, 1, End::Count(PAGE_REQUESTS), |_, buffer| {
            buffer.clone_from(&request);
        });
        let p95 = milliseconds(load.await?.percentile(0.95));
        let goal = Goal { must: 100.0, aim: 30.0 };
        report.add(format!("GET {path} among {among}, p95"), p95, "ms", goal);
    }
    Ok(())
}

/// What a load of runs came to.
struct Done {
    load: Load,
    runs: u64,
    per_second: f64,
    cpu_micros: f64,
}

/// Events of one type, and how their runs should end.
struct Stream<'a> {
    kind: &'a str,
    ticket: &'a str,
    status: &'a str,
    connections: usize,
}

/// Sends events for the plan's duration and waits until the run of each has ended as it should.
async fn run_load(appliance: &Appliance, plan: &Plan, stream: Stream<'_>) -> anyhow::Result<Done> {
    let Stream { kind, ticket, status, connections } = stream;
    let line = format!("POST /v1/events/{kind}");
    let stencil = Stencil::new(&payload(ticket));
    let before = appliance.runs(status).await?;
    let (began, cpu) = (Instant::now(), appliance.cpu_seconds()?);
    let load = drive(appliance.port, connections, End::After(plan.duration), |number, request| {
        write_request(request, &line, JSON, &stencil.fill(number, 1));
    });
    let load = load.await?;
    let runs = load.granted;
    loop {
        let ended = appliance.runs(status).await? - before;
        if ended >= runs {
            ensure!(ended == runs, "{runs} events made {ended} runs end as {status}");
            break;
        }
        ensure!(began.elapsed() < SETTLE_MAX, "only {ended} of {runs} runs ended as {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu_micros = (appliance.cpu_seconds()? - cpu) * 1e6 / runs as f64;
    Ok(Done { load, runs, per_second: runs as f64 / seconds, cpu_micros })
}

/// Waits until no run is doing anything.
async fn until_quiet(appliance: &Appliance) -> anyhow::Result<()> {
    let mut connection = Connection::open(appliance.port).await?;
    let began = Instant::now();
    loop {
        let mut busy = 0;
        for status in ["queued", "running"] {
            let request = get(&format!("/v1/runs?status={status}&limit=1"));
            let page = connection.exchange(&request).await?.json()?;
            busy += page["data"].as_array().map_or(0, Vec::len);
        }
        if busy == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < SETTLE_MAX, "runs are still busy after {SETTLE_MAX:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn save(appliance: &Appliance, definition: &Value) -> anyhow::Result<()> {
    let kind = definition["trigger"]["event"].as_str().unwrap_or_default();
    let schema = json!({ "type": "object" });
    let event_type = json!({ "type": kind, "name": kind, "schema": schema });
    // A type need not be registered; where it can be, its schema is checked as in real use.
    let _ = appliance.post("/v1/event-types", &event_type).await;
    appliance.post("/v1/workflows", definition).await.map(drop)
}

async fn open_ticket(appliance: &Appliance) -> anyhow::Result<String> {
    let team = appliance.post("/v1/teams", &json!({ "name": "Bench" })).await?;
    let ticket = json!({
        "title": "Bench",
        "requestorEmail": "bench@example.com",
        "teamId": team["id"],
    });
    let ticket = appliance.post("/v1/tickets", &ticket).await?;
    Ok(ticket["id"].as_str().context("the ticket has no id")?.to_owned())
}

/// Returns the path of a directory of this measurement that does not exist yet.
fn fresh(plan: &Plan, name: &str) -> anyhow::Result<PathBuf> {
    let directory = plan.directory.join(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    Ok(directory)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
