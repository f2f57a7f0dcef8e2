//! The desk and the house: approvals, incidents, tenants, roles, and the pages of records.

pub mod approvals;
pub mod blank;
pub mod filled;
pub mod incidents;
pub mod licences;
pub mod nouns;
pub mod record;
pub mod record_form;
pub mod records;
pub mod roles;
pub mod said;
#[cfg(test)]
mod samples;
pub mod sheet;
mod talk;
pub mod tenant;
pub mod tenants;

pub use talk::{change, comment, escalate, ticket, tickets};

use actix_web::web;

use self::nouns::{ACCOUNTS, CONTACTS, TEAMS, TICKETS};
use super::{Q, SINCE, audit, people};
use crate::web::route::{CURSOR, Group, Param, Route};

const SAID: Param = Param::text("said", "What a form before came to.");

/// The pages of the desk and the house, and their forms.
pub static PAGES: Group = Group {
    tag: "pages",
    about: "What people see and press at the desk and in the house.",
    routes: &[
        Route::get("/approvals", || web::to(approvals::list))
            .named("page_approvals", "Lists what runs ask of people.")
            .page("approvals:read")
            .query(&[Param::text("show", "`all` or `decided`."), SAID, CURSOR]),
        Route::post("/approvals/{id}/{step}", || web::to(approvals::decide))
            .named("page_approval_decide", "Approves or rejects.")
            .page("approvals:write"),
        Route::get("/incidents", || web::to(incidents::list))
            .named("page_incidents", "Lists steps that wait for a person, by cause.")
            .page("runs:read")
            .query(&[
                Param::number("settled", "How many a form before settled."),
                Param::number("refused", "How many it could not."),
                Param::number("left", "How many it left."),
            ]),
        Route::post("/incidents", || web::to(incidents::settle_all))
            .named("page_incidents_settle", "Settles every incident of a cause.")
            .page("runs:write"),
        Route::get("/tenants", || web::to(tenants::list))
            .named("page_tenants", "Lists tenants with what they use.")
            .page("tenants:read")
            .query(&[SAID, CURSOR]),
        Route::post("/tenants", || web::to(tenants::create))
            .named("page_tenant_create", "Makes a tenant.")
            .page("tenants:write"),
        Route::get("/tenants/{slug}", || web::to(tenant::show))
            .named("page_tenant", "Shows a tenant with its quotas.")
            .page("tenants:read")
            .query(&[SAID]),
        Route::post("/tenants/{slug}/{deed}", || web::to(tenant::change))
            .named("page_tenant_change", "Changes, exports or removes a tenant.")
            .page("tenants:write"),
        Route::get("/people/roles", || web::to(roles::show))
            .named("page_roles", "Shows what each role may do.")
            .page("people:read"),
        Route::post("/people/sessions/{id}/end", || web::to(people::end_session))
            .named("page_people_session_end", "Ends somebody's session.")
            .page("people:write"),
        Route::get("/audit/verify", || web::to(audit::verify))
            .named("page_audit_verify", "Checks every record of the audit.")
            .page("audit:read")
            .query(&[
                Param::text("actor", "Who made the change."),
                Param::text("action", "What was done."),
                Param::text("target", "What it was done to."),
                SINCE,
                CURSOR,
            ]),
        Route::get("/system/licences", || web::to(licences::show))
            .named("page_licences", "Lists the parts that are built in, with their licences.")
            .page("system:read"),
        Route::get("/tickets/new", || record_form::new(&TICKETS))
            .named("page_ticket_new", "Asks for a new ticket.")
            .page("tickets:write"),
        Route::post("/tickets", || record_form::create(&TICKETS))
            .named("page_ticket_create", "Makes a ticket.")
            .page("tickets:write"),
        Route::get("/tickets/import", || sheet::ask(&TICKETS))
            .named("page_tickets_import", "Asks for a table of tickets.")
            .page("tickets:write"),
        Route::post("/tickets/import", || sheet::take(&TICKETS))
            .named("page_tickets_take", "Looks at a table of tickets or takes it in.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/preview", || web::to(talk::preview))
            .named("page_ticket_preview", "Shows what a change would set off.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/unescalate", || web::to(talk::unescalate))
            .named("page_ticket_unescalate", "Takes the mark of an escalation away.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/archive", || web::to(talk::archive))
            .named("page_ticket_archive", "Puts a ticket away.")
            .page("tickets:write"),
        Route::post("/tickets/{id}/unarchive", || web::to(talk::unarchive))
            .named("page_ticket_unarchive", "Takes a ticket back.")
            .page("tickets:write"),
        Route::get("/accounts", || records::list(&ACCOUNTS))
            .named("page_accounts", "Lists accounts.")
            .page("accounts:read")
            .query(&[Q, SAID, CURSOR]),
        Route::post("/accounts", || record_form::create(&ACCOUNTS))
            .named("page_account_create", "Makes an account.")
            .page("accounts:write"),
        Route::get("/accounts/new", || record_form::new(&ACCOUNTS))
            .named("page_account_new", "Asks for a new account.")
            .page("accounts:write"),
        Route::get("/accounts/import", || sheet::ask(&ACCOUNTS))
            .named("page_accounts_import", "Asks for a table of accounts.")
            .page("accounts:write"),
        Route::post("/accounts/import", || sheet::take(&ACCOUNTS))
            .named("page_accounts_take", "Looks at a table of accounts or takes it in.")
            .page("accounts:write"),
        Route::get("/accounts/{id}", || record::show(&ACCOUNTS))
            .named("page_account", "Shows an account.")
            .page("accounts:read")
            .query(&[SAID]),
        Route::post("/accounts/{id}", || record_form::change(&ACCOUNTS))
            .named("page_account_change", "Changes an account.")
            .page("accounts:write"),
        Route::get("/accounts/{id}/edit", || record_form::edit(&ACCOUNTS))
            .named("page_account_edit", "Asks what is to be changed of an account.")
            .page("accounts:write"),
        Route::post("/accounts/{id}/notes", || web::to(record::note))
            .named("page_account_note", "Adds a note to an account.")
            .page("accounts:write"),
        Route::post("/accounts/{id}/remove", || record::remove(&ACCOUNTS))
            .named("page_account_remove", "Removes an account.")
            .page("accounts:write"),
        Route::get("/contacts", || records::list(&CONTACTS))
            .named("page_contacts", "Lists contacts.")
            .page("contacts:read")
            .query(&[Q, SAID, CURSOR]),
        Route::post("/contacts", || record_form::create(&CONTACTS))
            .named("page_contact_create", "Makes a contact.")
            .page("contacts:write"),
        Route::get("/contacts/new", || record_form::new(&CONTACTS))
            .named("page_contact_new", "Asks for a new contact.")
            .page("contacts:write"),
        Route::get("/contacts/import", || sheet::ask(&CONTACTS))
            .named("page_contacts_import", "Asks for a table of contacts.")
            .page("contacts:write"),
        Route::post("/contacts/import", || sheet::take(&CONTACTS))
            .named("page_contacts_take", "Looks at a table of contacts or takes it in.")
            .page("contacts:write"),
        Route::get("/contacts/{id}", || record::show(&CONTACTS))
            .named("page_contact", "Shows a contact.")
            .page("contacts:read")
            .query(&[SAID]),
        Route::post("/contacts/{id}", || record_form::change(&CONTACTS))
            .named("page_contact_change", "Changes a contact.")
            .page("contacts:write"),
        Route::get("/contacts/{id}/edit", || record_form::edit(&CONTACTS))
            .named("page_contact_edit", "Asks what is to be changed of a contact.")
            .page("contacts:write"),
        Route::post("/contacts/{id}/remove", || record::remove(&CONTACTS))
            .named("page_contact_remove", "Removes a contact.")
            .page("contacts:write"),
        Route::get("/teams", || records::list(&TEAMS))
            .named("page_teams", "Lists teams.")
            .page("teams:read")
            .query(&[Q, SAID, CURSOR]),
        Route::post("/teams", || record_form::create(&TEAMS))
            .named("page_team_create", "Makes a team.")
            .page("teams:write"),
        Route::get("/teams/new", || record_form::new(&TEAMS))
            .named("page_team_new", "Asks for a new team.")
            .page("teams:write"),
        Route::get("/teams/{id}", || record::show(&TEAMS))
            .named("page_team", "Shows a team.")
            .page("teams:read")
            .query(&[SAID]),
        Route::post("/teams/{id}", || record_form::change(&TEAMS))
            .named("page_team_change", "Changes a team.")
            .page("teams:write"),
        Route::get("/teams/{id}/edit", || record_form::edit(&TEAMS))
            .named("page_team_edit", "Asks what is to be changed of a team.")
            .page("teams:write"),
        Route::post("/teams/{id}/remove", || record::remove(&TEAMS))
            .named("page_team_remove", "Removes a team.")
            .page("teams:write"),
    ],
    schemas: &[],
    made: &[],
};
