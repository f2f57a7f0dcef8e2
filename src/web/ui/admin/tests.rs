//! Every page of this area, rendered from samples: complete, escaped, and without anything inline.

use super::*;
use crate::app::views::Page;
use crate::web::ui::parts::list::Address;
use crate::web::ui::samples::{HOSTILE, apps};
use crate::web::ui::shell::Shell;

fn shell(here: &str) -> Shell {
    Shell { here: here.to_owned(), ..Shell::for_tests("/ops") }
}

fn said() -> Outcome {
    Outcome { done: Some("It is saved."), problems: vec![HOSTILE.to_owned()] }
}

fn address(path: &'static str) -> Address {
    Address::new(path, vec![])
}

fn connection_pages(text: &str) -> Vec<(&'static str, String)> {
    let found = connections::Found {
        connections: vec![samples::connection(text, "slack"), samples::connection(text, text)],
        ..Default::default()
    };
    let here = || address("/connections");
    let one = |app: &str| connection::Found {
        view: samples::connection(text, app),
        users: vec![samples::user(text)],
        called: None,
        deliveries: samples::deliveries(text),
    };
    let none = || address("/connections");
    let at = || shell("/connections");
    vec![
        ("connections", connections::page(at(), here(), &found, said()).to_string()),
        (
            "connections-none",
            connections::page(at(), none(), &Default::default(), said()).to_string(),
        ),
        ("connection", connection::page(at(), one("slack"), said()).to_string()),
        ("connection-other", connection::page(at(), one(text), said()).to_string()),
        ("connection-new", connection::new_page(at(), "http", None, said()).to_string()),
    ]
}

fn secret_pages(text: &str) -> Vec<(&'static str, String)> {
    let found = secrets::Found {
        secrets: vec![samples::secret(text)],
        seal: Some(samples::seal(text)),
        ..Default::default()
    };
    let (at, uses) = (|| shell("/secrets"), Default::default());
    let keys = [samples::key(text)];
    vec![
        ("secrets", secrets::page(at(), address("/secrets"), found, said()).to_string()),
        (
            "secrets-none",
            secrets::page(at(), address("/secrets"), Default::default(), said()).to_string(),
        ),
        ("secret", secrets::one(at(), samples::secret(text), &uses, said()).to_string()),
        ("keys", keys::page(at(), address("/keys"), &keys, said()).to_string()),
        ("keys-none", keys::page(at(), address("/keys"), &[], said()).to_string()),
    ]
}

fn webhook_pages(text: &str) -> Vec<(&'static str, String)> {
    let at = || shell("/webhooks");
    let found = webhooks::Found {
        webhooks: vec![samples::webhook(text)],
        hooks: vec![(samples::connection(text, text), samples::deliveries(text))],
    };
    let inward = Address::new("/webhooks", vec![("direction", Some("in".to_owned()))]);
    let deliveries =
        Page { data: vec![samples::delivery(text)], next_cursor: Some("a".to_owned()) };
    let asked = webhook::Asked { status: Some("dead".to_owned()), cursor: Some("b".to_owned()) };
    let draft = webhook::Draft::of(&samples::webhook(text));
    vec![
        ("webhooks", webhooks::page(at(), address("/webhooks"), &found, said()).to_string()),
        ("webhooks-in", webhooks::page(at(), inward, &found, said()).to_string()),
        (
            "webhooks-none",
            webhooks::page(at(), address("/webhooks"), &Default::default(), said()).to_string(),
        ),
        (
            "webhook",
            webhook::page(at(), &asked, (samples::webhook(text), deliveries), said()).to_string(),
        ),
        ("webhook-new", webhooks::new_page(at(), draft, said()).to_string()),
        ("delivery", webhook::delivery_page(at(), samples::delivery(text), said()).to_string()),
    ]
}

fn activity_pages(text: &str) -> Vec<(&'static str, String)> {
    let at = || shell("/activities");
    let all = [samples::activity(text)];
    let found = activities::Found {
        view: samples::activity(text),
        users: vec![samples::user(text)],
        record: Some(samples::record()),
    };
    let imports = vec![samples::import(text)];
    let here = || address("/activities");
    let uses = Default::default();
    let installed = apps(text).data.remove(0).app;
    let app_found = app::Found {
        view: installed,
        options: samples::options(text),
        webhooks: vec![samples::webhook(text)],
        teams: vec![("G1".to_owned(), text.to_owned())],
    };
    vec![
        ("activities", activities::page(at(), here(), (&all, &uses), said()).to_string()),
        ("activities-none", activities::page(at(), here(), (&[], &uses), said()).to_string()),
        ("activity", activities::one(at(), &found, None, said()).to_string()),
        ("api-import", api_import::page(at(), imports, vec![text.to_owned()], said()).to_string()),
        ("app", app::page(at(), app_found, said()).to_string()),
        ("app-new", app::new_page(at(), text, said()).to_string()),
    ]
}

fn pages(text: &str) -> Vec<(&'static str, String)> {
    let some = connection_pages(text).into_iter().chain(secret_pages(text));
    some.chain(webhook_pages(text)).chain(activity_pages(text)).collect()
}

#[test]
fn nothing_is_inline_and_every_page_has_one_heading_and_a_main() {
    for (name, html) in pages("pager") {
        for refused in [" style=", " onclick", "onload=", "javascript:", "<style", "<script>"] {
            assert!(!html.contains(refused), "{name} has {refused}");
        }
        for (part, times) in [("<h1", 1), ("<main", 1), ("<html lang=\"en\"", 1)] {
            assert_eq!(html.matches(part).count(), times, "{name}: {part}");
        }
    }
}

#[test]
fn every_identifier_is_unique_and_every_label_has_its_field() {
    let values = |html: &str, attribute: &str| -> Vec<String> {
        let rest = html.split(attribute).skip(1);
        rest.filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect()
    };
    for (name, html) in pages("pager") {
        let mut ids = values(&html, " id=\"");
        for label in values(&html, "<label for=\"") {
            assert!(ids.contains(&label), "{name}: nothing is called {label}");
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}");
    }
}

#[test]
fn hostile_text_is_shown_and_never_run() {
    for (name, html) in pages(HOSTILE) {
        assert!(!html.contains("<img src=x"), "{name}");
        assert!(!html.contains("</script><"), "{name}");
        assert!(html.contains("&#60;img src=x onerror=1&#62;"), "{name} does not show it");
    }
}

#[test]
fn a_base_path_stands_before_every_address() {
    for (name, html) in pages("pager") {
        for attribute in ["href=\"/", "src=\"/", "action=\"/", "hx-get=\"/", "hx-post=\"/"] {
            for rest in html.split(attribute).skip(1) {
                let start = &rest[..rest.len().min(40)];
                assert!(rest.starts_with("ops/"), "{name}: {attribute}{start}");
            }
        }
    }
}

#[test]
fn what_is_filtered_away_is_told_as_such() {
    let found = connections::Found {
        connections: vec![samples::connection("pager", "slack")],
        ..Default::default()
    };
    let nothing = Address::new("/connections", vec![("q", Some("zzz".to_owned()))]);
    let html = connections::page(shell("/connections"), nothing, &found, Default::default());
    assert!(html.to_string().contains("Nothing matches"));
}

#[test]
fn a_viewer_is_offered_nothing_to_press() {
    use crate::app::principal::Scopes;
    let mut at = shell("/connections");
    let viewer = at.viewer.as_mut().expect("somebody");
    viewer.scopes = Scopes::new(vec!["connections:read".to_owned()]);
    let found = connection::Found {
        view: samples::connection("pager", "slack"),
        users: vec![],
        called: None,
        deliveries: samples::deliveries("pager"),
    };
    let html = connection::page(at, found, Outcome::default()).to_string();
    for pressed in ["/connections/pager/test", "/connections/pager/delete", "Take again"] {
        assert!(!html.contains(pressed), "{pressed}");
    }
}
