//! Tokens that end: renewed in time, once for all who wait, and kept before they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::peer::{Peer, Received, Reply};
use crate::support::TestApp;

use super::{connect, step_of, with_outside};

/// An API and its authorization server: every token holds until the next one is given.
struct Server {
    peer: Peer,
    given: Arc<AtomicUsize>,
}

impl Server {
    async fn start(lifetime: u64) -> Server {
        let given = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&given);
        let peer = Peer::start(move |_, received| answer(received, &counted, lifetime)).await;
        Server { peer, given }
    }

    fn asked(&self) -> Vec<String> {
        let all = self.peer.received().into_iter().filter(|it| it.path == "/token");
        all.map(|it| String::from_utf8_lossy(&it.raw).into_owned()).collect()
    }
}

fn answer(received: &Received, given: &AtomicUsize, lifetime: u64) -> Reply {
    let now = given.load(Ordering::SeqCst);
    if received.path != "/token" {
        let holds = format!("Bearer access-{now}-do-not-show");
        return match received.header("authorization") == holds {
            true => Reply::Status(200, json!({"echo": received.header("authorization")})),
            false => Reply::Status(401, json!({"error": "invalid_token"})),
        };
    }
    let form = String::from_utf8_lossy(&received.raw).into_owned();
    let expected = format!("refresh_token=refresh-{now}-do-not-show");
    if form.contains("grant_type=refresh_token") && !form.contains(&expected) {
        let told = json!({"error": "invalid_grant", "error_description": "Unknown refresh token"});
        return Reply::Status(400, told);
    }
    let next = given.fetch_add(1, Ordering::SeqCst) + 1;
    Reply::Status(
        200,
        json!({"access_token": format!("access-{next}-do-not-show"),
        "refresh_token": format!("refresh-{next}-do-not-show"), "expires_in": lifetime,
        "token_type": "Bearer"}),
    )
}

async fn connect_to(app: &TestApp, server: &Server, secrets: Value) {
    let settings = json!({"baseUrl": server.peer.url, "auth": "oauth2", "clientId": "me",
        "tokenUrl": format!("{}/token", server.peer.url)});
    connect(app, "api", "http", settings, secrets).await;
}

async fn call(app: &TestApp) -> Value {
    let input = json!({"connection": "api", "path": "/x"});
    step_of(app, "workflows:http-request-platform", input).await
}

#[test]
fn a_token_is_asked_for_once_and_used_until_it_ends() {
    with_outside(|app| async move {
        let server = Server::start(3_600).await;
        connect_to(&app, &server, json!({"clientSecret": "secret-do-not-show"})).await;
        for _ in 0..2 {
            let done = call(&app).await;
            assert_eq!(done["status"], "succeeded", "{done}");
            assert_eq!(done["output"]["body"]["echo"], "Bearer ***");
        }
        assert_eq!(server.asked(), ["grant_type=client_credentials"]);
        let asked = &server.peer.received()[0];
        // me and the secret, as RFC 7617 has it.
        assert_eq!(asked.header("authorization"), "Basic bWU6c2VjcmV0LWRvLW5vdC1zaG93");
        let told = app.get("/v1/connections/api").await;
        assert!(!told.text.contains("do-not-show"), "{}", told.text);
        let tried = app.post("/v1/connections/api/test", json!({})).await.expect(200);
        assert_eq!(tried["ok"], true, "{tried}");
    });
}

#[test]
fn a_refused_token_is_renewed_and_the_call_made_again_once() {
    with_outside(|app| async move {
        let server = Server::start(3_600).await;
        let secrets = json!({"refreshToken": "refresh-0-do-not-show",
            "accessToken": "access-stale-do-not-show"});
        connect_to(&app, &server, secrets).await;
        let done = call(&app).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        assert_eq!(done["attempts"].as_array().map(Vec::len), Some(1), "within one attempt");
        // The other side forgets it, so that the exchanged refresh token is needed.
        server.given.store(1, Ordering::SeqCst);
        let secrets = json!({"secrets": {"accessToken": "access-stale-do-not-show"}});
        app.patch("/v1/connections/api", secrets).await.expect(200);
        assert_eq!(call(&app).await["status"], "succeeded");
        let asked = server.asked();
        assert!(asked[1].contains("refresh_token=refresh-1-do-not-show"), "{asked:?}");
    });
}

#[test]
fn calls_at_once_share_one_renewal() {
    with_outside(|app| async move {
        let server = Server::start(3_600).await;
        connect_to(&app, &server, json!({"refreshToken": "refresh-0-do-not-show"})).await;
        let branch = |number: usize| {
            json!([{"id": format!("b{number}"),
            "activity": "workflows:http-request-platform",
            "input": {"connection": "api", "path": "/x"}}])
        };
        let branches: Vec<Value> = (0..8).map(branch).collect();
        let run = super::run_of(&app, json!([{"id": "all", "parallel": branches}])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
        assert_eq!(server.peer.received().len(), 9);
    });
}

#[test]
fn a_refused_renewal_is_told_and_ends_with_new_secrets() {
    with_outside(|app| async move {
        let server = Server::start(3_600).await;
        connect_to(&app, &server, json!({"refreshToken": "revoked-do-not-show"})).await;
        let failed = call(&app).await;
        assert_eq!(failed["error"]["code"], "connection_unauthorized", "{failed}");
        assert_eq!(failed["attempts"].as_array().map(Vec::len), Some(1), "{failed}");
        let told = app.get("/v1/connections/api").await.expect(200);
        assert_eq!(told["state"], "unauthorized", "{told}");
        let reason = told["unauthorized"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("invalid_grant"), "{reason}");
        let secrets = json!({"secrets": {"refreshToken": "refresh-0-do-not-show"}});
        app.patch("/v1/connections/api", secrets).await.expect(200);
        assert_eq!(call(&app).await["status"], "succeeded");
        assert_eq!(app.get("/v1/connections/api").await.expect(200)["state"], "ok");
    });
}

#[test]
fn a_short_token_is_renewed_before_it_ends() {
    with_outside(|app| async move {
        let server = Server::start(1).await;
        connect_to(&app, &server, json!({"clientSecret": "secret-do-not-show"})).await;
        assert_eq!(call(&app).await["status"], "succeeded");
        let begun = tokio::time::Instant::now();
        // A token of one second ends nine tenths of a second after it was given.
        while server.asked().len() < 2 && begun.elapsed() < Duration::from_secs(20) {
            assert_eq!(call(&app).await["status"], "succeeded");
        }
        let refused = server
            .peer
            .received()
            .iter()
            .filter(|it| it.path == "/x" && it.header("authorization").contains("access-0"))
            .count();
        assert_eq!((server.asked().len() >= 2, refused), (true, 0));
    });
}
