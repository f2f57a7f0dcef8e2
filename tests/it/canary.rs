//! One canary in every place that a secret can be, used and said back in every way; afterwards none
//! of them is found in what anybody can see or steal.

use std::fs;
use std::ops::Bound;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ergane::store::moving::entry::unpack;
use ergane::store::moving::frame::{FrameKind, FrameReader};
use ergane::store::redb_store::RedbStore;
use ergane::store::seam::{Direction, Space, Store as _};
use ergane::web::GROUPS;
use ergane::web::route::{Access, Verb};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peer::{Peer, Received, Reply};
use crate::people::{PASSWORD, joined, unbase32};
use crate::process::{Process, serve};
use crate::support::{KEY, TestApp, send};

const TOKEN: &str = "canary-token-\"/+=&<x>-4f1d";
const BASIC: &str = "canary-basic-77c2:/@";
const BOT: &str = "xoxb-canary-bot-0d3e";
const SIGNING: &str = "canary-signing-b1a9";
const MAIL: &str = "canary-mail-password-5c5c";
const HTTP: &str = "canary-http-token-3377";
const INBOUND: &str = "canary-inbound-secret-9e9e";
const HEADER: &str = "canary-header-of-hook-2b2b";
/// With what each of the many begins.
const MARK: &str = "canary-of-two-hundred-6e1fa0c94b27d8";
const PASSPHRASE: &str = "canary-passphrase-of-the-export-31d0";

/// Says back what it was told, in every spelling that other systems use; at `/before`, what it was
/// told before by others.
fn echo(_: usize, received: &Received) -> Reply {
    let told = match received.path.starts_with("/before") {
        true => format!("{TOKEN}|{BASIC}|{BOT}|{SIGNING}|{HTTP}"),
        false => format!(
            "{}|{}|{}",
            received.header("authorization"),
            received.header("x-secret"),
            received.header("x-own")
        ),
    };
    let parts: Vec<String> = told
        .split(['|', ' '])
        .filter(|part| part.len() > 3)
        .map(|part| {
            let decoded = STANDARD.decode(part).ok().and_then(|it| String::from_utf8(it).ok());
            decoded.unwrap_or_else(|| part.to_owned())
        })
        .collect();
    let spelled: Vec<String> = parts
        .iter()
        .flat_map(|part| {
            let form: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
            let quoted = json!(part).to_string();
            vec![
                part.clone(),
                format!("{}{part}", "x".repeat(990)),
                form.to_lowercase(),
                form,
                hex::encode(part),
                hex::encode_upper(part),
                quoted.replace('/', "\\/"),
                quoted,
                STANDARD.encode(part),
                STANDARD_NO_PAD.encode(format!("a{part}b")),
                URL_SAFE_NO_PAD.encode(format!("ab{part}cd")),
                part.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
            ]
        })
        .collect();
    let status = match received.path.split('?').next() {
        Some("/fails") => 400,
        Some("/later") => 503,
        _ => 200,
    };
    Reply::Status(status, json!({ "ok": false, "error": told, "echo": spelled, "told": told }))
}

/// Every spelling of a canary that is looked for.
struct Canary {
    name: String,
    spellings: Vec<String>,
}

impl Canary {
    fn of(name: &str, value: &str) -> Canary {
        let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let quoted = json!(value).to_string();
        let middle = |offset: usize| {
            let padded = STANDARD_NO_PAD.encode(format!("{}{value}", "\0".repeat(offset)));
            padded[4..padded.len() - 3].to_owned()
        };
        let spellings = vec![
            value.to_owned(),
            // A half of it is as bad as the whole.
            value[..value.len() / 2 + 2].to_owned(),
            quoted[1..quoted.len() - 1].to_owned(),
            form.clone(),
            form.to_lowercase(),
            hex::encode(value),
            hex::encode_upper(value),
            middle(0),
            middle(1),
            middle(2),
        ];
        Canary { name: name.to_owned(), spellings }
    }

    fn is_in(&self, text: &[u8]) -> Option<&str> {
        let found = |spelling: &&String| {
            let (first, bytes) = (spelling.as_bytes()[0], spelling.as_bytes());
            text.iter()
                .enumerate()
                .any(|(at, byte)| *byte == first && text[at..].starts_with(bytes))
        };
        self.spellings.iter().find(found).map(String::as_str)
    }
}

fn look(place: &str, text: &[u8], canaries: &[Canary], found: &mut Vec<String>) {
    for canary in canaries {
        if let Some(spelling) = canary.is_in(text) {
            found.push(format!("{place} shows {} as {spelling}", canary.name));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn call(name: &str, input: Value) -> Value {
    json!({"name": name, "trigger": {"event": "thing:happened"}, "steps": [
        {"id": "call", "activity": "workflows:http-request-platform", "input": input,
            "compensate": "none", "retry": {"attempts": 2, "initial": "10ms"}}]})
}

/// Makes a connection of every kind.
async fn connect(app: &TestApp, peer: &Peer) {
    for (name, kind, settings, secrets) in [
        (
            "chat",
            "slack",
            json!({"baseUrl": peer.url}),
            json!({"botToken": BOT, "signingSecret": SIGNING}),
        ),
        (
            "mail",
            "smtp",
            json!({"host": "127.0.0.1", "port": 9, "from": "a@example.com", "tls": "none"}),
            json!({"password": MAIL}),
        ),
        ("shop", "http", json!({"baseUrl": peer.url}), json!({"token": HTTP})),
        ("inbox", "webhook", json!({}), json!({"signingSecret": INBOUND})),
    ] {
        let body = json!({"name": name, "app": kind, "settings": settings, "secrets": secrets});
        let made = app.post("/v1/connections", body).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text);
        app.post(&format!("/v1/connections/{name}/test"), json!({})).await;
    }
}

/// Puts many canaries that begin alike where secrets are taken, one by one; returns how many.
async fn hide_many(app: &TestApp, peer: &Peer) -> usize {
    let mut count = 0;
    let mut next = || {
        count += 1;
        format!("{MARK}{count:03}")
    };
    for number in 0..70 {
        let body = json!({ "value": next(), "hosts": ["127.0.0.1"] });
        app.put(&format!("/v1/secrets/many_{number}"), body).await.expect(200);
    }
    for number in 0..30 {
        let (name, base) = (format!("many-{number}"), json!({"baseUrl": peer.url}));
        for (kind, settings, secrets) in [
            ("http", base.clone(), json!({"token": next()})),
            ("slack", base, json!({"botToken": next(), "signingSecret": next()})),
            ("webhook", json!({}), json!({"signingSecret": next()})),
        ] {
            let body = json!({"name": format!("{kind}-{name}"), "app": kind, "settings": settings,
                "secrets": secrets});
            let made = app.post("/v1/connections", body).await;
            assert_eq!(made.status, 201, "{kind}: {}", made.text);
        }
        if number < 15 {
            let hook = json!({"url": format!("{}/hook", peer.url), "types": ["account:created"],
                "headers": {"X-Own": next()}});
            app.post("/v1/webhooks", hook).await.expect(201);
        }
    }
    count
}

/// Returns the rows of an export and the file itself, whose rows are packed.
async fn exported(app: &TestApp, query: &str) -> Vec<u8> {
    let request = app.request(Method::GET, &format!("/v1/tenants/default/export{query}"));
    let request = match query {
        "" => request.header("X-Passphrase", PASSPHRASE),
        _ => request,
    };
    let answer = request.send().await.expect("it answers");
    assert_eq!(answer.status(), 200, "{query}");
    let mut file = answer.bytes().await.expect("a file").to_vec();
    let mut reader = FrameReader::default();
    reader.feed(&file);
    while let Some(frame) = reader.take().expect("sound") {
        if frame.kind == FrameKind::Rows {
            for row in unpack(&frame.payload).expect("rows") {
                file.extend(row.key);
                file.extend(row.value);
            }
        }
    }
    reader.end().expect("whole");
    file
}

/// Puts a canary in every place; returns them.
async fn hide(app: &TestApp, peer: &Peer) -> Vec<Canary> {
    let mut canaries = vec![Canary::of("the bootstrap key", KEY)];
    let mut put = |name: &str, value: &str| canaries.push(Canary::of(name, value));
    for (name, value) in [("token", TOKEN), ("basic", BASIC)] {
        let body = json!({ "value": value, "hosts": ["127.0.0.1"] });
        app.put(&format!("/v1/secrets/{name}"), body).await.expect(200);
        put(name, value);
    }
    connect(app, peer).await;
    for (name, value) in [
        ("the bot token", BOT),
        ("the signing secret", SIGNING),
        ("the mail password", MAIL),
        ("the HTTP token", HTTP),
        ("the inbound secret", INBOUND),
        ("the header of the hook", HEADER),
        ("the password", PASSWORD),
    ] {
        put(name, value);
    }
    app.post("/v1/event-types", json!({ "type": "thing:happened" })).await.expect(201);
    let kept = |path: &str, body: Value| {
        app.request(Method::POST, path).header("idempotency-key", path.to_owned()).json(&body)
    };
    let hook = json!({"url": format!("{}/fails", peer.url), "types": ["thing:*"],
        "headers": {"X-Own": HEADER}});
    let hook = send(kept("/v1/webhooks", hook)).await.expect(201);
    put("the secret of the webhook", &text(&hook["secret"]));
    let key = json!({ "name": "bot", "scopes": ["runs:read"] });
    put("a key", &text(&send(kept("/v1/keys", key)).await.expect(201)["key"]));
    let invited = json!({ "email": "eve@example.com", "roles": ["viewer"] });
    let invited = send(kept("/v1/people", invited)).await.expect(201);
    let path = text(&invited["link"]["path"]);
    put("the token of an invitation", path.strip_prefix("/join?t=").expect("a token"));
    let mut browser = joined(app, "ada@example.com", &["owner"]).await;
    let begun = browser.call(Method::POST, "/v1/me/second-factor", json!({})).await.expect(201);
    put("the shared secret of the authenticator", &text(&begun["secret"]));
    put("the same in hexadecimal", &hex::encode(unbase32(&text(&begun["secret"]))));
    let cookie = browser.cookie().expect("a session");
    put("the session", cookie.split_once('=').expect("a cookie").1);
    put("one of many", MARK);
    put("the passphrase", PASSPHRASE);
    let count = hide_many(app, peer).await + canaries.len();
    assert!(count >= 200, "only {count} canaries were let out");
    canaries
}

/// Runs that succeed, fail and are tried again, each told back what it said.
async fn work(app: &TestApp, peer: &Peer) {
    let bearer = json!({"bearer": "{{ secrets.token }}"});
    let basic = json!({"username": "somebody", "password": "{{secrets.basic}}"});
    for (name, path, extra) in [
        ("works", "/", json!({"auth": bearer})),
        ("works-basic", "/", json!({"auth": basic})),
        ("fails", "/fails", json!({"headers": {"X-Secret": "{{secrets.token}}"}})),
        ("fails-basic", "/fails", json!({"auth": basic})),
        ("later", "/later", json!({"auth": bearer})),
        ("before", "/before", json!({})),
    ] {
        let mut input = extra;
        input["url"] = json!(format!("{}{path}", peer.url));
        input["method"] = json!("POST");
        app.save(call(name, input)).await;
    }
    let chat = json!({"channel": "C1", "text": "hello"});
    let letter = json!({"to": "a@example.com", "subject": "s", "text": "b"});
    for (name, activity, input) in [
        ("chat", "slack.postMessage", chat),
        ("letter", "communications:send-email-platform", letter),
    ] {
        app.save(json!({"name": name, "trigger": {"event": "thing:happened"}, "steps": [
            {"id": "call", "activity": activity, "input": input, "retry": {"attempts": 1},
                "timeout": "2s", "compensate": "none"}]}))
            .await;
    }
    for run in app.publish("thing:happened", json!({})).await {
        app.end_of(&run).await;
    }
    // What is refused says why, and must not say what.
    for (path, body) in [
        ("/v1/secrets/token", json!({ "value": [TOKEN], "hosts": TOKEN.len(), "x": 1 })),
        ("/v1/connections/chat", json!({ "app": 1, "secrets": { "botToken": { "is": BOT } } })),
    ] {
        let refused = app.put(path, body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
    app.put("/v1/secrets/token", json!({ "value": TOKEN, "hosts": ["127.0.0.1"] })).await;
    app.post("/v1/system/secrets/rotate-key", json!({})).await.expect(202);
}

/// Returns what stands for a variable segment of a path, from the lists of the API.
async fn fill(app: &TestApp, path: &str) -> Vec<String> {
    if !path.contains('{') {
        return vec![path.to_owned()];
    }
    let (before, rest) = path.split_once('{').expect("a segment");
    let after = rest.split_once('}').expect("its end").1;
    let list = match before.trim_end_matches('/') {
        "/runs" => "/v1/runs".to_owned(),
        "/workflows" | "/v1/workflows" => "/v1/workflows".to_owned(),
        "/events" => "/v1/events".to_owned(),
        "/tickets" => "/v1/tickets".to_owned(),
        "/api/v1/workflows" if after.contains("tasks") => "/v1/runs".to_owned(),
        other => other.to_owned(),
    };
    let rows = app.get(&format!("{list}?limit=200")).await;
    let rows = rows.body["data"].as_array().cloned().unwrap_or_default();
    let names = rows.iter().filter_map(|row| {
        let fields = ["id", "uniqueIdentifier", "name", "type"];
        fields.iter().filter_map(|field| row[*field].as_str()).next().map(str::to_owned)
    });
    let mut names: Vec<String> = names.take(16).collect();
    if list == "/v1/workflows" {
        names = rows.iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
    }
    if names.is_empty() {
        names.push("call".to_owned());
    }
    let filled = names.iter().map(|name| format!("{before}{name}{after}"));
    let filled = filled.map(|path| path.replace("{step}", "call").replace("{number}", "1"));
    // What is left is a delivery or the like: any name answers, if only that there is none.
    filled.map(|path| path.replace(['{', '}'], "")).collect()
}

/// Reads for a moment: a stream has no end.
async fn read(app: &TestApp, path: &str) -> Vec<u8> {
    let request = app.request(Method::GET, path).header("accept", "*/*");
    let request = request.header("last-event-id", "0");
    let Ok(mut response) = request.send().await else { return Vec::new() };
    let mut bytes = format!("{:?}", response.headers()).into_bytes();
    let moment = Duration::from_millis(if path.contains("stream") { 300 } else { 10_000 });
    let _ = tokio::time::timeout(moment, async {
        while let Ok(Some(piece)) = response.chunk().await {
            bytes.extend_from_slice(&piece);
        }
    })
    .await; // What came by then is looked at.
    bytes
}

async fn look_through(app: &TestApp, canaries: &[Canary], found: &mut Vec<String>) -> usize {
    let mut count = 0;
    for route in GROUPS.iter().flat_map(|group| group.routes) {
        if route.verb != Verb::Get {
            continue;
        }
        for path in fill(app, route.path).await {
            let mut paths = vec![path.clone()];
            if matches!(route.path, "/v1/workflows/{name}" | "/workflows/{name}") {
                let forms = ["format=thena", "format=yaml", "source=yaml", "source=json"];
                paths.extend(forms.map(|form| format!("{path}?{form}")));
            }
            for path in paths {
                let bytes = read(app, &path).await;
                count += 1;
                assert!(
                    !bytes.is_empty() || matches!(route.access, Access::Public),
                    "{path} is silent"
                );
                look(&path, &bytes, canaries, found);
            }
        }
    }
    count
}

#[test]
fn no_canary_is_found_in_anything_that_can_be_seen_or_stolen() {
    let directory = TempDir::new().expect("a directory");
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (canaries, mut found) = runtime.expect("a runtime").block_on(async {
        let peer = Peer::start(echo).await;
        let mut command = serve(&data);
        command.env("ERGANE_LOG__LEVEL", "debug").env("ERGANE_ACCESS__PASSWORD_MEMORY_KIB", "64");
        command.stderr(Stdio::from(fs::File::create(&log).expect("a log")));
        let process = Process::of(command).expect("it serves");
        let app = &process.app;
        let canaries = hide(app, &peer).await;
        work(app, &peer).await;
        let seen = peer.received();
        for canary in [TOKEN, BOT, HEADER] {
            let sent = seen.iter().any(|received| received.head.contains(canary));
            assert!(sent, "{canary} was used");
        }
        let mut found = Vec::new();
        let count = look_through(app, &canaries, &mut found).await;
        assert!(count > 100, "only {count} pages and answers were looked at");
        for query in ["", "?secrets=none"] {
            let file = exported(app, query).await;
            assert!(file.len() > 10_000, "{query}: only {} bytes", file.len());
            look(&format!("the export{query}"), &file, &canaries, &mut found);
        }
        let filter = fs::read_to_string(format!("/proc/{}/coredump_filter", process.id()));
        assert_eq!(filter.expect("readable").trim(), "00000000", "a core dump holds memory");
        process.stop();
        (canaries, found)
    });
    look("the log", &fs::read(&log).expect("the log"), &canaries, &mut found);
    for entry in fs::read_dir(&data).expect("the data directory") {
        let entry = entry.expect("an entry");
        let bytes = fs::read(entry.path()).unwrap_or_default();
        look(&entry.path().display().to_string(), &bytes, &canaries, &mut found);
    }
    // The file packs its rows, so that they are looked at unpacked as well.
    let config = crate::support::config_in(&data);
    let store = RedbStore::open(&config.store_settings()).expect("the store opens");
    let mut rows = 0;
    for part in 0..store.caps().parts {
        let view = store.read(part).expect("a view");
        for space in Space::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            let pairs = view.scan(space, all, Direction::Ascending, usize::MAX).expect("rows");
            rows += pairs.len();
            for (key, value) in pairs {
                look(&format!("a key of {space:?}"), &key, &canaries, &mut found);
                look(&format!("a row of {space:?}"), &value, &canaries, &mut found);
            }
        }
    }
    assert!(rows > 100, "only {rows} rows were looked at");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
