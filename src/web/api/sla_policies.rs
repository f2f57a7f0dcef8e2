//! SLA policies: what is promised about which tickets.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

const KIND: RecordKind = RecordKind::SlaPolicy;

/// SLA policies.
pub static GROUP: Group = Group {
    tag: "sla-policies",
    about: "Promises about tickets: within how long somebody answers, and when clocks stand still. A policy that changes applies to a ticket from its next change or deadline on.",
    routes: &[
        Route::get("/v1/sla-policies", || records::list(KIND))
            .named("sla_policies_list", "Lists SLA policies, newest first.")
            .scope("tickets:read")
            .query(SEARCHED)
            .answers(200, "SlaPolicyPage"),
        Route::post("/v1/sla-policies", || records::create(KIND))
            .named("sla_policies_create", "Makes an SLA policy.")
            .scope("tickets:write")
            .body("NewSlaPolicy")
            .answers(201, "SlaPolicy"),
        Route::get("/v1/sla-policies/{id}", || records::show(KIND))
            .named("sla_policies_get", "Returns an SLA policy.")
            .scope("tickets:read")
            .answers(200, "SlaPolicy"),
        Route::patch("/v1/sla-policies/{id}", || records::update(KIND))
            .named("sla_policies_update", "Changes the fields that are given; null clears one.")
            .scope("tickets:write")
            .body("SlaPolicyPatch")
            .answers(200, "SlaPolicy"),
        Route::delete("/v1/sla-policies/{id}", || records::remove(KIND))
            .named("sla_policies_delete", "Removes an SLA policy.")
            .scope("tickets:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("SlaPolicy", || output_schema(KIND)),
        ("NewSlaPolicy", || create_schema(KIND)),
        ("SlaPolicyPatch", || update_schema(KIND)),
        ("SlaPolicyPage", || records::page_schema("SlaPolicy")),
    ],
};
