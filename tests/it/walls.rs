//! The walls between tenants: whatever one of them keeps, another sees nothing of it by any route,
//! page, stream, search or error; and who is limited to teams sees nothing of other teams.

use std::collections::BTreeSet;
use std::time::Duration;

use ergane::config::Config;
use ergane::web::GROUPS;
use ergane::web::route::Verb;
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::joined;
use crate::quotas::tenant;
use crate::support::{Answer, TestApp, send, with_app, with_config};

const CANARIES_MIN: usize = 500;
const IDS_MAX: usize = 60;

/// Makes distinct words that nobody else has.
#[derive(Default)]
struct Canaries(usize);

impl Canaries {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("canary{:04}x", self.0)
    }

    fn email(&mut self) -> String {
        format!("{}@example.com", self.next())
    }
}

/// Returns every canary of a text.
fn canaries_in(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("canary");
    let words = starts.map(|(at, _)| text[at..].chars().take("canary0000x".len()).collect());
    words.filter(|word: &String| word[6..].starts_with(|c: char| c.is_ascii_digit())).collect()
}

fn quick(config: &mut Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
}

async fn put_in(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.post(path, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.text);
    answer.body
}

/// Fills every kind of field of a tenant.
#[expect(clippy::too_many_lines, reason = "one of everything, one after the other")]
async fn fill(app: &TestApp, canaries: &mut Canaries) {
    let mut c = || canaries.next();
    for _ in 0..7 {
        let team = put_in(app, "/v1/teams", json!({"name": c(), "description": c()})).await;
        let team = team["id"].as_str().expect("an id").to_owned();
        put_in(app, "/v1/tags", json!({ "name": c() })).await;
        let email = format!("{}@example.com", c());
        put_in(app, "/v1/users", json!({"name": c(), "email": email})).await;
        let account = json!({"name": c(), "primaryDomain": format!("{}.example", c())});
        put_in(app, "/v1/accounts", account).await;
        let contact =
            json!({"firstName": c(), "lastName": c(), "email": format!("{}@example.com", c())});
        put_in(app, "/v1/contacts", contact).await;
        for _ in 0..3 {
            let ticket = json!({"title": c(), "description": c(), "teamId": team,
                "requestorEmail": format!("{}@example.com", c())});
            let ticket = put_in(app, "/v1/tickets", ticket).await;
            let id = ticket["id"].as_str().expect("an id");
            put_in(app, &format!("/v1/tickets/{id}/comments"), json!({"content": c()})).await;
        }
        let name = c();
        put_in(
            app,
            "/v1/event-types",
            json!({"type": format!("{name}:made"), "name": c(),
            "description": c(), "source": c(), "schema": {"type": "object", "title": c()}}),
        )
        .await;
        put_in(app, "/v1/workflows", json!({"name": c(), "title": c(), "description": c(),
            "trigger": {"event": format!("{name}:made"), "filter": {"text": {"~neq": c()}}},
            "steps": [
                {"id": c(), "activity": "workflows:transform-platform", "input": {"set": {"a": c()}}},
                {"id": c(), "activity": "tickets:get-ticket-platform", "input": {"id": c()},
                    "onFailure": "abort"}]}))
        .await;
        put_in(
            app,
            "/v1/workflows",
            json!({"name": c(), "trigger": {"event": format!("{name}:made")},
            "steps": [{"id": c(), "sleep": "1h"}]}),
        )
        .await;
        for _ in 0..4 {
            let event = json!({"specversion": "1.0", "id": c(), "source": c(), "subject": c(),
                "type": format!("{name}:made"), "data": {"text": c(), c(): c()}});
            let request = app.request(Method::POST, "/v1/events").json(&event);
            let request = request.header("content-type", "application/cloudevents+json");
            send(request).await.expect(202);
        }
        app.put(&format!("/v1/secrets/{}", c()), json!({"value": c(), "hosts": ["a.example"]}))
            .await;
        put_in(
            app,
            "/v1/connections",
            json!({"name": c(), "app": "http",
            "settings": {"baseUrl": format!("https://{}.example", c())}, "secrets": {}}),
        )
        .await;
        put_in(
            app,
            "/v1/webhooks",
            json!({"url": format!("https://{}.example/h", c()),
            "types": ["*"], "description": c()}),
        )
        .await;
        put_in(app, "/v1/keys", json!({"name": c(), "scopes": ["runs:read"]})).await;
        let email = format!("{}@example.com", c());
        put_in(app, "/v1/people", json!({"email": email, "name": c(), "roles": ["viewer"]})).await;
        put_in(app, &format!("/v1/custom-objects/{}/records", c()), json!({"values": {c(): c()}}))
            .await;
        // What is refused is kept as well.
        let bad = format!("/v1/events/{name}:made?source={}", c());
        app.post(&bad, json!([c()])).await;
        put_in(
            app,
            "/v1/workflows",
            json!({"name": c(), "trigger": {"schedule":
            {"cron": "0 7 * * 1", "timezone": "UTC"}}, "steps": [{"id": c(), "sleep": "1s"}]}),
        )
        .await;
    }
    app.patch("/v1/organization", json!({ "name": c() })).await;
}

/// Returns what names something in the lists of a tenant, a few of each list.
async fn ids_of(app: &TestApp) -> Vec<String> {
    let mut ids = BTreeSet::new();
    for route in GROUPS.iter().flat_map(|group| group.routes) {
        if route.verb != Verb::Get || route.path.contains('{') || !route.path.starts_with("/v1") {
            continue;
        }
        if route.path.contains("stream") || route.path.contains("openapi") {
            continue;
        }
        let answer = app.get(route.path).await;
        let rows = answer.body["data"].as_array().cloned().unwrap_or_default();
        let own = rows.iter().filter(|row| !canaries_in(&row.to_string()).is_empty());
        for row in own.take(2) {
            for field in ["id", "name", "type"] {
                ids.extend(row[field].as_str().map(str::to_owned));
            }
        }
    }
    ids.into_iter().take(IDS_MAX).collect()
}

/// Reads for a moment: a stream has no end.
async fn read(app: &TestApp, path: &str) -> (u16, String) {
    let request = app.request(Method::GET, path).header("accept", "*/*");
    let mut response = request.send().await.expect("an answer");
    let (status, mut bytes) = (response.status().as_u16(), Vec::new());
    let is_stream = response.headers()["content-type"].as_bytes().starts_with(b"text/event-stream");
    let moment = Duration::from_millis(if is_stream { 200 } else { 10_000 });
    let _ = tokio::time::timeout(moment, async {
        while let Ok(Some(piece)) = response.chunk().await {
            bytes.extend_from_slice(&piece);
        }
    })
    .await; // What came by then is looked at.
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

fn look(asked: &str, (status, text): (u16, &str), found: &mut Vec<String>) {
    let known = canaries_in(asked);
    let seen: Vec<String> = canaries_in(text).difference(&known).cloned().collect();
    if !seen.is_empty() {
        found.push(format!("{asked} ({status}) shows {seen:?}"));
    }
    // What belongs to the appliance itself is refused by its name, which is no secret.
    let is_of_appliance = asked.starts_with("/v1/system") || asked.starts_with("/system");
    if (status == 403 && !is_of_appliance) || status >= 500 {
        found.push(format!("{asked} answers {status}: {text:.200}"));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story")]
fn nothing_of_a_tenant_is_seen_by_another_whatever_they_ask() {
    with_config(quick, async |app| {
        let (acme, evil) = (tenant(&app, "acme").await, tenant(&app, "evil").await);
        let mut canaries = Canaries::default();
        let _ = canaries.email();
        fill(&acme, &mut canaries).await;
        assert!(canaries.0 >= CANARIES_MIN, "only {} canaries", canaries.0);
        let ids = ids_of(&acme).await;
        assert!(ids.len() > 25, "{ids:?}");
        let mut browser = joined(&evil, "eve@example.net", &["owner"]).await;
        let (mut found, mut asked) = (Vec::new(), 0);
        for route in GROUPS.iter().flat_map(|group| group.routes) {
            // What anybody may read is told by what it is asked for, such as a form by its name.
            // The pulse of a page has no end, and says no more than that something moved.
            if route.verb != Verb::Get || route.path == "/live" {
                continue;
            }
            let paths: Vec<String> = match route.path.split_once('{') {
                None => vec![route.path.to_owned()],
                Some((before, rest)) => {
                    let after = rest.split_once('}').map_or("", |(_, after)| after);
                    let after = after.replace("{step}", "s").replace("{number}", "1");
                    let after = after.replace(['{', '}'], "");
                    ids.iter().map(|id| format!("{before}{id}{after}")).collect()
                }
            };
            for path in paths {
                let is_page = !path.starts_with("/v1") && !path.starts_with("/api");
                if is_page {
                    let Answer { status, text, .. } = browser.get(&path).await;
                    look(&path, (status, &text), &mut found);
                } else {
                    let (status, text) = read(&evil, &path).await;
                    look(&path, (status, &text), &mut found);
                }
                asked += 1;
            }
        }
        for query in [
            "/v1/events?type=canary0001x:made",
            "/v1/tickets?q=canary",
            "/v1/runs?q=canary",
            "/v1/audit?target=acme",
            "/v1/events/stream?since=1h",
            "/v1/workflows?q=canary",
            "/tickets?q=canary",
            "/runs?q=canary",
            "/events?q=canary",
            "/metrics",
        ] {
            let (status, text) = read(&evil, query).await;
            look(query, (status, &text), &mut found);
            asked += 1;
        }
        for id in &ids {
            for (method, path) in [
                (Method::DELETE, format!("/v1/workflows/{id}")),
                (Method::DELETE, format!("/v1/webhooks/{id}")),
                (Method::DELETE, format!("/v1/keys/{id}")),
                (Method::DELETE, format!("/v1/secrets/{id}")),
                (Method::DELETE, format!("/v1/connections/{id}")),
                (Method::POST, format!("/v1/runs/{id}/cancel")),
                (Method::POST, format!("/v1/runs/{id}/retry")),
                (Method::POST, format!("/v1/events/{id}/replay")),
                (Method::POST, format!("/v1/workflows/{id}/run")),
                (Method::PATCH, format!("/v1/tickets/{id}")),
                (Method::POST, format!("/v1/tickets/{id}/archive")),
            ] {
                let answer = send(evil.request(method.clone(), &path).json(&json!({}))).await;
                look(&path, (answer.status, &answer.text), &mut found);
                let is_refused = matches!(answer.status, 400 | 404 | 422);
                if !is_refused {
                    found.push(format!("{method} {path} answers {}", answer.status));
                }
                asked += 1;
            }
        }
        assert!(found.is_empty(), "of {asked}:\n{}", found[..found.len().min(40)].join("\n"));
        assert!(asked > 2_000, "only {asked} questions");
        let mut own = acme.get("/v1/workflows?limit=200").await.expect(200);
        assert_eq!(own["data"].take().as_array().map(Vec::len), Some(21), "nothing was removed");
    });
}

#[test]
fn the_metrics_name_tenants_only_to_who_may_know_them() {
    let change = |config: &mut Config| config.http.metrics_token = "scraper-token".to_owned();
    with_config(change, async |app| {
        let acme = tenant(&app, "acme").await;
        acme.post("/v1/events/thing:happened", json!({})).await.expect(202);
        let names =
            |text: &str| text.contains("tenant=\"acme\"") && text.contains("thing:happened");
        assert!(names(&app.get("/metrics").await.text), "the owner of the appliance");
        assert!(names(&app.with_key("scraper-token").get("/metrics").await.text), "the scraper");
        for (who, key) in [("a tenant", acme.key.as_str()), ("nobody", "no-such-key")] {
            let text = app.with_key(key).get("/metrics").await.text;
            assert!(!text.contains("acme") && !text.contains("thing:happened"), "{who}: {text}");
            assert!(text.contains("\nergane_events_total "), "{who}: {text}");
        }
    });
}

#[test]
fn a_stream_ends_within_a_second_when_its_key_is_revoked() {
    with_app(async |app| {
        let wanted = json!({ "name": "follower", "scopes": ["events:read"] });
        let made = app.post("/v1/keys", wanted).await.expect(201);
        let follower = app.with_key(made["key"].as_str().expect("a key"));
        let request = follower.request(Method::GET, "/v1/events/stream");
        let mut stream = request.send().await.expect("a stream");
        let first = stream.chunk().await.expect("a greeting").expect("some bytes");
        assert!(first.starts_with(b"retry"));
        let id = made["id"].as_str().expect("an id");
        app.delete(&format!("/v1/keys/{id}")).await.expect(204);
        let began = std::time::Instant::now();
        app.post("/v1/events/thing:happened", json!({"n": "late"})).await.expect(202);
        let mut rest = Vec::new();
        while let Ok(Some(piece)) = stream.chunk().await {
            rest.extend_from_slice(&piece);
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let text = String::from_utf8_lossy(&rest);
        assert!(text.contains("event: error") && text.contains("unauthenticated"), "{text}");
    });
}

#[test]
fn who_is_limited_to_teams_sees_no_event_and_counts_no_run_of_another() {
    with_config(quick, async |app| {
        let ours = app.post("/v1/teams", json!({ "name": "Ours" })).await.expect(201);
        let theirs = app.post("/v1/teams", json!({ "name": "Theirs" })).await.expect(201);
        let (ours, theirs) =
            (ours["id"].as_str().expect("an id"), theirs["id"].as_str().expect("an id"));
        let email = "tess@example.com";
        let mut browser = joined(&app, email, &["operator"]).await;
        let patch = json!({ "teams": [ours] });
        app.patch(&format!("/v1/people/{email}"), patch).await.expect(200);
        browser.sign_in(email, crate::people::PASSWORD, "").await;
        app.save(json!({"name": "theirs-only", "teamId": theirs, "trigger": {"event": "x:y"},
            "steps": [{"id": "s", "sleep": "1h"}]}))
            .await;
        app.publish("x:y", json!({ "teamId": theirs, "note": "secretword" })).await;
        app.publish("x:z", json!({ "teamId": ours, "note": "ownword" })).await;
        let id = app.get("/v1/events?type=x:y").await.expect(200)["data"][0]["id"].clone();
        let id = id.as_str().expect("an id");
        for path in ["/v1/events", "/events", "/", "/v1/runs", "/v1/workflows"] {
            let answer = browser.call(Method::GET, path, json!(null)).await;
            assert!(answer.status == 200, "{path}: {}", answer.text);
            assert!(
                !answer.text.contains("secretword") && !answer.text.contains("theirs-only"),
                "{path}"
            );
        }
        for path in [format!("/v1/events/{id}"), format!("/v1/events/{id}/explain")] {
            browser.call(Method::GET, &path, json!(null)).await.expect(404);
        }
        let events =
            browser.call(Method::GET, "/v1/events?type=x:z", json!(null)).await.expect(200);
        assert_eq!(events["data"].as_array().map(Vec::len), Some(1));
    });
}
