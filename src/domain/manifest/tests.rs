//! What manifests are accepted, refused and compared.

use serde_json::json;

use super::*;

/// The manifest that Thena's overview shows, as it stands there.
fn minimal() -> Value {
    json!({
        "app": { "name": "Sample App" },
        "scopes": { "required": ["tickets:read", "comments:write"] },
        "events": { "subscribe": [{ "event": "ticket:created" }] },
        "activities": [{
            "name": "notify_assignee",
            "description": "Notify the assigned agent",
            "http_config": {
                "headers": { "Content-Type": "application/json" },
                "httpVerb": "POST",
                "endpoint_url": "https://example.com/notify",
            },
            "request_schema": {
                "type": "object", "properties": { "ticketId": { "type": "string" } },
            },
        }],
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut manifest = minimal();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    manifest.pointer_mut(parent).expect("its parent")[name] = value;
    manifest
}

fn problems(manifest: &Value) -> Vec<(String, String)> {
    let found = Manifest::parse(manifest).expect_err("it is wrong");
    found.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
}

#[test]
fn thenas_own_sample_is_accepted_as_it_stands() {
    let manifest = Manifest::parse(&minimal()).expect("it is Thena's");
    assert_eq!((manifest.slug.as_str(), manifest.version.as_str()), ("sample-app", "1.0.0"));
    assert_eq!(manifest.scopes_required, ["comments:write", "tickets:read"]);
    assert_eq!(manifest.activities[0].operation.method, "POST");
    assert_eq!(manifest.subscribes, ["ticket:created"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
fn every_fault_is_told_with_its_place() {
    for (pointer, value, at, code) in [
        ("/app", json!({}), "/app/name", "required"),
        ("/app/slug", json!("Not A Slug"), "/app/slug", "invalid_slug"),
        ("/activties", json!([]), "/activties", "unknown_field"),
        ("/scopes/required", json!(["tickets:fly"]), "/scopes/required/0", "unknown_scope"),
        ("/scopes/required", json!(["keys:write"]), "/scopes/required/0", "scope_not_granted"),
        (
            "/activities/0/http_config/httpVerb",
            json!("SEND"),
            "/activities/0/http_config/httpVerb",
            "unknown_value",
        ),
        (
            "/activities/0/http_config/endpoint_url",
            json!("ftp://x"),
            "/activities/0/http_config/endpoint_url",
            "invalid_url",
        ),
        (
            "/activities/0/http_config/headers",
            json!({"x": "{{ settings.key }}"}),
            "/activities/0/http_config/headers/x",
            "unknown_setting",
        ),
        (
            "/activities/0/http_config/headers",
            json!({"x": "{{ trigger.id }}"}),
            "/activities/0/http_config/headers/x",
            "unknown_path",
        ),
        (
            "/activities/0/request_schema",
            json!({"type": "objekt"}),
            "/activities/0/request_schema/type",
            "invalid_schema",
        ),
        (
            "/activities/0/throttler",
            json!({"ttl": 60, "limit": 0}),
            "/activities/0/throttler/limit",
            "out_of_range",
        ),
        (
            "/activities/0/scopes",
            json!(["accounts:write"]),
            "/activities/0/scopes",
            "scope_not_asked",
        ),
        (
            "/events/publish",
            json!([{"event": "ticket.mine"}]),
            "/events/publish/0/event",
            "reserved_type",
        ),
        ("/events/publish", json!([{"event": "plain"}]), "/events/publish/0/event", "invalid_type"),
        (
            "/configuration",
            json!({"required_settings": [{"key": "a", "type": "secret", "default": "x"}]}),
            "/configuration/required_settings/0/default",
            "secret_default",
        ),
        (
            "/integration",
            json!({"webhooks": {"events": "nowhere"}}),
            "/integration/webhooks/events",
            "invalid_url",
        ),
    ] {
        let found = problems(&with(pointer, value));
        assert_eq!(found, [(at.to_owned(), code.to_owned())], "{pointer}");
    }
}

#[test]
fn thenas_scopes_become_the_platforms() {
    for (theirs, own) in [
        ("companies:delete", "accounts:write"),
        ("conversations.attachments:read", "comments:read"),
        ("workspace.members:read", "users:read"),
        ("contacts.custom_fields:write", "custom-fields:write"),
    ] {
        assert_eq!(own_scopes(theirs).expect(theirs), [own]);
    }
    let hint = own_scopes("companis:read").unwrap_err().hint;
    assert_eq!(hint.as_deref(), Some("did you mean `companies:read`?"));
}

#[test]
fn settings_are_checked_and_secrets_are_kept_apart() {
    let configuration = json!({
        "required_settings": [{ "key": "api_key", "type": "secret" }, { "key": "region",
            "options": ["eu", "us"] }],
        "optional_settings": [{ "key": "limit", "type": "integer", "default": 5 }],
    });
    let manifest = Manifest::parse(&with("/configuration", configuration)).expect("it is fine");
    let given =
        |value: Value| fitting(&manifest.settings, value.as_object().expect("an object"), &[]);
    let fits = given(json!({ "api_key": "s3cret-value", "region": "eu" })).expect("it fits");
    assert_eq!(Value::Object(fits.plain), json!({ "region": "eu", "limit": 5 }));
    assert_eq!(fits.secrets[0].1.expose(), "s3cret-value");
    let faults = given(json!({ "api_key": 7_777_777, "regin": "eu" })).unwrap_err();
    let told: Vec<_> = faults.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect();
    let wanted = [
        ("/settings/regin", "unknown_field"),
        ("/settings/api_key", "schema"),
        ("/settings/region", "required"),
    ];
    assert_eq!(told, wanted);
    assert!(faults.iter().all(|fault| !fault.detail.contains("7777777")), "{faults:?}");
    let kept = fitting(&manifest.settings, &Map::new(), &["api_key".into(), "region".into()]);
    assert!(kept.is_ok(), "what is kept need not be given again");
}

#[test]
fn changes_say_what_breaks() {
    let old = Manifest::parse(&minimal()).expect("it is fine");
    let mut raw = with("/scopes", json!({ "required": ["tickets:write"] }));
    raw["activities"][0]["request_schema"]["required"] = json!(["ticketId"]);
    raw["events"]["publish"] = json!([{ "event": "sample.done" }]);
    let new = Manifest::parse(&raw).expect("it is fine");
    let told: Vec<_> = changes(&old, &new)
        .into_iter()
        .map(|it| format!("{} {} {} {}", it.change, it.kind, it.name, it.breaking))
        .collect();
    let wanted = [
        "changed activity notify_assignee true",
        "added event sample.done false",
        "added scope tickets:write true",
        "removed scope comments:write false",
        "removed scope tickets:read false",
    ];
    assert_eq!(told, wanted);
    assert!(changes(&new, &new).is_empty());
    let back: Vec<bool> = changes(&new, &old).iter().map(|it| it.breaking).collect();
    assert_eq!(back[..2], [false, true], "a wider input is fine, a missing event is not");
}
