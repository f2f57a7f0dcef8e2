//! Thena's workflow tools for programs that speak the Model Context Protocol: JSON-RPC 2.0 over one
//! address, each request answered at once, without sessions and streams.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use super::tools;
use crate::app::App;
use crate::app::principal::Principal;

/// The versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

// The codes of JSON-RPC 2.0, section 5.1.
const INVALID_REQUEST: i32 = -32_600;
const UNKNOWN_METHOD: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;

/// The tools.
pub static GROUP: Group = Group {
    tag: "mcp",
    about: "Thena's workflow tools, for programs that speak the Model Context Protocol.",
    routes: &[Route::post("/mcp", || web::to(answer))
        .named("mcp", "Answers `initialize`, `ping`, `tools/list` and `tools/call`.")
        .known()
        .body("McpRequest")
        .answers(200, "McpResponse")
        .or_answers(&[(202, ""), (400, "McpResponse")])],
    schemas: &[
        (
            "McpRequest",
            r#"{"type":"object","required":["jsonrpc","method"],"properties":{
                "jsonrpc":{"const":"2.0"},"id":{"type":["string","integer"]},
                "method":{"type":"string","examples":["tools/list"]},
                "params":{"type":"object"}}}"#,
        ),
        (
            "McpResponse",
            r#"{"type":"object","required":["jsonrpc","id"],"properties":{
                "jsonrpc":{"const":"2.0"},"id":{"type":["string","integer","null"]},
                "result":{"type":"object"},"error":{"type":"object","properties":{
                    "code":{"type":"integer"},"message":{"type":"string"}}}}}"#,
        ),
    ],
    made: &[],
};

/// What a request is answered that cannot be carried out.
struct Fault {
    code: i32,
    message: String,
}

async fn answer(app: web::Data<App>, Caller(who): Caller, Json(request): Json) -> Answer {
    let is_request = request["jsonrpc"] == "2.0" && request["method"].is_string();
    if is_request && request.get("id").is_none() {
        // A notification asks for no answer, whatever it says.
        return Ok(HttpResponse::Accepted().finish());
    }
    let id = request.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64());
    let Some(id) = id.filter(|_| is_request) else {
        let message = "must be one request of JSON-RPC 2.0, with `jsonrpc`, `id` and `method`";
        let fault = Fault { code: INVALID_REQUEST, message: message.to_owned() };
        return Ok(HttpResponse::BadRequest().json(refused(&Value::Null, &fault)));
    };
    let outcome = perform(&app, &who, &request).await;
    Ok(HttpResponse::Ok().json(match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => refused(id, &fault),
    }))
}

fn refused(id: &Value, fault: &Fault) -> Value {
    let error = json!({ "code": fault.code, "message": fault.message });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

async fn perform(app: &App, who: &Principal, request: &Value) -> Result<Value, Fault> {
    let params = &request["params"];
    match request["method"].as_str().unwrap_or_default() {
        "initialize" => Ok(introduced(params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools::described() })),
        "tools/call" => {
            let name = params["name"].as_str().unwrap_or_default();
            let Some(tool) = tools::find(name) else {
                let message = format!("there is no tool `{name}`; `tools/list` names them");
                return Err(Fault { code: INVALID_PARAMS, message });
            };
            let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
            Ok(told(tool.call(app, who, arguments).await))
        }
        other => {
            let message = format!("there is no method `{other}`");
            Err(Fault { code: UNKNOWN_METHOD, message })
        }
    }
}

fn introduced(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": { "name": "ergane", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// A refusal is a result too: whoever asked can read it and ask better.
fn told(outcome: Result<Value, tools::Refusal>) -> Value {
    let (content, is_error) = match outcome {
        Ok(content) => (content, false),
        Err(refusal) => (refusal.shown(), true),
    };
    json!({
        "content": [{ "type": "text", "text": content.to_string() }],
        "structuredContent": content,
        "isError": is_error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_asked_for_is_spoken_and_else_the_newest() {
        for (asked, spoken) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-06-18", "2025-06-18"),
            ("1999-01-01", VERSIONS[0]),
        ] {
            let told = introduced(&json!({ "protocolVersion": asked }));
            assert_eq!(told["protocolVersion"], spoken);
        }
    }
}
