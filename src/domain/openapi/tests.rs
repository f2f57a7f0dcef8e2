//! Documents as they are found, and some that nobody should write.

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

const PETSTORE: &str = include_str!("corpus/petstore.yaml");
const FORGE: &str = include_str!("corpus/forge.json");
const NASTY: &str = include_str!("corpus/nasty.yaml");

fn parsed(text: &str) -> Value {
    parse_text(text, Format::Yaml, TextLimits::default()).expect("the document is well-formed")
}

fn api(text: &str) -> Api {
    read(&parsed(text), &Limits::default()).expect("the document is read")
}

fn operation<'a>(api: &'a Api, id: &str) -> &'a Operation {
    api.operations.iter().find(|one| one.id == id).expect("the operation is offered")
}

fn codes(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|one| (one.code.as_str(), one.pointer.as_str())).collect()
}

fn fits(schema: &Value, value: &Value) -> bool {
    jsonschema::validator_for(schema).expect("a schema").is_valid(value)
}

fn url_of(operation: &Operation, input: Value) -> Result<String, Problem> {
    let base = Url::parse("https://api.example.com/v1/").expect("a URL");
    assemble(operation, &base, &input).map(|made| made.url.to_string())
}

#[test]
fn a_shop_s_operations_are_offered_and_the_rest_is_told() {
    let api = api(PETSTORE);
    let ids: Vec<&str> = api.operations.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["listPets", "createPet", "showPetById", "delete-pets-petId", "logIn"]);
    assert_eq!(api.servers, ["https://eu.pets.example.com/v1"]);
    assert_eq!(
        codes(&api.left_out),
        [
            ("unsupported_method", "/paths/~1pets~1{petId}/trace"),
            ("unsupported_body", "/paths/~1pets~1{petId}~1photo/post/requestBody/content"),
        ]
    );
    assert_eq!(codes(&api.notes), [("unsupported_parameter", "/paths/~1pets/get/parameters/5/in")]);
}

#[test]
fn credentials_are_those_of_the_first_way_that_can_be_gone() {
    let api = api(PETSTORE);
    let key = Credential::HeaderKey { name: "X-Pet-Key".into() };
    assert_eq!(operation(&api, "listPets").credentials, [key]);
    assert_eq!(operation(&api, "logIn").credentials, []);
    let token_url = "https://id.example.com/token".to_owned();
    let client = Credential::ClientCredentials { token_url, scopes: vec!["pets:write".into()] };
    assert_eq!(operation(&api, "delete-pets-petId").credentials, [client]);
    let forge = super::read(&parsed(FORGE), &Limits::default()).expect("it is read");
    assert_eq!(operation(&forge, "issues-create").credentials, [Credential::Bearer]);
}

#[test]
fn schemas_say_what_goes_in_and_out() {
    let api = api(PETSTORE);
    let create = operation(&api, "createPet");
    // What is only read is not asked for, and what is only written is not answered.
    assert!(fits(&create.input_schema, &json!({ "body": { "name": "Rex", "tag": null } })));
    assert!(!fits(&create.input_schema, &json!({ "body": { "tag": "a" } })));
    assert!(!fits(&create.input_schema, &json!({})), "the body is needed");
    assert!(!fits(&create.input_schema, &json!({ "body": { "name": "Rex" }, "other": 1 })));
    let pet = json!({ "id": 1, "name": "Rex", "kind": null, "mother": { "id": 0, "name": "Ma" } });
    assert!(fits(&create.output_schema, &json!({ "status": 201, "body": pet })));
    assert!(!fits(&create.output_schema, &json!({ "status": 201, "body": { "name": "Rex" } })));
    let definitions = create.output_schema["$defs"].as_object().expect("definitions");
    assert_eq!(definitions.keys().collect::<Vec<_>>(), ["Pet"], "only what is needed");
    let list = operation(&api, "listPets");
    assert!(fits(&list.input_schema, &json!({ "limit": 1, "connection": "shop" })));
    assert!(!fits(&list.input_schema, &json!({ "limit": 0 })), "the bound is exclusive");
    let gone = operation(&api, "delete-pets-petId");
    assert!(fits(&gone.output_schema, &json!({ "status": 204, "body": null })));
}

#[test]
fn the_dialect_of_3_1_is_kept() {
    let api = api(FORGE);
    let create = operation(&api, "issues-create");
    let made = json!({ "number": 1, "title": "T", "user": { "login": "ada" }, "labels": ["a"] });
    for (body, is_fine) in [
        (made, true),
        (json!({ "job": "7" }), true),
        (json!({ "number": 0, "title": "T", "user": null, "job": 7 }), false),
        (json!({ "number": 3, "title": "T", "user": null }), true),
    ] {
        let answer = json!({ "status": 201, "body": body });
        assert_eq!(fits(&create.output_schema, &answer), is_fine, "{answer}");
    }
    assert_eq!(
        codes(&api.notes),
        [
            ("unsupported_webhooks", "/webhooks"),
            ("unsupported_style", "/paths/~1repos~1{owner}~1{repo}~1issues/get/parameters/4/style"),
            ("unsupported_callbacks", "/paths/~1repos~1{owner}~1{repo}~1issues/post/callbacks"),
        ]
    );
    assert_eq!(api.left_out, []);
}

#[test]
fn what_stands_in_an_input_stays_in_its_part_of_the_path() {
    let api = api(FORGE);
    let content = operation(&api, "repos-get-content");
    let asked = |path: &str| url_of(content, json!({ "owner": "o", "repo": "r", "path": path }));
    for (path, sent) in [
        ("a/b", "a%2Fb"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("a?x=1#y", "a%3Fx%3D1%23y"),
        ("50%", "50%25"),
        ("%2e%2e", "%252e%252e"),
        ("grün", "gr%C3%BCn"),
        ("a\\b", "a%5Cb"),
        ("...", "..."),
        ("a;b=c", "a%3Bb%3Dc"),
    ] {
        let url = format!("https://api.example.com/v1/repos/o/r/contents/{sent}");
        assert_eq!(asked(path).as_ref(), Ok(&url), "{path}");
    }
    for (path, code) in [("..", "path_traversal"), (".", "path_traversal"), ("", "required")] {
        assert_eq!(asked(path).expect_err(path).code, code, "{path}");
    }
    assert_eq!(url_of(content, json!({ "owner": "o" })).expect_err("no repo").code, "required");
}

#[test]
fn queries_and_headers_are_written_in_their_styles() {
    let api = api(PETSTORE);
    let list = operation(&api, "listPets");
    let input = json!({ "limit": 5, "tags": ["a b", "c&d"], "ids": [1, 2], "X-Trace": "t1" });
    let base = Url::parse("https://api.example.com").expect("a URL");
    let made = assemble(list, &base, &input).expect("it is assembled");
    assert_eq!(made.url.query(), Some("limit=5&tags=a%20b&tags=c%26d&ids=1,2"));
    assert_eq!(made.headers, [("X-Trace".to_owned(), "t1".to_owned())]);
    let split = json!({ "X-Trace": "t1\r\nHost: evil" });
    assert_eq!(assemble(list, &base, &split).expect_err("two headers").code, "invalid_header");
    let nested = json!({ "tags": [["a"]] });
    assert_eq!(assemble(list, &base, &nested).expect_err("too deep").pointer, "/tags");
    let show = operation(&api, "showPetById");
    let both = json!({ "petId": "1", "query_petId": "2" });
    assert_eq!(url_of(show, both).as_deref(), Ok("https://api.example.com/v1/pets/1?petId=2"));
    let form = json!({ "body": { "user": "ada & co", "stay": true } });
    let made = assemble(operation(&api, "logIn"), &base, &form).expect("it is assembled");
    let body = "user=ada+%26+co&stay=true".to_owned();
    assert_eq!(made.body, Some(("application/x-www-form-urlencoded", body)));
}

#[test]
fn nasty_operations_are_left_out_with_their_place() {
    let api = api(NASTY);
    let ids: Vec<&str> = api.operations.iter().map(|one| one.id.as_str()).collect();
    let all = ["twice", "get-other", "get-nameless-a-b-x", "cycle", "pattern", "body"];
    assert_eq!(ids, all);
    let schema = "/paths/~1outside/get/responses/200/content/application~1json/schema/$ref";
    assert_eq!(
        codes(&api.left_out),
        [
            ("external_ref", schema),
            ("external_ref", "/paths/~1file/$ref"),
            ("endless_ref", "/paths/~1loop/$ref"),
            ("unknown_ref", "/paths/~1gone/get/parameters/0/$ref"),
            ("missing_path_parameter", "/paths/~1unsaid~1{id}/get"),
            ("invalid_path", "/paths/no-slash"),
            ("unsupported_style", "/paths/~1matrix~1{id}/get/parameters/0/style"),
            ("invalid_parameter", "/paths/~1header/get/parameters/0/name"),
            ("wrong_type", "/paths/~1not-an-operation/get"),
        ]
    );
    assert_eq!(
        codes(&api.notes),
        [
            ("duplicate_id", "/paths/~1other/get/operationId"),
            ("unchecked_schema", "/paths/~1pattern/post"),
        ]
    );
    let cycle = operation(&api, "cycle");
    assert!(fits(&cycle.input_schema, &json!({ "body": { "b": [{ "b": [] }] } })));
    assert!(!fits(&cycle.input_schema, &json!({ "body": { "b": [{ "b": 1 }] } })));
    let fields: Vec<&str> =
        operation(&api, "body").parameters.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["query_body", "query_connection"]);
}

#[test]
fn what_is_no_openapi_3_is_refused_as_a_whole() {
    for (document, pointer, code) in [
        (json!({ "swagger": "2.0", "paths": {} }), "/swagger", "unsupported_version"),
        (json!({ "openapi": "4.0.0", "paths": {} }), "/openapi", "unsupported_version"),
        (json!({ "paths": {} }), "/openapi", "required"),
        (json!([]), "/openapi", "required"),
        (json!({ "openapi": "3.1.0" }), "/paths", "required"),
    ] {
        let problems = read(&document, &Limits::default()).expect_err("it is refused");
        assert_eq!(codes(&problems), [(code, pointer)], "{document}");
    }
}

#[test]
fn a_document_is_read_within_its_bounds() {
    let few = Limits { operations_max: 3, ..Limits::default() };
    let problems = read(&parsed(PETSTORE), &few).expect_err("it has more");
    assert_eq!(codes(&problems), [("too_many_operations", "/paths")]);
    let narrow = Limits { definitions_max: 1, ..Limits::default() };
    let api = read(&parsed(NASTY), &narrow).expect("it is read");
    let is_told = |code: &str| api.notes.iter().any(|note| note.code == code);
    assert!(is_told("too_many_definitions"));
    let mut deep = json!({ "type": "string" });
    for _ in 0..60 {
        deep = json!({ "type": "array", "items": deep });
    }
    let content = json!({ "application/json": { "schema": deep } });
    let document = json!({ "openapi": "3.0.0", "paths": { "/x": { "post": {
        "requestBody": { "content": content }, "responses": {} } } } });
    let api = read(&document, &Limits::default()).expect("it is read");
    assert_eq!(api.notes.first().map(|note| note.code.as_str()), Some("too_deep"));
    assert_eq!(api.operations.len(), 1);
}
