//! Forms and calls of a session: taken from its own pages alone, whoever else may send them.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use crate::people::{Browser, joined, token_in};
use crate::support::{TestApp, send, with_config};

/// A form as it stands on a page.
#[derive(Clone, Debug)]
struct Form {
    page: String,
    action: String,
    fields: Vec<(String, String)>,
}

fn quick(config: &mut ergane::config::Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
}

/// Fills the appliance so that every kind of page has something to show.
async fn furnish(app: &TestApp) {
    app.save(json!({"name": "failing", "trigger": {"event": "order:placed"}, "steps": [
        {"id": "a", "activity": "workflows:transform-platform",
         "input": {"output": "{{ trigger.payload.missing.deeper }}"}}]}))
        .await;
    app.save(
        json!({"name": "nightly", "trigger": {"schedule": {"cron": "0 3 * * *", "timezone": "UTC"}},
        "steps": [{"id": "nap", "sleep": "1ms"}]}),
    )
    .await;
    app.save(json!({"name": "waiting", "trigger": {"event": "order:placed"},
        "steps": [{"id": "nap", "sleep": "1h"}]}))
        .await;
    app.publish("order:placed", json!({})).await;
    let team = app.team().await;
    app.ticket(&team, json!({})).await;
}

async fn walk(browser: &mut Browser, start: &str) -> BTreeMap<String, Form> {
    let (mut seen, mut waiting) = (vec![start.to_owned()], vec![start.to_owned()]);
    let mut forms = BTreeMap::new();
    while let Some(page) = waiting.pop() {
        let answer = browser.get(&page).await;
        assert!(answer.status < 500, "{page}: {}", answer.text);
        let is_html = answer.header("content-type").is_some_and(|kind| kind.contains("html"));
        if answer.status != 200 || !is_html {
            continue;
        }
        for form in forms_of(&page, &answer.text) {
            forms.entry(form.action.clone()).or_insert(form);
        }
        for link in answer.text.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap_or_default().replace("&#38;", "&");
            let link = link.split('#').next().unwrap_or_default().to_owned();
            let is_page = link.starts_with('/') && !link.starts_with("/static");
            if is_page && !seen.contains(&link) && seen.len() < 200 {
                seen.push(link.clone());
                waiting.push(link);
            }
        }
    }
    forms
}

fn forms_of(page: &str, html: &str) -> Vec<Form> {
    let mut found = Vec::new();
    for text in html.split("<form").skip(1) {
        let (head, rest) = text.split_once('>').expect("a tag ends");
        let attribute = |tag: &str, name: &str| {
            let value = tag.split(&format!("{name}=\"")).nth(1)?;
            Some(value.split('"').next()?.replace("&#38;", "&"))
        };
        if attribute(head, "method").as_deref() != Some("post") {
            continue;
        }
        let inside = rest.split("</form>").next().unwrap_or_default();
        let hidden = inside.split("<input type=\"hidden\"").skip(1).filter_map(|input| {
            let tag = input.split('>').next()?;
            Some((attribute(tag, "name")?, attribute(tag, "value")?))
        });
        found.push(Form {
            page: page.to_owned(),
            action: attribute(head, "action").expect("an action"),
            fields: hidden.collect(),
        });
    }
    found
}

async fn post(browser: &Browser, base: &str, form: &Form, token: Option<&str>) -> u16 {
    let mut fields = form.fields.clone();
    fields.retain(|(name, _)| name != "_token");
    fields.extend(token.map(|token| ("_token".to_owned(), token.to_owned())));
    let body: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let request = client
        .post(format!("{base}{}", form.action))
        .header("origin", base)
        .header("accept", "text/html")
        .header("cookie", browser.cookie().expect("a session"))
        .header("content-type", "application/x-www-form-urlencoded");
    send(request.body(body)).await.status
}

/// Returns what all tokens of a session have in common.
fn unmasked(token: &str) -> Vec<u8> {
    let bytes = hex::decode(token).expect("a token is written in hexadecimal");
    let (mask, proof) = bytes.split_at(bytes.len() / 2);
    mask.iter().zip(proof).map(|(mask, byte)| mask ^ byte).collect()
}

#[test]
fn every_form_of_every_page_is_taken_from_its_own_session_alone() {
    with_config(quick, async |app| {
        furnish(&app).await;
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let mut eve = joined(&app, "eve@example.com", &["owner"]).await;
        let (own, other) = (ada.token().await, eve.token().await);
        assert!(own.len() == 128 && own != other, "{own} {other}");
        let forms = walk(&mut ada, "/").await;
        for action in
            ["/theme", "/sign-out", "/profile/password", "/people", "/workflows/waiting/run"]
        {
            assert!(forms.contains_key(action), "no {action} among {:?}", forms.keys());
        }
        assert!(forms.len() >= 15, "{:?}", forms.keys());
        for form in forms.values() {
            let shown = form.fields.iter().find(|(name, _)| name == "_token");
            let shown = shown.map(|(_, value)| unmasked(value));
            assert_eq!(shown, Some(unmasked(&own)), "{} on {}", form.action, form.page);
            for wrong in [None, Some(""), Some("00"), Some(other.as_str())] {
                let status = post(&ada, &app.base, form, wrong).await;
                assert_eq!(status, 403, "{} on {} with {wrong:?}", form.action, form.page);
            }
        }
        // What a form does may end the session; leaving does for certain, and comes last.
        let ends = |form: &Form| form.action == "/sign-out" || form.action.contains("/people/");
        let (last, first): (Vec<_>, Vec<_>) = forms.values().partition(|form| ends(form));
        for form in first.into_iter().chain(last) {
            let status = post(&ada, &app.base, form, Some(&own)).await;
            assert!(status != 403 && status < 500, "{} on {}: {status}", form.action, form.page);
        }
    });
}

#[test]
fn pages_before_there_is_a_session_hold_no_token_and_need_none() {
    with_config(quick, async |app| {
        let mut stranger = Browser::at(&app.base);
        let page = stranger.get("/sign-in").await.text;
        assert!(page.contains("name=\"_token\"") && token_in(&page).is_none(), "{page}");
        let wrong = stranger.sign_in("nobody@example.com", "not the password", "").await;
        assert_eq!(wrong.status, 401);
    });
}

#[test]
fn a_call_with_a_cookie_needs_the_token_too_and_one_with_a_key_does_not() {
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let (own, cookie) = (ada.token().await, ada.cookie().expect("a session").to_owned());
        let call = |token: Option<&str>| {
            let request = app.client.post(format!("{}/v1/tags", app.base));
            let request = request.header("cookie", &cookie).header("origin", &app.base);
            let request = match token {
                Some(token) => request.header("x-csrf-token", token),
                None => request,
            };
            send(request.json(&json!({"name": "red"})))
        };
        for wrong in [None, Some("00")] {
            call(wrong).await.refused(403, "token_missing");
        }
        call(Some(&own)).await.expect(201);
        let with_key = app.request(Method::POST, "/v1/tags").header("cookie", &cookie);
        send(with_key.json(&json!({"name": "blue"}))).await.expect(201);
        let body = json!({"email": "ada@example.com", "password": crate::people::PASSWORD});
        let begun = app.client.post(format!("{}/v1/sessions", app.base)).json(&body);
        let begun = send(begun).await;
        let (set, token) = (begun.header("set-cookie").expect("a cookie").to_owned(), &begun.body);
        let token = token["csrfToken"].as_str().expect("a token");
        let request = app.client.post(format!("{}/v1/tags", app.base));
        let request = request.header("cookie", set.split(';').next().expect("a pair"));
        let request = request.header("origin", &app.base).header("x-csrf-token", token);
        send(request.json(&json!({"name": "green"}))).await.expect(201);
    });
}
