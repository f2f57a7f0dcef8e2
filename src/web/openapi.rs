//! Describes the API as OpenAPI 3.1, from the table of routes and the schemas beside them.

use serde_json::{Map, Value, json};

use super::route::{Access, Group, Route};
use super::thena::envelope::speaks;

const ERROR: &str = r#"{"type":"object","required":["type","title","status","detail","code"],
    "properties":{
        "type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},
        "detail":{"type":"string"},"instance":{"type":"string"},"code":{"type":"string"},
        "requestId":{"type":"string"},
        "errors":{"type":"array","items":{"type":"object","properties":{
            "pointer":{"type":"string","description":"RFC 6901 pointer into what was sent"},
            "code":{"type":"string"},"detail":{"type":"string"},"hint":{"type":"string"}}}}}}"#;

const THENA_ERROR: &str = r#"{"type":"object","required":["status","message","timestamp"],
    "properties":{
        "status":{"const":false},"code":{"type":"string"},"message":{"type":"string"},
        "timestamp":{"type":"string","format":"date-time"},"requestId":{"type":"string"},
        "errors":{"type":"array","items":{"type":"object","properties":{
            "path":{"type":"string"},"code":{"type":"string"},"message":{"type":"string"},
            "hint":{"type":"string"}}}}}}"#;

/// Builds the whole document for a server under `base`.
#[must_use]
pub fn document(groups: &[&'static Group], base: &str) -> Value {
    let described = || groups.iter().filter(|group| group.routes.iter().any(is_described));
    let tags: Vec<Value> =
        described().map(|group| json!({"name": group.tag, "description": group.about})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ergane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Workflow automation: events in, durable runs out.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": if base.is_empty() { "/" } else { base }}],
        "tags": tags,
        "paths": paths(groups),
        "components": {
            "schemas": schemas(groups),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "responses": {
                "Problem": {
                    "description": "Refused; the document says where and why.",
                    "content": {"application/problem+json": {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                    }},
                },
                "ThenaProblem": {
                    "description": "Refused, as Thena does; the document says where and why.",
                    "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/ThenaProblem"},
                    }},
                },
            },
        },
        "security": [{"bearer": []}, {"apiKey": []}],
    })
}

/// Pages are for people and stay out of the description.
#[must_use]
pub fn is_described(route: &Route) -> bool {
    !matches!(route.access, Access::Page(_)) && !route.id.starts_with("page_")
}

fn paths(groups: &[&'static Group]) -> Map<String, Value> {
    let mut paths = Map::new();
    for group in groups {
        for route in group.routes.iter().filter(|route| is_described(route)) {
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.verb.name().to_ascii_lowercase()] = operation(group.tag, route);
        }
    }
    paths
}

fn operation(tag: &str, route: &Route) -> Value {
    let (status, schema) = route.answer;
    let refused = if speaks(route.path, "") { "ThenaProblem" } else { "Problem" };
    let mut success = json!({"description": route.summary});
    if !schema.is_empty() {
        success["content"] = json!({route.media.1: {"schema": reference(schema)}});
    }
    let mut operation = json!({
        "operationId": route.id,
        "tags": [tag],
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": {
            status.to_string(): success,
            "default": {"$ref": format!("#/components/responses/{refused}")},
        },
    });
    for (status, schema) in route.other_answers {
        let mut other = json!({"description": route.summary});
        if !schema.is_empty() {
            other["content"] = json!({route.media.1: {"schema": reference(schema)}});
        }
        operation["responses"][status.to_string()] = other;
    }
    if status == 201 {
        let mut known = operation["responses"]["201"].clone();
        known["description"] = json!("It was there already, as it is wanted.");
        operation["responses"]["200"] = known;
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": {route.media.0: {"schema": reference(body)}},
        });
    }
    match route.access {
        Access::Public => operation["security"] = json!([]),
        Access::Known | Access::OwnPage => {}
        Access::Scope(scope) | Access::Page(scope) => operation["x-scope"] = json!(scope),
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let path = route.path_params().map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
    );
    let query = route.query.iter().map(|param| {
        json!({"name": param.name, "in": "query", "description": param.about,
            "schema": {"type": param.kind}})
    });
    let headers = route.headers.iter().map(|param| {
        json!({"name": param.name, "in": "header", "description": param.about,
            "schema": {"type": param.kind}})
    });
    path.chain(query).chain(headers).collect()
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn schemas(groups: &[&'static Group]) -> Map<String, Value> {
    let problem = serde_json::from_str(ERROR).expect("it is JSON");
    let of_thena = serde_json::from_str(THENA_ERROR).expect("it is JSON");
    let errors = [("Problem".to_owned(), problem), ("ThenaProblem".to_owned(), of_thena)];
    let all = groups.iter().flat_map(|group| group.all_schemas());
    let named = all.map(|(name, schema)| (name.to_owned(), schema));
    named.chain(errors).collect()
}

#[cfg(test)]
mod tests {
    use super::super::GROUPS;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_operation_is_named_once_and_every_reference_is_there() {
        let document = document(GROUPS, "");
        let mut ids = HashSet::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (verb, operation) in operations.as_object().expect("operations") {
                let id = operation["operationId"].as_str().unwrap_or("");
                assert!(!id.is_empty() && ids.insert(id.to_owned()), "{verb} {path}: `{id}`");
                assert!(!operation["summary"].as_str().unwrap_or("").is_empty(), "{id}");
            }
        }
        let known = document["components"]["schemas"].as_object().expect("schemas");
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or("");
            assert!(known.contains_key(name), "the schema `{name}` is not described");
        }
    }

    #[test]
    fn what_needs_a_scope_says_which() {
        let text = document(GROUPS, "/base").to_string();
        assert!(text.contains("\"openapi\":\"3.1.0\"") && text.contains("\"url\":\"/base\""));
        assert!(!text.contains("owner:write"), "a route forgot its scope");
    }
}
