//! The editor of workflows: a form and the source, two views of one draft.

mod catalogue;
mod changes;
mod control;
mod deeds;
pub mod diagram;
mod handlers;
mod new;
mod page;
mod posted;
mod publish;
mod retry;
mod state;
mod step;
#[cfg(test)]
mod tests;
pub mod trigger;

pub use page::trigger_word;

use actix_web::web;

use crate::web::route::{Group, Param, Route};

/// Every page and every form of the editor.
pub static PAGES: Group = Group {
    tag: "pages",
    about: "What people see and press.",
    routes: &[
        Route::get("/workflows/new", || web::to(new::show))
            .named("page_workflow_new", "Begins a workflow.")
            .page("workflows:write"),
        Route::post("/workflows/new", || web::to(new::begin))
            .named("page_workflow_begin", "Keeps the first draft of a workflow.")
            .page("workflows:write"),
        Route::get("/workflows/{name}/edit", || web::to(handlers::show))
            .named("page_workflow_edit", "Shows the editor of a workflow.")
            .page("workflows:write")
            .query(&[
                Param::text("tab", "`form` or `source`."),
                Param::text("open", "The pointer of the step whose card is open."),
                Param::text("add", "The pointer of the place where a step is to be added."),
                Param::text("find", "What to look for among the activities."),
                Param::text("event", "The id of the event whose values are shown."),
                Param::text("fx", "Fields that are shown as expressions."),
            ]),
        Route::post("/workflows/{name}/edit", || web::to(handlers::change))
            .named("page_workflow_edit_change", "Changes the draft by its form.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/edit/source", || web::to(handlers::source))
            .named("page_workflow_edit_source", "Keeps the draft as it was typed.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/edit/discard", || web::to(handlers::discard))
            .named("page_workflow_edit_discard", "Throws the draft away.")
            .page("workflows:write"),
        Route::get("/workflows/{name}/publish", || web::to(publish::show))
            .named("page_workflow_publish", "Shows what publishing the draft would change.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/publish", || web::to(publish::publish))
            .named("page_workflow_publish_draft", "Publishes the draft.")
            .page("workflows:write"),
    ],
    schemas: &[],
    made: &[],
};
