//! Custom fields: what values records take beside their own fields.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

const KIND: RecordKind = RecordKind::CustomField;

/// Definitions of custom fields.
pub static GROUP: Group = Group {
    tag: "custom-fields",
    about: "Definitions of custom fields: their type, their options, and when they are mandatory.",
    routes: &[
        Route::get("/v1/custom-fields", || records::list(KIND))
            .named("custom_fields_list", "Lists definitions of custom fields, newest first.")
            .scope("custom-fields:read")
            .query(SEARCHED)
            .answers(200, "CustomFieldPage"),
        Route::post("/v1/custom-fields", || records::create(KIND))
            .named("custom_fields_create", "Makes the definition of a custom field.")
            .scope("custom-fields:write")
            .body("NewCustomField")
            .answers(201, "CustomField"),
        Route::get("/v1/custom-fields/{id}", || records::show(KIND))
            .named("custom_fields_get", "Returns the definition of a custom field.")
            .scope("custom-fields:read")
            .answers(200, "CustomField"),
        Route::patch("/v1/custom-fields/{id}", || records::update(KIND))
            .named("custom_fields_update", "Changes the fields that are given; null clears one.")
            .scope("custom-fields:write")
            .body("CustomFieldPatch")
            .answers(200, "CustomField"),
        Route::delete("/v1/custom-fields/{id}", || records::remove(KIND))
            .named("custom_fields_delete", "Removes the definition of a custom field.")
            .scope("custom-fields:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("CustomField", || output_schema(KIND)),
        ("NewCustomField", || create_schema(KIND)),
        ("CustomFieldPatch", || update_schema(KIND)),
        ("CustomFieldPage", || records::page_schema("CustomField")),
    ],
};
