//! Shows the API's description to people, rendered here and without anything from elsewhere.

use askama::Template;
use serde_json::Value;

use super::openapi::is_described;
use super::route::{Access, Group, Route};
use super::ui::assets;
use crate::domain::workflow::codes::{CODES, Code};
use crate::metrics::table::{Family, TABLE};

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage<'a> {
    base: &'a str,
    icon: String,
    version: &'static str,
    groups: Vec<GroupPart>,
    codes: &'static [Code],
    metrics: &'static [Family],
}

struct GroupPart {
    tag: &'static str,
    about: &'static str,
    operations: Vec<OperationPart>,
    schemas: Vec<(&'static str, String)>,
}

struct OperationPart {
    id: &'static str,
    verb: &'static str,
    path: &'static str,
    summary: &'static str,
    access: String,
    parameters: Vec<(&'static str, &'static str, &'static str)>,
    body: Option<&'static str>,
    status: u16,
    answer: &'static str,
    example: String,
}

/// Renders the page of `groups` for a server under `base`.
#[must_use]
pub fn page(groups: &[&'static Group], base: &str) -> String {
    let groups = groups.iter().filter_map(|group| part(group, base)).collect();
    let icon = assets::path_of("favicon.svg");
    let version = env!("CARGO_PKG_VERSION");
    let page = DocsPage { base, icon, version, groups, codes: CODES, metrics: TABLE };
    page.render().expect("rendering to memory cannot fail")
}

fn part(group: &Group, base: &str) -> Option<GroupPart> {
    let operations: Vec<_> = group
        .routes
        .iter()
        .filter(|route| is_described(route))
        .map(|route| operation(route, base))
        .collect();
    let schemas = group.all_schemas().map(|(name, schema)| (name, indented(&schema))).collect();
    let described = !operations.is_empty();
    described.then_some(GroupPart { tag: group.tag, about: group.about, operations, schemas })
}

fn operation(route: &Route, base: &str) -> OperationPart {
    let in_path = route.path_params().map(|name| (name, "path", "Names the thing."));
    let in_query = route.query.iter().map(|param| (param.name, param.kind, param.about));
    let access = match route.access {
        Access::Public => "public".to_owned(),
        Access::Known | Access::OwnPage => "any key".to_owned(),
        Access::Scope(scope) | Access::Page(scope) => format!("scope {scope}"),
    };
    let (status, answer) = route.answer;
    OperationPart {
        id: route.id,
        verb: route.verb.name(),
        path: route.path,
        summary: route.summary,
        access,
        parameters: in_path.chain(in_query).collect(),
        body: route.body,
        status,
        answer,
        example: example(route, base),
    }
}

fn example(route: &Route, base: &str) -> String {
    let mut lines =
        vec![format!("curl -X {} http://127.0.0.1:7171{base}{}", route.verb.name(), route.path)];
    if route.access != Access::Public {
        lines.push("-H \"Authorization: Bearer $ERGANE_KEY\"".to_owned());
    }
    if route.body.is_some() {
        lines.push("-H 'Content-Type: application/json' -d @body.json".to_owned());
    }
    lines.join(" \\\n  ")
}

fn indented(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    use super::super::GROUPS;
    use super::*;

    #[test]
    fn every_described_operation_is_shown_and_nothing_comes_from_elsewhere() {
        let page = page(GROUPS, "");
        for route in GROUPS.iter().flat_map(|group| group.routes).filter(|it| is_described(it)) {
            assert!(page.contains(&format!("id=\"{}\"", route.id)), "{}", route.id);
        }
        for row in CODES {
            assert!(page.contains(&format!("id=\"error-{}\"", row.code)), "{}", row.code);
        }
        for family in TABLE {
            assert!(page.contains(&format!("id=\"metric-{}\"", family.name)), "{}", family.name);
        }
        let foreign = ["<script", "href=\"http", "src=", "@import"];
        assert!(foreign.iter().all(|text| !page.contains(text)));
    }
}
