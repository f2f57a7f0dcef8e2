//! Contacts: people at customers.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Contacts.
pub static GROUP: Group = Group {
    tag: "contacts",
    about: "People at customers; a mail address names one.",
    routes: &[
        Route::get("/v1/contacts", || records::list(RecordKind::Contact))
            .named("contacts_list", "Lists contacts, newest first.")
            .scope("contacts:read")
            .query(SEARCHED)
            .answers(200, "ContactPage"),
        Route::post("/v1/contacts", || records::create(RecordKind::Contact))
            .named("contacts_create", "Makes a contact.")
            .scope("contacts:write")
            .body("NewContact")
            .answers(201, "Contact"),
        Route::get("/v1/contacts/{id}", || records::show(RecordKind::Contact))
            .named("contacts_get", "Returns a contact, by its id or mail address.")
            .scope("contacts:read")
            .answers(200, "Contact"),
        Route::patch("/v1/contacts/{id}", || records::update(RecordKind::Contact))
            .named("contacts_update", "Changes the fields that are given; null clears one.")
            .scope("contacts:write")
            .body("ContactPatch")
            .answers(200, "Contact"),
        Route::delete("/v1/contacts/{id}", || records::remove(RecordKind::Contact))
            .named("contacts_delete", "Removes a contact.")
            .scope("contacts:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("Contact", || output_schema(RecordKind::Contact)),
        ("NewContact", || create_schema(RecordKind::Contact)),
        ("ContactPatch", || update_schema(RecordKind::Contact)),
        ("ContactPage", || records::page_schema("Contact")),
    ],
};
