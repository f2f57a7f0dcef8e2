//! Tenants that leave with everything, arrive elsewhere with the same ids, and go for good.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use ergane::boot::doors::Serving;
use ergane::config::Config;
use ergane::store::moving::entry::{Entry, unpack};
use ergane::store::moving::frame::{FrameKind, FrameReader};
use ergane::store::redb_store::RedbStore;
use ergane::store::seam::{Direction, Space, Store as _};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::reach_inner_networks;
use crate::apps::pager;
use crate::forms::contact;
use crate::peer::{Peer, Reply};
use crate::people::joined;
use crate::process::Process;
use crate::support::{Answer, TestApp, config_in, send};

const PASSPHRASE: &str = "correct horse battery staple";
const CANARY: &str = "canary-of-the-tenant-that-goes";
const NAMED_SECRET: &str = "canary-named-secret-77";
const OPERATIONS: &str = include_str!("../../src/domain/openapi/corpus/petstore.yaml");

/// One of two appliances, each with a key of its own to seal with.
struct Side {
    _directory: TempDir,
    config: Config,
}

impl Side {
    fn with_parts(parts: u16) -> Side {
        let directory = TempDir::new().expect("a directory");
        let mut config = config_in(directory.path());
        config.store.parts = parts;
        config.access.password_memory_kib = 64;
        config.access.password_passes = 1;
        reach_inner_networks(&mut config);
        Side { _directory: directory, config }
    }

    async fn open(&self) -> (Serving, TestApp) {
        TestApp::open(&self.config).await
    }
}

fn moved<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    actix::System::new().block_on(test());
}

/// Makes the tenant and returns a client with a key of its own.
async fn tenant(app: &TestApp, slug: &str) -> TestApp {
    app.post("/v1/tenants", json!({"slug": slug, "name": "Acme"})).await.expect(201);
    let key = app.request(Method::POST, "/v1/keys").header("X-Tenant", slug);
    let key = send(key.json(&json!({"name": "theirs", "scopes": ["*"]}))).await.expect(201);
    app.with_key(key["key"].as_str().expect("a key"))
}

async fn export(app: &TestApp, slug: &str, secrets: &str) -> Vec<u8> {
    let request = app.request(Method::GET, &format!("/v1/tenants/{slug}/export{secrets}"));
    let request = match secrets {
        "" => request.header("X-Passphrase", PASSPHRASE),
        _ => request,
    };
    let answer = request.send().await.expect("it answers");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the file").to_vec()
}

async fn import(app: &TestApp, query: &str, file: Vec<u8>) -> Answer {
    let request = app.request(Method::POST, &format!("/v1/tenants/import{query}"));
    send(request.header("X-Passphrase", PASSPHRASE).body(file)).await
}

async fn resume(app: &TestApp, slug: &str) {
    app.post(&format!("/v1/tenants/{slug}/resume"), json!({})).await.expect(200);
}

async fn begun(acme: &TestApp, workflow: &str) -> String {
    let run = acme.post(&format!("/v1/workflows/{workflow}/run"), json!({})).await.expect(202);
    run["id"].as_str().expect("an id").to_owned()
}

/// What was made, to be found again.
struct Made {
    sleeping: String,
    waiting: String,
    succeeded: String,
    calls: Peer,
}

/// Fills a tenant with every kind of thing that there is.
#[expect(clippy::too_many_lines, reason = "one of everything, one after the other")]
async fn furnish(acme: &TestApp) -> Made {
    let calls = Peer::start(|_, _| Reply::Status(200, json!({"fine": true}))).await;
    let secret = json!({"value": NAMED_SECRET, "hosts": ["127.0.0.1"]});
    acme.put("/v1/secrets/token", secret).await.expect(200);
    for (name, kind, settings, secrets) in [
        ("shop", "http", json!({"baseUrl": calls.url}), json!({"token": "canary-http-77"})),
        ("inbox", "webhook", json!({}), json!({"signingSecret": "canary-inbound-77"})),
    ] {
        let body = json!({"name": name, "app": kind, "settings": settings, "secrets": secrets});
        acme.post("/v1/connections", body).await.expect(201);
    }
    for kind in ["shop:sold", "go:on"] {
        acme.post("/v1/event-types", json!({"type": kind})).await.expect(201);
    }
    let note = json!([{"id": "note", "activity": "workflows:transform-platform", "input": {}}]);
    let on = |name: &str, extra: Value, steps: &Value| {
        let mut trigger = json!({"event": "shop:sold"});
        for (field, value) in extra.as_object().expect("an object") {
            trigger[field] = value.clone();
        }
        json!({"name": name, "trigger": trigger, "steps": steps})
    };
    let keyed =
        |gate: &str, field: &str| json!({gate: {"key": "{{ trigger.payload.who }}", field: "1h"}});
    acme.save(on("once", keyed("dedupe", "window"), &note)).await;
    acme.save(on("calm", keyed("throttle", "period"), &note)).await;
    acme.save(on("paced", keyed("rateLimit", "period"), &note)).await;
    acme.save(on("together", json!({"batch": {"size": 9, "wait": "1h"}}), &note)).await;
    let by_hand = |name: &str, steps: Value| json!({"name": name, "steps": steps});
    let call = |path: &str| {
        json!({"id": "call", "activity": "workflows:http-request-platform", "compensate": "none",
            "retry": {"attempts": 1}, "input": {"url": format!("{}{path}", calls.url),
            "headers": {"X-Secret": "{{secrets.token}}"}}})
    };
    acme.save(by_hand("calls", json!([call("/")]))).await;
    acme.put("/v1/workflows/calls", by_hand("calls", json!([call("/two")]))).await.expect(200);
    let broken = json!([{"id": "call", "activity": "workflows:http-request-platform",
        "compensate": "none", "retry": {"attempts": 1}, "input": {"url": "http://127.0.0.1:9/"}}]);
    acme.save(by_hand("fails", broken)).await;
    acme.save(by_hand("naps", json!([{"id": "nap", "sleep": "2s"}, call("/after")]))).await;
    acme.save(by_hand("rests", json!([{"id": "nap", "sleep": "1h"}]))).await;
    acme.save(by_hand("listens", json!([{"id": "pause", "waitFor": {"event": "go:on"}}]))).await;
    let asks = json!([{"id": "pay", "activity": "accounts:create-account-platform",
        "input": {"name": "n", "primaryDomain": "n.example"},
        "approval": {"approvers": ["role:lead"], "timeout": "1h"}}]);
    acme.save(by_hand("asks", asks)).await;
    let scheduled = json!({"name": "daily", "steps": note, "trigger": {"schedule":
        {"every": "day", "at": "07:00", "timezone": "Europe/Berlin"}}});
    acme.save(scheduled).await;
    let worker = json!({"uniqueIdentifier": "invoices:render", "kind": "worker", "name": "Render"});
    acme.post("/v1/activities", worker).await.expect(201);
    let renders = json!([{"id": "render", "activity": "invoices:render", "input": {},
        "compensate": "none", "timeout": "1h"}]);
    acme.save(by_hand("renders", renders)).await;
    for _ in 0..2 {
        begun(acme, "renders").await;
    }
    let poll = json!({"activities": ["invoices:render"], "worker": "w1", "wait": "20s", "max": 1,
        "lease": "1h"});
    let taken = acme.post("/v1/tasks/poll", poll).await.expect(200);
    assert_eq!(taken["data"].as_array().map(Vec::len), Some(1), "{taken}");
    desk(acme).await;
    beside(acme, &calls).await;
    let succeeded = begun(acme, "calls").await;
    assert_eq!(acme.end_of(&succeeded).await["status"], "succeeded");
    let failed = begun(acme, "fails").await;
    acme.end_of(&failed).await;
    for name in ["rests", "asks"] {
        let run = begun(acme, name).await;
        acme.until(&run, "waiting").await;
    }
    let gone = begun(acme, "rests").await;
    acme.until(&gone, "waiting").await;
    acme.post(&format!("/v1/runs/{gone}/cancel"), json!({})).await.expect(202);
    acme.end_of(&gone).await;
    let waiting = begun(acme, "listens").await;
    acme.until(&waiting, "waiting").await;
    for who in ["ada", "ada", "eve"] {
        acme.publish("shop:sold", json!({"who": who, "note": CANARY})).await;
    }
    let known = acme.request(Method::POST, "/v1/events/shop:sold?id=order-1");
    send(known.json(&json!({"who": "kim"}))).await.expect(202);
    acme.post("/v1/events/shop:sold", json!("no object")).await;
    let kept = acme.request(Method::POST, "/v1/tags").header("idempotency-key", "tag-1");
    send(kept.json(&json!({"name": "urgent"}))).await.expect(201);
    let sleeping = begun(acme, "naps").await;
    acme.until(&sleeping, "waiting").await;
    Made { sleeping, waiting, succeeded, calls }
}

async fn desk(acme: &TestApp) {
    let team = acme.team().await;
    let ticket = acme.ticket(&team, json!({"title": CANARY})).await;
    let id = ticket["id"].as_str().expect("an id");
    let said = json!({"ticketId": id, "content": "What happened?"});
    acme.post("/v1/comments", said).await;
    let account = json!({"name": "W", "primaryDomain": "w.example"});
    acme.post("/v1/accounts", account).await.expect(201);
    acme.post("/v1/contacts", json!({"name": "Kim", "email": "kim@w.example"})).await;
    acme.patch("/v1/organization", json!({"domain": "acme.example"})).await.expect(200);
    acme.post("/v1/custom-objects/deal/records", json!({"values": {"stage": "won"}})).await;
}

async fn beside(acme: &TestApp, calls: &Peer) {
    let dead = json!({"url": "http://127.0.0.1:9/", "types": ["shop:*"],
        "headers": {"X-Own": "canary-header-77"}});
    acme.post("/v1/webhooks", dead).await.expect(201);
    acme.post("/v1/forms", contact()).await.expect(201);
    acme.post("/v1/apps", pager(&calls.url)).await.expect(201);
    let team = acme.team().await;
    let install = json!({"teamIds": [team], "settings": {"api_key": "canary-app-77"}});
    acme.post("/v1/apps/pager/install", install).await.expect(201);
    let pets = json!({"name": "pets", "text": OPERATIONS, "connection": "shop",
        "baseUrl": format!("{}/v1", calls.url)});
    acme.post("/v1/activities/import", pets).await.expect(200);
    joined(acme, "ada@acme.example", &["owner"]).await;
    acme.post("/v1/people", json!({"email": "eve@acme.example", "roles": ["viewer"]}))
        .await
        .expect(201);
}

/// Reads a whole export; what is sealed differs with every sealing and is cut out.
fn rows(file: &[u8]) -> BTreeSet<String> {
    let mut reader = FrameReader::default();
    reader.feed(file);
    let mut rows = BTreeSet::new();
    while let Some(frame) = reader.take().expect("sound") {
        if frame.kind == FrameKind::Rows {
            rows.extend(unpack(&frame.payload).expect("rows").iter().map(row));
        }
    }
    reader.end().expect("whole");
    rows
}

fn row(Entry { table, key, value }: &Entry) -> String {
    let text = String::from_utf8_lossy(value);
    let parts: Vec<&str> = text.split("\"m1.").collect();
    let rest = parts[1..].iter().map(|part| part.split_once('"').map_or("", |(_, rest)| rest));
    let shown: String = std::iter::once(parts[0]).chain(rest).collect::<Vec<_>>().join("<sealed>");
    format!("{} {} {shown}", table.name(), String::from_utf8_lossy(key))
}

fn same(left: &[u8], right: &[u8]) {
    let (left, right) = (rows(left), rows(right));
    let only_left: Vec<_> = left.difference(&right).take(5).collect();
    let only_right: Vec<_> = right.difference(&left).take(5).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "only before:\n{only_left:#?}\nonly after:\n{only_right:#?}"
    );
}

#[test]
fn everything_of_a_tenant_moves_whatever_the_parts_and_the_numbers() {
    for (from, to) in [(4, 1), (1, 4)] {
        moved(async || {
            let (here, there) = (Side::with_parts(from), Side::with_parts(to));
            let (serving, app) = here.open().await;
            let acme = tenant(&app, "acme").await;
            let made = furnish(&acme).await;
            let before = export(&app, "acme", "").await;
            serving.stop().await;

            let (serving, app) = there.open().await;
            // Another number, and others' things beside it.
            let other = tenant(&app, "other").await;
            other.team().await;
            let dry = import(&app, "?dryRun=true", before.clone()).await.expect(200);
            assert_eq!(dry["state"], "checked");
            assert_eq!(app.get("/v1/tenants").await.expect(200)["data"][2], Value::Null);
            let arrived = import(&app, "", before.clone()).await.expect(201);
            assert_eq!((&arrived["slug"], &arrived["people"]), (&json!("acme"), &json!(2)));
            assert_eq!(arrived["rows"], dry["rows"]);
            let tables = arrived["rows"].as_object().expect("tables");
            let kept = ["meta", "journal", "run", "timer", "cron", "dedupe", "row", "vis", "event"];
            for table in kept.iter().chain(&["accessRecords", "people", "keys", "links"]) {
                assert!(tables.contains_key(*table), "no {table} in {tables:?}");
            }
            same(&before, &export(&app, "acme", "").await);
            import(&app, "", before.clone()).await.refused(409, "tenant_exists");
            let taken = import(&app, "?as=again", before).await.refused(409, "taken");
            let codes: BTreeSet<_> = taken["errors"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|error| error["code"].as_str())
                .collect();
            assert!(codes.contains("email_taken") && codes.contains("key_taken"), "{taken}");

            resume(&app, "acme").await;
            goes_on(&app, &app.with_key(&acme.key), &made).await;
            serving.stop().await;
        });
    }
}

/// What was moved is called as before, and goes on where it stood.
async fn goes_on(app: &TestApp, acme: &TestApp, made: &Made) {
    let audit = acme.get("/v1/audit/verify").await.expect(200);
    assert_eq!(audit["valid"], true, "{audit}");
    assert_eq!(acme.end_of(&made.sleeping).await["status"], "succeeded");
    let last = made.calls.received().pop().expect("a call");
    assert_eq!((last.path.as_str(), last.header("x-secret")), ("/after", NAMED_SECRET));
    acme.publish("go:on", json!({})).await;
    assert_eq!(acme.end_of(&made.waiting).await["status"], "succeeded");
    let done = acme.get(&format!("/v1/runs/{}", made.succeeded)).await.expect(200);
    assert_eq!(done["status"], "succeeded");
    let known = acme.request(Method::POST, "/v1/events/shop:sold?id=order-1");
    let again = send(known.json(&json!({"who": "kim"}))).await.expect(202);
    assert_eq!(again["accepted"][0]["duplicate"], true, "{again}");
    let kept = acme.request(Method::POST, "/v1/tags").header("idempotency-key", "tag-1");
    let replayed = send(kept.json(&json!({"name": "urgent"}))).await;
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"), "{}", replayed.text);
    // The hold of the worker ended with the move, so that both tasks are free.
    let poll = json!({"activities": ["invoices:render"], "worker": "w2", "wait": "20s", "max": 2});
    let mut taken = 0;
    while taken < 2 {
        let tasks = acme.post("/v1/tasks/poll", poll.clone()).await.expect(200);
        taken += tasks["data"].as_array().map_or(0, Vec::len);
    }
    let newest = begun(acme, "calls").await;
    let listed = acme.get("/v1/runs?limit=1").await.expect(200);
    assert_eq!(listed["data"][0]["id"], json!(newest), "new runs stand before the moved ones");
    let organization = acme.get("/v1/organization").await.expect(200);
    assert_eq!(organization["domain"], "acme.example");
    let audit = acme.get("/v1/audit/verify").await.expect(200);
    assert_eq!(audit["valid"], true, "the chain goes on behind what was moved: {audit}");
    app.get("/v1/tenants").await.expect(200);
}

#[test]
fn a_file_that_is_not_whole_leaves_nothing_behind() {
    moved(async || {
        let side = Side::with_parts(2);
        let (serving, app) = side.open().await;
        let acme = tenant(&app, "acme").await;
        furnish(&acme).await;
        let refused = app.get("/v1/tenants/acme/export").await.refused(422, "invalid");
        assert_eq!(refused["errors"][0]["code"], "passphrase_required");
        let file = export(&app, "acme", "").await;
        app.delete("/v1/tenants/acme?confirm=acme").await.expect(202);
        gone(&app).await;
        let flipped = |at: usize| {
            let mut file = file.clone();
            file[at] ^= 1;
            file
        };
        for (broken, code) in [
            (file[..file.len() - 1].to_vec(), "truncated"),
            (file[..file.len() / 2].to_vec(), "truncated"),
            (flipped(file.len() / 2), "damaged"),
            (flipped(file.len() - 3), "damaged"),
            (b"something else altogether".to_vec(), "not_an_export"),
            ([&file[..], b"x"].concat(), "damaged"),
        ] {
            let problem = import(&app, "", broken).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["code"], code, "{problem}");
            gone(&app).await;
        }
        let wrong = app.request(Method::POST, "/v1/tenants/import");
        let wrong = send(wrong.header("X-Passphrase", "another one altogether").body(file.clone()));
        let problem = wrong.await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], "wrong_passphrase");
        let none = app.request(Method::POST, "/v1/tenants/import").body(file.clone());
        let problem = send(none).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], "passphrase_required");
        gone(&app).await;
        serving.stop().await;
        assert_eq!(holding(&side.config, CANARY), Vec::<String>::new());

        let (serving, app) = side.open().await;
        let arrived = import(&app, "?as=second&keys=new", file).await.expect(201);
        let key = arrived["newKeys"][0]["key"].as_str().expect("a key").to_owned();
        resume(&app, "second").await;
        app.with_key(&acme.key).get("/v1/organization").await.expect(401);
        app.with_key(&key).get("/v1/organization").await.expect(200);
        serving.stop().await;
    });
}

/// Waits until no removal goes on.
async fn gone(app: &TestApp) {
    for _ in 0..2_000 {
        let removals = app.get("/v1/system/removals").await.expect(200);
        if removals["data"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the removal does not end");
}

/// Returns where a stopped appliance still holds a text in a row.
fn holding(config: &Config, text: &str) -> Vec<String> {
    let store = RedbStore::open(&config.store_settings()).expect("the store opens");
    let mut found = Vec::new();
    for part in 0..store.caps().parts {
        let view = store.read(part).expect("a view");
        for space in Space::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            for (key, value) in
                view.scan(space, all, Direction::Ascending, usize::MAX).expect("rows")
            {
                let (key, value) = (String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
                if key.contains(text) || value.contains(text) {
                    found.push(format!("{space:?} {key}"));
                }
            }
        }
    }
    found
}

#[test]
fn without_secrets_everything_moves_and_says_what_is_missing() {
    moved(async || {
        let (here, there) = (Side::with_parts(1), Side::with_parts(1));
        let (serving, app) = here.open().await;
        let acme = tenant(&app, "acme").await;
        furnish(&acme).await;
        let file = export(&app, "acme", "?secrets=none").await;
        serving.stop().await;
        let all = rows(&file).into_iter().collect::<String>();
        for canary in [NAMED_SECRET, "canary-http-77", "canary-header-77", "m1."] {
            assert!(!all.contains(canary), "{canary}");
        }
        let (serving, app) = there.open().await;
        let arrived = import(&app, "", file.clone()).await.expect(201);
        let missing = arrived["missing"].to_string();
        for name in ["token", "shop/token", "inbox/signingSecret"] {
            assert!(missing.contains(&format!("\"{name}\"")), "{missing}");
        }
        same(&file, &export(&app, "acme", "?secrets=none").await);
        let acme = app.with_key(&acme.key);
        let shop = acme.get("/v1/connections/shop").await.expect(200).to_string();
        assert!(shop.contains("left out"), "{shop}");
        serving.stop().await;
    });
}

#[test]
fn nothing_remains_of_a_tenant_that_was_removed_and_others_keep_theirs() {
    moved(async || {
        let side = Side::with_parts(2);
        let (serving, app) = side.open().await;
        let other = tenant(&app, "other").await;
        let acme = tenant(&app, "acme").await;
        furnish(&acme).await;
        let team = other.team().await;
        other.ticket(&team, json!({"title": "theirs"})).await;
        let kept = export(&app, "other", "?secrets=none").await;
        let problem = app.delete("/v1/tenants/acme?confirm=acne").await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], "confirmation_required");
        let removal = app.delete("/v1/tenants/acme?confirm=acme").await.expect(202);
        assert_eq!(removal["slug"], "acme");
        acme.get("/v1/organization").await.expect(401);
        // A stop in the middle holds it up and no more.
        serving.stop().await;
        let (serving, app) = side.open().await;
        acme_is_unknown(&app, &acme.key).await;
        gone(&app).await;
        same(&kept, &export(&app, "other", "?secrets=none").await);
        let told = app.get("/v1/audit?action=tenant").await.expect(200).to_string();
        assert!(told.contains("tenant.remove\"") && told.contains("tenant.removed"), "{told}");
        serving.stop().await;
        for text in [CANARY, "acme.example", "kim@w.example"] {
            let found = holding(&side.config, text);
            assert_eq!(found, Vec::<String>::new(), "{text}");
        }
        assert!(!holding(&side.config, "theirs").is_empty());
        let (serving, app) = side.open().await;
        app.post("/v1/tenants", json!({"slug": "acme"})).await.expect(201);
        serving.stop().await;
    });
}

async fn acme_is_unknown(app: &TestApp, key: &str) {
    app.with_key(key).get("/v1/organization").await.expect(401);
    let named = app.request(Method::GET, "/v1/organization").header("X-Tenant", "acme");
    send(named).await.expect(404);
}

#[test]
fn what_runs_did_is_undone_before_a_tenant_is_removed_if_that_is_asked_for() {
    moved(async || {
        let side = Side::with_parts(1);
        let (serving, app) = side.open().await;
        let acme = tenant(&app, "acme").await;
        let peer = Peer::start(|_, _| Reply::Status(200, json!({}))).await;
        let call = |path: &str| json!({"url": format!("{}{path}", peer.url), "method": "POST"});
        acme.save(json!({"name": "books", "steps": [
            {"id": "book", "activity": "workflows:http-request-platform", "input": call("/book"),
                "compensate": {"activity": "workflows:http-request-platform",
                    "input": call("/unbook")}},
            {"id": "nap", "sleep": "1h"}]}))
            .await;
        let run = begun(&acme, "books").await;
        acme.until(&run, "waiting").await;
        app.delete("/v1/tenants/acme?confirm=acme&undo=1m").await.expect(202);
        gone(&app).await;
        let paths: Vec<_> = peer.received().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/book", "/unbook"]);
        serving.stop().await;
    });
}

#[test]
fn an_import_that_a_kill_breaks_off_leaves_nothing() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    moved(async || {
        let here = Side::with_parts(1);
        let (serving, app) = here.open().await;
        let acme = tenant(&app, "acme").await;
        furnish(&acme).await;
        let file = export(&app, "acme", "").await;
        serving.stop().await;

        let process = Process::start(&data);
        let address = process.app.base.strip_prefix("http://").expect("an address").to_owned();
        let key = process.app.key.clone();
        let half = file[..file.len() - 200].to_vec();
        let length = file.len();
        let sent = tokio::task::spawn_blocking(move || {
            use std::io::Write as _;
            let mut stream = std::net::TcpStream::connect(address).expect("it listens");
            let head = format!(
                "POST /v1/tenants/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
                 X-Passphrase: {PASSPHRASE}\r\nContent-Length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(&half).expect("sent");
            stream
        });
        let _stream = sent.await.expect("sent");
        // Rows are being written: the tenant has a number and no name.
        for _ in 0..2_000 {
            let bytes = process.app.get("/v1/system/info").await.expect(200);
            if bytes["storeBytes"].as_u64() > Some(1_000_000) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let tenants = process.app.get("/v1/tenants").await.expect(200);
        assert_eq!(tenants["data"].as_array().map(Vec::len), Some(1));
        process.kill();
        let config = config_in(&data);
        let process = Process::start(&data);
        gone(&process.app).await;
        process.stop();
        assert_eq!(holding(&config, CANARY), Vec::<String>::new());
        let process = Process::start(&data);
        import(&process.app, "", file).await.expect(201);
        process.stop();
    });
}
