//! What helps to write workflows: fields of events, versions compared, cases kept, templates, and
//! the pages on which all of that is done without a script.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{TestApp, send, with_app};

fn definition(name: &str, wanted: &str) -> Value {
    json!({"name": name, "title": format!("Do {name}"),
        "trigger": {"event": "order:placed", "filter": {"total": {"~gt": 100}, "state": {"~eq": wanted}}},
        "steps": [{"id": "note", "activity": "workflows:transform-platform",
            "input": {"output": "{{ trigger.payload.total }}"}}]})
}

async fn posted(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> crate::support::Answer {
    send(form(app.request(Method::POST, path), fields)).await
}

fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

#[test]
fn the_fields_of_a_type_come_with_what_was_seen() {
    with_app(async |app| {
        for state in ["new", "paid", "new"] {
            app.publish(
                "order:placed",
                json!({"state": state, "total": 7, "who": {"name": "Kim"}}),
            )
            .await;
        }
        let fields = app.get("/v1/event-types/order:placed/fields").await.expect(200);
        assert_eq!(fields["recent"], 3, "{fields:#}");
        let state = fields["fields"].as_array().expect("fields").iter();
        let state = state.clone().find(|field| field["path"] == "state").expect("the field");
        assert_eq!((&state["seen"], &state["types"]), (&json!(3), &json!(["string"])));
        assert_eq!(state["examples"], json!(["new", "paid"]));
        let paths: Vec<&Value> =
            fields["fields"].as_array().expect("fields").iter().map(|it| &it["path"]).collect();
        assert!(paths.contains(&&json!("who.name")), "{paths:?}");
        let recent = app.get("/v1/event-types/recent").await.expect(200);
        assert_eq!(recent["data"][0]["type"], "order:placed");
    });
}

#[test]
fn a_trigger_is_edited_in_rows_and_tried_without_being_saved() {
    with_app(async |app| {
        app.save(definition("watch", "paid")).await;
        app.publish("order:placed", json!({"state": "new", "total": 200})).await;
        app.publish("order:placed", json!({"state": "paid", "total": 300})).await;
        let page = app.get("/workflows/watch/match").await;
        assert_eq!(page.status, 200, "{}", page.text);
        for shown in ["1 of the last 2 order:placed match", "near miss", "state is paid, but was"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        let fields = [
            ("trigger.kind", "event"),
            ("trigger.event", "order:placed"),
            ("trigger.f.group", "all"),
            ("trigger.f.0.path", "total"),
            ("trigger.f.0.op", "~gt"),
            ("trigger.f.0.value", "100"),
            ("trigger.f.1.path", "state"),
            ("trigger.f.1.op", "~eq"),
            ("trigger.f.1.value", "paid"),
            ("trigger.do", "remove 1"),
        ];
        let tried = posted(&app, "/workflows/watch/match", &fields).await;
        assert!(tried.text.contains("2 of the last 2 order:placed match"), "{}", tried.text);
        let part = app.request(Method::POST, "/workflows/watch/match").header("hx-request", "true");
        let part = send(form(part, &fields)).await;
        assert!(!part.text.contains("<html") && part.text.contains("2 of the last 2"));
        let wrong = [
            ("trigger.kind", "event"),
            ("trigger.event", "order:placed"),
            ("trigger.f.mode", "raw"),
            ("trigger.f.raw", "{\"total\": {\"~more\": 1}}"),
        ];
        let wrong = posted(&app, "/workflows/watch/match", &wrong).await;
        assert!(wrong.text.contains("there is no operator"), "{}", wrong.text);
        assert!(wrong.text.contains("~more"), "what was typed is kept");

        let saved = posted(&app, "/workflows/watch/trigger/save", &fields).await;
        assert_eq!(saved.status, 200, "{}", saved.text); // Led to the difference.
        assert!(saved.text.contains("trigger.filter.state"), "{}", saved.text);
        let live = app.get("/v1/workflows/watch").await.expect(200);
        assert_eq!(live["version"], 1, "a draft starts nothing");
    });
}

#[test]
fn a_schedule_is_shown_with_its_next_times() {
    with_app(async |app| {
        let schedule = json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin"});
        app.save(json!({"name": "night", "trigger": {"schedule": schedule},
            "steps": [{"id": "nap", "sleep": "1ms"}]}))
            .await;
        let page = app.get("/workflows/night/match").await;
        assert!(page.text.contains("T02:30:00+0") && page.text.contains("Europe/Berlin"));
        let changed = posted(
            &app,
            "/workflows/night/match",
            &[
                ("trigger.kind", "schedule"),
                ("trigger.s.form", "cron"),
                ("trigger.s.cron", "nonsense"),
                ("trigger.s.timezone", "UTC"),
            ],
        );
        let changed = changed.await;
        assert!(changed.text.contains("nonsense") && changed.text.contains("notice bad"));
    });
}

#[test]
fn versions_are_counted_compared_and_restored() {
    with_app(async |app| {
        app.save(definition("watch", "paid")).await;
        for run in app.publish("order:placed", json!({"state": "paid", "total": 300})).await {
            app.end_of(&run).await;
        }
        app.put("/v1/workflows/watch", definition("watch", "sent")).await.expect(200);
        let records = app.get("/v1/workflows/watch/versions/records").await.expect(200);
        assert_eq!(
            records["data"],
            json!([{"version": 1, "runs": 1, "succeeded": 1, "failed": 0,
            "firstRunAt": records["data"][0]["firstRunAt"],
            "lastRunAt": records["data"][0]["lastRunAt"]}])
        );
        let diff = app.get("/v1/workflows/watch/diff?from=1&to=2").await.expect(200);
        assert_eq!(diff["changes"][0]["pointer"], "/trigger/filter/state/~0eq", "{diff:#}");
        let page = app.get("/workflows/watch/diff?from=1&to=2").await;
        assert!(page.text.contains("trigger.filter.state.~eq"), "{}", page.text);
        let list = app.get("/workflows/watch/versions").await;
        assert!(list.text.contains("100 %") && list.text.contains("Restore"), "{}", list.text);
        let restored = app.post("/v1/workflows/watch/restore", json!({"version": 1})).await;
        let restored = restored.expect(200);
        assert_eq!((&restored["version"], &restored["active"]), (&json!(3), &json!(true)));
        assert_eq!(restored["definition"]["trigger"]["filter"]["state"]["~eq"], "paid");
        app.post("/v1/workflows/watch/restore", json!({"version": 9})).await.expect(404);
        app.get("/v1/workflows/watch/diff?from=9").await.expect(404);
    });
}

#[test]
fn an_event_becomes_a_case_and_comments_stay() {
    with_app(async |app| {
        let text = "# Why.\nname: watch\ntrigger: { event: 'order:placed', filter: { total: { ~gt: 100 } } }\nsteps:\n  # First.\n  - { id: nap, sleep: 1ms }\n";
        let save =
            app.request(Method::POST, "/v1/workflows").header("content-type", "application/yaml");
        send(save.body(text)).await.expect(201);
        app.publish("order:placed", json!({"total": 300})).await;
        let events = app.get("/v1/events?type=order:placed").await.expect(200);
        let id = events["data"][0]["id"].as_str().expect("an id");
        let added = posted(&app, "/workflows/watch/cases", &[("case.event", id)]).await;
        assert!(added.text.contains("1 of 1 cases pass"), "{}", added.text);
        let source = app.get("/v1/workflows/watch?version=2&format=yaml").await;
        assert!(
            source.text.starts_with("# Why.") && source.text.contains("# First."),
            "{}",
            source.text
        );
        let wrong = json!({"case": {"name": "wrong", "expect": {"matches": "perhaps"}}});
        app.post("/v1/workflows/watch/cases", wrong).await.expect(422);
        let failing = json!({"case": {"name": "small", "event": {"payload": {"total": 1}},
            "expect": {"matches": true}}});
        app.post("/v1/workflows/watch/cases", failing).await.expect(201);
        let page = app.get("/workflows/watch/cases").await;
        assert!(page.text.contains("1 of 2 cases fail"), "{}", page.text);
        let path = "/v1/workflows/watch/cases/small";
        let left = app.delete(path).await.expect(200);
        assert_eq!(left["definition"]["tests"].as_array().map(Vec::len), Some(1));
        app.delete(path).await.expect(404);
    });
}

#[test]
fn a_trial_and_a_backtest_show_what_would_come() {
    with_app(async |app| {
        app.save(definition("watch", "paid")).await;
        app.publish("order:placed", json!({"state": "paid", "total": 300})).await;
        let tried = app.get("/workflows/watch/test").await;
        assert!(tried.text.contains("A run would succeed"), "{}", tried.text);
        let failing = app.get("/workflows/watch/test?failAt=note").await;
        assert!(failing.text.contains("A run would fail"), "{}", failing.text);
        let own = posted(&app, "/workflows/watch/test", &[("payload", "{\"total\": 1}")]).await;
        assert!(own.text.contains("would start nothing"), "{}", own.text);
        let broken = posted(&app, "/workflows/watch/test", &[("payload", "{")]).await;
        assert!(broken.text.contains("no JSON"), "{}", broken.text);
        let unknown = app.get("/workflows/watch/test?failAt=nope").await;
        assert!(unknown.text.contains("there is no step"), "{}", unknown.text);
        app.put("/v1/workflows/watch?draft=true", definition("watch", "sent")).await.expect(200);
        let back = app.get("/workflows/watch/backtest").await;
        assert!(back.text.contains("0 more and 1 fewer than by version 1"), "{}", back.text);
    });
}

#[test]
fn templates_become_drafts_with_names_of_their_own() {
    with_app(async |app| {
        let all = app.get("/v1/workflow-templates").await.expect(200);
        assert!(all["data"].as_array().expect("a list").len() >= 12);
        let path = "/v1/workflow-templates/tag-by-words/use";
        for name in ["tag-by-words", "tag-by-words-2"] {
            let made = app.post(path, json!({})).await.expect(201);
            assert_eq!((&made["name"], &made["active"]), (&json!(name), &json!(false)));
        }
        let source = app.get("/v1/workflows/tag-by-words-2?format=yaml").await.text;
        assert!(source.starts_with("# One table"), "{source}");
        app.post(path, json!({"name": "tag-by-words"})).await.expect(409);
        app.post("/v1/workflow-templates/nope/use", json!({})).await.expect(404);
        let page = app.get("/templates").await;
        assert!(page.text.contains("needs a connection pager"), "{}", page.text);
    });
}

#[test]
fn definitions_come_in_by_text_and_by_file_and_go_out() {
    with_app(async |app| {
        let look = [("text", "name: new-one\nsteps: [{ id: a, sleep: 1s }]\n"), ("do", "look")];
        let seen = posted(&app, "/workflows/import", &look).await;
        assert!(seen.text.contains("It is new here."), "{}", seen.text);
        app.get("/v1/workflows/new-one").await.expect(404);
        let wrong =
            posted(&app, "/workflows/import", &[("text", "name: x\nsteps: [{ id: a, slep: 1s }]")]);
        let wrong = wrong.await;
        assert!(wrong.text.contains("slep"), "{}", wrong.text);
        let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yaml\"\r\n\r\nname: new-one\nsteps: [{ id: a, sleep: 1s }]\n\r\n--b\r\nContent-Disposition: form-data; name=\"do\"\r\n\r\ndraft\r\n--b--\r\n";
        let file = app.request(Method::POST, "/workflows/import");
        let file = file.header("content-type", "multipart/form-data; boundary=b").body(body);
        assert_eq!(send(file).await.status, 200);
        let saved = app.get("/v1/workflows/new-one").await.expect(200);
        assert_eq!(saved["active"], false);
        for (format, shown) in [("yaml", "name: new-one"), ("json", "\"name\": \"new-one\"")] {
            let out = app.get(&format!("/workflows/new-one/export?format={format}")).await;
            assert!(out.text.contains(shown), "{format}: {}", out.text);
            let header = out.headers["content-disposition"].to_str().expect("a text").to_owned();
            assert!(header.starts_with("attachment") && header.contains("new-one."), "{header}");
        }
    });
}

#[test]
fn the_list_tells_how_workflows_do_and_changes_several() {
    with_app(async |app| {
        app.save(definition("watch", "paid")).await;
        app.save(definition("idle", "never")).await;
        for run in app.publish("order:placed", json!({"state": "paid", "total": 300})).await {
            app.end_of(&run).await;
        }
        app.put("/v1/workflows/idle?draft=true", definition("idle", "other")).await.expect(200);
        let names = async |query: &str| -> Vec<String> {
            let page = app.get(&format!("/v1/workflow-pulse{query}")).await.expect(200);
            let data = page["data"].as_array().expect("a list").clone();
            data.iter().map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(names("").await, ["idle", "watch"]);
        assert_eq!(names("?only=never").await, ["idle"]);
        assert_eq!(names("?only=draft").await, ["idle"]);
        assert_eq!(names("?only=failing").await, [""; 0]);
        assert_eq!(names("?trigger=event&q=WAT").await, ["watch"]);
        app.get("/v1/workflow-pulse?only=nonsense").await.expect(400);
        let page = app.get("/v1/workflow-pulse?q=watch").await.expect(200);
        let watch = &page["data"][0];
        assert_eq!((&watch["runsDay"], &watch["succeededDay"]), (&json!(1), &json!(1)));
        assert!(watch["p95Ms"].is_number() && watch["lastRunAt"].is_string(), "{watch:#}");
        let chosen = [("name", "watch"), ("name", "idle"), ("wish", "disable")];
        assert_eq!(posted(&app, "/bulk/workflows", &chosen).await.status, 200);
        let off = app.get("/v1/workflows?active=false").await.expect(200);
        assert_eq!(off["data"].as_array().map(Vec::len), Some(2));
        assert_eq!(posted(&app, "/bulk/workflows", &[("wish", "enable")]).await.status, 422);
        let copy = app.post("/v1/workflows/watch/duplicate", json!({})).await.expect(201);
        assert_eq!(
            (&copy["name"], &copy["title"]),
            (&json!("watch-copy"), &json!("Do watch (copy)"))
        );
    });
}

#[test]
fn hostile_text_comes_out_as_text() {
    const HOSTILE: &str = "</textarea></script><img src=x onerror=1>\"'";
    with_app(async |app| {
        let mut hostile = definition("watch", HOSTILE);
        hostile["title"] = json!(HOSTILE);
        hostile["description"] = json!(HOSTILE);
        hostile["steps"][0]["title"] = json!(HOSTILE);
        hostile["tests"] = json!([{"name": HOSTILE, "event": {"payload": {"state": HOSTILE}},
            "expect": {"matches": false}}]);
        app.save(hostile.clone()).await;
        hostile["description"] = json!(format!("{HOSTILE} again"));
        app.put("/v1/workflows/watch", hostile).await.expect(200);
        app.publish("order:placed", json!({"state": HOSTILE, "total": 300, HOSTILE: HOSTILE}))
            .await;
        for path in ["", "/match", "/test", "/cases", "/backtest", "/versions", "/diff?from=1&to=2"]
        {
            let page = app.get(&format!("/workflows/watch{path}")).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            assert!(!page.text.contains("<img src=x") && !page.text.contains(" style="), "{path}");
        }
        let raw = [
            ("text", HOSTILE),
            ("trigger.kind", "event"),
            ("trigger.event", HOSTILE),
            ("trigger.f.mode", "raw"),
            ("trigger.f.raw", HOSTILE),
            ("payload", HOSTILE),
        ];
        for path in ["/workflows/import", "/workflows/watch/match", "/workflows/watch/test"] {
            let page = posted(&app, path, &raw).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            assert!(!page.text.contains("<img src=x"), "{path}");
        }
        let list = app.get("/workflows?q=watch").await;
        assert!(list.text.contains("&#60;img") && !list.text.contains("<img src=x"));
    });
}
