//! Speaks to Jira over a saved connection: what is sent, and what is made of the answers.
//!
//! Source: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/>.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::api::{Ask, renamed, said, undo_over};
use super::connection::{ACCESS_TOKEN, Connection};
use super::http_request::HttpRequest;
use super::jira_verbs::{Verb, document};
use super::proof::Proof;
use crate::activities::{OutsideActivity, OutsideCall, UndoCall};
use crate::domain::activity::{ActivitySpec, Settling};
use crate::domain::run::Failure;

/// Which property of a comment names the step that made it.
const PROPERTY: &str = "ergane.step";
/// How many names of statuses and transitions a failure tells.
const NAMES_MAX: usize = 30;
/// How many comments, newest first, are looked through for one that may be there.
const COMMENTS_LOOKED_AT: u32 = 100;
const API: &str = "rest/api/3";

/// One verb of Jira.
pub(in crate::activities) struct Jira {
    verb: Verb,
    http: HttpRequest,
}

impl Jira {
    /// Returns every verb; all of them leave through the same door.
    pub(in crate::activities) fn all(http: &HttpRequest) -> Vec<Jira> {
        Verb::ALL.into_iter().map(|verb| Jira { verb, http: http.clone() }).collect()
    }
}

impl OutsideActivity for Jira {
    fn spec(&self) -> ActivitySpec {
        self.verb.spec()
    }

    fn app(&self) -> Option<&'static str> {
        Some("jira")
    }

    fn undo(&self, input: &Value, output: &Value) -> Option<UndoCall> {
        let inverse = match self.verb {
            Verb::CreateIssue => Verb::DeleteIssue,
            Verb::AddComment => Verb::DeleteComment,
            _ => return None, // Nothing is known of what was there before.
        };
        let mut fields = vec![("issue", output["issue"].clone())];
        if self.verb == Verb::AddComment {
            fields.push(("id", output["id"].clone()));
        }
        Some(undo_over(input, inverse.identifier(), fields))
    }

    fn settles(&self) -> Settling {
        match self.verb {
            Verb::CreateIssue | Verb::AddComment => Settling::Lookup,
            _ => Settling::Repeat, // Done twice is done once.
        }
    }

    fn lookup(&self, call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        let (verb, http) = (self.verb, self.http.clone());
        async move {
            let site = Site::of(&http, &call)?;
            match verb {
                Verb::CreateIssue => site.created().await,
                Verb::AddComment => site.commented().await,
                _ => Ok(None), // Made again, which does no harm.
            }
        }
        .boxed()
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let (verb, http) = (self.verb, self.http.clone());
        async move {
            let site = Site::of(&http, &call)?;
            site.perform(verb).await
        }
        .boxed()
    }
}

/// The Jira behind the connection of a call.
struct Site<'c> {
    http: &'c HttpRequest,
    call: &'c OutsideCall,
    connection: &'c Connection,
    base: Url,
    proof: Proof,
}

impl<'c> Site<'c> {
    fn of(http: &'c HttpRequest, call: &'c OutsideCall) -> Result<Site<'c>, Failure> {
        let connection = call.connection()?;
        let base = connection.base(None)?;
        let proof = match connection.secrets.get(ACCESS_TOKEN) {
            Some(token) => Proof::bearer(&base, token),
            None => {
                let email = connection.needed_setting("email")?;
                Proof::basic(&base, email, connection.needed_secret("apiToken")?)
            }
        };
        Ok(Site { http, call, connection, base, proof })
    }

    async fn perform(&self, verb: Verb) -> Result<Value, Failure> {
        let input = &self.call.input;
        let issue = input["issue"].as_str().unwrap_or_default();
        let done = || json!({ "ok": true, "issue": issue });
        Ok(match verb {
            Verb::CreateIssue => {
                let body = json!({ "fields": self.new_fields()? });
                let made = self.ask(Ask::new("POST", format!("{API}/issue")).with_body(body));
                self.named(&made.await?)
            }
            Verb::UpdateIssue => {
                let body = json!({ "fields": fields(input) });
                self.ask(Ask::new("PUT", path(&[issue])).with_body(body)).await?;
                done()
            }
            Verb::TransitionIssue => self.transition(issue).await?,
            Verb::GetIssue => self.read(issue).await?,
            Verb::DeleteIssue => {
                let query = json!({ "deleteSubtasks": "true" });
                self.remove(Ask::new("DELETE", path(&[issue])).with_query(query)).await?;
                done()
            }
            Verb::AddComment => {
                let mark = json!({ "idempotencyKey": self.call.idempotency_key });
                let body = json!({
                    "body": document(&input["body"]),
                    "properties": [{ "key": PROPERTY, "value": mark }],
                });
                let ask = Ask::new("POST", path(&[issue, "comment"])).with_body(body);
                let made = self.ask(ask).await?;
                json!({ "ok": true, "issue": issue, "id": made["id"] })
            }
            Verb::DeleteComment => {
                let id = input["id"].as_str().unwrap_or_default();
                self.remove(Ask::new("DELETE", path(&[issue, "comment", id]))).await?;
                json!({ "ok": true, "issue": issue, "id": id })
            }
        })
    }

    fn new_fields(&self) -> Result<Map<String, Value>, Failure> {
        let input = &self.call.input;
        let mut fields = fields(input);
        let project = match input["project"].as_str() {
            Some(project) => project,
            None => self.connection.needed_setting("project")?,
        };
        let standard = self.connection.setting("issueType").unwrap_or("Task");
        let kind = input["issueType"].as_str().unwrap_or(standard);
        fields.insert("project".to_owned(), json!({ "key": project }));
        fields.insert("issuetype".to_owned(), json!({ "name": kind }));
        let mut labels = input["labels"].as_array().cloned().unwrap_or_default();
        labels.push(json!(label_of(&self.call.idempotency_key)));
        fields.insert("labels".to_owned(), Value::Array(labels));
        Ok(fields)
    }

    async fn read(&self, issue: &str) -> Result<Value, Failure> {
        let names: Vec<&str> = self.call.input["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut ask = Ask::new("GET", path(&[issue]));
        if !names.is_empty() {
            ask = ask.with_query(json!({ "fields": names.join(",") }));
        }
        let found = self.ask(ask).await?;
        let mut output = self.named(&found);
        output["summary"] = found["fields"]["summary"].clone();
        output["status"] = found["fields"]["status"]["name"].clone();
        output["fields"] = found["fields"].clone();
        Ok(output)
    }

    /// Moves an issue. Where it is already is asked first, since an earlier attempt may have moved
    /// it without an answer, and then the way there is gone.
    async fn transition(&self, issue: &str) -> Result<Value, Failure> {
        let wanted = self.call.input["to"].as_str().unwrap_or_default();
        let status = Ask::new("GET", path(&[issue])).with_query(json!({ "fields": "status" }));
        let status = self.ask(status).await?["fields"]["status"]["name"].clone();
        let is_there = status.as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        if is_there {
            return Ok(json!({ "ok": true, "issue": issue, "status": status }));
        }
        let listed = self.ask(Ask::new("GET", path(&[issue, "transitions"]))).await?;
        let ways = listed["transitions"].as_array().cloned().unwrap_or_default();
        let Some(way) = ways.iter().find(|way| leads_to(way, wanted)) else {
            let names: Vec<&Value> =
                ways.iter().map(|way| &way["to"]["name"]).take(NAMES_MAX).collect();
            let message = format!("no transition leads the issue {issue} to `{wanted}`");
            let details = json!({ "status": status, "possible": names });
            return Err(Failure::terminal("transition_unknown", message).with_details(details));
        };
        let body = json!({ "transition": { "id": way["id"] } });
        self.ask(Ask::new("POST", path(&[issue, "transitions"])).with_body(body)).await?;
        Ok(json!({ "ok": true, "issue": issue, "status": way["to"]["name"] }))
    }

    /// Finds the issue that an earlier attempt made, by its label.
    async fn created(&self) -> Result<Option<Value>, Failure> {
        let label = label_of(&self.call.idempotency_key);
        let body = json!({
            "jql": format!("labels = \"{label}\""), "fields": ["summary"], "maxResults": 1,
        });
        let ask = Ask::new("POST", format!("{API}/search/jql")).with_body(body);
        let found = self.ask(ask).await?;
        Ok(found["issues"].get(0).map(|issue| self.named(issue)))
    }

    /// Finds the comment that an earlier attempt made, by its mark.
    async fn commented(&self) -> Result<Option<Value>, Failure> {
        let issue = self.call.input["issue"].as_str().unwrap_or_default();
        let query = json!({
            "expand": "properties", "orderBy": "-created", "maxResults": COMMENTS_LOOKED_AT,
        });
        let listed = self.ask(Ask::new("GET", path(&[issue, "comment"])).with_query(query)).await?;
        let is_ours = |comment: &&Value| {
            let marks = comment["properties"].as_array().into_iter().flatten();
            marks
                .filter(|mark| mark["key"] == PROPERTY)
                .any(|mark| mark["value"]["idempotencyKey"] == self.call.idempotency_key.as_str())
        };
        let found = listed["comments"].as_array().into_iter().flatten().find(is_ours);
        Ok(found.map(|comment| json!({ "ok": true, "issue": issue, "id": comment["id"] })))
    }

    /// Returns what names an issue.
    fn named(&self, issue: &Value) -> Value {
        let key = issue["key"].as_str().unwrap_or_default();
        // With OAuth the API has another address than the pages, which its own link tells.
        let link = issue["self"].as_str().and_then(|link| Url::parse(link).ok());
        let site = link.as_ref().unwrap_or(&self.base).origin().ascii_serialization();
        json!({
            "ok": true, "issue": key, "id": issue["id"], "key": key,
            "url": format!("{site}/browse/{key}"),
        })
    }

    async fn ask(&self, ask: Ask) -> Result<Value, Failure> {
        let asked = self.http.ask(self.call, &self.base, self.proof.clone(), ask).await;
        let mut answer = asked.map_err(explained)?;
        Ok(answer["body"].take())
    }

    /// What is gone already needs no removing.
    async fn remove(&self, ask: Ask) -> Result<(), Failure> {
        self.ask(ask.expecting(&[200, 204, 404])).await.map(drop)
    }
}

/// Returns a path below an issue; each part is one segment, whatever is in it.
fn path(parts: &[&str]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| url::form_urlencoded::byte_serialize(part.as_bytes()).collect())
        .collect();
    format!("{API}/issue/{}", parts.join("/"))
}

/// Returns the fields of an issue as Jira names them.
fn fields(input: &Value) -> Map<String, Value> {
    const NAMES: [(&str, &str); 3] =
        [("summary", "summary"), ("dueDate", "duedate"), ("labels", "labels")];
    let mut fields = input["fields"].as_object().cloned().unwrap_or_default();
    fields.extend(renamed(input, &NAMES));
    let mut set = |name: &str, given: &Value, value: Value| {
        if !given.is_null() {
            fields.insert(name.to_owned(), value);
        }
    };
    set("description", &input["description"], document(&input["description"]));
    set("priority", &input["priority"], json!({ "name": input["priority"] }));
    set("assignee", &input["assigneeId"], json!({ "accountId": input["assigneeId"] }));
    set("parent", &input["parent"], json!({ "key": input["parent"] }));
    fields
}

/// Returns the label by which an issue is found that an attempt without an answer made.
fn label_of(key: &str) -> String {
    let digest = hex::encode(Sha256::digest(key.as_bytes()));
    format!("ergane-{}", &digest[..16])
}

fn leads_to(way: &Value, wanted: &str) -> bool {
    let is = |name: &Value| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    is(&way["to"]["name"]) || is(&way["name"]) || way["id"] == wanted
}

/// Tells what Jira said: sentences, and what is wrong with each field.
fn explained(failure: Failure) -> Failure {
    let body = said(&failure);
    let sentences =
        body["errorMessages"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut told: Vec<String> = sentences.map(str::to_owned).collect();
    for (field, fault) in body["errors"].as_object().into_iter().flatten() {
        told.push(format!("{field}: {}", fault.as_str().unwrap_or_default()));
    }
    if told.is_empty() {
        return failure;
    }
    let message = format!("{}: {}", failure.message, told.join("; "));
    Failure { message, ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_of_a_step_has_the_same_label_without_a_space() {
        let label = label_of("run_1/create");
        assert_eq!(label, label_of("run_1/create"));
        assert_ne!(label, label_of("run_1/other"));
        assert!(label.len() == 23 && !label.contains(' '), "{label}");
    }

    #[test]
    fn a_refusal_tells_what_jira_said() {
        let body = json!({ "errorMessages": ["No."], "errors": { "summary": "is needed" } });
        let failure = Failure::terminal("http_400", "the other side answered 400")
            .with_details(json!({ "body": body.to_string() }));
        let told = explained(failure).message;
        assert_eq!(told, "the other side answered 400: No.; summary: is needed");
    }

    #[test]
    fn what_stands_in_a_path_cannot_leave_it() {
        assert_eq!(path(&["OPS-1/../..", "comment"]), "rest/api/3/issue/OPS-1%2F..%2F../comment");
    }
}
