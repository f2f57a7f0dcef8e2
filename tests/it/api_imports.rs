//! Descriptions of APIs that become activities, and the calls that these make.

use ergane::config::Config;
use serde_json::{Value, json};

use crate::acceptance::reach_inner_networks;
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_config};

const PETSTORE: &str = include_str!("../../src/domain/openapi/corpus/petstore.yaml");

fn reaching(config: &mut Config) {
    reach_inner_networks(config);
}

async fn connect(app: &TestApp, name: &str, base: &str) {
    let connection = json!({ "name": name, "app": "http", "settings": { "baseUrl": base },
        "secrets": { "apiKey": "k3y-of-the-shop" } });
    app.post("/v1/connections", connection).await.expect(201);
}

fn petshop(base: &str, extra: Value) -> Value {
    let mut body = json!({ "name": "pets", "text": PETSTORE, "baseUrl": format!("{base}/v1"),
        "connection": "shop" });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

async fn import(app: &TestApp, body: Value) -> Value {
    app.post("/v1/activities/import", body).await.expect(200)
}

/// Saves a workflow of one step and runs it to its end.
async fn run(app: &TestApp, name: &str, activity: &str, input: Value) -> Value {
    app.post("/v1/event-types", json!({ "type": format!("{name}:go") })).await;
    app.save(json!({ "name": name, "trigger": { "event": format!("{name}:go") }, "steps": [
        { "id": "call", "activity": activity, "input": input, "compensate": "none",
          "retry": { "attempts": 1 } }
    ] }))
    .await;
    let runs = app.publish(&format!("{name}:go"), json!({})).await;
    app.end_of(&runs[0]).await
}

#[test]
fn a_description_becomes_activities_that_are_called() {
    with_config(reaching, async |app| {
        let pet = json!({ "id": 1, "name": "Rex" });
        let peer = Peer::start(move |_, _| Reply::Status(201, pet.clone())).await;
        connect(&app, "shop", &peer.url).await;
        let preview = app.post("/v1/activities/import?dryRun=true", petshop(&peer.url, json!({})));
        let preview = preview.await.expect(200);
        assert_eq!(preview["added"].as_array().map(Vec::len), Some(5), "{preview}");
        assert_eq!(preview["leftOut"][0]["code"], "unsupported_method");
        app.get("/v1/activities/pets.createPet").await.refused(404, "activity_not_found");

        let made = import(&app, petshop(&peer.url, json!({}))).await;
        assert_eq!(made["added"], preview["added"]);
        let activity = app.get("/v1/activities/pets.createPet").await.expect(200);
        assert_eq!((&activity["version"], &activity["source"]), (&json!(1), &json!("Pet shop")));
        assert_eq!(activity["compensation"], "manual");
        let ended = run(&app, "make", "pets.createPet", json!({ "body": { "name": "Rex" } })).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        let output = &ended["steps"][0]["output"];
        assert_eq!(*output, json!({ "status": 201, "body": { "id": 1, "name": "Rex" } }));
        let sent = peer.until(1).await.remove(0);
        assert!(sent.head.starts_with("POST /v1/pets HTTP/1.1"), "{}", sent.head);
        assert_eq!(sent.header("x-pet-key"), "k3y-of-the-shop");
        assert_eq!(sent.header("content-type"), "application/json");
        let key = format!("{}/call", ended["id"].as_str().expect("an id"));
        assert_eq!(sent.header("idempotency-key"), key);
        assert_eq!(sent.body, json!({ "name": "Rex" }));
        assert!(!ended.to_string().contains("k3y-of-the-shop"));

        let wrong = json!({ "body": { "tag": 5 } });
        let problem = app.post(
            "/v1/workflows/validate",
            json!({ "name": "wrong",
            "trigger": { "event": "make:go" },
            "steps": [{ "id": "a", "activity": "pets.createPet", "input": wrong }] }),
        );
        let problem = problem.await.expect(200);
        assert_eq!(problem["valid"], false, "the schema is known when a definition is saved");
    });
}

#[test]
fn inputs_stay_in_their_part_of_the_path() {
    with_config(reaching, async |app| {
        let peer = Peer::friendly().await;
        connect(&app, "shop", &peer.url).await;
        import(&app, petshop(&peer.url, json!({}))).await;
        let input = json!({ "petId": "../../admin?x=1#y" });
        run(&app, "odd", "pets.showPetById", input).await;
        let sent = peer.until(1).await.remove(0);
        assert_eq!(sent.path, "/v1/pets/..%2F..%2Fadmin%3Fx%3D1%23y");
        let ended = run(&app, "up", "pets.showPetById", json!({ "petId": ".." })).await;
        assert_eq!(ended["steps"][0]["error"]["code"], "invalid_input");
        assert_eq!(peer.received().len(), 1, "nothing was asked");
    });
}

#[test]
fn answers_that_differ_are_told_or_refused() {
    with_config(reaching, async |app| {
        let peer = Peer::start(|number, _| match number {
            0 | 1 => Reply::Status(200, json!({ "id": "no number" })),
            2 => Reply::Status(404, json!({ "gone": true })),
            _ => Reply::Status(503, json!({})),
        })
        .await;
        connect(&app, "shop", &peer.url).await;
        import(&app, petshop(&peer.url, json!({}))).await;
        let input = json!({ "petId": "1" });
        let told = run(&app, "lenient", "pets.showPetById", input.clone()).await;
        assert_eq!(told["status"], "succeeded");
        let mismatches = told["steps"][0]["output"]["mismatches"].as_array().expect("a list");
        assert!(mismatches.iter().any(|it| it["pointer"] == "/body/id"), "{mismatches:?}");
        let strict = import(&app, petshop(&peer.url, json!({ "strict": true }))).await;
        assert_eq!(strict["changed"].as_array().map(Vec::len), Some(5), "{strict}");
        let refused = run(&app, "strict", "pets.showPetById", input.clone()).await;
        assert_eq!(refused["steps"][0]["error"]["code"], "invalid_output");
        for (name, code, class) in
            [("gone", "http_404", "terminal"), ("busy", "http_503", "retryable")]
        {
            let ended = run(&app, name, "pets.showPetById", input.clone()).await;
            let error = &ended["steps"][0]["error"];
            assert_eq!((&error["code"], &error["class"]), (&json!(code), &json!(class)), "{error}");
        }
    });
}

#[test]
fn another_import_tells_what_it_changes() {
    with_config(reaching, async |app| {
        let peer = Peer::friendly().await;
        connect(&app, "shop", &peer.url).await;
        import(&app, petshop(&peer.url, json!({}))).await;
        run(&app, "uses", "pets.createPet", json!({ "body": { "name": "Rex" } })).await;
        let again = import(&app, petshop(&peer.url, json!({}))).await;
        assert_eq!(again["unchanged"].as_array().map(Vec::len), Some(5));
        let text = PETSTORE.replace("summary: Lists pets", "summary: Lists all pets");
        let some = json!({ "text": text, "operations": ["listPets", "logIn"] });
        let preview =
            app.post("/v1/activities/import?dryRun=true", petshop(&peer.url, some.clone()));
        let preview = preview.await.expect(200);
        assert_eq!(preview["changed"], json!(["pets.listPets"]));
        assert_eq!(preview["unchanged"], json!(["pets.logIn"]));
        let removed = &preview["removed"];
        assert_eq!(removed[0], json!({ "uniqueIdentifier": "pets.createPet", "usedBy": ["uses"] }));
        assert_eq!(import(&app, petshop(&peer.url, some)).await, preview);
        let listed = app.get("/v1/activities/pets.listPets").await.expect(200);
        assert_eq!((&listed["version"], &listed["name"]), (&json!(2), &json!("Lists all pets")));
        app.get("/v1/activities/pets.createPet").await.refused(404, "activity_not_found");
        let runs = app.publish("uses:go", json!({})).await;
        assert_eq!(app.end_of(&runs[0]).await["status"], "succeeded", "what calls it goes on");

        let list = app.get("/v1/activities/imports").await.expect(200);
        assert_eq!(
            (&list["data"][0]["name"], &list["data"][0]["activities"]),
            (&json!("pets"), &json!(2))
        );
        app.delete("/v1/activities/imports/pets").await.expect(204);
        app.get("/v1/activities/pets.listPets").await.refused(404, "activity_not_found");
        app.delete("/v1/activities/imports/pets").await.refused(404, "import_not_found");
        let audit = app.get("/v1/audit?action=api").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(4), "{audit}");
    });
}

#[test]
fn secrets_are_not_led_to_another_host() {
    with_config(reaching, async |app| {
        let peer = Peer::friendly().await;
        connect(&app, "shop", "https://pets.example.com").await;
        import(&app, petshop(&peer.url, json!({}))).await;
        let ended = run(&app, "led", "pets.listPets", json!({})).await;
        assert_eq!(ended["steps"][0]["error"]["code"], "connection_other_host");
        assert!(peer.received().is_empty());
        let ended = run(&app, "free", "pets.logIn", json!({ "body": { "user": "ada" } })).await;
        assert_eq!(ended["steps"][0]["input"], json!({ "body": { "user": "ada" } }));
        let sent = peer.until(1).await.remove(0);
        assert_eq!(sent.header("x-pet-key"), "", "it asks for no credentials");
        assert_eq!(sent.raw, b"user=ada");
    });
}

#[test]
fn what_is_wrong_with_an_import_is_told_with_its_place() {
    with_config(
        |config| config.intake.api_operations_max = 4,
        async |app| {
            let few = json!({ "openapi": "3.1.0", "paths": { "/a": { "get": {
                "operationId": "a", "responses": {} } } } });
            for (body, pointer, code) in [
                (json!({ "name": "a" }), "/document", "required"),
                (
                    json!({ "name": "A b", "document": few, "baseUrl": "https://x.test" }),
                    "/name",
                    "invalid_name",
                ),
                (json!({ "name": "a", "document": few }), "/baseUrl", "required"),
                (
                    json!({ "name": "a", "document": few, "baseUrl": "ftp://x" }),
                    "/baseUrl",
                    "invalid_url",
                ),
                (
                    json!({ "name": "a", "document": { "swagger": "2.0" } }),
                    "/document/swagger",
                    "unsupported_version",
                ),
                (json!({ "name": "a", "text": "{" }), "/text", "syntax"),
                (json!({ "name": "a", "text": PETSTORE }), "/text/paths", "too_many_operations"),
                (
                    json!({ "name": "a", "document": few, "baseUrl": "https://x.test", "connection": "c" }),
                    "/connection",
                    "unknown_connection",
                ),
                (
                    json!({ "name": "a", "document": few, "baseUrl": "https://x.test", "operations": ["b"] }),
                    "/operations/0",
                    "unknown_operation",
                ),
            ] {
                let problem = app.post("/v1/activities/import", body).await.expect(422);
                let first = &problem["errors"][0];
                assert_eq!(
                    (&first["pointer"], &first["code"]),
                    (&json!(pointer), &json!(code)),
                    "{problem}"
                );
            }
            let viewer = json!({ "name": "v", "scopes": ["workflows:read"] });
            let viewer = app.post("/v1/keys", viewer).await.expect(201);
            let viewer = app.with_key(viewer["key"].as_str().expect("a key"));
            viewer.post("/v1/activities/import", json!({})).await.expect(403);
        },
    );
}
