//! Whoever asks: who they are, their password, second factor and sessions.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use super::super::ui::door::session_cookie;
use super::super::ui::profile::qr_code;
use super::super::ui::visit;
use crate::app::App;
use crate::app::sessions::Whose;

/// The caller.
pub static GROUP: Group = Group {
    tag: "me",
    about: "Who is asking, and what they change about themselves.",
    routes: &[
        Route::get("/v1/me", || web::to(me))
            .named("me", "Says who is asking and what they may do.")
            .known()
            .answers(200, "Me"),
        Route::post("/v1/me/password", || web::to(password))
            .named("me_password", "Sets another password and ends every other session.")
            .known()
            .body("NewPassword")
            .answers(204, ""),
        Route::post("/v1/me/second-factor", || web::to(begin))
            .named("me_second_factor_begin", "Makes a secret for an authenticator.")
            .known()
            .answers(201, "Enrolment"),
        Route::post("/v1/me/second-factor/confirm", || web::to(confirm))
            .named("me_second_factor_confirm", "Takes it into use; shows recovery codes, once.")
            .known()
            .body("Code")
            .answers(200, "RecoveryCodes"),
        Route::post("/v1/me/second-factor/remove", || web::to(remove))
            .named("me_second_factor_remove", "Takes the second factor away.")
            .known()
            .body("Password")
            .answers(204, ""),
        Route::get("/v1/me/sessions", || web::to(sessions))
            .named("me_sessions", "Lists the caller's sessions.")
            .known()
            .query(PAGED)
            .answers(200, "SessionPage"),
        Route::delete("/v1/me/sessions", || web::to(end_others))
            .named("me_sessions_end_others", "Ends every session but the one that asks.")
            .known()
            .answers(204, ""),
        Route::delete("/v1/me/sessions/{id}", || web::to(end))
            .named("me_sessions_end", "Ends one of the caller's sessions.")
            .known()
            .answers(204, ""),
    ],
    schemas: &[
        (
            "Me",
            r##"{"type":"object","properties":{"id":{"type":"string"},
                "kind":{"enum":["person","key","commandLine"]},"name":{"type":"string"},
                "tenant":{"type":"object"},"scopes":{"type":"array","items":{"type":"string"}},
                "roles":{"type":"array","items":{"type":"string"}},
                "teams":{"type":"array","items":{"type":"string"}},
                "person":{"oneOf":[{"$ref":"#/components/schemas/Person"},{"type":"null"}]},
                "user":{"type":["string","null"]}}}"##,
        ),
        (
            "NewPassword",
            r#"{"type":"object","required":["current","password"],"properties":{
                "current":{"type":"string"},"password":{"type":"string"}}}"#,
        ),
        (
            "Password",
            r#"{"type":"object","required":["password"],"properties":{
                "password":{"type":"string"}}}"#,
        ),
        (
            "Code",
            r#"{"type":"object","required":["code"],"properties":{"code":{"type":"string"}}}"#,
        ),
        (
            "Enrolment",
            r#"{"type":"object","properties":{"secret":{"type":"string"},
                "uri":{"type":"string"},"qrCode":{"type":"string"}}}"#,
        ),
        (
            "RecoveryCodes",
            r#"{"type":"object","properties":{
                "recoveryCodes":{"type":"array","items":{"type":"string"}}}}"#,
        ),
    ],
    made: &[],
};

async fn me(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.me(&who)?))
}

async fn password(
    request: HttpRequest,
    app: web::Data<App>,
    Caller(who): Caller,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let (current, password) = (fields.required_text("current"), fields.required_text("password"));
    fields.end()?;
    let entered = app.change_password(&who, current, password).await?;
    let cookie = session_cookie(&visit::shell(&request), entered.token);
    Ok(HttpResponse::NoContent().cookie(cookie).finish())
}

async fn begin(app: web::Data<App>, Caller(who): Caller) -> Answer {
    let enrolment = app.begin_second_factor(&who).await?;
    let qr_code = qr_code(&enrolment.uri);
    let body = json!({ "secret": enrolment.secret, "uri": enrolment.uri, "qrCode": qr_code });
    Ok(HttpResponse::Created().json(body))
}

async fn confirm(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let code = fields.required_text("code");
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.confirm_second_factor(&who, &code).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let password = fields.required_text("password");
    fields.end()?;
    app.remove_second_factor(&who, password).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn sessions(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.sessions(&who, Whose::Own, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn end_others(app: web::Data<App>, Caller(who): Caller) -> Answer {
    app.end_other_sessions(&who).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn end(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.end_session(&who, Whose::Own, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
