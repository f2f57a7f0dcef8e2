//! Thena's documented workflow operations under `/api/v1`, in Thena's shapes.
//!
//! A workflow is answered as a bare object; a list as `{data, page, limit, hasMore}` with pages from
//! 0, a registry as `{data}`. A refusal is `{status: false, code, message, timestamp, errors}` with
//! `errors: [{path, code, message}]`, and what is wrong with a body is 400. Names, identifiers and
//! uids all name a workflow. What Thena cannot say of a workflow stands under `extension`.

mod apps;
pub mod envelope;
mod executions;
pub mod mcp;
mod moment;
mod paging;
mod registries;
mod tasks;
mod tools;
mod workflows;

use actix_web::web;

use super::route::{Group, Param, Route};

const PAGE: Param = Param::number("page", "Which page, from 0.");
const LIMIT: Param = Param::number("limit", "How many items a page has, 1 to 200; default 50.");
const TEAM: Param = Param::text("teamId", "The team that asks; every team has the same.");

/// Thena's operations.
pub static GROUP: Group = Group {
    tag: "thena",
    about: "The workflow operations that Thena documents, in Thena's shapes.",
    routes: &[
        Route::get("/api/v1/workflows", || web::to(workflows::list))
            .named("thena_workflows_list", "Lists workflows in their newest versions.")
            .scope("workflows:read")
            .query(&[
                Param::text("teamId", "Only workflows of this team."),
                Param::text("type", "Only this type: MANUAL or WORKFLOW."),
                Param::text("subTypes", "Only these sub-types, with commas: WORKFLOW, AI_AGENT."),
                PAGE,
                LIMIT,
            ])
            .answers(200, "ThenaWorkflowPage"),
        Route::post("/api/v1/workflows", || web::to(workflows::create))
            .named("thena_workflows_create", "Saves a new workflow.")
            .scope("workflows:write")
            .body("ThenaDefinition")
            .answers(201, "ThenaWorkflow"),
        Route::get("/api/v1/workflows/executions", || web::to(executions::list))
            .named("thena_executions_list", "Lists the executions of a workflow, newest first.")
            .scope("runs:read")
            .query(&[
                Param::text("workflowId", "The workflow: uniqueIdentifier, uid or name; required."),
                Param::number("version", "Only executions of this version."),
                Param::text("status", "Only this status, or several with commas."),
                Param::text("from", "Only since this time: ISO 8601, or seconds or ms since 1970."),
                Param::text("to", "Only until this time."),
                PAGE,
                LIMIT,
            ])
            .answers(200, "ThenaExecutionPage"),
        Route::get("/api/v1/workflows/activities", || web::to(registries::activities))
            .named("thena_activities", "Lists the activities that steps can call.")
            .scope("workflows:read")
            .query(&[TEAM])
            .answers(200, "ThenaRegistry"),
        Route::get("/api/v1/workflows/events", || web::to(registries::events))
            .named("thena_events", "Lists the events that can start a workflow.")
            .scope("events:read")
            .query(&[TEAM])
            .answers(200, "ThenaRegistry"),
        Route::get("/api/v1/workflows/filters", || web::to(registries::filters))
            .named("thena_filters", "Lists the operators of filters.")
            .scope("workflows:read")
            .query(&[TEAM])
            .answers(200, "ThenaRegistry"),
        Route::get("/api/v1/workflows/{uniqueIdentifier}", || web::to(workflows::show))
            .named("thena_workflows_get", "Returns one workflow, in its newest version.")
            .scope("workflows:read")
            .query(&[Param::number("version", "This version.")])
            .answers(200, "ThenaWorkflow"),
        Route::patch("/api/v1/workflows/{uniqueIdentifier}", || web::to(workflows::update))
            .named("thena_workflows_update", "Changes some fields, which makes a new version.")
            .scope("workflows:write")
            .body("ThenaDefinition")
            .answers(200, "ThenaWorkflow"),
        Route::delete("/api/v1/workflows/{uniqueIdentifier}", || web::to(workflows::delete))
            .named("thena_workflows_delete", "Removes a workflow; its executions stay readable.")
            .scope("workflows:write")
            .answers(200, "ThenaWorkflow"),
        Route::post("/api/v1/workflows/{uniqueIdentifier}/toggle", || web::to(workflows::toggle))
            .named("thena_workflows_toggle", "Activates a workflow, or pauses it.")
            .scope("workflows:write")
            .answers(200, "ThenaWorkflow"),
        Route::get("/api/v1/workflows/{workflowInstanceId}/tasks", || web::to(tasks::list))
            .named("thena_tasks_list", "Lists the tasks of an execution, in order.")
            .scope("runs:read")
            .answers(200, "ThenaTaskList"),
        Route::post("/api/v1/apps/create-app", || web::to(apps::create))
            .named("thena_apps_create", "Makes an app of a manifest.")
            .scope("apps:write")
            .body("AppManifest")
            .answers(201, "ThenaApp"),
        Route::patch("/api/v1/apps/{id}/update-app", || web::to(apps::update))
            .named("thena_apps_update", "Changes parts of a manifest and tells what differs.")
            .scope("apps:write")
            .body("AppManifest")
            .answers(200, "ThenaAppUpdate"),
        Route::post("/api/v1/apps/install", || web::to(apps::install))
            .named("thena_apps_install", "Installs an app on teams.")
            .scope("apps:write")
            .body("ThenaAppInstallation")
            .answers(201, "ThenaInstalledApp"),
        Route::post("/api/v1/apps/reinstall", || web::to(apps::reinstall))
            .named("thena_apps_reinstall", "Changes an installation and its bot's key.")
            .scope("apps:write")
            .body("ThenaAppInstallation")
            .answers(201, "ThenaInstalledApp"),
        Route::post("/api/v1/apps/uninstall", || web::to(apps::uninstall))
            .named("thena_apps_uninstall", "Takes an app away.")
            .scope("apps:write")
            .body("ThenaAppInstallation")
            .answers(200, "ThenaUninstalledApp"),
        Route::post("/api/v1/incoming-webhook/events", || web::to(apps::publish))
            .named("thena_apps_publish", "Publishes an event of the app whose bot's key is sent.")
            .known()
            .body("ThenaAppEvent")
            .answers(200, "ThenaPublished"),
    ],
    schemas: &[
        ("ThenaDefinition", include_str!("schemas/definition.json")),
        ("ThenaWorkflow", include_str!("schemas/workflow.json")),
        ("ThenaWorkflowPage", include_str!("schemas/workflow_page.json")),
        ("ThenaExecutionPage", include_str!("schemas/execution_page.json")),
        ("ThenaTaskList", include_str!("schemas/task_list.json")),
        (
            "ThenaApp",
            r#"{"type":"object","properties":{"uid":{"type":"string"},"appId":{"type":"string"},
                "clientId":{"type":"string"},"clientSecret":{"type":["string","null"]},
                "name":{"type":"string"},"slug":{"type":"string"},
                "description":{"type":"string"},"visibility":{"type":"string"},
                "manifest":{"type":"object"}}}"#,
        ),
        (
            "ThenaAppUpdate",
            r#"{"type":"object","properties":{"status":{"enum":["success","unchanged"]},
                "message":{"type":"string"},"changes":{"type":"array","items":{"type":"object",
                "properties":{"path":{"type":"string"},"oldValue":{},"newValue":{}}}}}}"#,
        ),
        (
            "ThenaAppInstallation",
            r#"{"type":"object","required":["appId"],"properties":{"appId":{"type":"string"},
                "teamIds":{"type":"array","items":{"type":"string"}},
                "appConfiguration":{"type":"object","properties":{
                    "required_settings":{},"optional_settings":{}}}}}"#,
        ),
        (
            "ThenaInstalledApp",
            r#"{"type":"object","properties":{"appName":{"type":"string"},
                "botSub":{"type":"string"},"botTokenKey":{"type":"string"},
                "botToken":{"type":"string"},"appInstalledForTeams":{"type":"array"},
                "appIdentifier":{"type":"string"},"metadata":{"type":"object"}}}"#,
        ),
        (
            "ThenaUninstalledApp",
            r#"{"type":"object","properties":{"status":{"type":"boolean"},
                "message":{"type":"string"},"data":{"type":"object"}}}"#,
        ),
        (
            "ThenaAppEvent",
            r#"{"type":"object","required":["event_name"],"properties":{
                "event_name":{"type":"string"},"payload":{}}}"#,
        ),
        (
            "ThenaPublished",
            r#"{"type":"object","properties":{"success":{"type":"boolean"},
                "messageId":{"type":"string"},
                "timestamp":{"type":"string","format":"date-time"}}}"#,
        ),
        (
            "ThenaRegistry",
            r#"{"type":"object","required":["data"],"properties":{"data":{"type":"array",
                "items":{"type":"object"}}}}"#,
        ),
    ],
    made: &[],
};
