//! The question to the API that answers what a page shows, as a command to copy.

use std::sync::LazyLock;

use askama::Template;
use askama::filters::HtmlSafe;

use super::copy::Copy;
use super::icon::Icon;
use crate::web::GROUPS;
use crate::web::route::{Route, Verb};
use crate::web::ui::shell::Shell;

/// A route of the API beside the page that shows the same.
#[derive(Clone, Debug, Template)]
#[template(path = "components/twin.html")]
pub struct Twin {
    curl: String,
    summary: &'static str,
    docs: String,
    icon: Icon,
    copy: Copy,
}

impl HtmlSafe for Twin {}

/// Pages whose twin has another path.
const RENAMED: [(&str, &str); 4] = [
    ("/", "/v1/dashboard"),
    ("/profile", "/v1/me"),
    ("/system", "/v1/system/doctor"),
    ("/people/roles", "/v1/roles"),
];

/// What the API answers to `GET`, in the order in which paths are tried.
static QUESTIONS: LazyLock<Vec<&'static Route>> = LazyLock::new(|| {
    let routes = GROUPS.iter().flat_map(|group| group.routes);
    let asks = |route: &&Route| route.verb == Verb::Get && route.path.starts_with("/v1/");
    let mut found: Vec<&'static Route> = routes.filter(asks).collect();
    // A brace sorts after every character that a fixed segment has.
    found.sort_by_key(|route| route.path);
    found
});

impl Twin {
    /// Returns the question that this page answers, with the filters in force.
    pub fn of(shell: &Shell) -> Option<Twin> {
        let (path, query) = shell.here.split_once('?').unwrap_or((&shell.here, ""));
        let renamed = RENAMED.iter().find(|(page, _)| *page == path).map(|(_, api)| *api);
        let asked = renamed.map_or_else(|| format!("/v1{path}"), str::to_owned);
        let route = QUESTIONS.iter().find(|route| fits(route.path, &asked))?;
        let kept = kept(route, query);
        let address = if kept.is_empty() { asked } else { format!("{asked}?{kept}") };
        let curl = shell.curl(&address);
        Some(Twin {
            summary: route.summary,
            docs: shell.url(&format!("/docs#{}", route.id)),
            icon: Icon::new("braces"),
            copy: Copy::new(&curl, "as curl"),
            curl,
        })
    }
}

/// Tells whether a path is one of those that `pattern` stands for.
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let fits = pattern
        .split('/')
        .all(|wanted| parts.next().is_some_and(|part| part == wanted || wanted.starts_with('{')));
    fits && parts.next().is_none()
}

/// Returns the part of the page's query that the route reads as well.
fn kept(route: &Route, query: &str) -> String {
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let is_read = route.query.iter().any(|param| param.name == name);
        if is_read && !value.is_empty() {
            kept.append_pair(&name, &value);
        }
    }
    kept.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curl(here: &str) -> Option<String> {
        let shell = Shell { here: here.to_owned(), ..Shell::for_tests("/ops") };
        Twin::of(&shell).map(|twin| twin.curl)
    }

    #[test]
    fn a_page_knows_the_question_that_it_answers() {
        for (here, asked) in [
            ("/runs?status=failed&open=3", "/ops/v1/runs?status=failed'"),
            ("/runs/run_1", "/ops/v1/runs/run_1'"),
            ("/", "/ops/v1/dashboard'"),
            ("/events/rejected", "/ops/v1/events/rejected'"),
        ] {
            let curl = curl(here).expect("a twin");
            assert!(curl.ends_with(asked), "{here}: {curl}");
        }
        assert_eq!(curl("/ui"), None);
    }

    #[test]
    fn every_renamed_twin_exists() {
        for (page, asked) in RENAMED {
            assert!(curl(page).is_some(), "{page}: {asked}");
        }
    }
}
