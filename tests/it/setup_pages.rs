//! The pages that set the appliance up: every form does what it says and leads back to its effect.

use ergane::config::Config;
use serde_json::json;

use crate::acceptance::reach_inner_networks;
use crate::peer::{Peer, Reply};
use crate::people::{Browser, joined};
use crate::support::{Answer, TestApp, with_config};

const CANARY: &str = "canary-7f1e-do-not-show";

fn quick(config: &mut Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
    reach_inner_networks(config);
}

async fn owner(app: &TestApp) -> Browser {
    joined(app, "ada@example.com", &["owner"]).await
}

async fn peer() -> Peer {
    Peer::start(|_, _| Reply::Status(200, json!({ "ok": true }))).await
}

/// Sends a form that succeeds, and returns the page that it leads to.
async fn pressed(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> String {
    let answer = browser.form(path, fields).await;
    assert_eq!(answer.status, 303, "{path}: {}", answer.text);
    let place = answer.header("location").expect("a place").to_owned();
    let page = browser.get(&place).await;
    assert_eq!(page.status, 200, "{place}: {}", page.text);
    assert!(page.text.contains("class=\"notice ok\""), "{place} tells nothing");
    page.text
}

async fn refused(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = browser.form(path, fields).await;
    assert_eq!(answer.status, 422, "{path}: {}", answer.text);
    assert!(answer.text.contains("class=\"notice bad\""), "{path} tells nothing");
    assert!(!answer.text.contains(CANARY), "{path} shows a secret");
    answer
}

#[test]
fn a_connection_lives_in_the_browser() {
    with_config(quick, async |app| {
        let (mut ada, peer) = (owner(&app).await, peer().await);
        assert!(ada.get("/connections").await.text.contains("No connections yet"));
        assert!(ada.get("/connections/new").await.text.contains("Slack"));
        assert_eq!(ada.get("/connections/new?app=http").await.status, 200);
        let fields = [
            ("app", "http"),
            ("name", "pager"),
            ("settings.baseUrl", peer.url.as_str()),
            ("settings.auth", "bearer"),
            ("settings.headers", "{\"x-a\": \"1\"}"),
            ("secret", "token"),
            ("secrets.token", CANARY),
        ];
        let mut wrong = fields;
        wrong[4].1 = "{";
        let again = refused(&mut ada, "/connections", &wrong).await;
        assert!(again.text.contains("value=\"pager\""), "what was typed is kept");
        let page = pressed(&mut ada, "/connections", &fields).await;
        assert!(page.contains("pager") && !page.contains(CANARY), "{page}");
        let view = app.get("/v1/connections/pager").await.expect(200);
        assert_eq!(view["settings"]["headers"], json!({"x-a": "1"}));
        assert_eq!(view["secrets"]["token"]["setBy"], "ada@example.com");
        let tested = ada.form("/connections/pager/test", &[]).await;
        assert!(tested.text.contains("It works"), "{}", tested.text);
        assert!(ada.get("/connections").await.text.contains("Works"));
        let change = [
            ("settings.baseUrl", peer.url.as_str()),
            ("settings.auth", "bearer"),
            ("more", "{\"signature\": \"standard\"}"),
            ("secret", "token"),
            ("secrets.token", "another-canary"),
            ("overlap", "24h"),
        ];
        pressed(&mut ada, "/connections/pager", &change).await;
        let view = app.get("/v1/connections/pager").await.expect(200);
        assert_eq!(view["settings"].get("headers"), None, "{view}");
        assert_eq!(view["settings"]["signature"], "standard");
        assert_eq!(view["secrets"]["token"]["values"], 2, "{view}");
        let removal = [("secret", "token"), ("remove", "token")];
        pressed(&mut ada, "/connections/pager", &removal).await;
        let view = app.get("/v1/connections/pager").await.expect(200);
        assert_eq!(view["secrets"], json!({}));
        refused(&mut ada, "/connections/pager/delete", &[("name", "pagr")]).await;
        pressed(&mut ada, "/connections/pager/delete", &[("name", "pager")]).await;
        app.get("/v1/connections/pager").await.expect(404);
    });
}

#[test]
fn slack_is_told_what_to_paste() {
    with_config(quick, async |app| {
        let mut ada = owner(&app).await;
        let body = json!({"name": "chat", "app": "slack", "secrets": {"botToken": CANARY}});
        app.post("/v1/connections", body).await.expect(201);
        let page = ada.get("/connections/chat").await.text;
        let url = format!("{}/hooks/slack/chat", app.base);
        for part in [url.as_str(), "chat:write", "bot_events", "nothing that comes in is believed"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains(CANARY));
    });
}

#[test]
fn a_secret_lives_in_the_browser() {
    with_config(quick, async |app| {
        let mut ada = owner(&app).await;
        assert!(ada.get("/secrets").await.text.contains("No secrets yet"));
        let fields = [("name", "token"), ("value", CANARY), ("hosts", "a.example\r\n*.b.example")];
        refused(&mut ada, "/secrets", &[("name", "1 x"), ("value", CANARY)]).await;
        let page = pressed(&mut ada, "/secrets", &fields).await;
        assert!(page.contains("*.b.example") && !page.contains(CANARY), "{page}");
        assert_eq!(ada.form("/secrets", &fields).await.status, 409);
        let exchange = [("value", "another"), ("hosts", "c.example")];
        let page = pressed(&mut ada, "/secrets/token", &exchange).await;
        assert!(page.contains("version 2") && page.contains("by ada@example.com"), "{page}");
        assert!(ada.get("/secrets?q=zzz").await.text.contains("Nothing matches"));
        pressed(&mut ada, "/secrets/reseal", &[]).await;
        refused(&mut ada, "/secrets/token/delete", &[("name", "")]).await;
        pressed(&mut ada, "/secrets/token/delete", &[("name", "token")]).await;
        app.get("/v1/secrets").await.expect(200);
    });
}

#[test]
fn a_key_is_shown_once_and_opens_what_was_ticked() {
    with_config(quick, async |app| {
        let mut ada = owner(&app).await;
        let fields =
            [("name", "shop"), ("scope", "events:write"), ("scope", "runs:read"), ("life", "30d")];
        let made = ada.form("/keys", &fields).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let text = made.text.split("erg_").nth(1).expect("a key");
        let key: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
        let shop = app.with_key(&format!("erg_{key}"));
        shop.get("/v1/runs").await.expect(200);
        shop.get("/v1/tickets").await.expect(403);
        let list = ada.get("/keys").await.text;
        assert!(list.contains("shop") && !list.contains(&key), "{list}");
        refused(&mut ada, "/keys", &[("name", "none")]).await;
        let keys = app.get("/v1/keys").await.expect(200);
        let all = keys["data"].as_array().expect("a list");
        let shop_id = all.iter().find(|key| key["name"] == "shop").expect("the key")["id"].clone();
        let path = format!("/keys/{}/revoke", shop_id.as_str().expect("an id"));
        pressed(&mut ada, &path, &[]).await;
        shop.get("/v1/runs").await.expect(401);
    });
}

#[test]
fn a_subscription_lives_in_the_browser() {
    with_config(quick, async |app| {
        let (mut ada, peer) = (owner(&app).await, peer().await);
        assert!(ada.get("/webhooks").await.text.contains("Nobody is told of events yet"));
        assert!(ada.get("/webhooks?direction=in").await.text.contains("No hooks yet"));
        let fields = [
            ("url", peer.url.as_str()),
            ("types", "ticket:*\r\naccount:created"),
            ("format", "event"),
            ("description", "The shop"),
        ];
        refused(&mut ada, "/webhooks", &[("url", "here"), ("types", "x"), ("format", "event")])
            .await;
        let made = ada.form("/webhooks", &fields).await;
        assert!(made.status == 200 && made.text.contains("whsec_"), "{}", made.text);
        let list = app.get("/v1/webhooks").await.expect(200);
        let id = list["data"][0]["id"].as_str().expect("an id").to_owned();
        let page = ada.get(&format!("/webhooks/{id}")).await.text;
        assert!(page.contains("account:created") && !page.contains("whsec_"), "{page}");
        let test = ada.form(&format!("/webhooks/{id}/test"), &[]).await.text;
        assert!(test.contains("The subscriber answered 200"), "{test}");
        pressed(&mut ada, &format!("/webhooks/{id}/pause"), &[]).await;
        assert_eq!(app.get(&format!("/v1/webhooks/{id}")).await.expect(200)["enabled"], false);
        pressed(&mut ada, &format!("/webhooks/{id}/resume"), &[]).await;
        let fields = [("overlap", "1h")];
        let secret = ada.form(&format!("/webhooks/{id}/secret"), &fields).await.text;
        assert!(secret.contains("whsec_"), "{secret}");
        let team = app.team().await;
        app.ticket(&team, json!({})).await;
        let path = format!("/v1/webhooks/{id}/deliveries?status=delivered");
        let delivered = until(&app, &path).await;
        let delivery = format!("/webhooks/{id}/deliveries/{delivered}");
        let page = ada.get(&delivery).await.text;
        assert!(page.contains("Printer on fire") && page.contains("webhook-id"), "{page}");
        pressed(&mut ada, &format!("{delivery}/again"), &[]).await;
        assert_eq!(ada.get(&format!("/webhooks/{id}?status=dead")).await.status, 200);
        pressed(&mut ada, &format!("/webhooks/{id}/delete"), &[]).await;
    });
}

async fn until(app: &TestApp, path: &str) -> String {
    for _ in 0..400 {
        let list = app.get(path).await.expect(200);
        if let Some(id) = list["data"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nothing came at {path}");
}

#[test]
fn the_catalogue_shows_every_activity_and_lets_it_be_tried() {
    with_config(quick, async |app| {
        let mut ada = owner(&app).await;
        let list = ada.get("/activities").await.text;
        let all = app.get("/v1/activities").await.expect(200);
        for activity in all["data"].as_array().expect("a list") {
            let identifier = activity["uniqueIdentifier"].as_str().expect("a name");
            assert!(list.contains(identifier), "{identifier}");
            let path = format!("/activities/{}", identifier.replace(':', "%3A"));
            assert_eq!(ada.get(&path).await.status, 200, "{path}");
        }
        assert!(ada.get("/activities?q=zzz").await.text.contains("Nothing matches"));
        let path = "/activities/accounts%3Acreate-account-platform/try";
        let input = [("input.name", "ACME"), ("input.primaryDomain", "acme.example")];
        let mock = [&input[..], &[("mode", "mock")]].concat();
        assert!(ada.form(path, &mock).await.text.contains("The input fits"));
        refused(&mut ada, path, &[&input[..], &[("mode", "real")]].concat()).await;
        refused(&mut ada, path, &[("mode", "mock")]).await;
        assert_eq!(app.get("/v1/accounts").await.expect(200)["data"], json!([]));
        let real = [&input[..], &[("mode", "real"), ("sure", "yes")]].concat();
        assert!(ada.form(path, &real).await.text.contains("It was done"));
        let accounts = app.get("/v1/accounts").await.expect(200);
        assert_eq!(accounts["data"][0]["name"], "ACME");
    });
}

#[test]
fn an_openapi_document_is_looked_at_and_then_imported() {
    with_config(quick, async |app| {
        let mut ada = owner(&app).await;
        let document = "openapi: 3.1.0\ninfo: {title: Pets, version: '1'}\nservers: [{url: \
                        'https://pets.example.com'}]\npaths:\n  /pets:\n    get: {operationId: \
                        listPets, responses: {'200': {description: fine}}}\n";
        let fields = [("name", "pets"), ("text", document), ("deed", "preview")];
        let preview = ada.form("/activities/import", &fields).await;
        assert!(preview.text.contains("pets.listPets"), "{}", preview.text);
        app.get("/v1/activities/pets.listPets").await.expect(404);
        refused(
            &mut ada,
            "/activities/import",
            &[("name", "p"), ("text", "{"), ("deed", "import")],
        )
        .await;
        let fields = [("name", "pets"), ("text", document), ("deed", "import")];
        let page = pressed(&mut ada, "/activities/import", &fields).await;
        assert!(page.contains("pets.listPets"), "{page}");
        pressed(&mut ada, "/activities/imports/pets/delete", &[]).await;
    });
}

#[test]
fn an_app_lives_in_the_browser() {
    with_config(quick, async |app| {
        let (mut ada, peer) = (owner(&app).await, peer().await);
        let team = app.team().await;
        let manifest = crate::apps::pager(&peer.url).to_string();
        let fields = [("manifest", manifest.as_str()), ("deed", "check")];
        let check = ada.form("/apps", &fields).await.text;
        assert!(check.contains("The manifest is right"), "{check}");
        refused(&mut ada, "/apps", &[("manifest", "{\"app\": {}}"), ("deed", "make")]).await;
        let fields = [("manifest", manifest.as_str()), ("deed", "make")];
        let made = ada.form("/apps", &fields).await;
        assert!(made.status == 200 && made.text.contains("whsec_"), "{}", made.text);
        refused(&mut ada, "/apps/pager/install", &[("team", team.as_str())]).await;
        let fields = [
            ("team", team.as_str()),
            ("secrets.api_key", CANARY),
            ("settings.region", "us"),
            ("scope", "tickets:write"),
        ];
        let installed = ada.form("/apps/pager/install", &fields).await;
        assert!(installed.text.contains("erg_"), "{}", installed.text);
        assert!(!installed.text.contains(CANARY));
        let view = app.get("/v1/apps/pager").await.expect(200);
        assert_eq!(view["installation"]["settings"]["region"], "us");
        pressed(&mut ada, "/apps/pager/install", &fields).await;
        let newer = manifest.replace("1.0.0", "2.0.0");
        let fields = [("manifest", newer.as_str()), ("deed", "check")];
        let looked = ada.form("/apps/pager/manifest", &fields).await.text;
        assert!(looked.contains("What would change"), "{looked}");
        assert_eq!(app.get("/v1/apps/pager").await.expect(200)["version"], "1.0.0");
        let fields = [("manifest", newer.as_str()), ("deed", "apply")];
        pressed(&mut ada, "/apps/pager/manifest", &fields).await;
        assert_eq!(app.get("/v1/apps/pager").await.expect(200)["version"], "2.0.0");
        pressed(&mut ada, "/apps/pager/uninstall", &[]).await;
        pressed(&mut ada, "/apps/pager/delete", &[]).await;
        assert!(ada.get("/apps").await.text.contains("No apps yet"));
    });
}

#[test]
fn a_viewer_may_look_and_not_press() {
    with_config(quick, async |app| {
        let mut eve = joined(&app, "eve@example.com", &["viewer"]).await;
        assert_eq!(eve.get("/activities").await.status, 200);
        assert_eq!(eve.form("/connections", &[("name", "x"), ("app", "http")]).await.status, 403);
        assert_eq!(eve.form("/keys", &[("name", "x")]).await.status, 403);
    });
}
