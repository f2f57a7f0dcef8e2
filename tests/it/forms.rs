//! Hosted forms: shown, filled in, refused with what is wrong, accepted once.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, send, with_app, with_config};

pub fn contact() -> Value {
    json!({"name": "contact", "title": "Contact <us>", "thanks": "We call back.", "teamId": "T1",
        "schema": {"type": "object", "required": ["email", "topic"], "properties": {
            "email": {"type": "string", "format": "email", "title": "Your mail"},
            "topic": {"enum": ["login", "billing"]},
            "seats": {"type": "integer", "minimum": 1, "description": "How many?"},
            "story": {"type": "string", "maxLength": 500},
            "urgent": {"type": "boolean"}}}})
}

async fn page(app: &TestApp, path: &str) -> Answer {
    send(app.client.get(format!("{}{path}", app.base))).await
}

async fn fill(app: &TestApp, pairs: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = app
        .client
        .post(format!("{}/forms/default/contact", app.base))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    send(request).await
}

async fn submissions(app: &TestApp) -> Vec<Value> {
    let list = app.get("/v1/events?type=form:submitted").await.expect(200);
    list["data"].as_array().expect("a list").clone()
}

#[test]
fn a_form_is_shown_to_anybody_and_a_submission_is_an_event() {
    with_app(|app| async move {
        let made = app.post("/v1/forms", contact()).await.expect(201);
        assert_eq!(made["path"], "/forms/default/contact");
        app.post("/v1/forms", contact()).await.refused(409, "form_exists");
        let shown = page(&app, "/forms/default/contact").await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains("Contact &#60;us&#62;"), "{}", shown.text);
        for part in [r#"type="email""#, r#"type="number""#, "<select", "<textarea", "checkbox"] {
            assert!(shown.text.contains(part), "no {part} in {}", shown.text);
        }
        let filled = [
            ("_id", "sub_1"),
            ("email", "kim@wedding.example"),
            ("topic", "login"),
            ("seats", "3"),
            ("story", ""),
            ("urgent", "true"),
        ];
        let thanks = fill(&app, &filled).await;
        assert!(thanks.status == 200 && thanks.text.contains("We call back."), "{}", thanks.text);
        // The same page sent again, as by a reload, is the same submission.
        assert_eq!(fill(&app, &filled).await.status, 200);
        let made = submissions(&app).await;
        assert_eq!(made.len(), 1);
        let payload = &made[0]["payload"];
        assert_eq!(payload["form"], json!({"name": "contact", "title": "Contact <us>"}));
        assert_eq!(payload["teamId"], "T1");
        let values = json!({"email": "kim@wedding.example", "topic": "login", "seats": 3,
            "urgent": true});
        assert_eq!(payload["values"], values);
        assert_eq!(made[0]["actor"]["email"], "kim@wedding.example");
    });
}

#[test]
fn what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost() {
    with_app(|app| async move {
        app.post("/v1/forms", contact()).await.expect(201);
        let hostile = "\"><script>alert(1)</script>";
        let shown =
            fill(&app, &[("email", hostile), ("seats", "0"), ("story", "long story")]).await;
        assert_eq!(shown.status, 422);
        for part in [
            "This is no mail address.",
            "This must be at least 1.",
            "Please fill this in.",
            "long story",
            r#"value="0""#,
        ] {
            assert!(shown.text.contains(part), "no {part} in {}", shown.text);
        }
        assert!(!shown.text.contains("<script>alert"), "{}", shown.text);
        assert!(submissions(&app).await.is_empty());
    });
}

#[test]
fn programs_send_json_and_traps_catch_them() {
    with_app(|app| async move {
        app.post("/v1/forms", contact()).await.expect(201);
        let url = format!("{}/forms/default/contact", app.base);
        let post = |body: Value| send(app.client.post(&url).json(&body));
        let problem = post(json!({"email": "kim"})).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/email");
        let good = post(json!({"email": "kim@wedding.example", "topic": "billing"})).await;
        assert_eq!(good.expect(202)["accepted"][0]["duplicate"], false);
        let trapped = fill(
            &app,
            &[
                ("email", "kim@wedding.example"),
                ("topic", "login"),
                ("_website", "https://spam.test"),
            ],
        )
        .await;
        assert_eq!(trapped.status, 200);
        assert_eq!(submissions(&app).await.len(), 1);
        assert_eq!(page(&app, "/forms/default/none").await.status, 404);
        assert_eq!(page(&app, "/forms/none/contact").await.status, 404);
    });
}

#[test]
fn one_address_cannot_flood_a_form() {
    with_config(
        |config| config.intake.form_submissions_per_minute = 2,
        |app| async move {
            app.post("/v1/forms", contact()).await.expect(201);
            let mut statuses = Vec::new();
            let mut last = String::new();
            for number in 0..3 {
                let id = format!("sub_{number}");
                let filled = [
                    ("_id", id.as_str()),
                    ("email", "kim@wedding.example"),
                    ("topic", "login"),
                    ("story", "keep me"),
                ];
                let answer = fill(&app, &filled).await;
                statuses.push(answer.status);
                last = answer.text;
            }
            assert_eq!(statuses, [200, 200, 429]);
            assert!(last.contains("keep me"), "{last}");
        },
    );
}

#[test]
fn a_form_that_is_none_is_refused_with_its_places() {
    with_app(|app| async move {
        let body = json!({"name": "a b", "eventType": "ticket:created",
            "schema": {"properties": {"x": {"type": "object"}}}});
        let problem = app.post("/v1/forms", body).await.expect(422);
        let errors = problem["errors"].as_array().expect("a list");
        let pointers: Vec<&str> =
            errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        assert_eq!(pointers, ["/name", "/eventType", "/schema/properties/x"]);
        app.put("/v1/forms/contact", contact()).await.expect(200);
        assert_eq!(app.put("/v1/forms/contact", contact()).await.expect(200)["version"], 2);
        app.delete("/v1/forms/contact").await.expect(204);
        app.get("/v1/forms/contact").await.refused(404, "form_not_found");
    });
}
