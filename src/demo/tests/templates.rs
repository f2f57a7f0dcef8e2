//! Every template that is shipped, run to its end at the desk of the demo.

use actix_web::{HttpResponse, web};

use super::*;
use crate::app::templates::{TemplateView, templates};
use crate::app::workflows::RunRequest;

/// What waits for hours in a template waits here for as long as a test may.
fn hurried(text: &str) -> String {
    text.replace("sleep: 30m", "sleep: 1ms")
        .replace("sleep: 1h", "sleep: 1ms")
        .replace("timeout: 2d", "timeout: 1s")
        .replace("timeout: 3d\n      onTimeout", "timeout: 1s\n      onTimeout")
}

/// Fills in records of the demo where an event shows records.
fn payload_of(world: &World, kind: &str) -> Value {
    let known = world.app().event_type(&who(), kind).map(|known| known.example);
    let mut payload = known.ok().flatten().unwrap_or_else(|| json!({}));
    let first = |kind| {
        let one = Query { limit: Some(1), ..Query::default() };
        let found = world.app().read_of(TENANT, |view| Ok(list(&view, kind, &one)?.items));
        Value::Object(found.unwrap().remove(0))
    };
    for (name, kind) in [("ticket", RecordKind::Ticket), ("account", RecordKind::Account)] {
        for name in [name.to_owned(), format!("previous{}", capital(name))] {
            if payload.get(&name).is_some() {
                payload[&name] = first(kind);
            }
        }
    }
    if payload.get("comment").is_some() {
        payload["comment"]["ticketId"] = first(RecordKind::Ticket)["id"].clone();
    }
    payload
}

fn capital(word: &str) -> String {
    format!("{}{}", word[..1].to_uppercase(), &word[1..])
}

async fn run_of(world: &World, template: &TemplateView) -> String {
    let app = world.app();
    let made = app.use_template(&who(), &template.id, None).await;
    let made = made.unwrap_or_else(|error| panic!("{}: {error:?}", template.id));
    assert!(!made.active, "{} starts by itself", template.id);
    let text = hurried(&template.source);
    let document = serde_norway::from_str(&text).unwrap();
    let quick = Definition { document, source: Some(text) };
    app.put_workflow(&who(), &made.name, quick, Publish::Active).await.unwrap();
    let view = app.workflow(&who(), &made.name, None).unwrap();
    let first = &view.definition["trigger"];
    let kind = match (&first["record"], first["event"].as_str()) {
        (Value::String(record), _) => format!("{record}:lasting"),
        (_, kind) => kind.expect("an event type").to_owned(),
    };
    let event = json!({ "type": kind, "payload": payload_of(world, &kind) });
    let request = RunRequest { event: Some(event), ..RunRequest::default() };
    let run = app.run_workflow(&who(), &made.name, request).await;
    run.unwrap_or_else(|error| panic!("{}: {error:?}", template.id)).summary.id.to_string()
}

async fn slack() -> HttpResponse {
    HttpResponse::Ok().json(json!({"ok": true, "channel": "C1", "ts": "1.2", "message": {}}))
}

#[actix_web::test]
async fn every_template_runs_to_its_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let world = World::new(&[address]).await;
    let app = world.app().clone();
    seed(&app, &own_url(address, "")).await.unwrap();
    for (name, _) in WORKFLOWS {
        app.set_workflow(&who(), name, Activation::Off).await.unwrap();
    }
    let connection = NewConnection {
        name: "slack".to_owned(),
        app: "slack".to_owned(),
        settings: content::record(json!({ "baseUrl": format!("http://{address}/slack") })),
        secrets: SecretChanges::read(content::record(json!({ "botToken": "xoxb-1" }))).unwrap(),
    };
    app.put_connection(&who(), connection).await.unwrap();
    let front = Front::new(WebSettings::default(), app.clock().clone()).with_demo(Demo::default());
    let (shared, front) = (Data::new(app.clone()), Data::new(front));
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .app_data(shared.clone())
            .app_data(front.clone())
            .route("/slack/chat.postMessage", web::post().to(slack))
            .configure(crate::web::configure_demo(&front))
    });
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let mut runs = BTreeMap::new();
    for template in templates() {
        runs.insert(template.id.clone(), run_of(&world, &template).await);
    }
    let began = Instant::now();
    let ends = loop {
        let ends: BTreeMap<&str, (String, String, Value)> = runs
            .iter()
            .map(|(template, run)| {
                let view = app.run(&who(), run.parse().unwrap()).unwrap().summary;
                (template.as_str(), (view.status, view.compensation, json!(view.error)))
            })
            .collect();
        let is_over = |status: &str| matches!(status, "succeeded" | "failed" | "cancelled");
        if ends.values().all(|(status, ..)| is_over(status)) || began.elapsed() > PATIENCE {
            break ends;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for (template, (status, compensation, error)) in ends {
        // Nobody approves here, and what was prepared is taken back.
        let wanted = match template {
            "refund-with-approval" => ("failed", "done"),
            _ => ("succeeded", "none"),
        };
        assert_eq!((&*status, &*compensation), wanted, "{template}: {error}");
    }
    handle.stop(false).await;
    world.appliance.stop().await;
}
