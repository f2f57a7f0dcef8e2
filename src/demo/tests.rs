//! The demo on a real store: what it is filled with, and what its workflows do.

mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::middleware::from_fn;
use actix_web::test as http;
use actix_web::web::Data;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::content::{self, Form, WORKFLOWS};
use super::{Deed, Generator, Seeded, author, own_network, own_url, seed};
use crate::activities::Activities;
use crate::activities::desk::{Query, comments, list, threads};
use crate::activities::settings::EgressSettings;
use crate::app::App;
use crate::app::connections::{NewConnection, SecretChanges};
use crate::app::definitions::{Definition, Publish};
use crate::app::demo::Demo;
use crate::app::keys::NewKey;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::runs::RunFilter;
use crate::app::views::RunSummary;
use crate::app::workflows::Activation;
use crate::boot::Appliance;
use crate::domain::desk::RecordKind;
use crate::domain::id::TenantId;
use crate::engine::settings::EngineSettings;
use crate::metrics::Metrics;
use crate::store::redb_store::StoreSettings;
use crate::web::settings::WebSettings;
use crate::web::state::Front;

const TENANT: TenantId = TenantId(1);
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    appliance: Appliance,
    _directory: TempDir,
}

impl World {
    async fn new(allowed: &[SocketAddr]) -> World {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let store =
            StoreSettings { data_dir: directory.path().join("data"), ..StoreSettings::default() };
        let allow = allowed.iter().copied().map(own_network).collect();
        let egress = EgressSettings { allow, ..EgressSettings::default() };
        let activities = Activities::built_in(&egress);
        let metrics = Arc::new(Metrics::new());
        let started =
            Appliance::start(&store, EngineSettings::default(), activities, metrics, "").await;
        World { appliance: started.unwrap(), _directory: directory }
    }

    fn app(&self) -> &App {
        self.appliance.app()
    }

    fn count(&self, kind: RecordKind) -> usize {
        let all = Query { limit: Some(500), ..Query::default() };
        self.app().read_of(TENANT, |view| Ok(list(&view, kind, &all)?.total)).unwrap()
    }

    fn events(&self) -> usize {
        self.app().read_of(TENANT, |view| Ok(view.events_before(None, 10_000)?.len())).unwrap()
    }

    fn runs(&self) -> Vec<RunSummary> {
        let page = PageRequest { limit: 200, after: None };
        self.app().runs(&who(), &RunFilter::default(), &page).unwrap().data
    }
}

fn who() -> Principal {
    author(TENANT)
}

#[test]
fn the_files_fit_together() {
    let people = content::people();
    let tickets = content::tickets();
    let known = |records: &[content::Record], key: &str| -> BTreeSet<String> {
        records.iter().filter_map(|record| record[key].as_str().map(str::to_owned)).collect()
    };
    let (teams, tags) = (known(&people.teams, "identifier"), known(&people.tags, "name"));
    let contacts = known(&people.contacts, "email");
    for (number, ticket) in tickets.iter().enumerate() {
        let title = &ticket.title;
        assert!(teams.contains(&ticket.team) && contacts.contains(&ticket.from), "{title}");
        assert!(ticket.tags.iter().all(|tag| tags.contains(tag)), "{title}");
        assert!((1..=5).contains(&ticket.talk.len()), "{title}");
        ticket.input(number, &people); // Looks up the agent.
        for index in 0..ticket.talk.len() {
            let message = ticket.message(index).unwrap();
            message.agent.map(|agent| people.agent_email(agent)); // Is looked up as well.
            assert!(message.form != Form::Reply || index > 0, "{title}");
        }
    }
    let arrivals = content::arrivals();
    assert!(arrivals.tickets.iter().all(|arrival| teams.contains(&arrival.team)));
}

#[test]
fn its_own_address_is_reached_and_allowed_and_no_other() {
    for (listens, url, network) in [
        ("127.0.0.1:7171", "http://127.0.0.1:7171/x", "127.0.0.1/32"),
        ("0.0.0.0:80", "http://127.0.0.1:80/x", "127.0.0.1/32"),
        ("[::]:80", "http://[::1]:80/x", "::1/128"),
        ("10.1.2.3:80", "http://10.1.2.3:80/x", "10.1.2.3/32"),
    ] {
        let listens = listens.parse().unwrap();
        assert_eq!(own_url(listens, "/x"), url);
        assert_eq!(own_network(listens).to_string(), network);
    }
}

#[actix_web::test]
async fn a_new_tenant_is_filled_once() {
    let world = World::new(&[]).await;
    let began = Instant::now();
    assert_eq!(seed(world.app(), NOWHERE).await.unwrap(), Seeded::Filled);
    let took = began.elapsed();
    let counts = [
        (RecordKind::Team, 3),
        (RecordKind::User, 8),
        (RecordKind::Tag, 12),
        (RecordKind::Account, 6),
        (RecordKind::Contact, 14),
        (RecordKind::Ticket, 60),
    ];
    for (kind, wanted) in counts {
        assert_eq!(world.count(kind), wanted, "{}", kind.name());
    }
    let (events, messages) = (world.events(), world.count(RecordKind::Comment));
    assert!(messages > 100, "{messages} messages");
    assert_eq!(
        world.app().workflows(&who(), None, None, &PageRequest::first()).unwrap().data.len(),
        6
    );
    assert_eq!(world.app().tenant(TENANT).unwrap().name, "Northwind Support");
    assert_eq!(world.runs().len(), 0);

    assert_eq!(seed(world.app(), NOWHERE).await.unwrap(), Seeded::Already);
    assert_eq!((world.events(), world.count(RecordKind::Comment)), (events, messages));
    for workflow in world.app().workflows(&who(), None, None, &PageRequest::first()).unwrap().data {
        assert_eq!((workflow.version, workflow.active), (1, true), "{}", workflow.name);
    }
    assert!(took < Duration::from_secs(10), "filling took {took:?} in a debug build");
    world.appliance.stop().await;
}

#[actix_web::test]
async fn a_conversation_is_in_order_and_has_its_notes_and_replies() {
    let world = World::new(&[]).await;
    seed(world.app(), NOWHERE).await.unwrap();
    let query = Query { text: Some("two roles".to_owned()), ..Query::default() };
    let (messages, conversations) = world
        .app()
        .read_of(TENANT, |view| {
            let tickets = list(&view, RecordKind::Ticket, &query)?.items;
            let id = tickets[0]["id"].as_str().unwrap().to_owned();
            Ok((comments(&view, &id)?, threads(&view, &id)?))
        })
        .unwrap();
    let told: Vec<(&Value, &Value)> = messages
        .iter()
        .map(|message| (&message["commentType"], &message["commentVisibility"]))
        .collect();
    let (comment, reply, note) = (json!("comment"), json!("reply"), json!("note"));
    let (public, private) = (json!("public"), json!("private"));
    let wanted = [(&comment, &public), (&comment, &public), (&reply, &public), (&note, &private)];
    assert_eq!(told, wanted);
    assert_eq!(messages[0]["authorUserType"], "CUSTOMER");
    assert_eq!(messages[1]["author"], "Ben Carver");
    assert_eq!(conversations.len(), 3);
    world.appliance.stop().await;
}

#[actix_web::test]
async fn the_example_workflows_have_no_faults() {
    let world = World::new(&[]).await;
    seed(world.app(), NOWHERE).await.unwrap();
    for (name, text) in WORKFLOWS {
        let document = serde_norway::from_str(text).unwrap();
        let definition = Definition { document, source: None };
        let verdict = world.app().validate_workflow(&who(), &definition).unwrap();
        assert!(verdict.problems.is_empty(), "{name}: {:?}", verdict.problems);
        let told = world.app().export_yaml(&who(), name, None).unwrap();
        assert_eq!(told, text, "{name}");
    }
    world.appliance.stop().await;
}

#[actix_web::test]
async fn a_tenant_with_other_data_is_left_alone() {
    let world = World::new(&[]).await;
    let owner = Principal { tenant: TenantId(0), id: "local".to_owned(), ..who() };
    world.app().create_tenant(&owner, "default", "Ours").await.unwrap();
    let tag = content::record(json!({ "name": "ours" }));
    world.app().create_record(&who(), RecordKind::Tag, tag).await.unwrap();
    assert_eq!(seed(world.app(), NOWHERE).await.unwrap(), Seeded::Foreign);
    assert_eq!((world.count(RecordKind::Tag), world.count(RecordKind::Ticket)), (1, 0));
    assert_eq!(world.app().tenant(TENANT).unwrap().name, "Ours");
    let none = Generator::new(world.app().clone(), Demo::default().switch).unwrap();
    assert!(none.is_none(), "a generator would change the data of others");
    world.appliance.stop().await;
}

#[actix_web::test]
async fn connections_follow_a_new_address_unless_somebody_changed_them() {
    let world = World::new(&[]).await;
    let app = world.app();
    seed(app, NOWHERE).await.unwrap();
    let elsewhere = NewConnection {
        name: "crm".to_owned(),
        app: "http".to_owned(),
        settings: content::record(json!({ "baseUrl": "https://crm.example.com" })),
        secrets: SecretChanges::default(),
    };
    app.put_connection(&who(), elsewhere).await.unwrap();
    app.delete_workflow(&who(), "vip-alert").await.unwrap();
    app.set_workflow(&who(), "sync-to-crm", Activation::Off).await.unwrap();
    let by_maya = Principal { name: "Maya".to_owned(), ..who() };
    let text = WORKFLOWS[0].1.replace("15m", "20m");
    let document = serde_norway::from_str(&text).unwrap();
    let changed = Definition { document, source: Some(text) };
    app.put_workflow(&by_maya, "escalate-urgent", changed, Publish::Active).await.unwrap();

    seed(app, "http://127.0.0.1:8080").await.unwrap();
    let saved = app.workflows(&who(), None, None, &PageRequest::first()).unwrap().data;
    let versions: BTreeMap<&str, (u32, &str)> = saved
        .iter()
        .map(|workflow| (workflow.name.as_str(), (workflow.version, workflow.created_by.as_str())))
        .collect();
    assert_eq!(versions["escalate-urgent"], (2, "Maya"));
    assert_eq!(versions["refund-with-undo"], (1, "Demo"));
    let base = |name| app.connection(&who(), name).unwrap().settings["baseUrl"].clone();
    assert_eq!(base("billing"), "http://127.0.0.1:8080/demo/billing");
    assert_eq!(base("crm"), "https://crm.example.com");
    assert!(!versions.contains_key("vip-alert"));
    assert!(!app.workflow(&who(), "sync-to-crm", None).unwrap().active);
    world.appliance.stop().await;
}

#[actix_web::test]
async fn every_workflow_does_what_it_is_there_to_show() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let world = World::new(&[address]).await;
    let app = world.app().clone();
    seed(&app, &own_url(address, "")).await.unwrap();
    let demo = Demo::default();
    let front = Front::new(WebSettings::default(), app.clock().clone()).with_demo(demo.clone());
    let (shared, front) = (Data::new(app.clone()), Data::new(front));
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .app_data(shared.clone())
            .app_data(front.clone())
            .configure(crate::web::configure_demo(&front))
    });
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let quick = WORKFLOWS[2].1.replace("sleep: 2m", "sleep: 1ms");
    let mut document: Value = serde_norway::from_str(&quick).unwrap();
    document["name"] = json!("quick-reminder");
    let quick = Definition { document, source: None };
    app.create_workflow(&who(), quick, Publish::Active).await.unwrap();

    let mut generator = Generator::new(app.clone(), demo.switch.clone()).unwrap().unwrap();
    let mut done = BTreeMap::new();
    for _ in 0..80 {
        if let Some(deed) = generator.step().await.unwrap() {
            *done.entry(format!("{deed:?}")).or_insert(0u64) += 1;
        }
    }
    assert_eq!(demo.switch.view().sent, done.values().sum::<u64>());
    for deed in [Deed::Create, Deed::Escalate, Deed::AskRefund, Deed::Advance, Deed::Assign] {
        assert!(done.contains_key(&format!("{deed:?}")), "{deed:?} is not among {done:?}");
    }
    let wanted = [
        ("escalate-urgent", "succeeded", "none"),
        ("refund-with-undo", "succeeded", "none"),
        ("refund-with-undo", "failed", "done"),
        ("follow-up-reminder", "waiting", "none"),
        ("quick-reminder", "succeeded", "none"),
        ("sync-to-crm", "retrying", "none"),
    ];
    let began = Instant::now();
    let missing = loop {
        let runs = world.runs();
        let is_there = |(workflow, status, undone): &(&str, &str, &str)| {
            runs.iter().any(|run| {
                (run.workflow.as_str(), run.status.as_str(), run.compensation.as_str())
                    == (*workflow, *status, *undone)
            })
        };
        let missing: Vec<_> = wanted.iter().filter(|run| !is_there(run)).collect();
        if missing.is_empty() || began.elapsed() > PATIENCE {
            break missing;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let shown: Vec<_> = world
        .runs()
        .into_iter()
        .map(|run| (run.workflow, run.status, run.compensation, run.current_step, run.error))
        .collect();
    assert!(missing.is_empty(), "missing {missing:?} among {shown:#?}");
    assert!(!world.runs().iter().any(|run| run.workflow == "vip-alert"));
    let all = Query { limit: Some(500), ..Query::default() };
    let tickets = app.read_of(TENANT, |view| Ok(list(&view, RecordKind::Ticket, &all)?.items));
    let is_reminded = |ticket: &content::Record| ticket["tags"].to_string().contains("unanswered");
    assert!(tickets.unwrap().iter().any(is_reminded));
    let sinks: BTreeSet<String> =
        demo.inbox.messages().into_iter().map(|message| message.sink).collect();
    assert_eq!(Vec::from_iter(sinks), ["billing", "crm", "pager"]);
    handle.stop(false).await;
    world.appliance.stop().await;
}

#[actix_web::test]
async fn only_a_demo_has_its_doors_and_only_who_may_write_turns_the_switch() {
    let world = World::new(&[]).await;
    let app = world.app();
    seed(app, NOWHERE).await.unwrap();
    let mut keys = Vec::new();
    for scope in ["demo:read", "demo:write"] {
        let wanted =
            NewKey { name: scope.to_owned(), scopes: vec![scope.to_owned()], expires_at: None };
        keys.push(app.create_key(&who(), wanted).await.unwrap().key);
    }
    let (reads, writes) = (keys[0].as_str(), keys[1].as_str());
    let demo = Demo::default();
    let plain = Front::new(WebSettings::default(), app.clock().clone());
    let playing = Front::new(WebSettings::default(), app.clock().clone()).with_demo(demo.clone());
    for (front, cases) in [
        (
            plain,
            [("GET", "/v1/demo", reads, 404, true), ("POST", "/demo/pager", "", 404, true)]
                .as_slice(),
        ),
        (
            playing,
            [
                ("GET", "/v1/demo", "", 401, true),
                ("GET", "/v1/demo", reads, 200, true),
                ("POST", "/v1/demo/pause", reads, 403, true),
                ("POST", "/v1/demo/pause", writes, 200, false),
                ("POST", "/v1/demo/resume", writes, 200, true),
                ("POST", "/demo/pager", "", 202, true),
                ("POST", "/demo/billing", "", 200, true),
                ("POST", "/demo/crm", "", 503, true),
                ("GET", "/v1/demo/messages", reads, 200, true),
                ("GET", "/demo", reads, 200, true),
                ("GET", "/demo", "", 303, true),
            ]
            .as_slice(),
        ),
    ] {
        let front = Data::new(front);
        let service = actix_web::App::new()
            .app_data(Data::new(app.clone()))
            .app_data(front.clone())
            .wrap(from_fn(crate::web::envelope::wrap))
            .configure(crate::web::configure_demo(&front));
        let service = http::init_service(service).await;
        for (method, path, key, status, runs) in cases {
            let mut request = http::TestRequest::with_uri(path)
                .method(method.parse().unwrap())
                .set_payload(r#"{"ticket": "SUP<b>-1"}"#);
            if !key.is_empty() {
                request = request.insert_header(("x-api-key", *key));
            }
            let answer = http::call_service(&service, request.to_request()).await;
            assert_eq!(answer.status(), *status, "{method} {path} {key}");
            assert_eq!(demo.switch.is_running(), *runs, "{method} {path}");
            let body = String::from_utf8(http::read_body(answer).await.to_vec()).unwrap();
            assert!(*path != "/demo" || !body.contains("<b>"), "{body}");
        }
    }
    world.appliance.stop().await;
}
