//! The eight tools for workflows that Thena documents, each a use case with a schema.

use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::query::Query;
use super::{executions, registries, tasks, workflows};
use crate::app::App;
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::app::workflows::Definition;

/// A tool.
pub(super) struct Tool {
    name: &'static str,
    about: &'static str,
    /// What the caller must be allowed to do.
    scope: &'static str,
    /// Its parameters with their schemas.
    parameters: &'static [(&'static str, &'static str)],
    needed: &'static [&'static str],
}

const ID: (&str, &str) = (
    "uniqueIdentifier",
    r#"{"type":"string","description":"The workflow: uniqueIdentifier, uid or name."}"#,
);
const TEAM: (&str, &str) = ("teamId", r#"{"type":"string"}"#);
const PAGE: (&str, &str) = ("page", r#"{"type":"integer","minimum":0,"default":0}"#);
const LIMIT: (&str, &str) =
    ("limit", r#"{"type":"integer","minimum":1,"maximum":200,"default":50}"#);
const VERSION: (&str, &str) = ("version", r#"{"type":"integer","minimum":1}"#);
/// Besides these every field of Thena's body is taken.
const BODY: [(&str, &str); 5] = [
    ("name", r#"{"type":"string"}"#),
    TEAM,
    (
        "triggerEvent",
        r#"{"type":["string","object"],"description":"The event's type or uid, or both."}"#,
    ),
    ("filters", r#"{"type":"object"}"#),
    ("workflowDefinition", r#"{"type":"array","items":{"type":"object"},"minItems":1}"#),
];

const TOOLS: [Tool; 8] = [
    Tool {
        name: "get_all_workflows",
        about: "Lists workflows in their newest versions.",
        scope: "workflows:read",
        parameters: &[
            TEAM,
            PAGE,
            LIMIT,
            ("type", r#"{"enum":["MANUAL","WORKFLOW"]}"#),
            ("subTypes", r#"{"type":"string","description":"WORKFLOW, AI_AGENT, with commas."}"#),
        ],
        needed: &[],
    },
    Tool {
        name: "get_workflow",
        about: "Returns one workflow, in its newest version or in another.",
        scope: "workflows:read",
        parameters: &[ID, VERSION],
        needed: &["uniqueIdentifier"],
    },
    Tool {
        name: "create_workflow",
        about: "Saves a new workflow, which is active at once unless `isActive` is false.",
        scope: "workflows:write",
        parameters: &BODY,
        needed: &["name", "triggerEvent", "workflowDefinition"],
    },
    Tool {
        name: "update_workflow",
        about: "Changes some fields of a workflow, which makes a new version.",
        scope: "workflows:write",
        parameters: &[ID, BODY[0], BODY[1], BODY[2], BODY[3], BODY[4]],
        needed: &["uniqueIdentifier"],
    },
    Tool {
        name: "get_event_registry",
        about: "Lists the events that can start a workflow, with their schemas.",
        scope: "events:read",
        parameters: &[TEAM],
        needed: &[],
    },
    Tool {
        name: "get_activity_registry",
        about: "Lists the activities that steps can call, with their schemas.",
        scope: "workflows:read",
        parameters: &[TEAM],
        needed: &[],
    },
    Tool {
        name: "get_workflow_executions",
        about: "Lists the executions of a workflow, newest first.",
        scope: "runs:read",
        parameters: &[
            ("workflowId", r#"{"type":"string"}"#),
            VERSION,
            ("status", r#"{"type":"string","description":"One, or several with commas."}"#),
            ("from", r#"{"type":["string","number"],"description":"ISO 8601, or since 1970."}"#),
            ("to", r#"{"type":["string","number"],"description":"ISO 8601, or since 1970."}"#),
            PAGE,
            LIMIT,
        ],
        needed: &["workflowId"],
    },
    Tool {
        name: "get_workflow_tasks",
        about: "Lists the tasks of an execution, in order.",
        scope: "runs:read",
        parameters: &[(
            "workflowInstanceId",
            r#"{"type":"string","description":"The execution."}"#,
        )],
        needed: &["workflowInstanceId"],
    },
];

/// Why a tool did nothing.
pub(super) struct Refusal(ApiError);

impl Refusal {
    /// Returns it as the tools answer.
    pub(super) fn shown(&self) -> Value {
        json!({ "error": {
            "code": self.0.code(), "message": self.0.detail(), "errors": self.0.problems(),
        } })
    }
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal(error.into())
    }
}

/// Returns the tool with this name.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    static FOUND: [Tool; 8] = TOOLS;
    FOUND.iter().find(|tool| tool.name == name)
}

/// Returns every tool as the protocol lists it.
pub(super) fn described() -> Vec<Value> {
    let described = TOOLS.iter().map(|tool| {
        let read = |text: &str| serde_json::from_str(text).expect("a test reads every schema");
        let properties: Map<String, Value> =
            tool.parameters.iter().map(|(name, text)| ((*name).to_owned(), read(text))).collect();
        json!({
            "name": tool.name,
            "description": tool.about,
            "inputSchema":
                { "type": "object", "properties": properties, "required": tool.needed },
            "annotations": { "readOnlyHint": tool.scope.ends_with(":read") },
        })
    });
    described.collect()
}

impl Tool {
    pub(super) async fn call(
        &self,
        app: &App,
        who: &Principal,
        arguments: Value,
    ) -> Result<Value, Refusal> {
        if !who.scopes.allow(self.scope) {
            return Err(Error::Forbidden { scope: self.scope.to_owned() }.into());
        }
        let Value::Object(mut given) = arguments else {
            return Err(ApiError::bad_parameter("arguments", "must be an object").into());
        };
        if let Some(name) = self.needed.iter().find(|name| !given.contains_key(**name)) {
            return Err(ApiError::bad_parameter(name, "is required").into());
        }
        let text = |name: &str| match given.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let found = match self.name {
            "get_all_workflows" => workflows::listed(app, who, &query(app, &given))?,
            "get_workflow" => {
                let version = query(app, &given).number("version")?;
                json!({ "data": app.thena_workflow(who, &text("uniqueIdentifier"), version)? })
            }
            "create_workflow" => {
                let definition = Definition { document: Value::Object(given), source: None };
                json!({ "data": app.create_thena_workflow(who, definition).await? })
            }
            "update_workflow" => {
                let id = text("uniqueIdentifier");
                given.shift_remove("uniqueIdentifier");
                json!({ "data": app.update_thena_workflow(who, &id, given).await? })
            }
            "get_event_registry" => registries::all_events(app, who)?,
            "get_activity_registry" => registries::all_activities(app, who),
            "get_workflow_executions" => executions::listed(app, who, &query(app, &given))?,
            _ => tasks::listed(app, who, &text("workflowInstanceId"))?, // The last of the eight.
        };
        Ok(found)
    }
}

/// Reads arguments as the parameters of an address, which is how the same lists are asked for there.
fn query(app: &App, given: &Map<String, Value>) -> Query {
    let pairs = given.iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name.clone(), text.clone())),
        Value::Array(items) => {
            let texts = items.iter().map(|item| item.as_str().unwrap_or_default());
            Some((name.clone(), texts.collect::<Vec<_>>().join(",")))
        }
        other => Some((name.clone(), other.to_string())),
    });
    Query::of(pairs.collect(), app.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_tools_have_thenas_names_and_schemas_that_are_schemas() {
        let described = described();
        let names: Vec<&str> = described.iter().filter_map(|tool| tool["name"].as_str()).collect();
        assert_eq!(
            names,
            [
                "get_all_workflows",
                "get_workflow",
                "create_workflow",
                "update_workflow",
                "get_event_registry",
                "get_activity_registry",
                "get_workflow_executions",
                "get_workflow_tasks"
            ]
        );
        for tool in &described {
            assert!(jsonschema::meta::is_valid(&tool["inputSchema"]), "{tool}");
            for needed in tool["inputSchema"]["required"].as_array().expect("a list") {
                let known = &tool["inputSchema"]["properties"];
                assert!(known.get(needed.as_str().expect("a name")).is_some(), "{tool}");
            }
        }
    }
}
