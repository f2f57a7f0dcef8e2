//! Every page, rendered from samples: complete, escaped, and without anything inline.

use askama::Template as _;
use serde_json::{Value, json};

use super::samples::{self, HOSTILE};
use super::shell::{Data, Shell, Theme};
use super::*;
use crate::app::backups::{
    BackupList, BackupState, BackupView, FailureView as LastFailure, JobView, Manifest,
};
use crate::app::destinations::{DestinationView, FailureView, WindowView};
use crate::app::error::Error;
use crate::app::explain::EventExplanation;
use crate::app::pulse::WorkflowPulse;
use crate::app::run_words::RunWords;
use crate::app::schedules::ScheduleView;
use crate::app::views::{DashboardView, Explanation, Page, RunSummary, RunView};

fn shell(here: &str) -> Shell {
    Shell { here: here.to_owned(), ..Shell::for_tests("") }
}

fn list_of_runs(typed: &str, runs: Page<RunSummary>) -> String {
    let words = RunWords::typed(typed).expect("a search");
    let found = run_list::Found {
        words,
        runs,
        histogram: None,
        views: vec![],
        is_later: false,
        problems: vec![],
    };
    run_list::page(shell("/runs"), found).render().expect("a page")
}

fn explained(data: Vec<Explanation>) -> EventExplanation {
    EventExplanation { data, duplicates: None }
}

fn no_page<T>() -> Page<T> {
    Page { data: vec![], next_cursor: None }
}

fn schedules_of(workflow: &str) -> Page<ScheduleView> {
    let data = ["active", "paused", "inactive"].map(|it| samples::schedule(workflow, it)).into();
    Page { data, next_cursor: Some(HOSTILE.to_owned()) }
}

fn schedule_pages() -> [(&'static str, String); 2] {
    let list = schedules_of("nightly-report");
    [
        ("schedules", schedules::page(shell("/schedules"), None, &list).to_string()),
        ("schedules-empty", schedules::page(shell("/schedules"), None, &no_page()).to_string()),
    ]
}

fn destinations_of(text: &str) -> Page<DestinationView> {
    let now = samples::NOW;
    let one = |state, waiting| DestinationView {
        name: text.to_owned(),
        state,
        since: now,
        until: (state == "open").then_some(now),
        paused_until: (waiting == 2).then_some(now),
        in_flight: 1,
        waiting,
        window: WindowView { calls: 20, failures: 12 },
        last_failure: Some(FailureView {
            at: now,
            code: text.to_owned(),
            message: text.to_owned(),
        }),
        retries_left: 7,
    };
    let data = vec![one("closed", 0), one("open", 40), one("halfOpen", 1), one("closed", 2)];
    Page { data, next_cursor: Some(HOSTILE.to_owned()) }
}

fn destination_pages() -> [(&'static str, String); 2] {
    let list = destinations_of("billing");
    let page = |list| destinations::page(shell("/destinations"), None, list).to_string();
    [("destinations", page(&list)), ("destinations-empty", page(&no_page()))]
}

fn backups_of(text: &str) -> BackupList {
    let manifest = Manifest { taken_at: samples::NOW, rows: 812_340, ..Manifest::default() };
    let one = |manifest, fault: Option<&str>| BackupView {
        name: text.to_owned(),
        bytes: 48_213_004,
        manifest,
        fault: fault.map(str::to_owned),
        verified_at: Some(samples::NOW),
    };
    let job = JobView {
        name: text.to_owned(),
        state: "running",
        started_at: samples::NOW,
        bytes: 40,
        bytes_expected: 100,
        reason: None,
    };
    let state = BackupState {
        directory: text.into(),
        schedule: Some(text.to_owned()),
        next_at: Some(samples::NOW),
        last_failure: Some(LastFailure { at: samples::NOW, reason: text.to_owned() }),
        job: Some(job),
        is_overdue: true,
        point_in_time: true,
        log_fault: Some(text.to_owned()),
        ..BackupState::default()
    };
    let data = vec![one(Some(manifest), None), one(None, Some(text))];
    BackupList { data, state, next_cursor: None }
}

fn backup_pages() -> [(&'static str, String); 2] {
    let page = |list| backups::page(shell("/system/backups"), list).to_string();
    let none = BackupList { data: Vec::new(), state: BackupState::default(), next_cursor: None };
    [("backups", page(backups_of("nightly"))), ("backups-empty", page(none))]
}

fn around_a_workflow() -> workflow::Surroundings {
    workflow::Surroundings {
        versions: vec![samples::workflow("escalate-urgent", true)],
        runs: samples::runs().data[..4].to_vec(),
        newest_event: Some("evt_01KAQ00003".to_owned()),
        rehearsal: vec![samples::rehearsed("notify", HOSTILE)],
        yaml: serde_norway::to_string(&samples::workflow("escalate-urgent", true).definition)
            .unwrap(),
    }
}

/// Every page with a name for its file.
#[expect(clippy::too_many_lines, reason = "one of everything")]
fn pages() -> Vec<(&'static str, String)> {
    let around = around_a_workflow();
    let open = samples::workflow("escalate-urgent", true);
    let list = ["escalate-urgent", "csat-survey", "nightly-report", "vip-routing"];
    let list = list.iter().map(|name| samples::pulse(name, *name != "nightly-report")).collect();
    let list = Page { data: list, next_cursor: None };
    let json_query = workflow::WorkflowQuery { source: Some("json".to_owned()), version: None };
    let tickets = Page { data: (0..9).map(samples::ticket).collect(), next_cursor: None };
    let pages = vec![
        (
            "dashboard",
            dashboard::page(shell("/"), &samples::dashboard(), Some(samples::health())).to_string(),
        ),
        (
            "dashboard-empty",
            dashboard::page(shell("/"), &DashboardView::default(), None).to_string(),
        ),
        ("workflows", workflows::page(shell("/workflows"), &Default::default(), &list).to_string()),
        (
            "workflows-empty",
            workflows::page(shell("/workflows"), &Default::default(), &no_page()).to_string(),
        ),
        (
            "workflow",
            workflow::page(shell("/workflows/a"), &Default::default(), &open, &around).to_string(),
        ),
        (
            "workflow-json",
            workflow::page(shell("/workflows/a"), &json_query, &open, &around).to_string(),
        ),
        ("ui", look::page(shell("/ui")).to_string()),
        ("runs", list_of_runs("", samples::runs())),
        ("runs-none", list_of_runs("status:failed", no_page())),
        (
            "run-failed",
            run::page(shell("/runs/a"), &samples::failed_run(), run::Around::default()).to_string(),
        ),
        (
            "run-waiting",
            run::page(shell("/runs/a"), &samples::waiting_run(), run::Around::default())
                .to_string(),
        ),
        (
            "events",
            events::page(
                shell("/events"),
                &Default::default(),
                &samples::events(),
                &Default::default(),
            )
            .to_string(),
        ),
        (
            "event",
            event::page(shell("/events/a"), &samples::event(), &explained(samples::explanations()))
                .to_string(),
        ),
        ("tickets", tickets::page(shell("/tickets"), &Default::default(), &tickets).to_string()),
        (
            "ticket",
            ticket::page(
                shell("/tickets/a"),
                &samples::ticket(0),
                &samples::comments(),
                &samples::runs().data[1..3],
            )
            .to_string(),
        ),
    ];
    pages
        .into_iter()
        .chain(refusing_pages())
        .chain(schedule_pages())
        .chain(destination_pages())
        .chain(backup_pages())
        .collect()
}

/// The pages that somebody sees instead of another.
fn refusing_pages() -> [(&'static str, String); 3] {
    let missing = Error::NotFound { what: "run", id: "run_01".to_owned() };
    let away = Shell { viewer: None, ..shell("/sign-in") };
    let wrong = Some("This key is not known, or it was revoked.".to_owned());
    [
        ("error", errors::page(shell("/runs/a"), &missing.into(), "req_01KAQ").to_string()),
        ("sign-in", sign_in::page(away.clone(), "/runs", None).to_string()),
        ("sign-in-wrong", sign_in::page(away, "/runs", wrong).to_string()),
    ]
}

/// The pages about who may do what.
fn access_pages() -> Vec<(&'static str, String)> {
    let away = Shell { viewer: None, ..shell("/sign-in") };
    vec![
        ("set-up", set_up::page(away.clone(), "token").to_string()),
        ("join", join::page(away, "token", Some(samples::invited())).to_string()),
        ("people", people::page(shell("/people"), samples::people("Ada")).to_string()),
        ("people-none", people::page(shell("/people"), vec![]).to_string()),
        ("apps", apps::page(shell("/apps"), None, samples::apps("Pager")).to_string()),
        ("apps-none", apps::page(shell("/apps"), None, no_page()).to_string()),
        ("audit", audit::page(shell("/audit"), &Default::default(), &samples::audit()).to_string()),
        (
            "storage",
            storage::page(
                shell("/system/storage"),
                samples::storage("acme"),
                Some(&samples::kept()),
            )
            .to_string(),
        ),
        ("system", system_page("disk-low")),
        ("audit-none", audit::page(shell("/audit"), &Default::default(), &no_page()).to_string()),
        ("profile", account(profile::Outcome::None)),
        ("profile-done", account(profile::Outcome::Done("Done.".to_owned()))),
        ("profile-enrolled", account(profile::Outcome::Enrolled(vec!["a-b".to_owned()]))),
        ("profile-enrolling", account(enrolling("JBSWY3DP"))),
    ]
}

fn system_page(text: &str) -> String {
    let (overview, tested) = samples::overview(text);
    system::page(shell("/system"), overview, ("warn", text), tested).to_string()
}

fn account(outcome: profile::Outcome) -> String {
    let shell = shell("/profile");
    profile::page(shell, samples::me("Ada"), samples::sessions("Firefox/1 Linux"), outcome)
        .to_string()
}

fn enrolling(secret: &str) -> profile::Outcome {
    let (secret, qr_code) = (secret.to_owned(), profile::qr_code(secret));
    profile::Outcome::Enrolling { secret, qr_code, problem: None }
}

#[test]
fn nothing_is_inline_and_every_page_has_one_heading_and_a_main() {
    for (name, html) in pages().into_iter().chain(access_pages()) {
        for refused in [" style=", " onclick", "onload=", "javascript:", "<style", "<script>"] {
            assert!(!html.contains(refused), "{name} has {refused}");
        }
        for (part, times) in [("<h1", 1), ("<main", 1), ("<html lang=\"en\"", 1)] {
            assert_eq!(html.matches(part).count(), times, "{name}: {part}");
        }
        assert!(!html.contains("http://") || html.contains("curl") || name == "event", "{name}");
    }
}

#[test]
fn every_identifier_is_unique_in_its_page() {
    for (name, html) in pages().into_iter().chain(access_pages()) {
        let mut ids: Vec<&str> =
            html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}");
    }
}

#[test]
fn hostile_text_is_shown_and_never_run() {
    for (name, html) in hostile_pages().into_iter().chain(hostile_access_pages()) {
        assert!(!html.contains("<img src=x"), "{name}");
        assert!(!html.contains("</script><"), "{name}");
        assert!(html.contains("&#60;img src=x onerror=1&#62;"), "{name} does not show it");
    }
}

fn hostile_pages() -> Vec<(&'static str, String)> {
    let shell = shell(HOSTILE);
    let mut view = samples::workflow("a", true);
    poison_workflow(&mut view);
    let mut event = samples::event();
    let mut whys = samples::explanations();
    for text in [&mut event.id, &mut event.kind, &mut event.source, &mut event.actor.email] {
        HOSTILE.clone_into(text);
    }
    event.payload = poisoned(&event.payload);
    for why in &mut whys {
        HOSTILE.clone_into(&mut why.workflow);
        HOSTILE.clone_into(&mut why.reason);
        HOSTILE.clone_into(&mut why.outcome);
        why.trace = poisoned(&why.trace);
    }
    let run = poisoned_run();
    let ticket = poisoned(&samples::ticket(0));
    let comments: Vec<Value> = samples::comments().iter().map(poisoned).collect();
    let one = |data| Page { data: vec![data], next_cursor: Some(HOSTILE.to_owned()) };
    let error = Error::NotFound { what: "run", id: HOSTILE.to_owned() };
    vec![
        (
            "workflow",
            workflow::page(shell.clone(), &Default::default(), &view, &Default::default())
                .to_string(),
        ),
        (
            "workflows",
            workflows::page(
                shell.clone(),
                &Default::default(),
                &Page {
                    data: vec![WorkflowPulse { workflow: view, ..samples::pulse("x", false) }],
                    next_cursor: None,
                },
            )
            .to_string(),
        ),
        ("event", event::page(shell.clone(), &event, &explained(whys)).to_string()),
        (
            "events",
            events::page(
                shell.clone(),
                &Default::default(),
                &Page { data: vec![event], next_cursor: None },
                &Default::default(),
            )
            .to_string(),
        ),
        ("run", run::page(shell.clone(), &run, run::Around::default()).to_string()),
        ("runs", list_of_runs(HOSTILE, Page { data: vec![run.summary], next_cursor: None })),
        ("schedules", schedules::page(shell.clone(), None, &schedules_of(HOSTILE)).to_string()),
        ("ticket", ticket::page(shell.clone(), &ticket, &comments, &[]).to_string()),
        ("tickets", tickets::page(shell.clone(), &Default::default(), &one(ticket)).to_string()),
        ("sign-in", sign_in::page(shell.clone(), HOSTILE, Some(HOSTILE.to_owned())).to_string()),
        ("error", errors::page(shell, &error.into(), HOSTILE).to_string()),
    ]
}

fn hostile_access_pages() -> Vec<(&'static str, String)> {
    let shell = shell(HOSTILE);
    vec![
        (
            "destinations",
            destinations::page(shell.clone(), None, &destinations_of(HOSTILE)).to_string(),
        ),
        ("backups", backups::page(shell.clone(), backups_of(HOSTILE)).to_string()),
        ("system", system_page(HOSTILE)),
        ("people", people::page(shell.clone(), samples::people(HOSTILE)).to_string()),
        (
            "profile",
            profile::page(
                shell.clone(),
                samples::me(HOSTILE),
                samples::sessions(HOSTILE),
                profile::Outcome::Refused(HOSTILE.to_owned()),
            )
            .to_string(),
        ),
        ("apps", apps::page(shell.clone(), None, samples::apps(HOSTILE)).to_string()),
        ("storage", storage::page(shell.clone(), samples::storage(HOSTILE), None).to_string()),
        ("audit", audit::page(shell, &Default::default(), &hostile_audit()).to_string()),
    ]
}

fn hostile_audit() -> Page<crate::app::audit::AuditView> {
    let mut list = samples::audit();
    for record in &mut list.data {
        for text in [&mut record.action, &mut record.target, &mut record.actor.name] {
            HOSTILE.clone_into(text);
        }
        (record.before, record.after) = (poisoned(&record.before), poisoned(&record.after));
    }
    list
}

fn poison_workflow(view: &mut crate::app::views::WorkflowView) {
    for text in [&mut view.name, &mut view.title, &mut view.description, &mut view.created_by] {
        HOSTILE.clone_into(text);
    }
    view.event = Some(HOSTILE.to_owned());
    view.definition = poisoned(&view.definition);
}

fn poisoned_run() -> RunView {
    let mut run = samples::failed_run();
    HOSTILE.clone_into(&mut run.summary.workflow);
    HOSTILE.clone_into(&mut run.summary.compensation);
    run.summary.subject = Some(HOSTILE.to_owned());
    for step in &mut run.steps {
        for text in [&mut step.id, &mut step.title, &mut step.activity, &mut step.status] {
            HOSTILE.clone_into(text);
        }
        step.input = step.input.as_ref().map(poisoned);
    }
    for error in run.steps.iter_mut().filter_map(|step| step.error.as_mut()) {
        HOSTILE.clone_into(&mut error.code);
        HOSTILE.clone_into(&mut error.message);
    }
    run
}

/// Replaces every text of a document, keys of free-form objects included.
fn poisoned(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(HOSTILE),
        Value::Array(items) => items.iter().map(poisoned).collect(),
        Value::Object(fields) => {
            let all = fields.iter().map(|(name, field)| (name.clone(), poisoned(field)));
            all.chain([(HOSTILE.to_owned(), json!(HOSTILE))]).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn a_base_path_stands_before_every_address() {
    let html = dashboard::page(Shell::for_tests("/ops"), &samples::dashboard(), None).to_string();
    for attribute in ["href=\"/", "src=\"/", "action=\"/", "hx-get=\"/"] {
        for rest in html.split(attribute).skip(1) {
            assert!(rest.starts_with("ops/"), "{attribute}{}", &rest[..rest.len().min(40)]);
        }
    }
}

#[test]
fn the_theme_and_the_stripe_come_from_the_server() {
    let shell = Shell { theme: Some(Theme::Dark), data: Data::Demo, ..shell("/") };
    let html = dashboard::page(shell, &samples::dashboard(), None).to_string();
    assert!(html.contains("data-theme=\"dark\"") && html.contains("class=\"stripe\""));
}

/// Writes the pages where `ERGANE_PAGES_DIR` says, to be looked at.
#[test]
fn pages_are_written_to_be_looked_at() {
    let Ok(folder) = std::env::var("ERGANE_PAGES_DIR") else {
        return;
    };
    for (name, html) in pages().into_iter().chain(access_pages()) {
        std::fs::write(format!("{folder}/{name}.html"), html).expect("a writable folder");
    }
    for file in ["app.css", "app.js", "vendor/htmx.min.js", "favicon.svg"] {
        let target = format!("{folder}{}", assets::path_of(file));
        let parent = std::path::Path::new(&target).parent().expect("a folder");
        std::fs::create_dir_all(parent).expect("a writable folder");
        let asset = assets::find(&assets::path_of(file)).expect("the file");
        std::fs::write(target, asset.bytes).expect("a writable folder");
    }
}
