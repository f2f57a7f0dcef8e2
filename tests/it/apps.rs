//! Apps: the whole life of one, what its bot may do, and what becomes of what was built on it.

use std::time::Duration;

use ergane::config::Config;
use ergane::domain::secret::Secret;
use ergane::domain::signature::standard_webhooks::{Headers, verify};
use ergane::domain::time::Timestamp;
use ergane::engine::settings::Pauses;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::{begun, by_hand, echo, ended, reach_inner_networks};
use crate::peer::{Peer, Received, Reply};
use crate::process::Process;
use crate::support::{TestApp, send, with_app, with_config};

const SECRET: &str = "s3cret-of-the-pager";

fn quick(config: &mut Config) {
    reach_inner_networks(config);
    config.engine.delivery_pauses_ms = Pauses(vec![20, 30]);
}

/// The manifest of an app that pages people.
pub fn pager(peer: &str) -> Value {
    json!({
        "app": {
            "name": "Pager", "slug": "pager", "version": "1.0.0", "category": "communication",
            "description": "Pages people", "icons": { "large": "https://x.test/l.png",
                "small": "https://x.test/s.png" }, "supported_locales": ["en-US"],
        },
        "developer": { "name": "Pager Inc.", "contact_email": "dev@pager.test" },
        "scopes": { "required": ["tickets:read"], "optional": ["tickets:write"] },
        "events": {
            "publish": [{ "event": "pager.page.answered", "reason": "Somebody answered",
                "schema": { "type": "object", "required": ["page"],
                    "properties": { "page": { "type": "string" } } } }],
            "subscribe": [{ "event": "ticket:created", "reason": "To page somebody" }],
        },
        "activities": [{
            "name": "page_someone", "description": "Pages somebody",
            "http_config": {
                "headers": { "Content-Type": "application/json",
                    "Authorization": "Bearer {{ settings.api_key }}" },
                "httpVerb": "POST",
                "endpoint_url": format!("{peer}/page/{{{{ input.who }}}}"),
                "body": { "text": "{{ input.text }}", "region": "{{ configuration.region }}",
                    "key": "{{ settings.api_key }}" },
            },
            "request_schema": { "type": "object", "required": ["who"], "properties": {
                "who": { "type": "string" }, "text": { "type": "string" } } },
            "response_schema": { "type": "object", "required": ["page"],
                "properties": { "page": { "type": "string" } } },
            "throttler": { "ttl": 60, "limit": 100, "key": "activity", "isEnabled": true },
        }],
        "integration": { "webhooks": { "events": format!("{peer}/events"),
            "installations": format!("{peer}/installations") } },
        "configuration": {
            "required_settings": [{ "key": "api_key", "type": "secret" }],
            "optional_settings": [{ "key": "region", "options": ["eu", "us"], "default": "eu" }],
        },
    })
}

/// A server of the app, which answers pages and repeats the secret that it was told.
async fn server() -> Peer {
    Peer::start(|_, received| match received.path.starts_with("/page") {
        true => {
            let echo = received.header("authorization").to_owned();
            Reply::Status(200, json!({ "page": "P1", "echo": echo }))
        }
        false => Reply::Status(200, json!({})),
    })
    .await
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().expect("an id")
}

/// Makes and installs the app, and returns it with the bot's client.
async fn installed(app: &TestApp, peer: &Peer, extra: Value) -> (Value, TestApp, String) {
    let made = app.post("/v1/apps", pager(&peer.url)).await.expect(201);
    let team = app.team().await;
    let mut body = json!({ "teamIds": [team], "settings": { "api_key": SECRET } });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let answer = app.post("/v1/apps/pager/install", body).await.expect(201);
    let bot = app.with_key(answer["botKey"].as_str().expect("a key"));
    (made, bot, team)
}

/// Waits until as many requests came to a path, and returns them.
async fn came(peer: &Peer, path: &str, count: usize) -> Vec<Received> {
    for _ in 0..2_000 {
        let all = peer.received();
        let found: Vec<Received> =
            all.into_iter().filter(|one| one.path.starts_with(path)).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{count} requests never came to {path}: {:?}", peer.received());
}

fn is_signed(received: &Received, secret: &Value) -> bool {
    let secret = Secret::new(secret.as_str().expect("a secret"));
    let headers = Headers {
        id: received.header("webhook-id"),
        timestamp: received.header("webhook-timestamp"),
        signatures: received.header("webhook-signature"),
    };
    let seconds: i64 = headers.timestamp.parse().expect("seconds");
    verify(&[secret], headers, &received.raw, Timestamp::from_millis(seconds * 1_000)).is_ok()
}

fn page_step(activity: &str) -> Value {
    json!([{ "id": "page", "activity": activity, "input": { "who": "kim/../x", "text": "Fire" },
        "retry": { "attempts": 2, "initial": "10ms" } }])
}

#[test]
fn an_app_is_installed_told_of_it_and_does_its_work() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (made, _, team) = installed(&app, &peer, json!({})).await;
        assert!(made["webhookSecret"].as_str().expect("shown once").starts_with("whsec_"));
        let told = came(&peer, "/installations", 1).await.remove(0);
        assert!(is_signed(&told, &made["webhookSecret"]), "{told:?}");
        assert_eq!(told.body["event_type"], "app:installation");
        assert_eq!(told.body["team_ids"], json!([team]));
        assert_eq!(told.body["application_id"], made["id"]);
        let configuration = &told.body["configuration"];
        assert_eq!(configuration["optional_settings"], json!({ "region": "eu" }));
        assert_eq!(configuration["required_settings"], json!({ "api_key": "***" }));

        let listed = app.get("/v1/activities/page_someone").await.expect(200);
        let identifier = listed["uniqueIdentifier"].as_str().expect("an identifier");
        assert!(identifier.starts_with(&format!("page_someone-{}-E", id(&made))), "{identifier}");
        assert_eq!(listed["throttle"], json!({ "limit": 100, "window": "1m", "key": "activity" }));
        for name in ["page_someone", identifier, "page_someone@1"] {
            app.put("/v1/workflows/page", by_hand("page", page_step(name))).await;
            let run = ended(&app, "page", json!({})).await;
            assert_eq!(run["status"], "succeeded", "{name}: {run}");
            assert_eq!(run["steps"][0]["activity"], identifier);
            assert_eq!(run["steps"][0]["output"], json!({ "page": "P1", "echo": "Bearer ***" }));
        }
        let call = came(&peer, "/page", 3).await.remove(0);
        assert_eq!(call.path, "/page/kim%2F..%2Fx");
        assert_eq!(call.header("authorization"), format!("Bearer {SECRET}"));
        let sent = json!({ "text": "Fire", "region": "eu", "key": SECRET });
        assert_eq!(call.body, sent);
        assert!(call.header("idempotency-key").ends_with("/page"));

        let run = ended(&app, "page", json!({})).await;
        for place in [
            format!("/v1/runs/{}", id(&run)),
            format!("/v1/runs/{}/journal", id(&run)),
            "/v1/apps/pager".to_owned(),
            "/v1/connections".to_owned(),
            "/v1/audit?limit=200".to_owned(),
            "/v1/events?limit=200".to_owned(),
        ] {
            let shown = app.get(&place).await;
            assert!(!shown.text.contains(SECRET), "{place} shows the secret: {}", shown.text);
        }
    });
}

#[test]
fn what_does_not_fit_the_manifest_is_refused_with_its_place() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let mut wrong = pager(&peer.url);
        wrong["activities"][0]["http_config"]["httpVerb"] = json!("SHOUT");
        wrong["events"]["subscribe"][0]["event"] = json!("ticket:creatd");
        wrong["scopes"]["required"] = json!(["ticket:read"]);
        let problem = app.post("/v1/apps", wrong.clone()).await.refused(422, "invalid");
        let pointers = |problem: &Value| -> Vec<String> {
            let all = problem["errors"].as_array().expect("a list").iter();
            all.map(|it| it["pointer"].as_str().expect("a pointer").to_owned()).collect()
        };
        let wanted = ["/scopes/required/0", "/activities/0/http_config/httpVerb"];
        assert_eq!(pointers(&problem), wanted);
        assert_eq!(problem["errors"][0]["hint"], "did you mean `tickets:read`?");
        wrong = pager(&peer.url);
        wrong["events"]["subscribe"][0]["event"] = json!("ticket:creatd");
        let problem = app.post("/v1/apps", wrong).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/events/subscribe/0/event");
        assert_eq!(problem["errors"][0]["hint"], "did you mean `ticket:created`?");

        app.post("/v1/apps", pager(&peer.url)).await.expect(201);
        app.post("/v1/apps", pager(&peer.url)).await.refused(409, "app_exists");
        let team = app.team().await;
        let install = |body: Value| app.post("/v1/apps/pager/install", body);
        let problem = install(json!({ "teamIds": ["nowhere"], "settings": { "region": "mars" } }));
        let problem = problem.await.refused(422, "invalid");
        assert_eq!(pointers(&problem), ["/settings/api_key", "/settings/region", "/teamIds/0"]);
        let asked = json!({ "teamIds": [team], "settings": { "api_key": SECRET },
            "optionalScopes": ["accounts:write"] });
        let problem = install(asked).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["code"], "scope_not_asked");
        assert!(app.get("/v1/apps/pager").await.expect(200)["installation"].is_null());
        assert!(app.get("/v1/activities/page_someone").await.status == 404, "not offered yet");
    });
}

#[test]
fn a_bot_does_what_it_was_granted_on_its_teams_and_nothing_else() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (_, bot, team) = installed(&app, &peer, json!({})).await;
        let other = app.post("/v1/teams", json!({ "name": "Web" })).await.expect(201);
        let foreign = app.ticket(id(&other), json!({})).await;
        let own = app.ticket(&team, json!({})).await;
        let path = format!("/v1/tickets/{}", id(&own));
        bot.get(&path).await.expect(200);
        assert_eq!(bot.get(&format!("/v1/tickets/{}", id(&foreign))).await.status, 404);
        let seen = bot.get("/v1/tickets").await.expect(200);
        assert_eq!(seen["data"].as_array().map(Vec::len), Some(1), "{seen}");
        let refused = bot.patch(&path, json!({ "title": "Mine" })).await.refused(403, "forbidden");
        assert!(refused["detail"].as_str().is_some_and(|it| it.contains("tickets:write")));
        for place in ["/v1/accounts", "/v1/keys", "/v1/apps", "/v1/workflows"] {
            assert_eq!(bot.get(place).await.status, 403, "{place}");
        }

        let asked = json!({ "optionalScopes": ["tickets:write"] });
        let answer = app.post("/v1/apps/pager/reinstall", asked).await.expect(200);
        assert!(answer["botKey"].is_null(), "it was kept");
        bot.patch(&path, json!({ "title": "Mine" })).await.expect(200);
        let events = app.get("/v1/events?type=ticket:updated").await.expect(200);
        assert_eq!(events["data"][0]["actor"]["type"], "BOT");

        let answer = app.post("/v1/apps/pager/reinstall", json!({ "rotateKey": true })).await;
        let answer = answer.expect(200);
        assert_eq!(bot.get(&path).await.status, 401, "the former key opens nothing");
        app.with_key(answer["botKey"].as_str().expect("a key")).get(&path).await.expect(200);
        for forged in ["erg_forged", "erg_0000000000000000", ""] {
            assert_eq!(app.with_key(forged).get(&path).await.status, 401, "{forged}");
        }
        let reader = app.post("/v1/keys", json!({ "name": "r", "scopes": ["apps:write"] })).await;
        let reader = app.with_key(reader.expect(201)["key"].as_str().expect("a key"));
        reader.post("/v1/apps/pager/reinstall", json!({})).await.refused(403, "forbidden");
    });
}

#[test]
fn events_reach_an_app_for_its_teams_alone() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (made, _, team) = installed(&app, &peer, json!({})).await;
        let other = app.post("/v1/teams", json!({ "name": "Web" })).await.expect(201);
        app.ticket(id(&other), json!({ "title": "Not yours" })).await;
        app.ticket(&team, json!({ "title": "Yours" })).await;
        let told = came(&peer, "/events", 1).await;
        assert_eq!(told[0].body["message"]["eventType"], "ticket:created");
        assert_eq!(told[0].body["message"]["payload"]["ticket"]["title"], "Yours");
        assert!(is_signed(&told[0], &made["webhookSecret"]));
        let hook = made["webhooks"]["events"].as_str().expect("a subscription");
        let listed = app.get(&format!("/v1/webhooks/{hook}/deliveries")).await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
        let delivery = id(&listed["data"][0]);
        let again = format!("/v1/webhooks/{hook}/deliveries/{delivery}/redeliver");
        let answer = app.post(&again, json!({})).await;
        assert!(answer.status < 300, "{}", answer.text);
        came(&peer, "/events", 2).await;
        app.delete(&format!("/v1/webhooks/{hook}")).await.refused(409, "belongs_to_app");
        app.patch(&format!("/v1/webhooks/{hook}"), json!({ "types": ["*"] }))
            .await
            .refused(409, "belongs_to_app");
        app.delete("/v1/connections/app:pager").await.refused(409, "belongs_to_app");
    });
}

async fn publish(app: &TestApp, key: &str, body: Value) -> crate::support::Answer {
    let url = format!("{}/api/v1/incoming-webhook/events", app.base);
    send(app.client.request(Method::POST, url).header("x-bot-key", key).json(&body)).await
}

#[test]
fn an_app_publishes_what_its_manifest_says_and_starts_workflows() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (_, bot, _) = installed(&app, &peer, json!({})).await;
        let registered = app.get("/v1/event-types/pager.page.answered").await.expect(200);
        assert_eq!(registered["source"], "app:pager");
        let shown = json!("{{ trigger.payload.page }}");
        app.save(echo("answered", "pager.page.answered", json!({}), shown)).await;
        let event = |name: &str, payload: Value| json!({ "event_name": name, "payload": payload });
        let good = event("pager.page.answered", json!({ "page": "P7" }));
        let answer = publish(&app, &bot.key, good.clone()).await.expect(200);
        assert_eq!(answer["success"], true);
        assert!(answer["timestamp"].is_string(), "{answer}");
        let stored =
            app.get(&format!("/v1/events/{}", answer["messageId"].as_str().unwrap())).await;
        let stored = stored.expect(200);
        assert_eq!(stored["actor"]["type"], "BOT");
        let run = app.end_of(stored["runs"][0].as_str().expect("a run")).await;
        assert_eq!(run["steps"][0]["output"], "P7");

        let unfit = event("pager.page.answered", json!({ "page": 7 }));
        let refused = publish(&app, &bot.key, unfit).await.expect(400);
        assert_eq!(refused["errors"][0]["path"], "/payload/page", "{refused}");
        let unknown = event("pager.page.asked", json!({ "page": "P7" }));
        let refused = publish(&app, &bot.key, unknown).await.expect(400);
        assert_eq!(refused["errors"][0]["code"], "unknown_event_type");
        let foreign = event("ticket:created", json!({}));
        assert_eq!(publish(&app, &bot.key, foreign).await.status, 400);
        assert_eq!(publish(&app, "erg_forged", good.clone()).await.status, 401);
        assert_eq!(publish(&app, &app.key, good.clone()).await.status, 403, "no bot");
        app.post("/v1/apps/pager/uninstall", json!({})).await.expect(200);
        assert_eq!(publish(&app, &bot.key, good).await.status, 401);
    });
}

#[test]
fn an_update_tells_what_breaks_and_pinned_steps_keep_their_version() {
    with_config(quick, |app| async move {
        let peer = server().await;
        installed(&app, &peer, json!({})).await;
        app.save(by_hand("pinned", page_step("page_someone@1"))).await;
        app.save(by_hand("newest", page_step("page_someone"))).await;
        let same = app.put("/v1/apps/pager", pager(&peer.url)).await.expect(200);
        assert_eq!(same["changes"], json!([]));
        let mut next = pager(&peer.url);
        next["app"]["version"] = json!("2.0.0");
        let activity = &mut next["activities"][0];
        activity["http_config"]["endpoint_url"] = json!(format!("{}/page/v2", peer.url));
        activity["request_schema"]["required"] = json!(["who", "urgency"]);
        next["scopes"]["required"] = json!(["tickets:read", "comments:write"]);
        next["events"]["publish"] = json!([]);
        let tried = app.put("/v1/apps/pager?dryRun=true", next.clone()).await.expect(200);
        let changed = app.put("/v1/apps/pager", next.clone()).await.expect(200);
        assert_eq!(tried["changes"], changed["changes"]);
        assert_eq!(changed["workflows"], json!(["newest", "pinned"]));
        let told: Vec<String> = changed["changes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| {
                format!(
                    "{} {} {}",
                    it["change"].as_str().unwrap(),
                    it["name"].as_str().unwrap(),
                    it["breaking"]
                )
            })
            .collect();
        let wanted = [
            "changed version false",
            "changed page_someone true",
            "removed pager.page.answered true",
            "added comments:write true",
        ];
        assert_eq!(told, wanted);
        let told = came(&peer, "/installations", 2).await;
        assert_eq!(told[1].body["event_type"], "app:updated");

        let run = ended(&app, "pinned", json!({})).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let run = ended(&app, "newest", json!({})).await;
        assert_eq!(run["status"], "failed");
        assert!(run["error"]["message"].as_str().is_some_and(|it| it.contains("urgency")), "{run}");
        let paths: Vec<String> =
            came(&peer, "/page", 1).await.into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["/page/kim%2F..%2Fx"]);
        let missing = by_hand("wrong", page_step("page_someone@3"));
        let problem = app.post("/v1/workflows", missing).await.refused(422, "invalid");
        let hint = problem["errors"][0]["hint"].as_str().expect("a hint");
        assert!(hint.contains("the versions are 1, 2"), "{problem}");
        assert_eq!(app.get("/v1/activities/page_someone").await.expect(200)["version"], 2);
        let older = app.get("/v1/activities/page_someone@1").await.expect(200);
        assert_eq!(older["version"], 1);
        next["app"]["slug"] = json!("other");
        app.put("/v1/apps/pager", next).await.refused(422, "invalid");
    });
}

#[test]
fn a_run_keeps_the_version_that_was_newest_when_it_began() {
    with_config(quick, |app| async move {
        let peer = server().await;
        installed(&app, &peer, json!({})).await;
        let mut steps = page_step("page_someone");
        let wait = json!({ "id": "pause", "waitFor": { "event": "go:on" } });
        steps.as_array_mut().expect("a list").insert(0, wait);
        app.save(by_hand("late", steps)).await;
        let run = begun(&app, "late", json!({})).await;
        app.until(&run, "waiting").await;
        let mut next = pager(&peer.url);
        next["activities"][0]["http_config"]["endpoint_url"] =
            json!(format!("{}/page/v2", peer.url));
        app.put("/v1/apps/pager", next).await.expect(200);
        let later = begun(&app, "late", json!({})).await;
        app.until(&later, "waiting").await;
        app.publish("go:on", json!({})).await;
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        assert_eq!(app.end_of(&later).await["status"], "succeeded");
        let mut paths: Vec<String> =
            came(&peer, "/page", 2).await.into_iter().map(|one| one.path).collect();
        paths.sort();
        assert_eq!(paths, ["/page/kim%2F..%2Fx", "/page/v2"]);
    });
}

#[test]
fn what_needs_an_app_that_is_gone_fails_for_good_and_says_so() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (_, bot, team) = installed(&app, &peer, json!({})).await;
        let mut steps = page_step("page_someone");
        let wait = json!({ "id": "pause", "waitFor": { "event": "go:on" } });
        steps.as_array_mut().expect("a list").insert(0, wait);
        app.save(by_hand("late", steps)).await;
        let run = begun(&app, "late", json!({})).await;
        app.until(&run, "waiting").await;
        app.delete("/v1/apps/pager").await.refused(409, "app_installed");
        let gone = app.post("/v1/apps/pager/uninstall", json!({})).await.expect(200);
        assert_eq!(gone["workflows"], json!(["late"]));
        app.post("/v1/apps/pager/uninstall", json!({})).await.refused(409, "app_not_installed");
        assert_eq!(bot.get("/v1/tickets").await.status, 401);
        app.publish("go:on", json!({})).await;
        let run = app.end_of(&run).await;
        assert_eq!(run["error"]["code"], "app_not_installed", "{run}");
        assert_eq!(run["steps"][1]["attempts"].as_array().map(Vec::len), Some(1), "no retry");
        let tasks = app.get(&format!("/api/v1/workflows/{}/tasks", id(&run))).await.expect(200);
        let all = tasks["data"].as_array().expect("tasks");
        assert!(all.iter().any(|task| task["status"] == "UNAUTHORIZED"), "{tasks}");
        let told = came(&peer, "/installations", 2).await;
        assert_eq!(told[1].body["event_type"], "app:uninstall");
        let count = peer.received().iter().filter(|one| one.path == "/events").count();
        app.ticket(&team, json!({})).await;

        // Installed once more, the same activity is there, and the run goes on.
        let body = json!({ "teamIds": [team], "settings": { "api_key": SECRET } });
        app.post("/v1/apps/pager/install", body).await.expect(201);
        app.post(&format!("/v1/runs/{}/retry", id(&run)), json!({})).await;
        assert_eq!(app.until(id(&run), "succeeded").await["steps"][1]["status"], "succeeded");
        let since = peer.received().iter().filter(|one| one.path == "/events").count();
        assert_eq!(since, count, "nothing was told while it was gone");
        app.post("/v1/apps/pager/uninstall", json!({})).await.expect(200);
        app.delete("/v1/apps/pager").await.expect(204);
        assert_eq!(app.get("/v1/apps/pager").await.status, 404);
        assert_eq!(app.get("/v1/event-types/pager.page.answered").await.status, 404);
        let hooks = app.get("/v1/webhooks").await.expect(200);
        assert_eq!(hooks["data"], json!([]));
    });
}

#[test]
fn an_activity_needs_the_scopes_that_the_manifest_names() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let mut manifest = pager(&peer.url);
        manifest["activities"][0]["scopes"] = json!(["tickets:write"]);
        app.post("/v1/apps", manifest).await.expect(201);
        let body = json!({ "teamIds": [app.team().await], "settings": { "api_key": SECRET },
            "optionalScopes": ["tickets:write"] });
        app.post("/v1/apps/pager/install", body).await.expect(201);
        app.save(by_hand("page", page_step("page_someone"))).await;
        assert_eq!(ended(&app, "page", json!({})).await["status"], "succeeded");
        let fewer = json!({ "optionalScopes": [] });
        app.post("/v1/apps/pager/reinstall", fewer).await.expect(200);
        let run = ended(&app, "page", json!({})).await;
        assert_eq!(run["error"]["code"], "app_lacks_scope", "{run}");
        let page = app.get("/apps").await;
        assert!(page.text.contains("page_someone-"), "{}", page.text);
    });
}

#[test]
fn an_app_is_its_tenants_own() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let (made, bot, _) = installed(&app, &peer, json!({})).await;
        app.post("/v1/tenants", json!({ "slug": "other", "name": "Other" })).await.expect(201);
        let there =
            |method: Method, path: &str| app.request(method, path).header("x-tenant", "other");
        for name in ["pager", id(&made)] {
            let path = format!("/v1/apps/{name}");
            assert_eq!(send(there(Method::GET, &path)).await.status, 404);
            let install = there(Method::POST, &format!("{path}/install")).json(&json!({}));
            assert_eq!(send(install).await.status, 404);
        }
        assert_eq!(send(there(Method::GET, "/v1/activities/page_someone")).await.status, 404);
        let foreign = bot.request(Method::GET, "/v1/tickets").header("x-tenant", "other");
        assert_eq!(send(foreign).await.status, 404);
        // The same app may be theirs as well, with an identifier of its own.
        let own = there(Method::POST, "/v1/apps").json(&pager(&peer.url));
        let own = send(own).await.expect(201);
        assert_ne!(own["id"], made["id"]);
    });
}

#[test]
fn thenas_paths_and_shapes_work_as_documented() {
    with_config(quick, |app| async move {
        let peer = server().await;
        let made = app.post("/api/v1/apps/create-app", pager(&peer.url)).await.expect(201);
        let uid = made["uid"].as_str().expect("a uid");
        assert_eq!((&made["slug"], &made["visibility"]), (&json!("pager"), &json!("private")));
        let team = app.team().await;
        let wrong = json!({ "appId": uid, "teamIds": [team], "appConfiguration": {} });
        app.post("/api/v1/apps/install", wrong).await.expect(400);
        let body = json!({ "appId": uid, "teamIds": [team], "appConfiguration": {
            "required_settings": [{ "key": "api_key", "value": SECRET }],
            "optional_settings": [{ "region": "us" }] } });
        let answer = app.post("/api/v1/apps/install", body.clone()).await.expect(201);
        assert_eq!(answer["appInstalledForTeams"], json!([team]));
        assert_eq!(answer["metadata"]["app_version"], "1.0.0");
        let first = app.with_key(answer["botToken"].as_str().expect("a token"));
        first.get("/v1/tickets").await.expect(200);
        let settings = app.get("/v1/apps/pager").await.expect(200);
        assert_eq!(
            settings["installation"]["settings"],
            json!({ "api_key": "***", "region": "us" })
        );
        let answer = app.post("/api/v1/apps/reinstall", body).await.expect(201);
        assert_eq!(first.get("/v1/tickets").await.status, 401);
        app.with_key(answer["botToken"].as_str().unwrap()).get("/v1/tickets").await.expect(200);
        let path = format!("/api/v1/apps/{uid}/update-app");
        let minor = json!({ "developer": { "name": "Pager Ltd." } });
        let answer = app.patch(&path, minor.clone()).await.expect(200);
        assert_eq!(answer["status"], "success");
        let paths: Vec<&str> = answer["changes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|change| change["path"].as_str().expect("a path"))
            .collect();
        assert_eq!(paths, ["developer.name", "developer.contact_email"]);
        let answer = app.patch(&path, minor).await.expect(200);
        assert_eq!(answer["status"], "unchanged");
        app.post("/api/v1/apps/uninstall", json!({ "appId": uid })).await.expect(200);
    });
}

#[test]
fn an_app_survives_the_end_of_the_process() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(async {
        let place = TempDir::new().expect("a directory");
        let data = place.path().join("data");
        let peer = server().await;
        let process = Process::start(&data);
        let (_, bot, _) = installed(&process.app, &peer, json!({})).await;
        let mut steps = page_step("page_someone");
        let wait = json!({ "id": "pause", "waitFor": { "event": "go:on" } });
        steps.as_array_mut().expect("a list").insert(0, wait);
        process.app.save(by_hand("late", steps)).await;
        let run = begun(&process.app, "late", json!({})).await;
        process.app.until(&run, "waiting").await;
        process.kill();
        let process = Process::start(&data);
        let app = &process.app;
        app.with_key(&bot.key).get("/v1/tickets").await.expect(200);
        app.publish("go:on", json!({})).await;
        let run = app.end_of(&run).await;
        assert_eq!(run["steps"][1]["output"]["page"], "P1", "{run}");
        let call = came(&peer, "/page", 1).await.remove(0);
        assert_eq!(call.header("authorization"), format!("Bearer {SECRET}"));
        process.kill();
    });
}

#[test]
fn failures_of_an_app_have_their_class() {
    let peer_of = |status: u16, body: Value| async move {
        Peer::start(move |_, _| Reply::Status(status, body.clone())).await
    };
    with_config(quick, |app| async move {
        let team = app.team().await;
        for (number, status, body, code, attempts) in [
            (0, 500, json!({}), "http_500", 2),
            (1, 422, json!({ "no": SECRET }), "http_422", 1),
            (2, 302, json!({}), "http_302", 1),
            (3, 200, json!({ "other": 1 }), "invalid_output", 1),
        ] {
            let peer = peer_of(status, body).await;
            let mut manifest = pager(&peer.url);
            manifest["app"]["slug"] = json!(format!("pager-{number}"));
            manifest["activities"][0]["name"] = json!(format!("page_{number}"));
            for part in ["integration", "events"] {
                manifest[part] = json!({});
            }
            app.post("/v1/apps", manifest).await.expect(201);
            let body = json!({ "teamIds": [team], "settings": { "api_key": SECRET } });
            app.post(&format!("/v1/apps/pager-{number}/install"), body).await.expect(201);
            let name = format!("fails-{number}");
            app.save(by_hand(&name, page_step(&format!("page_{number}")))).await;
            let run = ended(&app, &name, json!({})).await;
            assert_eq!(run["error"]["code"], code, "{run}");
            assert_eq!(run["steps"][0]["attempts"].as_array().map(Vec::len), Some(attempts));
            assert!(!run.to_string().contains(SECRET), "{run}");
        }
    });
}

#[test]
fn calls_of_apps_do_not_reach_inner_networks() {
    with_app(|app| async move {
        let peer = server().await;
        let mut manifest = pager(&peer.url);
        manifest["integration"] = json!({});
        app.post("/v1/apps", manifest).await.expect(201);
        let body = json!({ "teamIds": [app.team().await], "settings": { "api_key": SECRET } });
        app.post("/v1/apps/pager/install", body).await.expect(201);
        app.save(by_hand("page", page_step("page_someone"))).await;
        let run = ended(&app, "page", json!({})).await;
        assert_eq!(run["status"], "failed");
        assert!(peer.received().is_empty(), "{run}");
    });
}

#[test]
fn steps_act_as_the_bot_of_an_app_with_what_it_was_granted() {
    with_config(quick, async |app| {
        let peer = server().await;
        let (_, bot, team) = installed(&app, &peer, json!({})).await;
        let make = json!([{"id": "make", "activity": "tickets:create-ticket-platform",
            "input": {"title": "Down", "requestorEmail": "kim@acme.test", "teamId": team}}]);
        let mut workflow = by_hand("as-bot", make);
        workflow["executingAgent"] = json!("app:pager");
        app.post("/v1/workflows", workflow.clone()).await.refused(422, "invalid");
        let wider = json!({"optionalScopes": ["tickets:write"], "settings": {"api_key": SECRET}});
        app.post("/v1/apps/pager/reinstall", wider).await.expect(200);
        app.save(workflow).await;
        let run = begun(&app, "as-bot", json!({})).await;
        let made = app.end_of(&run).await;
        assert_eq!(made["status"], "succeeded", "{made:#}");
        let events = app.get("/v1/events?type=ticket:created").await.expect(200);
        let bot = bot.get("/v1/me").await.expect(200);
        assert_eq!(events["data"][0]["actor"]["id"], bot["id"], "{events:#} {bot:#}");
        app.post("/v1/apps/pager/uninstall", json!({})).await.expect(200);
        let run = begun(&app, "as-bot", json!({})).await;
        let refused = app.end_of(&run).await;
        assert_eq!(refused["error"]["code"], "unauthorized", "{refused:#}");
        assert_eq!(refused["steps"][0]["attempts"].as_array().map(Vec::len), Some(1));
    });
}
