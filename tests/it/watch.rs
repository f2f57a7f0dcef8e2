//! How the appliance is watched: metrics, traces, the log, the doctor, alerts, the page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ergane::config::Config;
use ergane::metrics::table::TABLE;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::{by_hand, ended, failing, transform};
use crate::peer::{Peer, Reply};
use crate::process::{Process, run, serve, signal};
use crate::support::{KEY, TestApp, send, with_app, with_config};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SECRET: &str = "sesame-open-sesame-1234";

/// Asks again until `look` finds what it looks for.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} never came");
}

/// Reads a text of OpenMetrics strictly: each family once, with help and kind before its series.
fn families(text: &str) -> BTreeMap<String, (String, Vec<(String, f64)>)> {
    let mut found: BTreeMap<String, (String, Vec<(String, f64)>)> = BTreeMap::new();
    let (mut current, mut helped) = (String::new(), BTreeSet::new());
    let mut series = BTreeSet::new();
    let (body, end) = text.split_at(text.find("# EOF").expect("an end"));
    assert_eq!(end, "# EOF\n", "nothing follows the end");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(helped.insert(name.to_owned()), "{name} has two helps");
            assert!(help.ends_with('.') && help.len() > 5, "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(helped.contains(name), "{name} has no help");
            name.clone_into(&mut current);
            let is_new = found.insert(current.clone(), (kind.to_owned(), Vec::new())).is_none();
            assert!(is_new, "{name} stands twice");
        } else {
            let (labelled, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(series.insert(labelled.to_owned()), "{labelled} stands twice");
            let name = labelled.split('{').next().expect("a name");
            let (kind, own) = found.get_mut(&current).unwrap_or_else(|| panic!("{line}"));
            let endings: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let fits = endings.iter().any(|ending| name == format!("{current}{ending}"));
            assert!(fits, "{name} is no series of {current}, a {kind}");
            if let Some((_, labels)) = labelled.split_once('{') {
                assert!(labels.ends_with('}') && labels.matches('"').count() % 2 == 0, "{line}");
            }
            own.push((labelled.to_owned(), value));
        }
    }
    found
}

#[test]
fn metrics_are_those_of_the_table_and_can_be_read_strictly() {
    with_app(async |app| {
        app.save(by_hand("fine", json!([transform("a", json!(1))]))).await;
        app.save(by_hand("bad", json!([failing("a")]))).await;
        ended(&app, "fine", json!({})).await;
        ended(&app, "bad", json!({})).await;
        app.post("/v1/events/no such/type", json!({})).await;
        let text = app.get("/metrics").await.text;
        let found = families(&text);
        for (name, (kind, series)) in &found {
            let row = TABLE.iter().find(|row| row.name == name);
            let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(row.kind.word(), kind, "{name}");
            for (labelled, _) in series.iter().filter(|(it, _)| it.contains('{')) {
                let (_, labels) = labelled.split_once('{').expect("labels");
                for label in labels.split("\",").map(|it| it.split('=').next().expect("a name")) {
                    let is_known = row.labels.contains(&label) || label == "le";
                    assert!(is_known, "{labelled} has the label {label}");
                }
            }
        }
        let (known, shown) = (TABLE.len(), found.len());
        assert!(shown * 2 > known, "{shown} of {known} families are measured");
        for line in [
            r#"ergane_runs_total{tenant="default",workflow="bad",status="failed"} 1"#,
            r#"ergane_troubles_total{tenant="default",kind="run_failed"} 1"#,
            r#"ergane_runs_now{tenant="default",status="running"} 0"#,
            r#"ergane_runs_live{tenant="default"} 0"#,
            r#"ergane_mailbox_messages{tenant="default"} 0"#,
            r#"ergane_incidents_open{tenant="default"} 0"#,
            "ergane_store_writable 1",
            "ergane_timers_overdue 0",
            r#"route="/v1/workflows/{name}/run",status="2xx""#,
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
        let docs = app.get("/docs").await.text;
        assert!(docs.contains("ergane_runs_waiting_oldest_seconds"));
    });
}

/// A span as a collector took it, after every field was held against the schema of OTLP.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    status: i64,
    attributes: BTreeMap<String, String>,
    links: usize,
}

fn only(object: &Value, known: &[&str]) {
    let object = object.as_object().unwrap_or_else(|| panic!("no object: {object}"));
    for name in object.keys() {
        assert!(known.contains(&name.as_str()), "OTLP knows no `{name}` here: {object:?}");
    }
}

fn hex(value: &Value, length: usize) -> String {
    let text = value.as_str().expect("an id is a text");
    assert!(text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit()), "{text}");
    assert!(text.chars().any(|c| c != '0'), "an id is not nothing");
    text.to_owned()
}

fn attributes(list: &Value) -> BTreeMap<String, String> {
    let all = list.as_array().expect("attributes are a list").iter();
    all.map(|attribute| {
        only(attribute, &["key", "value"]);
        let value = &attribute["value"];
        only(value, &["stringValue", "intValue"]);
        let text = value["stringValue"].as_str().or(value["intValue"].as_str());
        let key = attribute["key"].as_str().expect("a key").to_owned();
        (key, text.expect("64-bit numbers are texts, too").to_owned())
    })
    .collect()
}

/// Reads what a collector got, as strictly as the schema of OTLP.
fn spans(document: &Value) -> Vec<Span> {
    only(document, &["resourceSpans"]);
    let mut found = Vec::new();
    for of_resource in document["resourceSpans"].as_array().expect("a list") {
        only(of_resource, &["resource", "scopeSpans", "schemaUrl"]);
        only(&of_resource["resource"], &["attributes", "droppedAttributesCount"]);
        let resource = attributes(&of_resource["resource"]["attributes"]);
        assert!(resource.contains_key("service.name"), "{resource:?}");
        for of_scope in of_resource["scopeSpans"].as_array().expect("a list") {
            only(of_scope, &["scope", "spans", "schemaUrl"]);
            only(&of_scope["scope"], &["name", "version", "attributes"]);
            found.extend(of_scope["spans"].as_array().expect("a list").iter().map(span));
        }
    }
    found
}

fn span(span: &Value) -> Span {
    only(
        span,
        &[
            "traceId",
            "spanId",
            "parentSpanId",
            "name",
            "kind",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "attributes",
            "status",
            "flags",
            "links",
            "events",
            "traceState",
        ],
    );
    let nanos = |name: &str| -> u64 {
        span[name].as_str().expect("64-bit numbers are texts").parse().expect("a time")
    };
    assert!(nanos("startTimeUnixNano") > 1_600_000_000_000_000_000);
    assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
    assert!((1..=5).contains(&span["kind"].as_i64().expect("a number")));
    only(&span["status"], &["code", "message"]);
    let links = span["links"].as_array().map_or(&[][..], Vec::as_slice);
    for link in links {
        only(link, &["traceId", "spanId", "flags", "attributes", "traceState"]);
        hex(&link["traceId"], 32);
        hex(&link["spanId"], 16);
    }
    let parent = span.get("parentSpanId").map(|it| hex(it, 16));
    Span {
        trace: hex(&span["traceId"], 32),
        id: hex(&span["spanId"], 16),
        parent: parent.unwrap_or_default(),
        name: span["name"].as_str().expect("a name").to_owned(),
        status: span["status"]["code"].as_i64().unwrap_or(0),
        attributes: attributes(&span["attributes"]),
        links: links.len(),
    }
}

fn collected(collector: &Peer) -> BTreeMap<String, Span> {
    let all = collector.received();
    let all = all.iter().flat_map(|received| {
        assert_eq!(received.path, "/v1/traces");
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("x-team"), "ops");
        spans(&received.body)
    });
    all.map(|span| (span.id.clone(), span)).collect()
}

async fn collector() -> Peer {
    Peer::start(|_, _| Reply::Status(200, json!({}))).await
}

fn traced(config: &mut Config, collector: &str) {
    config.telemetry.otlp_endpoint = format!("{collector}/v1/traces");
    config.telemetry.headers = "x-team=ops".to_owned();
    config.telemetry.batch_ms = 10;
    config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
}

/// Runs a test with an appliance that tells a collector of its runs.
fn with_collector(test: impl AsyncFnOnce(TestApp, Peer)) {
    let directory = TempDir::new().expect("a directory");
    let mut config = crate::support::config_in(directory.path());
    actix::System::new().block_on(async {
        let peer = collector().await;
        traced(&mut config, &peer.url);
        let (serving, app) = TestApp::open(&config).await;
        test(app, peer).await;
        serving.stop().await;
    });
}

/// A workflow that calls, publishes and starts another, and the two that follow from it.
async fn save_a_family(app: &TestApp, url: &str) {
    app.save(json!({
        "name": "child", "trigger": "manual", "steps": [transform("in", json!(1))],
    }))
    .await;
    app.save(json!({
        "name": "later", "trigger": {"event": "order:paid"},
        "steps": [transform("in", json!(1))],
    }))
    .await;
    app.save(json!({
        "name": "parent", "trigger": {"event": "order:made"},
        "steps": [
            {"id": "call", "activity": "workflows:http-request-platform",
             "input": {"url": url, "method": "POST", "body": {"card": "4242"}}},
            {"id": "own", "activity": "workflows:http-request-platform",
             "input": {"url": url, "headers": {"traceparent": "mine"}}},
            {"id": "tell", "activity": "workflows:publish-event-platform",
             "input": {"type": "order:paid", "payload": {"name": "Ada"}}},
            {"id": "sub", "run": {"workflow": "child", "input": {}, "wait": true}},
        ],
    }))
    .await;
}

#[test]
fn a_run_is_a_trace_below_its_caller_and_above_whom_it_calls() {
    with_collector(async |app, collector| {
        let peer = Peer::friendly().await;
        save_a_family(&app, &peer.url).await;
        let request = app.request(Method::POST, "/v1/events/order:made");
        let request = request.header("traceparent", CALLER).json(&json!({"name": "Ada"}));
        let answer = send(request).await.expect(202);
        let (event, run) = (&answer["accepted"][0]["id"], &answer["accepted"][0]["runs"][0]);
        app.end_of(run.as_str().expect("a run")).await;
        let event = app.get(&format!("/v1/events/{}", event.as_str().expect("an id"))).await;
        assert_eq!(event.expect(200)["metadata"]["traceparent"], CALLER);
        let roots = |all: &BTreeMap<String, Span>| {
            all.values().filter(|it| it.name.starts_with("run ")).count()
        };
        let all = until("three runs", async || {
            let all = collected(&collector);
            (roots(&all) == 3).then_some(all)
        })
        .await;
        assert!(all.values().all(|it| it.trace == CALLERS_TRACE), "one trace: {all:#?}");
        let named = |name: &str| {
            all.values().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name}: {all:#?}"))
        };
        let parent = named("run parent");
        assert_eq!((parent.parent.as_str(), parent.links), ("00f067aa0ba902b7", 1));
        assert_eq!((parent.status, parent.attributes["ergane.tenant"].as_str()), (1, "default"));
        assert_eq!(parent.attributes["ergane.run"], run.as_str().expect("a run"));
        let (step, attempt) = (named("step call"), named("attempt 1 of call"));
        assert_eq!((&step.parent, &attempt.parent), (&parent.id, &step.id));
        assert_eq!(attempt.attributes["ergane.activity"], "workflows:http-request-platform");
        assert_eq!(named("run child").parent, named("attempt 1 of sub").id);
        assert_eq!(named("run later").parent, parent.id);
        let called = peer.received();
        assert_eq!(
            called[0].header("traceparent"),
            format!("00-{CALLERS_TRACE}-{}-01", attempt.id)
        );
        assert_eq!(called[1].header("traceparent"), "mine", "what a step says itself stands");
        let told: String = collector
            .received()
            .iter()
            .map(|it| String::from_utf8_lossy(&it.raw).into_owned())
            .collect();
        assert!(!told.contains("4242") && !told.contains("Ada"), "payloads stay here: {told}");
        let metrics = app.get("/metrics").await.text;
        assert!(metrics.contains(r#"ergane_spans_total{outcome="sent"}"#), "{metrics}");
    });
}

#[test]
fn a_run_that_rests_is_told_of_and_the_same_span_after_a_crash() {
    actix::System::new().block_on(async {
        let collector = collector().await;
        let directory = TempDir::new().expect("a directory");
        let start = |directory: &Path| {
            let mut command = serve(directory);
            command.env("ERGANE_TELEMETRY__OTLP_ENDPOINT", format!("{}/v1/traces", collector.url));
            command.env("ERGANE_TELEMETRY__HEADERS", "x-team=ops");
            command.env("ERGANE_TELEMETRY__BATCH_MS", "10");
            Process::of(command).unwrap_or_else(|ended| panic!("{ended:?}"))
        };
        let place = directory.path().join("data");
        let process = start(&place);
        let steps = json!([transform("a", json!(1)), {"id": "nap", "sleep": "2s"}]);
        process.app.save(by_hand("naps", steps)).await;
        let run = crate::acceptance::begun(&process.app, "naps", json!({})).await;
        let first = until("what has ended", async || {
            let all = collected(&collector);
            all.values().any(|it| it.name == "step a").then_some(all)
        })
        .await;
        assert!(!first.values().any(|it| it.name.starts_with("run ")), "it is not over");
        process.kill();
        let process = start(&place);
        process.app.end_of(&run).await;
        let all = until("the end", async || {
            let all = collected(&collector);
            all.values().any(|it| it.name == "run naps").then_some(all)
        })
        .await;
        let steps = all.values().filter(|it| it.name == "step a").count();
        assert_eq!(steps, 1, "told twice or not, it is one span: {all:#?}");
        let waits: Vec<_> = all.values().filter(|it| it.name == "wait for sleep").collect();
        assert_eq!(waits.len(), 1);
        process.stop();
    });
}

#[test]
fn a_collector_that_takes_nothing_is_in_nobodys_way() {
    let directory = TempDir::new().expect("a directory");
    let mut config = crate::support::config_in(directory.path());
    actix::System::new().block_on(async {
        let stuck = Peer::start(|_, _| Reply::Never).await;
        traced(&mut config, &stuck.url);
        config.telemetry.queue_runs_max = 2;
        config.telemetry.batch_ms = 1_000;
        let (serving, app) = TestApp::open(&config).await;
        app.save(by_hand("quick", json!([transform("a", json!(1))]))).await;
        for _ in 0..10 {
            let run = ended(&app, "quick", json!({})).await;
            assert_eq!(run["status"], "succeeded");
        }
        serving.stop().await;
    });
}

/// Starts the binary with settings of the test.
fn process(directory: &Path, settings: &[(&str, &str)]) -> Process {
    let mut command = serve(directory);
    for (name, value) in settings {
        command.env(name, value);
    }
    Process::of(command).unwrap_or_else(|ended| panic!("{ended:?}"))
}

/// Whoever rules another tenant sees what is about that one.
async fn show_each_tenant_its_own(app: &TestApp) {
    app.post("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
    let wanted = json!({"name": "theirs", "scopes": ["*"]});
    let request = app.request(Method::POST, "/v1/keys").header("x-tenant", "acme");
    let key = send(request.json(&wanted)).await.expect(201);
    let acme = app.with_key(key["key"].as_str().expect("a key"));
    acme.get("/v1/runs").await.expect(200);
    let seen = acme.get("/v1/system/logs?limit=2000").await.expect(200);
    let seen = seen["data"].as_array().expect("lines").clone();
    assert!(!seen.is_empty() && seen.iter().all(|line| line["tenant"] == "acme"), "{seen:?}");
    acme.put("/v1/system/log-level", json!({"level": "trace"})).await.refused(403, "forbidden");
}

#[test]
fn the_log_is_shown_to_its_owner_filtered_streamed_and_without_secrets() {
    let directory = TempDir::new().expect("a directory");
    let (place, logs) = (directory.path().join("data"), directory.path().join("logs"));
    let logs_text = logs.to_str().expect("a plain path");
    let process = process(
        &place,
        &[("ERGANE_LOG__LEVEL", "info,ergane=debug"), ("ERGANE_LOG__DIRECTORY", logs_text)],
    );
    let app = &process.app;
    actix::System::new().block_on(async {
        let secret = json!({"value": SECRET, "hosts": ["127.0.0.1"]});
        app.put("/v1/secrets/door", secret).await;
        send(app.request(Method::GET, "/v1/runs").header("x-request-id", "req-of-a-test")).await;
        let by_text = "/v1/system/logs?q=answered&level=debug&limit=2000";
        let lines = app.get(by_text).await.expect(200);
        let lines = lines["data"].as_array().expect("lines").clone();
        let own = lines.iter().find(|line| line["requestId"] == "req-of-a-test");
        let own = own.unwrap_or_else(|| panic!("no line of the request in {lines:#?}"));
        assert_eq!(own["message"], "GET /v1/runs answered 200");
        assert_eq!((&own["tenant"], &own["level"]), (&json!("default"), &json!("debug")));
        assert!(own["fields"]["took_us"].is_number() && own["fields"]["bytes"].is_number());
        let none = app.get("/v1/system/logs?level=error").await.expect(200);
        assert_eq!(none["data"], json!([]));
        app.get("/v1/system/logs?level=loud").await.refused(400, "invalid_parameter");

        show_each_tenant_its_own(app).await;

        // A stream goes on after the line that it ended with.
        let last = lines.last().expect("a line")["number"].to_string();
        let path = "/v1/system/logs/stream?q=answered";
        let request = app.request(Method::GET, path).header("last-event-id", last);
        let mut stream = request.send().await.expect("a stream");
        let mut text = String::new();
        while !text.contains("\ndata: ") {
            let piece = stream.chunk().await.expect("it goes on").expect("it goes on");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        assert!(text.contains("answered"), "{text}");

        // The level is another for a while.
        let level = json!({"level": "warn", "for": "10m"});
        let set = app.put("/v1/system/log-level", level).await.expect(200);
        assert_eq!(
            (&set["level"], &set["configured"]),
            (&json!("warn"), &json!("info,ergane=debug"))
        );
        assert!(set["until"].is_string());
        app.put("/v1/system/log-level", json!({"level": "ergane=lood"}))
            .await
            .refused(422, "invalid");
        let before = app.get(by_text).await.expect(200)["data"].as_array().expect("lines").len();
        app.get("/v1/runs").await.expect(200);
        let after = app.get(by_text).await.expect(200)["data"].as_array().expect("lines").len();
        assert_eq!(before, after, "debug lines are written no more");
    });
    process.stop();
    let text = std::fs::read_to_string(logs.join("ergane.log")).expect("a file of lines");
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    assert!(text.contains("Stopping, as asked") || text.contains("answered"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains(KEY), "no secret in the log");
}

#[test]
fn a_reader_of_the_log_that_sleeps_stops_nothing() {
    let directory = TempDir::new().expect("a directory");
    let (unread, writer) = std::io::pipe().expect("a pipe");
    let mut command = serve(&directory.path().join("data"));
    command.env("ERGANE_LOG__LEVEL", "trace").env("ERGANE_LOG__QUEUE_LINES_MAX", "16");
    command.stderr(Stdio::from(writer));
    let process = Process::of(command).unwrap_or_else(|ended| panic!("{ended:?}"));
    drop_later(&process, unread, |app| async move {
        for _ in 0..400 {
            app.get("/v1/runs").await.expect(200);
        }
        let text = app.get("/metrics").await.text;
        let dropped =
            text.lines().find_map(|it| it.strip_prefix("ergane_log_lines_dropped_total "));
        let dropped: f64 = dropped.expect("it is counted").parse().expect("a number");
        assert!(dropped > 0.0, "nobody read, so lines were lost: {dropped}");
        let doctor = app.get("/v1/system/doctor").await.expect(200);
        let log = finding(&doctor, "log");
        assert_eq!(log["status"], "warn", "{log}");
    });
    let (status, _) = process.stop();
    assert!(status.success(), "a stop does not wait for the reader either");
}

/// Keeps the unread end open while a test goes on.
fn drop_later<F: Future<Output = ()>>(
    process: &Process,
    unread: std::io::PipeReader,
    test: impl FnOnce(TestApp) -> F,
) {
    let app = TestApp::at(process.app.base.clone(), KEY);
    actix::System::new().block_on(test(app));
    std::mem::forget(unread);
}

fn finding(diagnosis: &Value, check: &str) -> Value {
    let all = diagnosis["data"].as_array().expect("findings").iter();
    let mut own = all.filter(|it| it["check"] == check);
    own.next().unwrap_or_else(|| panic!("no {check} in {diagnosis}")).clone()
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    with_config(
        |config| {
            use std::os::unix::fs::PermissionsExt as _;
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(&config.data_dir, open).expect("the directory is ours");
        },
        async |app| {
            let diagnosis = app.get("/v1/system/doctor").await.expect(200);
            assert_eq!(diagnosis["status"], "fail");
            let rights = &diagnosis["data"][0];
            assert_eq!(rights["check"], "data-directory", "the worst comes first: {diagnosis}");
            assert!(rights["cure"].as_str().is_some_and(|cure| cure.starts_with("chmod 700 ")));
            assert_eq!(finding(&diagnosis, "store")["status"], "ok");
            assert_eq!(finding(&diagnosis, "stuck")["status"], "ok");
            let prepared = until("the use of the key", async || {
                let diagnosis = app.get("/v1/system/doctor").await.expect(200);
                let found = finding(&diagnosis, "key-prepared");
                (found["status"] == "warn").then_some(found)
            })
            .await;
            assert_eq!(
                (&prepared["status"], &prepared["tenant"]),
                (&json!("warn"), &json!("default"))
            );
            let deep = app.get("/v1/system/doctor?deep=true").await.expect(200);
            let verified = finding(&deep, "store-verify");
            assert_eq!(verified["status"], "ok");
            assert!(verified["detail"].as_str().is_some_and(|it| it.contains("every record")));
            let wanted = json!({"name": "reader", "scopes": ["system:read"]});
            let key = app.post("/v1/keys", wanted).await.expect(201);
            let reader = app.with_key(key["key"].as_str().expect("a key"));
            let own = reader.get("/v1/system/doctor").await.expect(200);
            let all = own["data"].as_array().expect("findings").iter();
            assert!(all.clone().count() > 5 && all.clone().all(|it| it["tenant"] == "default"));
            reader.get("/v1/system/doctor?deep=true").await.refused(403, "forbidden");
        },
    );
}

#[test]
fn the_doctor_on_the_command_line_works_with_a_server_and_without() {
    let directory = TempDir::new().expect("a directory");
    let place = directory.path().join("data");
    let ask = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
        command.arg("doctor").args(more).arg("--data-dir").arg(&place);
        run(command)
    };
    let process = process(&place, &[]);
    let live = ask(&["--json"]);
    let report: Value = serde_json::from_str(&live.said).expect(&live.said);
    assert_eq!(finding(&report, "store")["status"], "ok");
    let is_well = report["status"] != "fail";
    assert_eq!(live.status.success(), is_well, "{}", live.said);
    process.stop();
    let stopped = ask(&["--deep", "--all"]);
    assert!(stopped.said.contains("every record was sound"), "{}", stopped.said);
    set_mode(&place, 0o777);
    let open = ask(&[]);
    assert_eq!(open.status.code(), Some(1), "{}", open.said);
    assert!(open.said.contains("chmod 700"), "{}", open.said);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let rights = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, rights).expect("the directory is ours");
}

/// Settings under which a single failed run is an alert that is over at once.
fn touchy(config: &mut Config, notices: &str) {
    config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    config.alerts.look_every_ms = 50;
    config.alerts.window_ms = 2_000;
    config.alerts.failed_runs_min = 1;
    config.alerts.notice_pause_ms = 50;
    let read: BTreeMap<String, Value> = toml::from_str(notices).expect("notices");
    config.notices = serde_json::from_value(read["notices"].clone()).expect("notices");
}

async fn events_of(app: &TestApp, kind: &str) -> Vec<Value> {
    let page = app.get(&format!("/v1/events?type={kind}")).await.expect(200);
    page["data"].as_array().expect("events").clone()
}

/// A connection for notices, a workflow that follows alerts, and one that is the cause of one.
async fn react_to_alerts(app: &TestApp, slack: &str) {
    app.post(
        "/v1/connections",
        json!({
            "name": "chat", "app": "slack", "settings": {"baseUrl": slack},
            "secrets": {"botToken": "xoxb-of-a-test-0123456789"},
        }),
    )
    .await
    .expect(201);
    app.save(json!({
        "name": "react", "trigger": {"event": "system:alert-raised",
            "filter": {"alert.kind": {"~eq": "runs-failing"}}},
        "steps": [transform("seen", json!("{{trigger.payload.alert.detail}}"))],
    }))
    .await;
    app.save(by_hand("bad", json!([failing("a")]))).await;
}

/// Tries the places of the configuration, and makes another.
async fn try_other_places(app: &TestApp, hook: &Peer) {
    let tested = app.post("/v1/system/notices/test", json!({"name": "ops"})).await.expect(200);
    assert_eq!(tested["data"][0]["ok"], true, "{tested}");
    assert_eq!(hook.received()[3].body["data"]["kind"], "test");
    app.post("/v1/system/notices/test", json!({"name": "none"}))
        .await
        .refused(404, "notice_not_found");
    let shown = app.get("/v1/system/notices").await.expect(200);
    assert!(!shown.to_string().contains("whsec") && !shown.to_string().contains("/alerts"));
    let made = json!({"kind": "webhook", "url": format!("{}/made", hook.url)});
    app.put("/v1/system/notices/made", made.clone()).await.expect(200);
    app.put("/v1/system/notices/ops", made).await.refused(409, "notice_configured");
    let nowhere = json!({"kind": "mail", "to": "ops@example.com"});
    app.put("/v1/system/notices/mail", nowhere).await.refused(422, "invalid");
    app.post("/v1/system/notices/test", json!({"name": "made"})).await.expect(200);
    assert_eq!(hook.received()[4].path, "/made");
    app.delete("/v1/system/notices/made").await.expect(204);
    app.delete("/v1/system/notices/ops").await.refused(404, "notice_not_found");
    let page = app.get("/v1/system/alerts").await.expect(200);
    assert_eq!(page["noticesWaiting"], 0);
}

#[test]
fn an_alert_is_told_once_by_every_way_and_once_when_it_is_over() {
    let directory = TempDir::new().expect("a directory");
    set_mode(directory.path(), 0o700);
    let mut config = crate::support::config_in(directory.path());
    actix::System::new().block_on(async {
        // The first attempt is refused, so that another follows.
        let hook = Peer::start(|number, _| match number {
            0 => Reply::Status(503, json!({})),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let slack = Peer::start(|_, _| {
            Reply::Status(200, json!({"ok": true, "ts": "1.2", "channel": "C1"}))
        })
        .await;
        let notices = format!(
            "[[notices]]\nname = 'ops'\nkind = 'webhook'\nurl = '{}/alerts'\n\
             secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\nalerts = ['runs-failing']\n\
             [[notices]]\nname = 'chat'\nkind = 'slack'\nchannel = 'C1'\nconnection = 'chat'\n\
             alerts = ['runs-failing']\n",
            hook.url
        );
        touchy(&mut config, &notices);
        let (serving, app) = TestApp::open(&config).await;
        react_to_alerts(&app, &slack.url).await;
        ended(&app, "bad", json!({})).await;
        let told = hook.until(3).await;
        let kinds: Vec<&Value> = told.iter().map(|it| &it.body["type"]).collect();
        assert_eq!(kinds, ["system:alert-raised", "system:alert-raised", "system:alert-resolved"]);
        assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"), "the same notice");
        assert!(told[1].header("webhook-signature").starts_with("v1,"));
        let alert = &told[1].body["data"];
        assert_eq!((&alert["kind"], &alert["tenant"]), (&json!("runs-failing"), &json!("default")));
        assert!(alert["cure"].is_string() && told[2].body["data"]["resolvedAt"].is_string());
        let said = slack.until(1).await;
        assert!(said[0].body["text"].as_str().is_some_and(|text| text.contains("runs-failing")));
        let reacted = until("the workflow", async || {
            let runs = app.get("/v1/runs?workflow=react&status=succeeded").await.expect(200);
            runs["data"].as_array().is_some_and(|all| !all.is_empty()).then_some(())
        });
        reacted.await;
        until("the event of the end", async || {
            let all = events_of(&app, "system:alert-resolved").await;
            all.iter().any(|it| it["payload"]["alert"]["kind"] == "runs-failing").then_some(())
        })
        .await;
        // It comes again within the quiet time, and nobody is told again.
        ended(&app, "bad", json!({})).await;
        until("the second alert", async || {
            let alerts = app.get("/v1/system/alerts").await.expect(200);
            let all = alerts["recent"].as_array().expect("alerts").clone();
            (all.iter().filter(|it| it["kind"] == "runs-failing").count() == 2).then_some(())
        })
        .await;
        assert_eq!(hook.received().len(), 3);
        try_other_places(&app, &hook).await;
        serving.stop().await;
    });
}

#[test]
fn a_store_that_takes_no_writes_is_told_of_all_the_same() {
    actix::System::new().block_on(async {
        let hook = Peer::friendly().await;
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("settings.toml");
        let text = format!(
            "[[notices]]\nname = 'ops'\nkind = 'webhook'\nurl = '{}/'\n\
             alerts = ['store-not-writable']\n[alerts]\nlook_every_ms = 50\n",
            hook.url
        );
        std::fs::write(&file, text).expect("the place is ours");
        let mut command = serve(&directory.path().join("data"));
        command.arg("--config").arg(&file);
        let process = Process::of(command).unwrap_or_else(|ended| panic!("{ended:?}"));
        let limit = |size: &str| {
            let pid = process.id().to_string();
            // The soft limit alone: the hard one could not be lifted again.
            let size = format!("--fsize={size}:");
            let set = Command::new("prlimit").args(["--pid", &pid, &size]).status();
            let set = set.expect("prlimit runs");
            assert!(set.success());
        };
        limit("1000");
        let request = process.app.request(Method::POST, "/v1/events/order:made");
        let refused = send(request.json(&json!({"text": "x".repeat(100_000)}))).await;
        assert!(refused.status >= 500, "{}", refused.text);
        let told = hook.until(1).await;
        assert_eq!(told[0].body["data"]["kind"], "store-not-writable");
        limit("unlimited");
        let told = hook.until(2).await;
        assert_eq!(told[1].body["type"], "system:alert-resolved");
        let of_the_end = until("the events", async || {
            let all = events_of(&process.app, "system:alert-raised").await;
            all.iter()
                .any(|it| it["payload"]["alert"]["kind"] == "store-not-writable")
                .then_some(())
        });
        of_the_end.await;
        signal(process.id(), "TERM");
        process.stop_after_signal();
    });
}

#[test]
fn a_notice_that_leads_nowhere_is_refused_at_the_start() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("settings.toml");
    std::fs::write(&file, "[[notices]]\nname = 'ops'\nkind = 'mail'\n").expect("the place is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
    command.args(["config", "check", "--config"]).arg(&file);
    let ended = run(command);
    assert!(!ended.status.success());
    assert!(
        ended.said.contains("settings.toml:1") && ended.said.contains("`to`"),
        "{}",
        ended.said
    );
}

#[test]
fn the_page_shows_how_it_does_and_needs_no_script() {
    with_app(async |app| {
        let body = format!("key={KEY}&next=%2Fsystem");
        let client =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client");
        let form = client.post(format!("{}/sign-in", app.base)).body(body);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let entered = send(form.header("sec-fetch-site", "same-origin")).await;
        let cookie =
            entered.header("set-cookie").expect("a session").split(';').next().expect("one");
        let page = |path: &str| {
            let address = format!("{}{path}", app.base);
            send(client.get(address).header("cookie", cookie.to_owned()))
        };
        let shown = page("/system").await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        for part in ["Doctor", "Alerts", "key-prepared", "data-log=", "/system/storage", "Log"] {
            assert!(shown.text.contains(part), "no {part} in {}", shown.text);
        }
        assert!(!shown.text.contains(KEY));
        assert_eq!(page("/system?level=warn&q=x").await.status, 200);
        assert!(page("/").await.text.contains("href=\"/system\""), "it is in the navigation");
    });
}
