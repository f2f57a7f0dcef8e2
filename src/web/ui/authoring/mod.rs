//! The pages on which workflows are tried, compared, brought in and taken out.

mod head;
mod matching;

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
    ],
    schemas: &[],
    made: &[],
};

/// Reads the fields of a form.
fn pairs(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Returns a field of a form; an empty one counts as absent.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}
