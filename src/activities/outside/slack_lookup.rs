//! Finds a message of which it is not known whether it was posted, by the step that it names.
//!
//! Source: <https://docs.slack.dev/reference/methods/conversations.history>.

use serde_json::{Value, json};

use super::api::Ask;
use super::http_request::HttpRequest;
use super::slack::{STEP_EVENT, base_and_proof, refusal};
use crate::activities::OutsideCall;
use crate::domain::run::Failure;

/// How many pages of messages, newest first, and of channels are looked through.
const PAGES_MAX: usize = 5;
const MESSAGES_A_PAGE: u32 = 200;
const CHANNELS_A_PAGE: u32 = 1_000;

/// Returns the output of the step whose message is there, `None` where it is not.
pub(super) async fn posted(
    http: &HttpRequest,
    call: &OutsideCall,
) -> Result<Option<Value>, Failure> {
    let Some(channel) = channel_id(http, call).await? else { return Ok(None) };
    let thread = [&call.input["threadTs"], &call.input["thread_ts"]];
    let thread = thread.into_iter().find(|ts| ts.is_string());
    let (method, mut query) = match thread {
        Some(ts) => ("conversations.replies", json!({ "ts": ts })),
        None => ("conversations.history", json!({})),
    };
    query["channel"] = json!(channel);
    query["include_all_metadata"] = json!(true);
    query["limit"] = json!(MESSAGES_A_PAGE);
    let found = search(http, call, (method, "messages"), query, |message| {
        let metadata = &message["metadata"];
        metadata["event_type"] == STEP_EVENT
            && metadata["event_payload"]["idempotency_key"] == call.idempotency_key.as_str()
    });
    Ok(found.await?.map(|message| {
        json!({ "ok": true, "channel": channel, "ts": message["ts"], "message": message })
    }))
}

/// Messages are found by the channel's id alone, while they can be posted by its name.
async fn channel_id(http: &HttpRequest, call: &OutsideCall) -> Result<Option<String>, Failure> {
    let given = call.input["channel"].as_str().unwrap_or_default();
    let Some(name) = given.strip_prefix('#') else { return Ok(Some(given.to_owned())) };
    let query = json!({
        "types": "public_channel,private_channel",
        "exclude_archived": true,
        "limit": CHANNELS_A_PAGE,
    });
    let listed = ("conversations.list", "channels");
    let found = search(http, call, listed, query, |channel| channel["name"] == name).await?;
    Ok(found.and_then(|channel| channel["id"].as_str().map(str::to_owned)))
}

async fn search(
    http: &HttpRequest,
    call: &OutsideCall,
    (method, field): (&str, &str),
    mut query: Value,
    is_it: impl Fn(&Value) -> bool,
) -> Result<Option<Value>, Failure> {
    let (base, proof) = base_and_proof(call.connection()?)?;
    for _ in 0..PAGES_MAX {
        let ask = Ask::new("GET", method).with_query(query.clone());
        let answer = http.ask(call, &base, proof.clone(), ask).await?;
        let body = &answer["body"];
        if body["ok"] != true {
            return Err(refusal(method, body["error"].as_str().unwrap_or_default(), &answer));
        }
        let page = body[field].as_array().into_iter().flatten();
        if let Some(found) = page.into_iter().find(|item| is_it(item)) {
            return Ok(Some(found.clone()));
        }
        let next = body["response_metadata"]["next_cursor"].as_str().unwrap_or_default();
        if next.is_empty() {
            return Ok(None);
        }
        query["cursor"] = json!(next);
    }
    let message = format!("{method} has more pages than are looked through");
    Err(Failure::terminal("lookup_incomplete", message))
}
