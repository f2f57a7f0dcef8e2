//! Asks a language model over a saved connection, and records what it took.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use url::Url;

use super::api::{Ask, input_schema, output_schema, said};
use super::connection::Connection;
use super::http_request::HttpRequest;
use super::proof::Proof;
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::{Failure, FailureClass};
use crate::domain::workflow::Retry;

/// The activity that asks a language model.
pub const AI_PROMPT: &str = "ai.prompt";
/// Where the API is unless a connection's `settings.baseUrl` says otherwise.
pub const AI_BASE_URL: &str = "https://api.openai.com/v1";

const PROMPT_CHARS_MAX: usize = 200_000;
const MESSAGES_MAX: usize = 200;
const EXCERPT_CHARS: usize = 500;
const TOKENS_OF_A_PRICE: f64 = 1_000_000.0;

/// Asks a language model.
pub(in crate::activities) struct AiPrompt(HttpRequest);

impl AiPrompt {
    pub(in crate::activities) fn new(http: &HttpRequest) -> AiPrompt {
        AiPrompt(http.clone())
    }
}

impl OutsideActivity for AiPrompt {
    fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: AI_PROMPT.to_owned(),
            name: "Ask an AI model".to_owned(),
            version: 1,
            category: "ai".to_owned(),
            source: "platform".to_owned(),
            description: "Asks a language model over a connection of the app `ai`. With \
                          `responseSchema` the answer is JSON that fits it, or the step fails. \
                          Tokens and what they cost are in the output."
                .to_owned(),
            input_schema: fields(),
            output_schema: output_fields(),
            reach: Reach::Outside,
            compensation: Compensation::NotNeeded,
            scopes: vec!["ai:write".to_owned()],
            timeout: Duration::from_secs(120),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn app(&self) -> Option<&'static str> {
        Some("ai")
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let http = self.0.clone();
        async move { answered(&http, &call).await }.boxed()
    }
}

async fn answered(http: &HttpRequest, call: &OutsideCall) -> Result<Value, Failure> {
    let connection = call.connection()?;
    let schema = Some(&call.input["responseSchema"]).filter(|schema| !schema.is_null());
    let validator = schema.map(jsonschema::validator_for).transpose().map_err(|error| {
        let message = format!("`responseSchema` is no JSON Schema: {error}");
        Failure::terminal("invalid_input", message)
    })?;
    let base = connection.base(Some(AI_BASE_URL))?;
    let proof = match connection.secrets.get("apiKey") {
        Some(key) => Proof::bearer(&base, key),
        None => Proof::nothing(&base),
    };
    let ask = Ask::new("POST", path(&base)).with_body(question(&call.input, connection)?);
    let mut answer = http.ask(call, &base, proof, ask).await.map_err(explained)?;
    let body = answer["body"].take();
    let usage = usage(&body, connection);
    let told = judged(&body, validator.as_ref());
    let output = told.map_err(|failure| {
        let mut details = failure.details.clone();
        details["usage"] = usage.clone();
        details["model"] = body["model"].clone();
        failure.with_details(*details)
    })?;
    let mut output = output;
    output["usage"] = usage;
    Ok(output)
}

/// The version of the API stands in the base, unless the base is a host alone.
fn path(base: &Url) -> &'static str {
    match base.path() {
        "" | "/" => "v1/chat/completions",
        _ => "chat/completions",
    }
}

/// Returns what is sent.
fn question(input: &Value, connection: &Connection) -> Result<Value, Failure> {
    let model = match input["model"].as_str() {
        Some(model) => model,
        None => connection.needed_setting("model")?,
    };
    let mut messages = Vec::new();
    if let Some(system) = input["system"].as_str() {
        messages.push(json!({ "role": "system", "content": system }));
    }
    messages.extend(input["messages"].as_array().into_iter().flatten().cloned());
    if let Some(prompt) = input["prompt"].as_str() {
        messages.push(json!({ "role": "user", "content": prompt }));
    }
    let mut body = json!({ "model": model, "messages": messages });
    if !input["temperature"].is_null() {
        body["temperature"] = input["temperature"].clone();
    }
    if !input["maxTokens"].is_null() {
        let name = connection.setting("maxTokensName").unwrap_or("max_tokens");
        body[name] = input["maxTokens"].clone();
    }
    if !input["responseSchema"].is_null() {
        let schema = json!({ "name": "answer", "schema": input["responseSchema"], "strict": true });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    }
    Ok(body)
}

/// Returns the output for an answer, without what it took.
fn judged(body: &Value, validator: Option<&jsonschema::Validator>) -> Result<Value, Failure> {
    let choice = &body["choices"][0];
    let reason = choice["finish_reason"].clone();
    if let Some(refusal) = choice["message"]["refusal"].as_str() {
        return Err(Failure::terminal("model_refused", format!("the model refuses: {refusal}")));
    }
    if reason == "content_filter" {
        let message = "the answer was held back by a filter of its contents";
        return Err(Failure::terminal("model_refused", message));
    }
    let Some(text) = choice["message"]["content"].as_str() else {
        let message = "the other side answers unlike a chat completion; look at `settings.baseUrl`";
        return Err(Failure::terminal("invalid_answer", message));
    };
    let mut output = json!({
        "text": text, "json": null, "model": body["model"], "finishReason": reason,
    });
    if let Some(validator) = validator {
        output["json"] = parsed(text, validator, &reason)?;
    }
    Ok(output)
}

/// A model may do better when it is asked again, so that this is tried.
fn parsed(text: &str, validator: &jsonschema::Validator, reason: &Value) -> Result<Value, Failure> {
    let excerpt: String = text.chars().take(EXCERPT_CHARS).collect();
    let wrong = |message: String| {
        let details = json!({ "text": excerpt, "finishReason": reason });
        Failure::retryable("invalid_answer", message).with_details(details)
    };
    let parsed: Value = serde_json::from_str(text).map_err(|_| match reason == "length" {
        true => wrong("the answer was cut off by `maxTokens`, so that it is no JSON".to_owned()),
        false => wrong("the answer is no JSON, though `responseSchema` asks for it".to_owned()),
    })?;
    if let Some(error) = validator.iter_errors(&parsed).next() {
        let place = error.instance_path().as_str();
        let fault: String = error.to_string().chars().take(EXCERPT_CHARS).collect();
        return Err(wrong(format!(
            "the answer does not fit `responseSchema` at `{place}`: {fault}"
        )));
    }
    Ok(parsed)
}

/// Returns what an answer took: tokens, and what they cost by the connection's prices.
fn usage(body: &Value, connection: &Connection) -> Value {
    let tokens = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
    let price = |name: &str| connection.settings.get(name).and_then(Value::as_f64);
    let (read, written) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    let mut usage = Map::from_iter([
        ("inputTokens".to_owned(), json!(read)),
        ("outputTokens".to_owned(), json!(written)),
        ("totalTokens".to_owned(), json!(read + written)),
    ]);
    let (of_input, of_output) = (price("inputPrice"), price("outputPrice"));
    if of_input.is_some() || of_output.is_some() {
        let cost =
            read as f64 * of_input.unwrap_or(0.0) + written as f64 * of_output.unwrap_or(0.0);
        // Nine digits are a thousandth of the millionth that prices count in.
        let cost = (cost / TOKENS_OF_A_PRICE * 1e9).round() / 1e9;
        usage.insert("cost".to_owned(), json!(cost));
        let currency = connection.setting("currency").unwrap_or("USD");
        usage.insert("currency".to_owned(), json!(currency));
    }
    Value::Object(usage)
}

/// Tells what the other side said; an account without means is not helped by waiting.
fn explained(failure: Failure) -> Failure {
    let error = &said(&failure)["error"];
    let Some(message) = error["message"].as_str() else { return failure };
    let message: String = message.chars().take(EXCERPT_CHARS).collect();
    let message = format!("{}: {message}", failure.message);
    let is_poor = error["code"] == "insufficient_quota" || error["type"] == "insufficient_quota";
    let class = if is_poor { FailureClass::Terminal } else { failure.class };
    Failure { message, class, ..failure }
}

fn fields() -> Value {
    let text = |told: &str| json!({ "type": ["string", "null"], "maxLength": PROMPT_CHARS_MAX, "description": told });
    let message = json!({
        "type": "object",
        "properties": {
            "role": { "enum": ["system", "developer", "user", "assistant"] },
            "content": { "type": "string", "maxLength": PROMPT_CHARS_MAX },
        },
        "required": ["role", "content"],
        "additionalProperties": false,
    });
    let mut schema = input_schema(
        json!({
            "prompt": text("What is asked"),
            "system": text("How the model is to answer"),
            "messages": { "type": ["array", "null"], "items": message, "maxItems": MESSAGES_MAX,
                "description": "What was said before the prompt, or in its place" },
            "model": { "type": ["string", "null"],
                "description": "The model; the connection may have a default" },
            "temperature": { "type": ["number", "null"], "minimum": 0, "maximum": 2,
                "description": "How freely it answers" },
            "maxTokens": { "type": ["integer", "null"], "minimum": 1,
                "description": "How long its answer may be" },
            "responseSchema": { "type": ["object", "null"],
                "description": "The JSON Schema that the answer must fit" },
        }),
        &[],
    );
    schema["anyOf"] = json!([{ "required": ["prompt"] }, { "required": ["messages"] }]);
    schema
}

fn output_fields() -> Value {
    let usage = json!({
        "type": "object",
        "description": "What it took; the cost by the prices of the connection's settings",
        "properties": {
            "inputTokens": { "type": "integer" }, "outputTokens": { "type": "integer" },
            "totalTokens": { "type": "integer" }, "cost": { "type": "number" },
            "currency": { "type": "string" },
        },
    });
    output_schema(
        json!({
            "text": { "type": "string", "description": "The answer" },
            "json": { "description": "The answer parsed, with `responseSchema`; null otherwise" },
            "model": { "type": ["string", "null"], "description": "The model that answered" },
            "finishReason": { "type": ["string", "null"], "description": "Why it ended" },
            "usage": usage,
        }),
        &["text", "usage"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(settings: Value) -> Connection {
        let settings = settings.as_object().cloned().unwrap();
        Connection { name: "model".to_owned(), settings, secrets: Default::default() }
    }

    #[test]
    fn what_is_said_before_stands_before_the_prompt() {
        let input = json!({ "system": "Be brief.", "prompt": "And now?", "maxTokens": 9,
            "messages": [{ "role": "assistant", "content": "Then." }] });
        let settings = json!({ "model": "m", "maxTokensName": "max_completion_tokens" });
        let body = question(&input, &connection(settings)).unwrap();
        let roles: Vec<&str> = body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["role"].as_str())
            .collect();
        assert_eq!(roles, ["system", "assistant", "user"]);
        assert_eq!((&body["max_completion_tokens"], &body["model"]), (&json!(9), &json!("m")));
        let refused = question(&input, &connection(json!({}))).unwrap_err();
        assert_eq!(refused.code, "connection_incomplete");
    }

    #[test]
    fn tokens_cost_what_the_connection_says() {
        let body = json!({ "usage": { "prompt_tokens": 1_500, "completion_tokens": 200 } });
        let priced = connection(json!({ "inputPrice": 0.15, "outputPrice": 0.6 }));
        let told = usage(&body, &priced);
        assert_eq!((&told["cost"], &told["currency"]), (&json!(0.000_345), &json!("USD")));
        let free = usage(&body, &connection(json!({})));
        assert_eq!(
            free,
            json!({ "inputTokens": 1_500, "outputTokens": 200, "totalTokens": 1_700 })
        );
    }

    #[test]
    fn an_answer_must_fit_what_was_asked_for() {
        let schema = json!({ "type": "object", "required": ["urgent"] });
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (text, reason, code) in [
            (r#"{"urgent": true}"#, "stop", ""),
            (r#"{"other": true}"#, "stop", "invalid_answer"),
            ("Yes!", "stop", "invalid_answer"),
            (r#"{"urgent": tr"#, "length", "invalid_answer"),
        ] {
            let choice = json!({ "message": { "content": text }, "finish_reason": reason });
            let told = judged(&json!({ "choices": [choice] }), Some(&validator));
            let found = told.as_ref().err().map_or("", |failure| failure.code.as_str());
            assert_eq!(found, code, "{text}");
        }
        let refusal = json!({ "choices": [{ "message": { "refusal": "No.", "content": null } }] });
        assert_eq!(judged(&refusal, None).unwrap_err().code, "model_refused");
        assert_eq!(judged(&json!("<html>"), None).unwrap_err().code, "invalid_answer");
    }
}
