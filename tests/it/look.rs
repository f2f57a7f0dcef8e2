//! What every page has around it: the navigation, the choices, the dashboard, the one stream.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{Browser, joined};
use crate::support::{KEY, TestApp, send, with_app, with_config};

const PATIENCE: Duration = Duration::from_secs(20);

fn quick(config: &mut ergane::config::Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
}

/// Makes two runs that fail for one cause and one that fails for another.
async fn some_failures(app: &TestApp) {
    for (name, event) in [("pays", "order:placed"), ("mails", "order:paid")] {
        app.save(json!({"name": name, "trigger": {"event": event}, "steps": [
            {"id": "look", "activity": "workflows:transform-platform",
             "input": {"output": "{{ trigger.payload.missing.deeper }}"}}]}))
            .await;
    }
    for (event, count) in [("order:placed", 2), ("order:paid", 1)] {
        for n in 0..count {
            for run in app.publish(event, json!({ "n": n })).await {
                assert_eq!(app.end_of(&run).await["status"], "failed");
            }
        }
    }
}

#[test]
fn failures_of_one_cause_are_counted_together_and_retried_at_once() {
    with_app(|app| async move {
        some_failures(&app).await;
        let board = app.get("/v1/dashboard").await.expect(200);
        let causes = board["attention"].as_array().expect("causes");
        let counts: Vec<_> = causes.iter().map(|it| (&it["workflow"], &it["count"])).collect();
        assert_eq!(counts, [(&json!("pays"), &json!(2)), (&json!("mails"), &json!(1))]);
        assert_eq!(board["failed24h"], 3);
        let last: u64 = board["minutes"]
            .as_array()
            .expect("minutes")
            .iter()
            .map(|minute| minute["failed"].as_u64().expect("a number"))
            .sum();
        assert_eq!((last, board["minutes"].as_array().map(Vec::len)), (3, Some(60)));

        let cause = causes[0]["id"].as_str().expect("an id");
        let retry = format!("/v1/dashboard/causes/{cause}/retry");
        let job = app.post(&retry, json!({})).await.expect(202);
        assert_eq!((&job["action"], &job["total"]), (&json!("retry"), &json!(2)));
        assert_eq!(job["filter"]["workflow"], "pays");
        app.post("/v1/dashboard/causes/none/retry", json!({}))
            .await
            .refused(404, "cause_not_found");
    });
}

#[test]
fn the_dashboard_page_proves_its_numbers_and_offers_the_retry() {
    with_config(quick, async |app| {
        some_failures(&app).await;
        let mut ada = joined(&app, "ada@example.com", &["operator"]).await;
        let page = ada.get("/").await.text;
        for part in [
            "href=\"/runs?status=failed&#38;since=24h\"",
            "Retry all 2",
            "Runs ended in the last hour: 3, of which 3 failed",
            "/v1/dashboard",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let action = page.split("action=\"").find(|it| it.starts_with("/attention/"));
        let action = action.and_then(|it| it.split('"').next()).expect("a form").to_owned();
        let answer = ada.form(&action, &[]).await;
        let place = answer.header("location").expect("the job").to_owned();
        assert!(answer.status == 303 && place.starts_with("/bulk/"), "{place}");
        assert_eq!(ada.get(&place).await.status, 200);

        let mut vic = joined(&app, "vic@example.com", &["viewer"]).await;
        assert!(!vic.get("/").await.text.contains("Retry all"));
        assert_eq!(vic.form(&action, &[]).await.status, 403);
    });
}

#[test]
fn everybody_is_led_only_where_they_may_go_and_learns_who_may_elsewhere() {
    with_config(quick, async |app| {
        let mut vic = joined(&app, "vic@example.com", &["viewer"]).await;
        let page = vic.get("/").await.text;
        assert!(page.contains("data-key=\"r\"") && page.contains("data-key=\"w\""));
        for path in ["/audit", "/people"] {
            assert!(!page.contains(&format!("href=\"{path}\"")), "{path}");
            let refused = vic.get(path).await;
            assert_eq!(refused.status, 403, "{path}");
            assert!(refused.text.contains("<strong>owner</strong>"), "{}", refused.text);
        }
        for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            if link.starts_with('/') && !link.starts_with("/static") {
                let answer = vic.get(&link.replace("&#38;", "&")).await;
                assert_eq!(answer.status, 200, "{link}");
            }
        }
    });
}

#[test]
fn a_page_shows_the_question_to_the_api_that_it_answers() {
    with_app(|app| async move {
        for (page, api) in [
            ("/runs?status=failed&q=x", "/v1/runs?status=failed&#38;q=x"),
            ("/workflows", "/v1/workflows"),
            ("/profile", "/v1/me"),
        ] {
            let page = page_of(&app, page, "").await;
            assert!(page.contains("$ERGANE_KEY") && page.contains(api), "{api}: {page}");
        }
        assert!(!page_of(&app, "/ui", "").await.contains("class=\"menu api\""));
    });
}

#[test]
fn the_browser_keeps_how_somebody_likes_the_pages() {
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["viewer"]).await;
        let chosen = [("theme", "dark"), ("density", "compact"), ("keys", "off"), ("times", "x")];
        let answer = ada.form("/profile/display", &chosen).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/profile#display")));
        let set = answer.headers.get_all("set-cookie").iter();
        let set: Vec<_> = set.map(|it| it.to_str().expect("text").to_owned()).collect();
        assert!(set.iter().any(|it| it.starts_with("ergane_density=compact;")), "{set:?}");
        assert!(set.iter().any(|it| it.starts_with("ergane_times=;")), "{set:?}");

        let kept = "ergane_theme=dark; ergane_density=compact; ergane_keys=off";
        let page = page_of(&app, "/", kept).await;
        for part in ["data-theme=\"dark\"", "data-density=\"compact\"", "data-keys=\"off\""] {
            assert!(page.contains(part), "{part}");
        }
    });
}

#[test]
fn an_owner_of_the_appliance_looks_into_another_tenant_and_nobody_else_does() {
    with_config(quick, async |app| {
        let wanted = json!({ "slug": "globex", "name": "Globex" });
        app.post("/v1/tenants", wanted).await.expect(201);
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let mut eve = joined(&app, "eve@example.com", &["admin"]).await;
        assert!(!eve.get("/").await.text.contains("Globex"));
        assert_eq!(eve.form("/tenant", &[("tenant", "globex")]).await.status, 404);

        let session = ada.cookie().expect("a session").to_owned();
        assert!(ada.get("/").await.text.contains("value=\"globex\""));
        let answer = ada.form("/tenant", &[("tenant", "globex"), ("return", "/runs/r_1")]).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/runs")));
        for (cookie, tenant) in
            [("ergane_tenant=globex", "globex"), ("ergane_tenant=gone", "default")]
        {
            let there = me(&app, &format!("{session}; {cookie}")).await;
            assert_eq!(there["tenant"]["slug"], tenant, "{there}");
        }
        let hers = eve.cookie().expect("a session").to_owned();
        let there = me(&app, &format!("{hers}; ergane_tenant=globex")).await;
        assert_eq!(there["tenant"]["slug"], "default", "{there}");
    });
}

#[test]
fn one_stream_tells_a_page_that_something_moved() {
    with_config(quick, async |app| {
        let ada = joined(&app, "ada@example.com", &["viewer"]).await;
        let request = app.client.get(format!("{}/live", app.base));
        let request = request.header("cookie", ada.cookie().expect("a session"));
        let mut stream = request.send().await.expect("an answer");
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        app.publish("deal:won", json!({})).await;
        let mut text = String::new();
        while !text.contains("data: \"moved\"") {
            let piece = tokio::time::timeout(PATIENCE, stream.chunk()).await;
            let piece = piece.expect("something comes").expect("a piece").expect("no end");
            text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
        let stranger = Browser::at(&app.base).get("/live").await;
        assert_eq!(stranger.status, 303);
    });
}

async fn page_of(app: &TestApp, path: &str, cookies: &str) -> String {
    let request = app.request(Method::GET, path).header("accept", "text/html");
    let answer = send(request.header("cookie", cookies)).await;
    assert_eq!(answer.status, 200, "{path} as {KEY}");
    answer.text
}

async fn me(app: &TestApp, cookies: &str) -> Value {
    let request = app.client.get(format!("{}/v1/me", app.base)).header("cookie", cookies);
    send(request).await.expect(200)
}
