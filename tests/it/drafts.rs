//! Definitions that are being written: kept as typed, never overwritten unseen, published whole.

use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{Browser, joined};
use crate::support::{Answer, TestApp, send, with_config};

const TEXT: &str = "# why it is here\nname: greet\ntitle: Greet\ntrigger: { event: order:placed }\nsteps:\n  # says hello\n  - id: hello\n    activity: workflows:transform-platform\n    input: { output: \"{{ trigger.payload.who }}\" } # to whom\n  - id: nap\n    sleep: 1ms\n";

fn quick(config: &mut ergane::config::Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
}

async fn keep(app: &TestApp, name: &str, text: &str, seen: Option<&str>) -> Answer {
    let path = format!("/v1/workflows/{name}/draft");
    let mut request = app.request(Method::PUT, &path).header("content-type", "application/yaml");
    if let Some(seen) = seen {
        request = request.header("if-match", seen);
    }
    send(request.body(text.to_owned())).await
}

/// Reads the hidden fields that every form of the editor carries.
fn marks(page: &str) -> (String, String) {
    let of = |name: &str| {
        let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    (of("revision"), of("hand"))
}

async fn edit(browser: &mut Browser, page: &str, fields: &[(&str, &str)]) -> Answer {
    let (revision, hand) = marks(page);
    let mut all = vec![("revision", revision.as_str()), ("hand", hand.as_str())];
    all.extend_from_slice(fields);
    browser.form("/workflows/greet/edit", &all).await
}

async fn text_of(app: &TestApp) -> String {
    let draft = app.get("/v1/workflows/greet/draft").await.expect(200);
    draft["text"].as_str().expect("a text").to_owned()
}

#[test]
fn a_draft_is_kept_right_or_wrong_and_published_whole() {
    with_config(quick, async |app| {
        app.get("/v1/workflows/greet/draft").await.refused(404, "draft_not_found");
        let broken = keep(&app, "greet", "name: [", None).await;
        let tag = broken.header("etag").expect("a tag").to_owned();
        assert_eq!(broken.expect(200)["text"], "name: [");
        app.post("/v1/workflows/greet/draft/publish", json!({})).await.refused(422, "invalid");
        keep(&app, "greet", TEXT, Some("\"1\"")).await.refused(412, "stale");
        keep(&app, "greet", TEXT, Some(&tag)).await.expect(200);
        assert_eq!(app.get("/v1/drafts").await.expect(200)["data"][0]["name"], "greet");
        let body = json!({"note": "says hello"});
        let saved = app.post("/v1/workflows/greet/draft/publish", body).await.expect(200);
        assert_eq!((&saved["version"], &saved["note"]), (&json!(1), &json!("says hello")));
        app.get("/v1/workflows/greet/draft").await.refused(404, "draft_not_found");
        let yaml = send(app.request(Method::GET, "/v1/workflows/greet?format=yaml")).await;
        assert_eq!(yaml.text, TEXT);
        let runs = app.publish("order:placed", json!({"who": "Ada"})).await;
        assert_eq!(app.end_of(&runs[0]).await["status"], "succeeded");
        keep(&app, "Bad Name", TEXT, None).await.refused(422, "invalid");
        keep(&app, "greet", TEXT, None).await.expect(200);
        app.delete("/v1/workflows/greet/draft").await.expect(204);
        let audit = app.get("/v1/audit?action=draft").await.expect(200);
        let told: Vec<&Value> =
            audit["data"].as_array().expect("records").iter().map(|it| &it["action"]).collect();
        assert_eq!(told, ["draft.discard", "draft.keep", "draft.publish", "draft.keep"]);
    });
}

#[test]
fn what_a_step_can_refer_to_is_told_with_values_really_seen() {
    with_config(quick, async |app| {
        keep(&app, "greet", TEXT, None).await.expect(200);
        app.post("/v1/workflows/greet/draft/publish", json!({})).await.expect(200);
        let runs = app.publish("order:placed", json!({"who": "Ada"})).await;
        app.end_of(&runs[0]).await;
        let definition = app.get("/v1/workflows/greet").await.expect(200)["definition"].clone();
        let ask = json!({"definition": definition, "step": "/steps/1"});
        let told = app.post("/v1/workflows/greet/references", ask).await.expect(200);
        let of = |path: &str| {
            let data = told["data"].as_array().expect("a list");
            data.iter().find(|it| it["path"] == path).cloned()
        };
        assert_eq!(of("trigger.payload.who").expect("it is there")["sample"], "Ada");
        assert_eq!(of("steps.hello.output").expect("it is there")["sample"], "Ada");
        assert_eq!(of("steps.nap.output"), None);
        let ask = json!({"definition": definition, "step": "/steps/0"});
        let told = app.post("/v1/workflows/greet/references", ask).await.expect(200);
        assert!(!told.to_string().contains("steps.hello"), "{told}");
    });
}

#[test]
fn the_form_changes_the_text_and_leaves_the_comments() {
    with_config(quick, async |app| {
        keep(&app, "greet", TEXT, None).await.expect(200);
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let page = ada.get("/workflows/greet/edit?open=/steps/0").await.text;
        for part in ["in:input/output", "says hello", "Publish v1", "trigger.payload"] {
            let is_source = part == "says hello";
            assert_eq!(page.contains(part), !is_source, "{part}");
        }
        let step = [("part", "step"), ("at", "/steps/0"), ("was", "hello"), ("open", "/steps/0")];
        let title = [("in:title", "Say: hello"), ("as:title", "text"), ("do", "save")];
        let fields: Vec<_> = step.iter().chain(&title).copied().collect();
        assert_eq!(edit(&mut ada, &page, &fields).await.status, 303);
        let expected = TEXT.replace(" # to whom\n", " # to whom\n    title: \"Say: hello\"\n");
        assert_eq!(text_of(&app).await, expected);
        let page = ada.get("/workflows/greet/edit").await.text;
        let moved = edit(&mut ada, &page, &[("at", "/steps/0"), ("do", "down")]).await;
        assert_eq!(moved.header("location"), Some("/workflows/greet/edit#steps"));
        let text = text_of(&app).await;
        assert!(text.find("id: nap") < text.find("# says hello"), "{text}");
        let page = ada.get("/workflows/greet/edit?add=/steps/2").await.text;
        assert!(page.contains("add:tickets:update-ticket-platform"));
        let added = [("at", "/steps/2"), ("do", "add:workflows:transform-platform")];
        let answer = edit(&mut ada, &page, &added).await;
        assert!(answer.header("location").is_some_and(|it| it.contains("open=%2Fsteps%2F2")));
        let page = ada.get("/workflows/greet/edit").await.text;
        edit(&mut ada, &page, &[("at", "/steps/2"), ("do", "remove")]).await;
        assert_eq!(text_of(&app).await, text);
    });
}

#[test]
fn of_two_who_write_nobody_overwrites_the_other_unseen() {
    with_config(quick, async |app| {
        keep(&app, "greet", TEXT, None).await.expect(200);
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let mut ben = joined(&app, "ben@example.com", &["owner"]).await;
        let hers = ada.get("/workflows/greet/edit").await.text;
        let his = ben.get("/workflows/greet/edit").await.text;
        let head = |title| [("part", "head"), ("title", title)];
        assert_eq!(edit(&mut ada, &hers, &head("Ada's")).await.status, 303);
        // The same page goes on, whatever its forms were made for.
        assert_eq!(edit(&mut ada, &hers, &head("Ada's own")).await.status, 303);
        let refused = edit(&mut ben, &his, &head("Ben's")).await;
        assert_eq!(refused.status, 409);
        for part in ["Two drafts", "Ada&#39;s own", "Ben&#39;s", "Keep mine", "Take theirs"] {
            assert!(refused.text.contains(part), "{part}: {}", refused.text);
        }
        assert!(text_of(&app).await.contains("title: Ada's own"));
        let (revision, _) = marks(&refused.text);
        let mine = TEXT.replace("title: Greet", "title: Ben's");
        let fields = [("revision", revision.as_str()), ("format", "yaml"), ("text", mine.as_str())];
        assert_eq!(ben.form("/workflows/greet/edit/source", &fields).await.status, 303);
        assert_eq!(text_of(&app).await, mine);
    });
}

#[test]
fn a_workflow_begins_as_a_draft_and_is_published_with_a_note() {
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let fields = [("title", "Greet"), ("name", ""), ("event", "order:placed")];
        let begun = ada.form("/workflows/new", &fields).await;
        assert_eq!(begun.header("location"), Some("/workflows/greet/edit?add=/steps/0#add"));
        let again = ada.form("/workflows/new", &fields).await;
        assert!(again.status == 422 && again.text.contains("already"), "{}", again.text);
        assert!(ada.get("/workflows/new").await.text.contains("/workflows/greet/edit"));
        let page = ada.get("/workflows/greet/publish").await;
        assert!(page.status == 422 && page.text.contains("cannot be published yet"));
        let broken = ada.get("/workflows/greet/edit").await.text;
        let (revision, hand) = marks(&broken);
        let wrong = [
            ("revision", &*revision),
            ("hand", &*hand),
            ("format", "yaml"),
            ("text", "name: ["),
            ("do", "check"),
        ];
        let checked = ada.form("/workflows/greet/edit/source", &wrong).await;
        assert!(checked.text.contains("not saved yet") && checked.text.contains("name: ["));
        let right = [
            ("revision", &*revision),
            ("hand", &*hand),
            ("format", "yaml"),
            ("text", TEXT),
            ("do", "save"),
        ];
        assert_eq!(ada.form("/workflows/greet/edit/source", &right).await.status, 303);
        let page = ada.get("/workflows/greet/publish").await;
        let (revision, _) = marks(&page.text);
        let publish = [("revision", revision.as_str()), ("note", "first")];
        assert_eq!(ada.form("/workflows/greet/publish", &publish).await.status, 303);
        let view = app.get("/v1/workflows/greet").await.expect(200);
        assert_eq!((&view["version"], &view["note"]), (&json!(1), &json!("first")));
        let shown = ada.get("/workflows/greet").await.text;
        assert!(shown.contains("class=\"diagram\""), "{shown}");
    });
}
