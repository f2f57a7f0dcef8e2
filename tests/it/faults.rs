//! What machines do to a server: full disks, flipped bits, second processes, signals, kills.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peer::{Peer, Reply};
use crate::process::{Process, run, serve, signal};
use crate::support::TestApp;

fn with_runtime<F: Future<Output = ()>>(test: F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test);
}

/// A data directory inside a directory of its own.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    (directory, data)
}

/// Returns the file that holds everything.
fn data_file(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = files
        .filter(|entry| entry.metadata().is_ok_and(|data| data.is_file()))
        .map(|entry| (entry.metadata().map_or(0, |data| data.len()), entry.path()))
        .collect();
    files.sort();
    files.pop().expect("a file").1
}

/// A disk that can be filled and emptied while a server writes to it.
enum Disk {
    /// A small file system in memory.
    Mounted(PathBuf),
    /// A limit of the process, where mounting is not allowed.
    Limited,
}

impl Disk {
    fn at(directory: &Path) -> Disk {
        fs::create_dir_all(directory).expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(directory)
            .output();
        match mounted.is_ok_and(|output| output.status.success()) {
            true => Disk::Mounted(directory.to_owned()),
            false => Disk::Limited,
        }
    }

    fn fill(&self, process: &Process, file: &Path) {
        match self {
            Disk::Mounted(directory) => fill(directory),
            Disk::Limited => {
                let size = fs::metadata(file).expect("the file is there").len();
                limit(process.id(), &format!("{size}:unlimited"));
            }
        }
    }

    fn empty(&self, process: &Process) {
        match self {
            Disk::Mounted(directory) => {
                fs::remove_file(directory.join("filler")).expect("it was there");
            }
            Disk::Limited => limit(process.id(), "unlimited:unlimited"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Disk::Mounted(directory) = self {
            let _ = Command::new("umount").arg(directory).status(); // It ends with the namespace.
        }
    }
}

/// Writes until there is no room on a small disk.
fn fill(directory: &Path) {
    const LARGEST: u32 = 32 * 256; // A disk with more room than 32 MiB is not the one of the test.
    let mut filler = fs::File::create(directory.join("filler")).expect("a file");
    for _ in 0..LARGEST {
        if std::io::Write::write_all(&mut filler, &[0; 4_096]).is_err() {
            return;
        }
    }
    panic!("the disk is larger than it was made");
}

fn limit(process: u32, size: &str) {
    let set = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--fsize={size}")])
        .output();
    let set = set.expect("prlimit runs");
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
}

/// Publishes an event of `bytes` bytes; returns its id if it was accepted.
async fn publish(app: &TestApp, number: usize, bytes: usize) -> Result<String, (u16, String)> {
    let id = format!("event-{number}");
    let path = format!("/v1/events/order:placed?id={id}");
    let answer = app.post(&path, json!({"n": number, "text": "x".repeat(bytes)})).await;
    match answer.status {
        202 => Ok(id),
        status => {
            assert!(status != 503 || answer.header("retry-after").is_some(), "{}", answer.text);
            Err((status, answer.text))
        }
    }
}

/// Insists that every event that was accepted is there, as it was sent.
async fn all_there(app: &TestApp, accepted: &[String]) {
    for id in accepted {
        let path = format!("/v1/events/{id}");
        let mut answer = app.get(&path).await;
        // A read that was under way at the fault may be told to come back, which it can at once.
        for _ in 0..3 {
            if answer.status == 503 {
                answer = app.get(&path).await;
            }
        }
        assert_eq!(format!("event-{}", answer.expect(200)["payload"]["n"]), *id);
    }
}

async fn save_echo(app: &TestApp) {
    let definition = json!({"name": "w", "trigger": {"event": "order:placed"}, "steps": [
        {"id": "show", "activity": "workflows:transform-platform",
         "input": {"output": "{{ trigger.payload.n }}"}}]});
    app.save(definition).await;
}

#[test]
fn a_full_disk_refuses_and_keeps_and_recovers() {
    let (_kept, data) = place();
    let disk = Disk::at(&data);
    refuses_keeps_and_recovers(&data, &disk);
}

#[test]
fn a_file_at_its_size_limit_is_like_a_full_disk() {
    let (_kept, data) = place();
    refuses_keeps_and_recovers(&data, &Disk::Limited);
}

fn refuses_keeps_and_recovers(data: &Path, disk: &Disk) {
    with_runtime(async {
        let process = Process::start(data);
        let app = &process.app;
        save_echo(app).await;
        let mut accepted = Vec::new();
        for number in 0..20 {
            accepted.push(publish(app, number, 1_000).await.expect("there is room"));
        }
        disk.fill(&process, &data_file(data));
        let mut refused = 0;
        for number in 20..400 {
            match publish(app, number, 60_000).await {
                Ok(id) => accepted.push(id),
                Err((status, text)) => {
                    assert_eq!(status, 503, "{text}");
                    refused += 1;
                }
            }
            if refused == 5 {
                break;
            }
        }
        assert_eq!(refused, 5, "a full disk refuses");
        all_there(app, &accepted).await;
        app.get("/healthz").await.expect(200);
        app.get("/v1/runs").await.expect(200);
        disk.empty(&process);
        let mut number = 1_000;
        let id = loop {
            match publish(app, number, 1_000).await {
                Ok(id) => break id,
                Err((status, text)) => assert_eq!(status, 503, "{text}"),
            }
            number += 1;
            assert!(number < 4_000, "it recovers by itself");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        accepted.push(id);
        all_there(app, &accepted).await;
        app.get("/readyz").await.expect(200);
        let event = app.get(&format!("/v1/events/{}", accepted[accepted.len() - 1])).await;
        let run = event.expect(200)["runs"][0].as_str().expect("a run").to_owned();
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        let (status, _) = process.stop();
        assert!(status.success(), "{status}");
        let process = Process::start(data);
        all_there(&process.app, &accepted).await;
    });
}

#[test]
fn a_start_on_a_full_disk_says_so_and_harms_nothing() {
    let (_kept, data) = place();
    let disk = Disk::at(&data);
    if matches!(disk, Disk::Limited) {
        // Without mounting, the limit stands before the start instead.
        let mut command = Command::new("prlimit");
        command.arg("--fsize=1000").arg(env!("CARGO_BIN_EXE_ergane")).args(["serve", "--listen"]);
        command.args(["127.0.0.1:0", "--data-dir"]).arg(&data);
        let ended = run(command);
        assert!(!ended.status.success() && !ended.said.trim().is_empty(), "{ended:?}");
        return;
    }
    fill(&data);
    let ended = Process::attempt(&data).map(|_| ()).expect_err("there is no room");
    assert!(matches!(ended.status.code(), Some(1 | 75)), "{ended:?}");
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    fs::remove_file(data.join("filler")).expect("it was there");
    with_runtime(async {
        let process = Process::start(&data);
        process.app.get("/readyz").await.expect(200);
    });
}

/// Everything that a server shows of what it keeps.
async fn shown(app: &TestApp) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for list in ["events", "runs", "workflows", "tickets", "teams", "tags"] {
        let answer = app.get(&format!("/v1/{list}?limit=200")).await;
        let places = answer.body["data"].as_array().cloned().unwrap_or_default();
        all.insert(list.to_owned(), outcome(answer.status, answer.body));
        for one in places {
            let id = one["id"].as_str().or(one["name"].as_str()).unwrap_or("none");
            let place = format!("{list}/{id}");
            let answer = app.get(&format!("/v1/{place}")).await;
            all.insert(place, outcome(answer.status, answer.body));
        }
    }
    all
}

/// What was read, or null where an error said that it cannot be.
fn outcome(status: u16, mut body: Value) -> Value {
    if status >= 500 {
        return Value::Null;
    }
    strip(&mut body);
    body
}

/// Takes out what differs from one reading to the next.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("durationMs");
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {} // Nothing in it.
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless_never_silently_wrong() {
    const ROUNDS: usize = 24;
    let (kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        save_echo(&process.app).await;
        let team = process.app.team().await;
        for number in 0..30 {
            let id = publish(&process.app, number, 300).await.expect("there is room");
            let event = process.app.get(&format!("/v1/events/{id}")).await.expect(200);
            let run = event["runs"][0].as_str().expect("a run");
            process.app.end_of(run).await;
            process.app.ticket(&team, json!({})).await;
        }
        let whole = shown(&process.app).await;
        assert!(whole.values().all(|value| !value.is_null()));
        let (status, _) = process.stop();
        assert!(status.success());
        let file = data_file(&data);
        let sound = fs::read(&file).expect("the file");
        let spare = kept.path().join("copy");
        let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
        let (mut refused, mut errors, mut harmless) = (0, 0, 0);
        for round in 0..ROUNDS {
            let _ = fs::remove_dir_all(&spare);
            fs::create_dir_all(&spare).expect("a directory");
            let mut bytes = sound.clone();
            let at = used[(round * 7_919 + 13) * used.len() / (ROUNDS * 7_919 + 13) % used.len()];
            bytes[at] ^= 1 << (round % 8);
            fs::write(spare.join(file.file_name().expect("a name")), bytes).expect("room");
            let process = match Process::attempt(&spare) {
                Ok(process) => process,
                Err(ended) => {
                    assert!(ended.status.code().is_some_and(|code| code != 0), "{at}: {ended:?}");
                    assert!(!ended.said.trim().is_empty());
                    refused += 1;
                    continue;
                }
            };
            let read = shown(&process.app).await;
            let mut wrong = Vec::new();
            let mut lost = read.values().any(Value::is_null);
            for (place, value) in &whole {
                match read.get(place) {
                    Some(Value::Null) | None => lost = true,
                    Some(found) if found == value => {}
                    Some(found) => wrong.push(format!("{place}: {found}\nwas {value}")),
                }
            }
            assert!(wrong.is_empty(), "bit at {at} of {}: {}", sound.len(), wrong.join("\n"));
            match lost {
                true => errors += 1,
                false => harmless += 1,
            }
        }
        println!("{refused} refused at the start, {errors} told as errors, {harmless} harmless");
    });
}

#[test]
fn a_second_process_on_the_same_directory_is_refused_with_a_sentence() {
    let (_kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        let ended = Process::attempt(&data).map(|_| ()).expect_err("one is enough");
        assert_eq!(ended.status.code(), Some(4), "{ended:?}");
        let whose = format!("in use by pid {}", process.id());
        assert!(ended.said.contains(&whose), "{}", ended.said);
        assert!(ended.said.contains("another process holds it"), "{}", ended.said);
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
        process.app.get("/readyz").await.expect(200);
        save_echo(&process.app).await;
    });
}

#[test]
fn a_newer_file_is_refused_unharmed() {
    let (_kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        save_echo(&process.app).await;
        assert!(process.stop().0.success());
    });
    let file = data_file(&data);
    let mark = |number: &str| {
        let table = redb::TableDefinition::<&str, &str>::new("format");
        let database = redb::Database::open(&file).expect("nobody has it");
        let tx = database.begin_write().expect("a transaction");
        tx.open_table(table).expect("the table").insert("format", number).expect("room");
        tx.commit().expect("room");
    };
    mark("99");
    let before = fs::read(&file).expect("the file");
    let ended = Process::attempt(&data).map(|_| ()).expect_err("it is newer");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.said.contains("format 99"), "{}", ended.said);
    assert!(fs::read(&file).expect("the file") == before, "not a byte is changed");
    mark("1");
    with_runtime(async {
        Process::start(&data).app.get("/v1/workflows/w").await.expect(200);
    });
}

/// Sends events from several senders until told to stop; returns what was accepted.
async fn load(app: &TestApp, stop: Arc<AtomicBool>) -> Vec<String> {
    let send = async |sender: usize| {
        let mut accepted = Vec::new();
        let mut number = 0;
        while !stop.load(Ordering::SeqCst) {
            let id = format!("{sender}-{number}");
            let url = format!("{}/v1/events/order:placed?id={id}", app.base);
            let request = app.client.post(url).bearer_auth(&app.key).json(&json!({"n": 1}));
            let timeout = Duration::from_secs(20);
            match request.timeout(timeout).send().await {
                Ok(response) if response.status().as_u16() == 202 => accepted.push(id),
                Ok(response) => assert_eq!(response.status().as_u16(), 503),
                Err(_) => break, // The server has gone.
            }
            number += 1;
        }
        accepted
    };
    let all = futures_util::future::join_all((0..8).map(send)).await;
    all.into_iter().flatten().collect()
}

/// Insists that what was accepted is there once, and that each started one run which ends.
async fn nothing_lost(app: &TestApp, accepted: &[String]) {
    for id in accepted {
        let event = app.get(&format!("/v1/events/{id}")).await.expect(200);
        let runs = event["runs"].as_array().expect("a list");
        assert_eq!(runs.len(), 1, "{event}");
        let run = app.end_of(runs[0].as_str().expect("an id")).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["steps"][0]["attempts"].as_array().map(Vec::len), Some(1));
    }
    for id in accepted.iter().take(20) {
        let again = app.post(&format!("/v1/events/order:placed?id={id}"), json!({})).await;
        assert_eq!(again.expect(202)["accepted"][0]["duplicate"], true);
    }
}

#[test]
fn asked_to_stop_under_load_it_ends_in_time_and_loses_nothing() {
    let (_kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        save_echo(&process.app).await;
        let stop = Arc::new(AtomicBool::new(false));
        let app = TestApp::at(process.app.base.clone(), &process.app.key);
        let (sent, flag) = (load(&app, Arc::clone(&stop)), Arc::clone(&stop));
        let stopping = async {
            enough(&process.app).await;
            let ended = tokio::task::spawn_blocking(move || process.stop()).await.expect("it ends");
            flag.store(true, Ordering::SeqCst);
            ended
        };
        let (accepted, (status, took)) = tokio::join!(sent, stopping);
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(!accepted.is_empty());
        let process = Process::start(&data);
        nothing_lost(&process.app, &accepted).await;
    });
}

/// Waits until some runs have ended, so that the load is well on its way.
async fn enough(app: &TestApp) {
    loop {
        let runs = app.get("/v1/runs?status=succeeded&limit=50").await.expect(200);
        if runs["data"].as_array().is_some_and(|runs| runs.len() >= 50) {
            return;
        }
    }
}

#[test]
fn killed_at_any_moment_it_goes_on_and_loses_nothing() {
    let (_kept, data) = place();
    with_runtime(async {
        let mut accepted = Vec::new();
        for round in 0..5 {
            let process = Process::start(&data);
            if round == 0 {
                save_echo(&process.app).await;
            }
            let app = TestApp::at(process.app.base.clone(), &process.app.key);
            let stop = Arc::new(AtomicBool::new(false));
            let sent = load(&app, Arc::clone(&stop));
            let killing = async {
                for number in 0..40 + round * 25 {
                    let path = format!("/v1/events/other:thing?id=mark-{round}-{number}");
                    app.post(&path, json!({})).await.expect(202);
                }
                process.kill();
                stop.store(true, Ordering::SeqCst);
            };
            let (sent, ()) = tokio::join!(sent, killing);
            assert!(!sent.is_empty(), "round {round}");
            accepted.extend(sent);
        }
        accepted.sort();
        accepted.dedup();
        let process = Process::start(&data);
        nothing_lost(&process.app, &accepted).await;
    });
}

#[test]
fn a_call_in_flight_at_a_kill_is_made_again_with_the_same_key() {
    let (_kept, data) = place();
    with_runtime(async {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Never,
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let process = Process::start(&data);
        let account = json!({"id": "account", "activity": "accounts:create-account-platform",
            "input": {"name": "a", "primaryDomain": "a.example"}});
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": peer.url, "method": "POST"}});
        let definition = json!({"name": "w", "trigger": "manual", "steps": [account, call]});
        process.app.save(definition).await;
        let run = process.app.post("/v1/workflows/w/run", json!({})).await.expect(202);
        let run = run["id"].as_str().expect("an id").to_owned();
        peer.until(1).await;
        process.kill();
        let process = Process::start(&data);
        let received = peer.until(2).await;
        let ended = process.app.end_of(&run).await;
        assert_eq!(ended["status"], "succeeded", "{ended:#}");
        let keys: Vec<&str> = received.iter().map(|it| it.header("idempotency-key")).collect();
        assert!(keys[0] == keys[1] && keys[0].contains(&run), "{keys:?}");
        let accounts = process.app.get("/v1/accounts").await.expect(200);
        assert_eq!(accounts["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn sleepers_and_retries_outlive_a_kill() {
    let (_kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        let nap = json!({"name": "nap", "trigger": "manual",
            "steps": [{"id": "nap", "sleep": "{{ trigger.payload.long }}"}]});
        process.app.save(nap).await;
        let mut runs = Vec::new();
        for long in ["10ms", "300ms", "600ms", "1500ms"] {
            let body = json!({"payload": {"long": long}});
            let run = process.app.post("/v1/workflows/nap/run", body).await.expect(202);
            runs.push(run["id"].as_str().expect("an id").to_owned());
        }
        process.kill();
        let process = Process::start(&data);
        for run in &runs {
            let ended = process.app.end_of(run).await;
            assert_eq!(ended["status"], "succeeded", "{ended:#}");
            let step = &ended["steps"][0];
            let time = |text: &Value| {
                chrono::DateTime::parse_from_rfc3339(text.as_str().expect("a time"))
                    .expect("a time")
            };
            let long = time(&ended["endedAt"]) - time(&ended["createdAt"]);
            let least = ["10", "300", "600", "1500"][runs.iter().position(|it| it == run).unwrap()];
            assert!(long.num_milliseconds() >= least.parse::<i64>().unwrap(), "{step}");
        }
    });
}

#[test]
fn hanging_up_and_interrupting_end_it_as_they_should() {
    let (_kept, data) = place();
    with_runtime(async {
        let process = Process::start(&data);
        process.app.get("/readyz").await.expect(200);
        let id = process.id();
        signal(id, "INT");
        let (status, _) = process.stop_after_signal();
        assert!(status.success(), "{status}");
        let mut nowhere = serve(Path::new("/proc/none/data"));
        nowhere.current_dir("/");
        let ended = run(nowhere);
        assert!(ended.status.code().is_some_and(|code| code != 0), "{ended:?}");
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
    });
}
