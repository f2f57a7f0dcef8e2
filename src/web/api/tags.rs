//! Tags: words to sort tickets by.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Tags.
pub static GROUP: Group = Group {
    tag: "tags",
    about: "Words to sort tickets and skills by.",
    routes: &[
        Route::get("/v1/tags", || records::list(RecordKind::Tag))
            .named("tags_list", "Lists tags, newest first.")
            .scope("tags:read")
            .query(SEARCHED)
            .answers(200, "TagPage"),
        Route::post("/v1/tags", || records::create(RecordKind::Tag))
            .named("tags_create", "Makes a tag.")
            .scope("tags:write")
            .body("NewTag")
            .answers(201, "Tag"),
        Route::get("/v1/tags/{id}", || records::show(RecordKind::Tag))
            .named("tags_get", "Returns a tag, by its id or name.")
            .scope("tags:read")
            .answers(200, "Tag"),
        Route::patch("/v1/tags/{id}", || records::update(RecordKind::Tag))
            .named("tags_update", "Changes the fields that are given; null clears one.")
            .scope("tags:write")
            .body("TagPatch")
            .answers(200, "Tag"),
        Route::delete("/v1/tags/{id}", || records::remove(RecordKind::Tag))
            .named("tags_delete", "Removes a tag.")
            .scope("tags:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("Tag", || output_schema(RecordKind::Tag)),
        ("NewTag", || create_schema(RecordKind::Tag)),
        ("TagPatch", || update_schema(RecordKind::Tag)),
        ("TagPage", || records::page_schema("Tag")),
    ],
};
