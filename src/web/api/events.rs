//! Events: taken in, listed, explained, replayed.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::auth::{Caller, shown_by};
use super::super::body::{Json, Raw};
use super::super::cloudevents::{self, Intake, Limits};
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::super::settings::WebSettings;
use super::super::state::Front;
use super::super::stream;
use crate::app::App;
use crate::app::events::{EventFilter, EventOutcome, IncomingEvent};
use crate::app::explain::Breadth;
use crate::app::principal::Principal;
use crate::app::streams::{EventPlace, Start};
use crate::domain::event_type::Pattern;
use crate::domain::filter::Filter;
use crate::domain::problem::Problem;
use crate::failpoint;

const SOURCE_OF_BARE_EVENTS: &str = "api";

/// Events.
pub static GROUP: Group = Group {
    tag: "events",
    about: "What happened: sent in, kept, matched against every workflow that listens.",
    routes: &[
        Route::post("/v1/events", || web::to(accept))
            .named("events_send", "Takes CloudEvents in binary, structured or batch mode.")
            .scope("events:write")
            .body("CloudEvent")
            .answers(202, "EventsAccepted"),
        Route::get("/v1/events", || web::to(list))
            .named("events_list", "Lists events, newest first.")
            .scope("events:read")
            .query(&[
                Param::text("type", "Only this event type."),
                Param::text("source", "Only events of this source."),
                Param::text("subject", "Only events about this."),
                Param::text("since", "Only events accepted since this time, or this long ago."),
                Param::text("until", "Only events accepted before this time."),
                Param::flag("matched", "Only events that did, or did not, start a run."),
                Param::text("q", "Only events with this text in the id, subject or payload."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "EventPage"),
        Route::get("/v1/events/stream", || web::to(follow))
            .named("events_stream", "Sends events as they are accepted, as server-sent events.")
            .scope("events:read")
            .query(&[
                Param::text("type", "Only this event type, or all that begin as `ticket:*` does."),
                Param::text("filter", "Only events for which this filter, as JSON, holds."),
                Param::text("since", "Begins with events of this time, or of this long ago."),
                Param::text("lastEventId", "As the header `Last-Event-ID`, which beats it."),
            ])
            .answers(200, ""),
        Route::post("/v1/events/{id}", || web::to(accept_bare))
            .named("events_send_bare", "Takes a bare JSON payload; the path names the event type.")
            .scope("events:write")
            .query(&[
                Param::text("id", "The event's id; made here when there is none."),
                Param::text("source", "Who says so; `api` when there is none."),
                Param::text("subject", "What it is about."),
                Param::text("time", "When it happened."),
            ])
            .body("Payload")
            .answers(202, "EventsAccepted"),
        Route::get("/v1/events/{id}", || web::to(show))
            .named("events_get", "Returns one event with the runs that it started.")
            .scope("events:read")
            .answers(200, "Event"),
        Route::get("/v1/events/{id}/explain", || web::to(explain))
            .named(
                "events_explain",
                "Says for every listening workflow why it did or did not start.",
            )
            .scope("events:read")
            .query(&[Param::flag("all", "Tells of workflows that listen to other types as well.")])
            .answers(200, "Explanations"),
        Route::post("/v1/events/{id}/replay", || web::to(replay))
            .named(
                "events_replay",
                "Starts the workflows that match the event, or one of them, again.",
            )
            .scope("events:write")
            .body("Replay")
            .answers(202, "EventsAccepted"),
    ],
    schemas: &[
        ("CloudEvent", include_str!("schemas/cloud_event.json")),
        ("Payload", r#"{"description":"The payload of the event type that the path names."}"#),
        ("Event", include_str!("schemas/event.json")),
        (
            "EventPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Event"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        ("EventsAccepted", include_str!("schemas/events_accepted.json")),
        ("Explanations", include_str!("schemas/explanations.json")),
        (
            "Replay",
            r#"{"type":"object","properties":{"workflow":{"type":"string",
                "description":"Only this workflow, whether its filter matches or not."}}}"#,
        ),
    ],
    made: &[],
};

fn limits(settings: &WebSettings) -> Limits {
    Limits {
        event_bytes_max: settings.event_bytes_max,
        events_max: settings.batch_events_max,
        depth_max: settings.json_depth_max,
    }
}

async fn accept(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    failpoint::hit("event.parse.before");
    let intake = cloudevents::read(request.headers(), &body, &limits(&front.settings))?;
    failpoint::hit("event.parse.after");
    match intake {
        Intake::One(event) => accept_one(&app, &who, *event).await,
        Intake::Many { events, rejected } => accept_many(&app, &who, events, rejected).await,
    }
}

async fn accept_bare(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    (kind, query): (web::Path<String>, Query),
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let headers = request.headers();
    failpoint::hit("event.parse.before");
    let payload = cloudevents::read_payload(headers, &body, &limits(&front.settings))?;
    failpoint::hit("event.parse.after");
    let event = IncomingEvent {
        id: given(&query, headers, "id"),
        kind: kind.into_inner(),
        source: given(&query, headers, "source")
            .unwrap_or_else(|| SOURCE_OF_BARE_EVENTS.to_owned()),
        subject: given(&query, headers, "subject"),
        time: query.time("time")?,
        actor: None,
        payload,
        metadata: Map::new(),
    };
    accept_one(&app, &who, event).await
}

fn given(query: &Query, headers: &HeaderMap, name: &str) -> Option<String> {
    let header = || headers.get(format!("ce-{name}"))?.to_str().ok();
    query.text(name).or_else(header).map(str::to_owned)
}

async fn accept_one(app: &App, who: &Principal, event: IncomingEvent) -> Answer {
    let outcomes = app.accept_events(who, vec![event]).await?;
    failpoint::hit("event.answer");
    match outcomes.into_iter().next() {
        Some(EventOutcome::Accepted(accepted)) => {
            Ok(HttpResponse::Accepted().json(json!({"accepted": [accepted], "rejected": []})))
        }
        Some(EventOutcome::Rejected(problems)) => Err(ApiError::invalid(problems)),
        None => Err(ApiError::invalid(Vec::new())),
    }
}

async fn accept_many(
    app: &App,
    who: &Principal,
    events: Vec<(usize, IncomingEvent)>,
    malformed: Vec<(usize, Vec<Problem>)>,
) -> Answer {
    let (places, events): (Vec<usize>, Vec<IncomingEvent>) = events.into_iter().unzip();
    let outcomes = match events.is_empty() {
        true => Vec::new(),
        false => app.accept_events(who, events).await?,
    };
    failpoint::hit("event.answer");
    let mut accepted = Vec::with_capacity(outcomes.len());
    let mut rejected = malformed;
    for (index, outcome) in places.into_iter().zip(outcomes) {
        match outcome {
            EventOutcome::Accepted(one) => accepted.push(one),
            EventOutcome::Rejected(problems) => rejected.push((index, problems)),
        }
    }
    rejected.sort_by_key(|(index, _)| *index);
    if accepted.is_empty() && !rejected.is_empty() {
        return Err(nothing_accepted(&rejected));
    }
    let rejected: Vec<Value> = rejected.iter().map(rejection).collect();
    Ok(HttpResponse::Accepted().json(json!({"accepted": accepted, "rejected": rejected})))
}

fn rejection((index, problems): &(usize, Vec<Problem>)) -> Value {
    let refusal = ApiError::invalid(problems.clone());
    json!({"index": index, "problem": {
        "title": "Unprocessable Entity",
        "status": refusal.status().as_u16(),
        "code": refusal.code(),
        "detail": refusal.detail(),
        "errors": problems,
    }})
}

/// Every problem of the batch, each with the place of its event in front.
fn nothing_accepted(rejected: &[(usize, Vec<Problem>)]) -> ApiError {
    let all = rejected.iter().flat_map(|(index, problems)| {
        problems.iter().map(move |problem| Problem {
            pointer: format!("/{index}{}", problem.pointer),
            ..problem.clone()
        })
    });
    ApiError::invalid(all.collect())
        .with_member("accepted", json!([]))
        .with_member("rejected", rejected.iter().map(rejection).collect())
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = EventFilter {
        kind: query.text("type").map(Pattern::restore),
        source: query.text("source").map(str::to_owned),
        subject: query.text("subject").map(str::to_owned),
        since: query.time("since")?,
        until: query.time("until")?,
        matched: query.flag("matched")?,
        text: query.text("q").map(str::to_owned),
    };
    let page = app.events(&who, &filter, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn follow(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    (request, query): (HttpRequest, Query),
) -> Answer {
    let start =
        match (stream::last_event_id(&request).or(query.text("lastEventId")), query.time("since")?)
        {
            (Some(text), _) => {
                let detail = "must be the id of a message that this stream sent";
                let place = EventPlace::parse(text);
                Start::After(place.ok_or_else(|| ApiError::bad_parameter("Last-Event-ID", detail))?)
            }
            (None, Some(since)) => Start::Since(since),
            (None, None) => Start::Now,
        };
    let kind = query.text("type").map(Pattern::restore);
    let filter = query.text("filter").map(filter_of).transpose()?;
    let open = front.streams.enter(who.tenant, front.settings.streams_max)?;
    let events = app.event_stream(&who, kind, filter, start)?;
    Ok(stream::of_events(events, (open, shown_by(&request)), &front.settings))
}

fn filter_of(text: &str) -> Result<Filter, ApiError> {
    let filter: Value = serde_json::from_str(text)
        .map_err(|fault| ApiError::bad_parameter("filter", format!("is no JSON: {fault}")))?;
    Filter::parse(&filter, "/filter").map_err(ApiError::invalid)
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.event(&who, &id)?))
}

async fn explain(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let breadth = match query.flag("all")? {
        Some(true) => Breadth::All,
        Some(false) | None => Breadth::Listening,
    };
    Ok(HttpResponse::Ok().json(app.explain_event(&who, &id, breadth)?))
}

async fn replay(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let workflow = fields.text("workflow");
    fields.end()?;
    let accepted = app.replay_event(&who, &id, workflow.as_deref()).await?;
    Ok(HttpResponse::Accepted().json(json!({"accepted": [accepted], "rejected": []})))
}
