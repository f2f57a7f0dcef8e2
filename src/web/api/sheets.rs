//! Tables of records: checked and taken in, row by row.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Raw;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, JSON, Param, Route};
use crate::app::App;
use crate::app::sheets::SheetMode;
use crate::domain::desk::RecordKind;

const CSV: &str = "text/csv";
const ASKED: &[Param] = &[Param::flag("dryRun", "Only checks the table.")];

/// Imports of tables.
pub static GROUP: Group = Group {
    tag: "sheets",
    about: "Tables of records as spreadsheets save them: the first line names fields, and every \
            row that is right becomes a record with its event.",
    routes: &[
        Route::post("/v1/accounts/import", || take(RecordKind::Account))
            .named("accounts_import", "Makes accounts of the rows of a table.")
            .scope("accounts:write")
            .query(ASKED)
            .media(CSV, JSON)
            .body("Sheet")
            .answers(200, "SheetOutcome"),
        Route::post("/v1/contacts/import", || take(RecordKind::Contact))
            .named("contacts_import", "Makes contacts of the rows of a table.")
            .scope("contacts:write")
            .query(ASKED)
            .media(CSV, JSON)
            .body("Sheet")
            .answers(200, "SheetOutcome"),
        Route::post("/v1/tickets/import", || take(RecordKind::Ticket))
            .named("tickets_import", "Makes tickets of the rows of a table.")
            .scope("tickets:write")
            .query(ASKED)
            .media(CSV, JSON)
            .body("Sheet")
            .answers(200, "SheetOutcome"),
    ],
    schemas: &[
        (
            "Sheet",
            r#"{"type":"string","description":"RFC 4180, in UTF-8; a semicolon or a tab may stand for the comma."}"#,
        ),
        (
            "SheetOutcome",
            r#"{"type":"object","properties":{"rows":{"type":"integer"},
                "right":{"type":"integer"},"made":{"type":"integer"},
                "columns":{"type":"array","items":{"type":"object","properties":{
                    "name":{"type":"string"},"field":{"type":["string","null"]},
                    "hint":{"type":["string","null"]}}}},
                "problems":{"type":"array","items":{"type":"object","properties":{
                    "line":{"type":"integer"},"pointer":{"type":"string"},
                    "code":{"type":"string"},"detail":{"type":"string"},
                    "hint":{"type":"string"}}}},
                "preview":{"type":"array","items":{"type":"object"}}}}"#,
        ),
    ],
    made: &[],
};

fn take(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, Caller(who): Caller, query: Query, Raw(body): Raw| async move {
            let text = std::str::from_utf8(&body);
            let text = text.map_err(|_| ApiError::bad_parameter("body", "must be UTF-8"))?;
            let mode = match query.flag("dryRun")? {
                Some(true) => SheetMode::Check,
                Some(false) | None => SheetMode::Make,
            };
            Answer::Ok(HttpResponse::Ok().json(app.import_sheet(&who, kind, text, mode).await?))
        },
    )
}
