//! The pages for people: parse, call, render. Each page is listed once, in `PAGES`.

mod actions;
pub mod admin;
pub mod apps;
pub mod assets;
pub mod audit;
pub mod authoring;
pub mod backups;
mod bulk;
mod cures;
pub mod dashboard;
pub mod desk;
pub mod destinations;
pub mod door;
pub mod editor;
pub mod errors;
pub mod event;
pub mod events;
mod form;
pub mod join;
pub mod look;
pub mod navigation;
mod pages;
pub mod parts;
pub mod people;
pub mod profile;
pub mod rejected;
pub mod run;
mod run_bars;
mod run_lane;
pub mod run_list;
pub mod run_pages;
mod run_panels;
mod run_sentence;
pub mod runs;
#[cfg(test)]
mod samples;
pub mod schedules;
pub mod set_up;
mod settle;
pub mod shell;
pub mod sign_in;
pub mod storage;
pub mod system;
pub mod taste;
#[cfg(test)]
mod tests;
pub mod ticket;
pub mod tickets;
pub mod visit;
pub mod workflow;
pub mod workflows;

use actix_web::web;

use crate::web::api::run_lists;
use crate::web::route::{CURSOR, Group, Param, Route};

const Q: Param = Param::text("q", "A text to look for.");
const SINCE: Param = Param::text("since", "Not older than a time or a span such as `24h`.");

/// Every page and every form.
pub static PAGES: Group = Group {
    tag: "pages",
    about: "What people see and press.",
    routes: &[
        Route::get("/", || web::to(dashboard::show))
            .named("page_dashboard", "Shows what happens now and what needs a person.")
            .page("runs:read"),
        Route::get("/workflows", || web::to(workflows::list))
            .named("page_workflows", "Lists workflows.")
            .page("workflows:read")
            .query(&[
                Param::text("state", "`active` or `inactive`."),
                Param::text("trigger", "`event`, `schedule`, `lasting` or `manual`."),
                Param::text("only", "`failing`, `never` or `draft`."),
                Q,
                CURSOR,
            ]),
        Route::get("/workflows/{name}", || web::to(pages::workflow))
            .named("page_workflow", "Shows a workflow.")
            .page("workflows:read")
            .query(&[
                Param::number("version", "A version; without it the newest."),
                Param::text("source", "`yaml` or `json`."),
            ]),
        Route::post("/workflows/{name}/enable", || web::to(actions::enable))
            .named("page_workflow_enable", "Lets events start a workflow.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/disable", || web::to(actions::disable))
            .named("page_workflow_disable", "Lets events no longer start a workflow.")
            .page("workflows:write"),
        Route::post("/workflows/{name}/run", || web::to(actions::run))
            .named("page_workflow_run", "Starts one run.")
            .page("runs:write"),
        Route::get("/runs", || web::to(run_list::show))
            .named("page_runs", "Lists runs.")
            .page("runs:read")
            .query(&run_lists::fields_and(CURSOR)),
        Route::get("/runs/{id}", || web::to(run_pages::show))
            .named("page_run", "Shows a run.")
            .page("runs:read")
            .query(&[
                Param::text("tab", "`timeline`, `context`, `history`, `compare` or `redo`."),
                Param::text("step", "The step that is open."),
                Param::number("at", "The journal record after which the context is shown."),
                Param::text("expression", "What is evaluated on the context."),
                Param::text("diff", "The run to compare with."),
            ]),
        Route::post("/runs/{id}/cancel", || web::to(actions::cancel))
            .named("page_run_cancel", "Cancels a run.")
            .page("runs:write"),
        Route::post("/runs/{id}/retry", || web::to(run_pages::retry))
            .named("page_run_retry", "Goes on from the step that failed.")
            .page("runs:write"),
        Route::post("/runs/{id}/compensate", || web::to(actions::compensate))
            .named("page_run_compensate", "Tries again to undo what could not be undone.")
            .page("runs:write"),
        Route::post("/runs/{id}/steps/{step}/resolve", || web::to(actions::resolve))
            .named("page_run_resolve", "Says how a run goes on whose step waits for somebody.")
            .page("runs:write"),
        Route::get("/bulk", || web::to(bulk::confirm))
            .named("page_bulk", "Shows what would be done to all runs of a list.")
            .page("runs:write")
            .query(&run_lists::fields_and(Param::text(
                "action",
                "`retry`, `restart` or `cancel`.",
            ))),
        Route::post("/bulk", || web::to(bulk::start))
            .named("page_bulk_start", "Does it to all of them.")
            .page("runs:write"),
        Route::get("/bulk/{id}", || web::to(bulk::job))
            .named("page_bulk_job", "Shows how far a bulk job has come.")
            .page("runs:read"),
        Route::post("/bulk/{id}/{wish}", || web::to(bulk::change))
            .named("page_bulk_change", "Holds a bulk job, lets it go on, or ends it.")
            .page("runs:write"),
        Route::get("/events", || web::to(pages::events))
            .named("page_events", "Lists events.")
            .page("events:read")
            .query(&[
                Param::text("type", "An event type."),
                Param::text("source", "Who sent it."),
                Param::text("subject", "What it is about."),
                Q,
                Param::flag("matched", "Whether it started a run."),
                SINCE,
                Param::text("live", "`off` for a list that stands still."),
                CURSOR,
            ]),
        Route::get("/events/{id}", || web::to(pages::event))
            .named("page_event", "Shows an event and why it did or did not start what.")
            .page("events:read"),
        Route::post("/events/{id}/replay", || web::to(actions::replay))
            .named("page_event_replay", "Makes an event like this one.")
            .page("events:write"),
        Route::get("/schedules", || web::to(schedules::list))
            .named("page_schedules", "Lists schedules.")
            .page("schedules:read")
            .query(&[CURSOR]),
        Route::post("/schedules/{workflow}/{trigger}/run", || web::to(schedules::run))
            .named("page_schedule_run", "Starts a run of a schedule at once.")
            .page("schedules:write"),
        Route::post("/schedules/{workflow}/{trigger}/pause", || web::to(schedules::pause))
            .named("page_schedule_pause", "Lets a schedule fire no more.")
            .page("schedules:write"),
        Route::post("/schedules/{workflow}/{trigger}/resume", || web::to(schedules::resume))
            .named("page_schedule_resume", "Lets a schedule go on.")
            .page("schedules:write"),
        Route::post("/schedules/{workflow}/{trigger}/skip-next", || web::to(schedules::skip_next))
            .named("page_schedule_skip_next", "Leaves out the next time of a schedule.")
            .page("schedules:write"),
        Route::get("/tickets", || web::to(desk::tickets))
            .named("page_tickets", "Lists tickets.")
            .page("tickets:read")
            .query(&[
                Param::text("status", "A status."),
                Param::text("priority", "A priority."),
                Q,
                CURSOR,
            ]),
        Route::get("/tickets/{id}", || web::to(desk::ticket))
            .named("page_ticket", "Shows a ticket.")
            .page("tickets:read"),
        Route::post("/tickets/{id}", || web::to(desk::change))
            .named("page_ticket_change", "Changes a ticket.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/comments", || web::to(desk::comment))
            .named("page_ticket_comment", "Comments on a ticket.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/escalate", || web::to(desk::escalate))
            .named("page_ticket_escalate", "Escalates a ticket.")
            .page("tickets:write"),
        Route::get("/search", || web::to(pages::search))
            .named("page_search", "Leads to what an id or a name means.")
            .page("runs:read")
            .query(&[Q]),
        Route::get("/sign-in", || web::to(door::show))
            .named("page_sign_in", "Shows the door.")
            .public(),
        Route::post("/sign-in", || web::to(door::enter))
            .named("page_enter", "Begins a session.")
            .public(),
        Route::post("/sign-out", || web::to(door::leave))
            .named("page_leave", "Ends a session.")
            .public(),
        Route::get("/forms/{tenant}/{name}", || web::to(form::show))
            .named("page_form", "Shows a hosted form.")
            .public(),
        Route::post("/forms/{tenant}/{name}", || web::to(form::submit))
            .named("page_form_submit", "Takes a hosted form that somebody filled in.")
            .public(),
        Route::get("/setup", || web::to(set_up::show))
            .named("page_set_up", "Welcomes whoever has the one-time link.")
            .public(),
        Route::post("/setup", || web::to(set_up::begin))
            .named("page_set_up_begin", "Makes the holder of the one-time link the owner.")
            .public(),
        Route::get("/join", || web::to(join::show))
            .named("page_join", "Welcomes whoever was invited or sets another password.")
            .public(),
        Route::post("/join", || web::to(join::begin))
            .named("page_join_begin", "Sets the password of the holder of a one-time link.")
            .public(),
        Route::get("/profile", || web::to(profile::show))
            .named("page_profile", "Shows the visitor's account and sessions.")
            .own_page(),
        Route::post("/profile/password", || web::to(profile::password))
            .named("page_profile_password", "Sets another password.")
            .own_page(),
        Route::post("/profile/second-factor", || web::to(profile::begin))
            .named("page_profile_second_factor", "Makes a secret for an authenticator.")
            .own_page(),
        Route::post("/profile/second-factor/confirm", || web::to(profile::confirm))
            .named("page_profile_second_factor_confirm", "Takes the authenticator into use.")
            .own_page(),
        Route::post("/profile/second-factor/remove", || web::to(profile::remove))
            .named("page_profile_second_factor_remove", "Takes the authenticator away.")
            .own_page(),
        Route::post("/profile/sessions/end", || web::to(profile::end))
            .named("page_profile_session_end", "Ends a session, or every other one.")
            .own_page(),
        Route::get("/people", || web::to(people::show))
            .named("page_people", "Lists people and their roles.")
            .page("people:read"),
        Route::post("/people", || web::to(people::invite))
            .named("page_people_invite", "Invites somebody.")
            .page("people:write"),
        Route::post("/people/{id}", || web::to(people::change))
            .named("page_people_change", "Changes somebody's roles.")
            .page("people:write"),
        Route::post("/people/{id}/{deed}", || web::to(people::act))
            .named("page_people_act", "Disables, enables, resets or removes somebody.")
            .page("people:write"),
        Route::get("/apps", || web::to(apps::list))
            .named("page_apps", "Lists apps, where they are installed and what they can do.")
            .page("apps:read")
            .query(&[
                Param::text("state", "`installed` or `not`."),
                Q,
                CURSOR,
                Param::text("done", "What a form did that led here."),
            ]),
        Route::get("/system/storage", || web::to(storage::show))
            .named("page_storage", "Shows how much of the disk everything takes, and what is kept.")
            .page("system:read"),
        Route::get("/audit", || web::to(audit::show))
            .named("page_audit", "Lists who changed what.")
            .page("audit:read")
            .query(&[
                Param::text("actor", "Who made the change."),
                Param::text("action", "What was done."),
                Param::text("target", "What it was done to."),
                SINCE,
                CURSOR,
            ]),
        Route::get("/system", || web::to(system::show))
            .named("page_system", "Shows how the appliance does.")
            .page("system:read")
            .query(&[
                Param::text("level", "The least level of the log lines."),
                Param::text("q", "A text in the log lines."),
            ]),
        Route::post("/system/notices/test", || web::to(system::test))
            .named("page_system_notices_test", "Tries whether notices of alerts arrive.")
            .page("tenants:write"),
        Route::post("/system/log-level", || web::to(system::level))
            .named("page_system_log_level", "Changes what is logged for a while.")
            .page("tenants:write"),
        Route::get("/system/backups", || web::to(backups::list))
            .named("page_backups", "Lists the backups and how they fare.")
            .page("tenants:write"),
        Route::post("/system/backups", || web::to(backups::start))
            .named("page_backups_start", "Begins to take a backup.")
            .page("tenants:write"),
        Route::post("/system/backups/verify", || web::to(backups::verify))
            .named("page_backups_verify", "Reads a backup whole.")
            .page("tenants:write"),
        Route::post("/system/resume", || web::to(backups::resume))
            .named("page_resume", "Lets a restored appliance go on.")
            .page("tenants:write"),
        Route::get("/destinations", || web::to(destinations::list))
            .named("page_destinations", "Lists where calls go and how that fares.")
            .page("destinations:read")
            .query(&[
                Param::text("state", "`trouble` for those that calls do not reach."),
                Q,
                CURSOR,
                Param::text("done", "What a form did that led here."),
            ]),
        Route::post("/destinations/reset", || web::to(destinations::reset))
            .named("page_destination_reset", "Lets calls go to a destination again.")
            .page("destinations:write"),
        Route::post("/theme", || web::to(door::theme))
            .named("page_theme", "Keeps the chosen theme.")
            .public(),
        Route::post("/generator", || web::to(actions::generator))
            .named("page_generator", "Pauses or resumes the demo's generator.")
            .page("events:write"),
        Route::get("/static/{file}", || web::to(door::asset))
            .named("page_asset", "Serves a file of the pages.")
            .public(),
    ],
    schemas: &[],
    made: &[],
};
