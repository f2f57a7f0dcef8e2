//! Thena's eight workflow tools over the Model Context Protocol.

use serde_json::{Value, json};

use crate::support::{TestApp, with_app};

async fn ask(app: &TestApp, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = app.post("/mcp", body).await.expect(200);
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    answer
}

/// Calls a tool; what it says as text is what it says as data.
async fn call(app: &TestApp, name: &str, arguments: Value) -> (bool, Value) {
    let answer = ask(app, "tools/call", json!({"name": name, "arguments": arguments})).await;
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().expect("a text");
    let told: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(told, result["structuredContent"], "{answer}");
    (result["isError"] == true, told)
}

#[test]
fn row_118_a_client_introduces_itself_and_finds_the_eight_tools() {
    with_app(|app| async move {
        let hello = json!({"protocolVersion": "2025-03-26", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        let answer = ask(&app, "initialize", hello).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-03-26");
        assert_eq!(answer["result"]["serverInfo"]["name"], "ergane");
        let noted = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(app.post("/mcp", noted).await.status, 202);
        let listed = ask(&app, "tools/list", json!({})).await;
        assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(8));
        assert_eq!(ask(&app, "ping", json!({})).await["result"], json!({}));
        assert_eq!(ask(&app, "no/such", json!({})).await["error"]["code"], -32_601);
        let unknown = json!({"name": "no_such_tool", "arguments": {}});
        assert_eq!(ask(&app, "tools/call", unknown).await["error"]["code"], -32_602);
        for wrong in [
            json!([1]),
            json!({"jsonrpc": "1.0", "id": 1, "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": null, "method": "ping"}),
        ] {
            let fault = app.post("/mcp", wrong).await.expect(400);
            assert_eq!(fault["error"]["code"], -32_600);
        }
        assert_eq!(app.with_key("wrong-key-0123456789").post("/mcp", json!({})).await.status, 401);
        assert_eq!(app.get("/mcp").await.status, 405);
    });
}

#[test]
fn row_118_workflows_are_made_changed_listed_and_followed_with_the_tools() {
    with_app(|app| async move {
        let step = json!({"stepIdentifier": 1, "input": {"value": "a"},
            "activity": {"uniqueIdentifier": "workflows:transform-platform"}});
        let body = json!({"name": "By a tool", "teamId": "T1", "triggerEvent":
            {"uid": "", "eventName": "thing:happened"}, "workflowDefinition": [step]});
        let (is_error, made) = call(&app, "create_workflow", body.clone()).await;
        assert!(!is_error, "{made}");
        let id = made["data"]["uniqueIdentifier"].as_str().expect("an id").to_owned();
        let change = json!({"uniqueIdentifier": id, "metadata": {"by": "a tool"}});
        let (_, changed) = call(&app, "update_workflow", change).await;
        assert_eq!(changed["data"]["version"], 2);
        let old = json!({"uniqueIdentifier": id, "version": 1});
        assert_eq!(call(&app, "get_workflow", old).await.1["data"]["metadata"], json!({}));
        let (_, listed) = call(&app, "get_all_workflows", json!({"subTypes": ["WORKFLOW"]})).await;
        assert_eq!(listed["data"][0]["uniqueIdentifier"], json!(id));
        let run = app.publish("thing:happened", json!({})).await.remove(0);
        app.end_of(&run).await;
        let asked = json!({"workflowId": id, "status": "COMPLETED", "limit": 5});
        let (_, executions) = call(&app, "get_workflow_executions", asked).await;
        assert_eq!(executions["data"][0]["id"], json!(run));
        let asked = json!({"workflowInstanceId": run});
        let (_, tasks) = call(&app, "get_workflow_tasks", asked).await;
        assert_eq!(tasks["data"][0]["status"], "FINISHED");
        for (tool, field) in
            [("get_event_registry", "eventType"), ("get_activity_registry", "uniqueIdentifier")]
        {
            let (_, registry) = call(&app, tool, json!({"teamId": "T1"})).await;
            assert!(registry["data"][0][field].is_string(), "{tool}");
        }
        let mut bad = body;
        bad["workflowDefinition"][0]["activity"]["uniqueIdentifier"] = json!("no:such-platform");
        let (is_error, refused) = call(&app, "create_workflow", bad).await;
        assert!(is_error && refused["error"]["errors"][0]["pointer"].is_string(), "{refused}");
        let (is_error, refused) = call(&app, "get_workflow_tasks", json!({})).await;
        assert!(is_error, "{refused}");
        let reader = json!({ "name": "reader", "scopes": ["workflows:read"] });
        let reader = app.post("/v1/keys", reader).await.expect(201);
        let reader = app.with_key(reader["key"].as_str().expect("a key"));
        let (is_error, refused) =
            call(&reader, "update_workflow", json!({"uniqueIdentifier": id})).await;
        assert!(is_error && refused["error"]["code"] == "forbidden", "{refused}");
        assert!(!call(&reader, "get_all_workflows", json!({})).await.0);
    });
}
