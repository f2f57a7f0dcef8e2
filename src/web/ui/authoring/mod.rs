//! The pages on which workflows are tried, compared, brought in and taken out.

mod backtest;
mod cases;
mod changes;
mod gallery;
mod head;
mod import;
mod matching;
pub mod sketch;
mod trying;
mod versions;

pub use head::WorkflowTabs;

use actix_web::web;

use crate::web::route::{Group, Param, Route};

/// The pages.
pub static PAGES: Group = Group {
    tag: "pages-authoring",
    about: "Where workflows are tried, compared, brought in and taken out.",
    routes: &[
        Route::get("/workflows/{name}/match", || web::to(matching::show))
            .named("page_match", "Shows what starts a workflow and which events match.")
            .page("workflows:read")
            .query(&[Param::text("show", "`matched`, `near` or `unmatched` events.")]),
        Route::post("/workflows/{name}/match", || web::to(matching::try_it))
            .named("page_match_try", "Tries a trigger that is not saved on recorded events.")
            .page("workflows:read"),
        Route::post("/workflows/{name}/trigger", || web::to(matching::card))
            .named("page_trigger_card", "Renders the card of a trigger that is being edited.")
            .page("workflows:read"),
        Route::post("/workflows/{name}/trigger/save", || web::to(matching::save))
            .named("page_trigger_save", "Saves a trigger as a draft of its workflow.")
            .page("workflows:write"),
        Route::get("/workflows/{name}/test", || web::to(trying::show))
            .named("page_workflow_test", "Tries a workflow without any effect.")
            .page("workflows:read")
            .query(&[
                Param::text("event", "The recorded event that it begins with."),
                Param::text("case", "The saved case that it begins with."),
                Param::text("mode", "`mock` or `recorded` answers of steps."),
                Param::text("upTo", "The last step that is tried."),
                Param::text("failAt", "The step that fails."),
                Param::number("version", "A version; the newest without it."),
            ]),
        Route::post("/workflows/{name}/test", || web::to(trying::try_it))
            .named("page_workflow_try", "Tries a workflow with what a form says.")
            .page("workflows:read"),
        Route::get("/workflows/{name}/cases", || web::to(cases::show))
            .named("page_cases", "Plays the test cases of a workflow.")
            .page("workflows:read"),
        Route::post("/workflows/{name}/cases", || web::to(cases::add))
            .named("page_case_add", "Keeps a test case with a workflow, in a draft.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/cases/remove", || web::to(cases::remove))
            .named("page_case_remove", "Removes a test case of a workflow, in a draft.")
            .page("workflows:write"),
        Route::get("/workflows/{name}/backtest", || web::to(backtest::show))
            .named("page_backtest", "Tries a version on the events that really came.")
            .page("workflows:read")
            .query(&[
                Param::number("version", "A version; the newest without it."),
                Param::text("since", "Only events of this span, such as `24h`."),
            ]),
        Route::get("/workflows/{name}/versions", || web::to(versions::list))
            .named("page_versions", "Lists the versions of a workflow and how each fared.")
            .page("workflows:read"),
        Route::get("/workflows/{name}/diff", || web::to(versions::diff))
            .named("page_diff", "Shows how two versions differ.")
            .page("workflows:read")
            .query(&[
                Param::number("from", "The version before."),
                Param::number("to", "The version after."),
            ]),
        Route::post("/workflows/{name}/restore", || web::to(versions::restore))
            .named("page_restore", "Saves an old version again, as the newest.")
            .page("workflows:write"),
        Route::get("/workflows/{name}/export", || web::to(versions::export))
            .named("page_export", "Hands out a workflow as a file.")
            .page("workflows:read")
            .query(&[
                Param::text("format", "`yaml`, `json` or `thena`."),
                Param::number("version", "A version; the present one without it."),
            ]),
        Route::get("/workflows/import", || web::to(import::show))
            .named("page_import", "Takes a definition, pasted or as a file.")
            .page("workflows:read"),
        Route::post("/workflows/import", || web::to(import::take))
            .named("page_import_take", "Looks at a definition, or saves it.")
            .page("workflows:read"),
        Route::get("/templates", || web::to(gallery::show))
            .named("page_templates", "Shows the workflows to begin with.")
            .page("workflows:read"),
        Route::post("/templates/{id}/use", || web::to(gallery::take))
            .named("page_template_use", "Makes a workflow of a template, as a draft.")
            .page("workflows:write"),
        Route::post("/bulk/workflows", || web::to(changes::several))
            .named("page_workflows_change", "Switches workflows on or off, or copies them.")
            .page("workflows:write"),
    ],
    schemas: &[],
    made: &[],
};

/// One choice of a list in a form.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is posted.
    pub value: String,
    /// What people read.
    pub word: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// Reads the fields of a form.
fn pairs(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Returns a field of a form; an empty one counts as absent.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}
