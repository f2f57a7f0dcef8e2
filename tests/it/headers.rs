//! What every answer of the table of routes says to browsers and caches.

use ergane::web::GROUPS;
use ergane::web::route::{Access, Route};
use reqwest::Method;

use crate::support::{TestApp, with_app};

/// What is told apart by its kind and may be shown in place; anything else is a download.
const SHOWN: [&str; 10] = [
    "application/json",
    "application/problem+json",
    "application/yaml",
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/event-stream",
    "image/svg+xml",
    "application/openmetrics-text",
];

fn path(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn look(app: &TestApp, route: &Route, key: Option<&str>) {
    let method = Method::from_bytes(route.verb.name().as_bytes()).expect("a method");
    let what = format!("{method} {} {}", route.path, if key.is_some() { "known" } else { "" });
    let mut request = app.client.request(method, format!("{}{}", app.base, path(route)));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    // A stream never ends, so its headers alone are looked at.
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    assert!(status < 500, "{what}: {status}");
    let headers = answer.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(header("referrer-policy"), Some("no-referrer"), "{what}");
    assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{what}");
    assert_eq!(header("x-frame-options"), Some("DENY"), "{what}");
    assert_eq!(header("strict-transport-security"), None, "{what}: it is no TLS");
    assert!(header("server").is_none() && header("x-powered-by").is_none(), "{what}");
    assert!(header("access-control-allow-origin").is_none(), "{what}");
    assert!(header("x-request-id").is_some(), "{what}");
    let policy = header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{what}: {policy}");
    let kind = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if kind == "text/html" {
        assert_eq!(header("cross-origin-opener-policy"), Some("same-origin"), "{what}");
        assert!(policy.contains("script-src 'self'"), "{what}: {policy}");
    }
    if route.path == "/docs" {
        assert_eq!(header("cache-control"), Some("private, no-cache"), "{what}");
    } else if route.path != "/static/{file}" || status != 200 {
        assert_eq!(header("cache-control"), Some("no-store"), "{what}");
    }
    let is_shown = kind.is_empty() || SHOWN.contains(&kind);
    let disposition = header("content-disposition").unwrap_or_default();
    assert!(is_shown || disposition.starts_with("attachment"), "{what}: {kind}");
    if kind == "text/event-stream" {
        return;
    }
    let body = answer.text().await.expect("a body");
    if key.is_none() && status >= 400 {
        for told in [env!("CARGO_PKG_VERSION"), "/tmp", "/src/", ".rs:", "redb", "actix"] {
            assert!(!body.contains(told), "{what} tells {told}: {body}");
        }
    }
}

#[test]
fn every_route_answers_with_the_headers_that_keep_browsers_safe() {
    with_app(async |app| {
        for route in GROUPS.iter().flat_map(|group| group.routes) {
            look(&app, route, None).await;
            look(&app, route, Some(&app.key)).await;
            if route.access != Access::Public {
                look(&app, route, Some("not a key")).await;
            }
        }
    });
}

#[test]
fn what_no_route_takes_is_answered_as_safely() {
    with_app(async |app| {
        let nothing = ergane::web::GROUPS[0].routes[0];
        for path in ["/nothing", "/../../etc/passwd", "/static/../Cargo.toml", "/%00"] {
            let route = Route { path, access: Access::Public, ..nothing };
            look(&app, &route, None).await;
        }
    });
}
