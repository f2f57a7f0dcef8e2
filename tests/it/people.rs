//! People who sign in: the set-up link, invitations, sessions, the second factor, and the throttle.

use std::time::Duration;

use ergane::app::one_time_code::{code_at, step_at};
use ergane::boot::doors::{Doors, Serving};
use ergane::clock::Clock;
use ergane::config::Config;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, TestApp, config_in, send, with_app, with_config};

pub const PASSWORD: &str = "violet kettle umbrella";

/// A browser: it keeps its cookie, says where its forms stood, and follows no redirect.
pub struct Browser {
    base: String,
    client: Client,
    cookie: Option<String>,
    /// What the pages of the session hold for its forms.
    token: Option<String>,
}

impl Browser {
    pub fn at(base: &str) -> Browser {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client");
        Browser { base: base.to_owned(), client, cookie: None, token: None }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header("origin", &self.base).header("user-agent", "Firefox/1 Linux");
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    /// Returns the cookie that it keeps.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    async fn keep(&mut self, request: RequestBuilder) -> Answer {
        let answer = send(request).await;
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
            self.token = None;
        }
        answer
    }

    /// Reads the token of the session from a page, as whoever sends a form has done.
    pub async fn token(&mut self) -> String {
        if self.token.is_none() && self.cookie.is_some() {
            let page = send(self.request(Method::GET, "/profile")).await.text;
            self.token = token_in(&page);
        }
        self.token.clone().unwrap_or_default()
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).header("accept", "text/html");
        self.keep(request).await
    }

    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token().await;
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("_token", &token)
            .finish();
        let request = self.request(Method::POST, path).header("accept", "text/html");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.keep(request.body(body)).await
    }

    pub async fn call(&mut self, method: Method, path: &str, body: Value) -> Answer {
        let token = self.token().await;
        let request = self.request(method, path).header("x-csrf-token", token).json(&body);
        self.keep(request).await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str, code: &str) -> Answer {
        let fields = [("email", email), ("password", password), ("code", code)];
        self.form("/sign-in", &fields).await
    }
}

/// Returns what the first form of a page carries to show that it stood there.
pub fn token_in(page: &str) -> Option<String> {
    let field = page.split("name=\"_token\" value=\"").nth(1)?;
    let token = field.split('"').next()?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// Cheap hashes: what they cost is not what these tests are about.
fn quick(config: &mut Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
    config.access.sign_in_failures_free = 1_000;
}

/// Invites somebody with the owner's key, sets their password and returns their browser.
pub async fn joined(app: &TestApp, email: &str, roles: &[&str]) -> Browser {
    let wanted = json!({ "email": email, "roles": roles });
    let invited = app.post("/v1/people", wanted).await.expect(201);
    let mut browser = Browser::at(&app.base);
    let path = invited["link"]["path"].as_str().expect("a path");
    let token = path.strip_prefix("/join?t=").expect("a token");
    assert_eq!(browser.get(path).await.status, 200);
    let answer = browser.form("/join", &[("t", token), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    browser
}

#[test]
fn an_invitation_leads_to_a_session_once() {
    with_config(quick, async |app| {
        let wanted = json!({ "email": "Ada@Example.com", "name": "Ada", "roles": ["editor"] });
        let invited = app.post("/v1/people", wanted.clone()).await.expect(201);
        assert_eq!(invited["status"], "invited");
        assert_eq!(invited["email"], "ada@example.com");
        app.post("/v1/people", wanted).await.refused(409, "email_taken");
        let path = invited["link"]["path"].as_str().expect("a path").to_owned();
        let token = path.rsplit('=').next().expect("a token").to_owned();

        let mut browser = Browser::at(&app.base);
        assert!(browser.get(&path).await.text.contains("ada@example.com"));
        let weak = browser.form("/join", &[("t", &token), ("password", "short")]).await;
        assert_eq!(weak.status, 422, "{}", weak.text);
        let set = browser.form("/join", &[("t", &token), ("password", PASSWORD)]).await;
        assert_eq!((set.status, set.header("location")), (303, Some("/")));
        let cookie = set.header("set-cookie").expect("a cookie").to_owned();
        for part in ["ergane_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert_eq!(browser.get("/profile").await.status, 200);
        let me = browser.get("/v1/me").await.expect(200);
        assert_eq!((&me["kind"], &me["roles"]), (&json!("person"), &json!(["editor"])));

        let again = browser.form("/join", &[("t", &token), ("password", PASSWORD)]).await;
        assert_eq!(again.status, 401);
        let person = app.get("/v1/people/ada@example.com").await.expect(200);
        assert_eq!(person["status"], "active");
        assert!(!app.get("/v1/people").await.text.contains("argon2"));
    });
}

#[test]
fn the_set_up_link_makes_an_owner_and_then_no_other() {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    config.bootstrap_key = String::new();
    quick(&mut config);
    actix::System::new().block_on(async {
        let serving = Serving::open(&config, Doors::All).await.expect("it opens");
        let path = serving.setup_path.clone().expect("a link");
        let token = path.strip_prefix("/setup?t=").expect("a token");
        let base = format!("http://{}", serving.address.expect("an address"));
        let mut browser = Browser::at(&base);
        assert_eq!(browser.get(&path).await.status, 200);
        let fields = |token: &'static str| {
            [("t", token), ("name", "Ada"), ("email", "ada@example.com"), ("password", PASSWORD)]
        };
        let nameless = [("t", token), ("name", " "), ("email", "a@b"), ("password", PASSWORD)];
        assert_eq!(browser.form("/setup", &nameless).await.status, 422);
        let wrong = browser.form("/setup", &fields("not-the-token")).await;
        assert_eq!(wrong.status, 401);
        let token: &'static str = token.to_owned().leak();
        let done = browser.form("/setup", &fields(token)).await;
        assert!(done.status == 200 && !done.text.contains("erg_"), "{}", done.text);
        assert_eq!(browser.get("/").await.status, 200);
        let me = browser.get("/v1/me").await.expect(200);
        assert_eq!((&me["roles"], &me["scopes"]), (&json!(["owner"]), &json!(["*"])));
        assert_eq!(browser.form("/setup", &fields(token)).await.status, 401);
        serving.stop().await;

        let again = Serving::open(&config, Doors::All).await.expect("it opens again");
        assert_eq!(again.setup_path, None, "somebody can come in already");
        again.stop().await;
    });
}

#[test]
fn nobody_learns_which_part_was_wrong() {
    with_config(quick, async |app| {
        joined(&app, "ada@example.com", &["viewer"]).await;
        let mut browser = Browser::at(&app.base);
        let mut answers = Vec::new();
        for (email, password) in [
            ("ada@example.com", "a wrong password"),
            ("nobody@example.com", PASSWORD),
            ("", ""),
            ("ada@example.com\0", PASSWORD),
        ] {
            let answer = browser.sign_in(email, password, "").await;
            assert_eq!(answer.status, 401, "{email}");
            answers.push(answer.text);
        }
        assert!(answers.iter().all(|text| text == &answers[0]));
        assert_eq!(browser.sign_in("ADA@example.com", PASSWORD, "").await.status, 303);
    });
}

#[test]
fn guessing_is_slowed_down_and_told_for_how_long() {
    let slow = |config: &mut Config| {
        quick(config);
        config.access.sign_in_failures_free = 2;
    };
    with_config(slow, async |app| {
        joined(&app, "ada@example.com", &["viewer"]).await;
        let mut browser = Browser::at(&app.base);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(browser.sign_in("ada@example.com", "a wrong password", "").await.status);
        }
        assert_eq!(statuses, [401, 401, 401, 429]);
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let refused = browser.call(Method::POST, "/v1/sessions", body).await;
        assert!(refused.header("retry-after").is_some());
        refused.refused(429, "busy");
        // Another account of the same address is not held up by it yet.
        joined(&app, "bob@example.com", &["viewer"]).await;
        assert_eq!(browser.sign_in("bob@example.com", PASSWORD, "").await.status, 303);
    });
}

#[test]
fn another_site_signs_nobody_in_and_changes_nothing() {
    with_config(quick, async |app| {
        let browser = joined(&app, "ada@example.com", &["editor"]).await;
        let cookie = browser.cookie.clone().expect("a cookie");
        let post = |path: &str| {
            let request = browser.client.post(format!("{}{path}", app.base));
            request
                .header("cookie", &cookie)
                .header("accept", "text/html")
                .header("content-type", "application/x-www-form-urlencoded")
        };
        let fields = format!("email=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("x-nothing", "at all"),
        ] {
            for path in ["/sign-in", "/profile/sessions/end", "/workflows/a/disable", "/setup"] {
                let body = match path {
                    "/setup" => "t=x&name=a&email=b%40c&password=d".to_owned(),
                    _ => fields.clone(),
                };
                let answer = send(post(path).header(name, value).body(body)).await;
                assert_eq!(answer.status, 403, "{path} {name}: {value}");
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
        let own = send(post("/sign-in").header("origin", &app.base).body(fields)).await;
        assert_eq!(own.status, 303);
    });
}

#[test]
fn a_second_factor_is_asked_for_and_no_code_is_taken_twice() {
    with_config(quick, async |app| {
        let mut browser = joined(&app, "ada@example.com", &["editor"]).await;
        let begun = browser.call(Method::POST, "/v1/me/second-factor", json!({})).await.expect(201);
        assert!(begun["uri"].as_str().expect("a uri").starts_with("otpauth://totp/Ergane:ada"));
        assert!(begun["qrCode"].as_str().expect("an image").starts_with("data:image/svg+xml"));
        let secret = unbase32(begun["secret"].as_str().expect("a secret"));
        let code = |offset: i64| {
            code_at(&secret, step_at(Clock::system().now()).saturating_add_signed(offset))
        };
        let confirm = "/v1/me/second-factor/confirm";
        let wrong = browser.call(Method::POST, confirm, json!({ "code": "000000x" })).await;
        wrong.refused(422, "invalid");
        let used = code(-1);
        let confirmed =
            browser.call(Method::POST, confirm, json!({ "code": used })).await.expect(200);
        let recovery = confirmed["recoveryCodes"][0].as_str().expect("a code").to_owned();

        let mut other = Browser::at(&app.base);
        for (wrong, status) in [("", 401), ("123", 401), (used.as_str(), 401)] {
            assert_eq!(other.sign_in("ada@example.com", PASSWORD, wrong).await.status, status);
        }
        assert_eq!(other.sign_in("ada@example.com", PASSWORD, &code(1)).await.status, 303);
        for status in [303, 401] {
            let answer = other.sign_in("ada@example.com", PASSWORD, &recovery).await;
            assert_eq!(answer.status, status, "a recovery code is good once");
        }
        let remove = "/v1/me/second-factor/remove";
        let wrong = json!({ "password": "not the password" });
        browser.call(Method::POST, remove, wrong).await.refused(422, "invalid");
        browser.call(Method::POST, remove, json!({ "password": PASSWORD })).await.expect(204);
        assert_eq!(other.sign_in("ada@example.com", PASSWORD, "").await.status, 303);
    });
}

#[test]
fn another_password_ends_every_other_session() {
    with_config(quick, async |app| {
        let mut browser = joined(&app, "ada@example.com", &["editor"]).await;
        let mut other = Browser::at(&app.base);
        other.sign_in("ada@example.com", PASSWORD, "").await;
        let sessions = browser.get("/v1/me/sessions").await.expect(200);
        let sessions = sessions["data"].as_array().expect("a list").clone();
        assert_eq!(sessions.len(), 2);
        assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
        assert_eq!(sessions[0]["agent"], "Firefox/1 Linux");
        assert_eq!(sessions[0]["address"], "127.0.0.1");

        let before = browser.cookie.clone();
        let change = |current: &str| json!({ "current": current, "password": "another fine one" });
        let wrong = browser.call(Method::POST, "/v1/me/password", change("wrong")).await;
        wrong.refused(422, "invalid");
        browser.call(Method::POST, "/v1/me/password", change(PASSWORD)).await.expect(204);
        assert_ne!(browser.cookie, before, "the session is a new one");
        browser.get("/v1/me").await.expect(200);
        other.get("/v1/me").await.refused(401, "unauthenticated");
        assert_eq!(other.sign_in("ada@example.com", PASSWORD, "").await.status, 401);
        assert_eq!(other.sign_in("ada@example.com", "another fine one", "").await.status, 303);
    });
}

#[test]
fn sessions_are_ended_one_by_one_and_all_at_once() {
    with_config(quick, async |app| {
        let mut first = joined(&app, "ada@example.com", &["viewer"]).await;
        let mut second = Browser::at(&app.base);
        second.sign_in("ada@example.com", PASSWORD, "").await;
        let mut bob = joined(&app, "bob@example.com", &["viewer"]).await;
        let theirs = bob.get("/v1/me/sessions").await.expect(200);
        let theirs = theirs["data"][0]["id"].as_str().expect("an id").to_owned();
        let end = format!("/v1/me/sessions/{theirs}");
        first.call(Method::DELETE, &end, json!({})).await.refused(404, "session_not_found");
        first.call(Method::DELETE, "/v1/me/sessions", json!({})).await.expect(204);
        second.get("/v1/me").await.refused(401, "unauthenticated");
        first.get("/v1/me").await.expect(200);
        // Whoever rules the tenant's people ends anybody's.
        let end = format!("/v1/sessions/{theirs}");
        first.call(Method::DELETE, &end, json!({})).await.refused(403, "forbidden");
        app.delete(&end).await.expect(204);
        bob.get("/v1/me").await.refused(401, "unauthenticated");
        first.form("/sign-out", &[]).await;
        first.get("/v1/me").await.refused(401, "unauthenticated");
    });
}

#[test]
fn a_session_ends_when_it_is_not_used() {
    let short = |config: &mut Config| {
        quick(config);
        config.access.session_idle_minutes = 0;
    };
    with_config(short, async |app| {
        let mut browser = joined(&app, "ada@example.com", &["viewer"]).await;
        browser.get("/v1/me").await.refused(401, "unauthenticated");
    });
}

#[test]
fn whoever_is_disabled_or_given_another_role_has_to_come_in_again() {
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["admin"]).await;
        let wanted = json!({ "name": "of Ada", "scopes": ["runs:write", "events:read"] });
        let key = ada.call(Method::POST, "/v1/keys", wanted).await.expect(201);
        let key = app.with_key(key["key"].as_str().expect("a key"));
        key.get("/v1/runs").await.expect(200);

        let path = "/v1/people/ada@example.com";
        app.patch(path, json!({ "roles": ["viewer"] })).await.expect(200);
        ada.get("/v1/me").await.refused(401, "unauthenticated");
        let me = key.get("/v1/me").await.expect(200);
        assert_eq!(me["scopes"], json!(["events:read", "runs:read"]), "no more than its maker");

        app.patch(path, json!({ "disabled": true })).await.expect(200);
        key.get("/v1/runs").await.refused(401, "unauthenticated");
        assert_eq!(ada.sign_in("ada@example.com", PASSWORD, "").await.status, 401);
        app.patch(path, json!({ "disabled": false })).await.expect(200);
        assert_eq!(ada.sign_in("ada@example.com", PASSWORD, "").await.status, 303);

        let reset = app.post(&format!("{path}/reset-password"), json!({})).await.expect(200);
        assert!(reset["link"]["path"].as_str().expect("a path").starts_with("/join?t="));
        ada.get("/v1/me").await.refused(401, "unauthenticated");
        assert_eq!(ada.sign_in("ada@example.com", PASSWORD, "").await.status, 401);
        app.delete(path).await.expect(204);
        key.get("/v1/runs").await.refused(401, "unauthenticated");
        app.get(path).await.refused(404, "person_not_found");
    });
}

#[test]
fn nobody_rises_above_themselves_and_the_last_owner_stays() {
    with_config(quick, async |app| {
        let mut owner = joined(&app, "olga@example.com", &["owner"]).await;
        let mut admin = joined(&app, "ada@example.com", &["admin"]).await;
        let invite = |roles: &str| json!({ "email": "x@example.com", "roles": [roles] });
        let refused = admin.call(Method::POST, "/v1/people", invite("owner")).await;
        refused.refused(403, "forbidden");
        let unknown = admin.call(Method::POST, "/v1/people", invite("adminn")).await;
        assert_eq!(unknown.refused(422, "invalid")["errors"][0]["hint"], "did you mean `admin`?");
        for body in [json!({ "disabled": true }), json!({ "roles": ["viewer"] })] {
            let refused = admin.call(Method::PATCH, "/v1/people/olga@example.com", body).await;
            refused.refused(403, "forbidden");
        }
        let own = json!({ "roles": ["owner"] });
        let refused = admin.call(Method::PATCH, "/v1/people/ada@example.com", own).await;
        refused.refused(403, "forbidden");
        for body in [json!({ "disabled": true }), json!({ "roles": ["viewer"] })] {
            let refused = owner.call(Method::PATCH, "/v1/people/olga@example.com", body).await;
            refused.refused(409, "last_owner");
        }
        let wanted = json!({ "name": "k", "scopes": ["*"] });
        admin.call(Method::POST, "/v1/keys", wanted).await.refused(403, "forbidden");
    });
}

#[test]
fn whoever_is_limited_to_a_team_sees_its_tickets_alone() {
    with_config(quick, async |app| {
        let (ours, theirs) =
            (app.team().await, app.post("/v1/teams", json!({ "name": "B" })).await);
        let theirs = theirs.expect(201)["id"].as_str().expect("an id").to_owned();
        let (mine, other) =
            (app.ticket(&ours, json!({})).await, app.ticket(&theirs, json!({})).await);
        let mut ada = joined(&app, "ada@example.com", &["operator"]).await;
        app.patch("/v1/people/ada@example.com", json!({ "teams": [ours] })).await.expect(200);
        assert_eq!(ada.sign_in("ada@example.com", PASSWORD, "").await.status, 303);
        let listed = ada.get("/v1/tickets").await.expect(200);
        let ids: Vec<&Value> =
            listed["data"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&mine["id"]]);
        let path = |ticket: &Value| format!("/v1/tickets/{}", ticket["id"].as_str().expect("id"));
        ada.get(&path(&mine)).await.expect(200);
        ada.get(&path(&other)).await.refused(404, "ticket_not_found");
        let change = json!({ "title": "Changed" });
        let refused = ada.call(Method::PATCH, &path(&other), change.clone()).await;
        refused.refused(404, "ticket_not_found");
        ada.call(Method::PATCH, &path(&mine), change).await.expect(200);
        let moved = json!({ "teamId": theirs });
        ada.call(Method::PATCH, &path(&mine), moved).await.refused(404, "ticket_not_found");
        assert_eq!(app.get(&path(&mine)).await.expect(200)["teamId"], ours.as_str());
    });
}

#[test]
fn the_pages_of_people_work_without_scripts() {
    with_config(quick, async |app| {
        let mut owner = joined(&app, "olga@example.com", &["owner"]).await;
        let fields = [("email", "bob@example.com"), ("name", "Bob"), ("role", "viewer")];
        let invited = owner.form("/people", &fields).await;
        assert!(invited.status == 200 && invited.text.contains("/join?t="), "{}", invited.text);
        let bob = app.get("/v1/people/bob@example.com").await.expect(200);
        let path = format!("/people/{}", bob["id"].as_str().expect("an id"));
        let fields = [("role", "editor"), ("role", "approver")];
        assert_eq!(owner.form(&path, &fields).await.status, 303);
        let bob = app.get("/v1/people/bob@example.com").await.expect(200);
        assert_eq!(bob["roles"], json!(["editor", "approver"]));
        assert_eq!(owner.form(&path, &[]).await.status, 422);
        for (deed, status) in
            [("disable", 303), ("enable", 303), ("reset-password", 200), ("remove", 303)]
        {
            let answer = owner.form(&format!("{path}/{deed}"), &[]).await;
            assert_eq!(answer.status, status, "{deed}: {}", answer.text);
        }
        for page in ["/people", "/audit", "/profile", "/audit?action=person"] {
            let answer = owner.get(page).await;
            assert_eq!(answer.status, 200, "{page}");
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        }
        let begun = owner.form("/profile/second-factor", &[]).await;
        assert!(begun.text.contains("data:image/svg+xml"), "{}", begun.text);
        let mut stranger = Browser::at(&app.base);
        for page in ["/people", "/audit", "/profile"] {
            let answer = stranger.get(page).await;
            assert_eq!(answer.status, 303, "{page}");
            assert!(answer.header("location").expect("a place").starts_with("/sign-in?next="));
        }
    });
}

#[test]
fn a_key_still_opens_the_door() {
    with_app(async |app| {
        let mut browser = Browser::at(&app.base);
        let entered = browser.form("/sign-in", &[("key", &app.key)]).await;
        assert_eq!(entered.status, 303);
        assert_eq!(browser.get("/profile").await.status, 200);
        let begun = browser.call(Method::POST, "/v1/me/second-factor", json!({})).await;
        begun.refused(409, "not_a_person");
        let wrong = browser.form("/sign-in", &[("key", "no-such-key-0123456789")]).await;
        assert_eq!(wrong.status, 401);
    });
}

#[test]
fn a_flood_of_sign_ins_holds_up_nobody_else() {
    let narrow = |config: &mut Config| {
        config.access.sign_in_failures_free = 1_000;
        config.access.passwords_at_once = 1;
        config.access.passwords_waiting_max = 2;
    };
    with_config(narrow, async |app| {
        let body = json!({ "email": "x@example.com", "password": PASSWORD });
        let flood = (0..30).map(|_| {
            let mut browser = Browser::at(&app.base);
            let body = body.clone();
            async move { browser.call(Method::POST, "/v1/sessions", body).await.status }
        });
        let quick = async {
            let asked = tokio::time::timeout(Duration::from_secs(5), app.get("/v1/runs")).await;
            asked.expect("an answer in time").expect(200)
        };
        let (statuses, _) = tokio::join!(futures_util::future::join_all(flood), quick);
        assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
        assert!(statuses.contains(&503) && statuses.contains(&401), "{statuses:?}");
    });
}

pub fn unbase32(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = text
        .chars()
        .map(|letter| format!("{:05b}", letters.find(letter).expect("base32")))
        .collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))).collect()
}
