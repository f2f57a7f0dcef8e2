//! What goes over the line: packed where a client can unpack it, and once where it stays the same.

use serde_json::json;

use crate::support::{TestApp, with_app};

/// Returns the status, one header and the size of an answer as it comes over the line.
async fn fetch(
    app: &TestApp,
    path: &str,
    offer: (&str, &str),
    header: &str,
) -> (u16, String, usize) {
    // A client that unpacks by itself would hide what came over the line.
    let client = reqwest::Client::builder().no_gzip().no_brotli().no_deflate().build();
    let request =
        client.expect("a client").get(format!("{}{path}", app.base)).bearer_auth(&app.key);
    let request = request.header("accept", "text/html").header(offer.0, offer.1);
    let answer = request.send().await.expect("an answer");
    let named = answer.headers().get(header).and_then(|value| value.to_str().ok());
    let (status, named) = (answer.status().as_u16(), named.unwrap_or_default().to_owned());
    (status, named, answer.bytes().await.expect("a body").len())
}

#[test]
fn pages_are_packed_for_who_can_unpack_them_and_data_is_not() {
    with_app(async |app| {
        let plain = fetch(&app, "/docs", ("accept-encoding", "identity"), "content-encoding").await;
        assert!(plain.1.is_empty() && plain.2 > 300_000, "{plain:?}");
        for offer in ["br", "gzip"] {
            let packed = fetch(&app, "/docs", ("accept-encoding", offer), "content-encoding").await;
            assert!(packed.1 == offer && packed.2 < plain.2 / 5, "{packed:?}");
        }
        let data = fetch(&app, "/v1/openapi.json", ("accept-encoding", "br"), "content-encoding");
        assert_eq!(data.await.1, "");
    });
}

#[test]
fn a_browser_that_has_the_docs_is_told_so() {
    with_app(async |app| {
        let first = fetch(&app, "/docs", ("accept-encoding", "br"), "etag").await;
        assert!(first.1.starts_with("W/\""), "{first:?}");
        let again = fetch(&app, "/docs", ("if-none-match", &first.1), "etag").await;
        assert_eq!((again.0, again.2), (304, 0));
        let policy = "content-security-policy";
        let kept = fetch(&app, "/docs", ("if-none-match", &first.1), policy).await.1;
        assert!(kept.contains("style-src 'self'"), "what a browser keeps may not be: {kept}");
        let other = fetch(&app, "/docs", ("if-none-match", "W/\"00\""), "etag").await;
        assert_eq!(other.0, 200);
    });
}

#[test]
fn a_tenant_whose_name_is_refused_is_not_made() {
    with_app(async |app| {
        let long = json!({"slug": "acme", "name": "a".repeat(256)});
        app.post("/v1/tenants", long).await.refused(422, "invalid");
        app.post("/v1/tenants", json!({"slug": "acme", "name": " "})).await.refused(422, "invalid");
        app.post("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
    });
}
