//! Speaks to Linear over a saved connection. The caller chooses the ids of what it makes there, so
//! that making it again makes nothing new.
//!
//! Source: <https://linear.app/developers/graphql>.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::AUTHORIZATION;
use serde_json::{Map, Value, json};

use super::api::{Ask, input_schema, output_schema, renamed, undo_over, uuid_of};
use super::connection::{ACCESS_TOKEN, Connection};
use super::graphql::{STATUSES, judged};
use super::http_request::HttpRequest;
use super::proof::Proof;
use crate::activities::{OutsideActivity, OutsideCall, UndoCall};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::Failure;
use crate::domain::workflow::Retry;

/// Where Linear's API is unless a connection's `settings.baseUrl` says otherwise.
pub const LINEAR_BASE_URL: &str = "https://api.linear.app";

const ISSUE: &str = "id identifier url title priority state { name } assignee { name email }";

/// What can be asked of Linear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    CreateIssue,
    UpdateIssue,
    GetIssue,
    DeleteIssue,
    ArchiveIssue,
    CreateComment,
    DeleteComment,
}

use Verb::{
    ArchiveIssue, CreateComment, CreateIssue, DeleteComment, DeleteIssue, GetIssue, UpdateIssue,
};

/// The fields of an issue under our names and Linear's.
const FIELDS: [(&str, &str); 11] = [
    ("teamId", "teamId"),
    ("title", "title"),
    ("description", "description"),
    ("priority", "priority"),
    ("assigneeId", "assigneeId"),
    ("stateId", "stateId"),
    ("projectId", "projectId"),
    ("parentId", "parentId"),
    ("labelIds", "labelIds"),
    ("dueDate", "dueDate"),
    ("estimate", "estimate"),
];

/// One verb of Linear.
pub(in crate::activities) struct Linear {
    verb: Verb,
    http: HttpRequest,
}

impl Linear {
    /// Returns every verb; all of them leave through the same door.
    pub(in crate::activities) fn all(http: &HttpRequest) -> Vec<Linear> {
        let verbs = [
            CreateIssue,
            UpdateIssue,
            GetIssue,
            DeleteIssue,
            ArchiveIssue,
            CreateComment,
            DeleteComment,
        ];
        verbs.into_iter().map(|verb| Linear { verb, http: http.clone() }).collect()
    }
}

impl Verb {
    fn identifier(self) -> &'static str {
        match self {
            CreateIssue => "linear.createIssue",
            UpdateIssue => "linear.updateIssue",
            GetIssue => "linear.getIssue",
            DeleteIssue => "linear.deleteIssue",
            ArchiveIssue => "linear.archiveIssue",
            CreateComment => "linear.createComment",
            DeleteComment => "linear.deleteComment",
        }
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            CreateIssue => (
                "Create a Linear issue",
                "Creates an issue under an id that follows from the step, so that trying again \
                 makes no second one. `compensate: auto` deletes it.",
            ),
            UpdateIssue => ("Change a Linear issue", "Changes fields of an issue."),
            GetIssue => ("Read a Linear issue", "Reads an issue by its id or by ENG-123."),
            DeleteIssue => {
                ("Delete a Linear issue", "Deletes an issue; one that is gone already is fine.")
            }
            ArchiveIssue => ("Archive a Linear issue", "Archives an issue."),
            CreateComment => (
                "Comment on a Linear issue",
                "Adds a comment under an id that follows from the step. `compensate: auto` \
                 deletes it.",
            ),
            DeleteComment => {
                ("Delete a Linear comment", "Deletes a comment; one that is gone already is fine.")
            }
        }
    }

    fn query(self) -> String {
        match self {
            CreateIssue => format!(
                "mutation($input: IssueCreateInput!) {{ issueCreate(input: $input) \
                 {{ success issue {{ {ISSUE} }} }} }}"
            ),
            UpdateIssue => format!(
                "mutation($id: String!, $input: IssueUpdateInput!) {{ \
                 issueUpdate(id: $id, input: $input) {{ success issue {{ {ISSUE} }} }} }}"
            ),
            GetIssue => {
                format!("query($id: String!) {{ issue(id: $id) {{ {ISSUE} description }} }}")
            }
            DeleteIssue => "mutation($id: String!) { issueDelete(id: $id) { success } }".to_owned(),
            ArchiveIssue => {
                "mutation($id: String!) { issueArchive(id: $id) { success } }".to_owned()
            }
            CreateComment => "mutation($input: CommentCreateInput!) { \
                 commentCreate(input: $input) { success comment { id url } } }"
                .to_owned(),
            DeleteComment => {
                "mutation($id: String!) { commentDelete(id: $id) { success } }".to_owned()
            }
        }
    }

    /// Returns what Linear calls the answer's one field.
    fn field(self) -> &'static str {
        match self {
            CreateIssue => "issueCreate",
            UpdateIssue => "issueUpdate",
            GetIssue => "issue",
            DeleteIssue => "issueDelete",
            ArchiveIssue => "issueArchive",
            CreateComment => "commentCreate",
            DeleteComment => "commentDelete",
        }
    }

    fn variables(self, call: &OutsideCall, connection: &Connection) -> Result<Value, Failure> {
        let input = &call.input;
        Ok(match self {
            CreateIssue => {
                let mut fields = renamed(input, &FIELDS);
                fields.insert("id".to_owned(), json!(uuid_of(&call.idempotency_key)));
                if !fields.contains_key("teamId") {
                    let team = connection.needed_setting("teamId")?;
                    fields.insert("teamId".to_owned(), json!(team));
                }
                json!({ "input": fields })
            }
            UpdateIssue => json!({ "id": input["id"], "input": renamed(input, &FIELDS) }),
            GetIssue | DeleteIssue | ArchiveIssue | DeleteComment => json!({ "id": input["id"] }),
            CreateComment => json!({ "input": {
                "id": uuid_of(&call.idempotency_key),
                "issueId": input["issueId"],
                "body": input["body"],
            } }),
        })
    }

    /// Returns the output of the step for what Linear answered.
    fn output(self, input: &Value, data: &Value) -> Result<Value, Failure> {
        let found = &data[self.field()];
        let (ok, record) = match self {
            GetIssue => (!found.is_null(), found),
            CreateComment => (found["success"] == true, &found["comment"]),
            CreateIssue | UpdateIssue | DeleteIssue | ArchiveIssue | DeleteComment => {
                (found["success"] == true, &found["issue"])
            }
        };
        if !ok {
            let message = format!("Linear did not do {}", self.field());
            return Err(Failure::terminal("linear_refused", message));
        }
        Ok(match record {
            Value::Null => json!({ "ok": true, "id": input["id"] }),
            record => {
                let mut output = Map::from_iter([("ok".to_owned(), json!(true))]);
                output.extend(record.as_object().cloned().unwrap_or_default());
                Value::Object(output)
            }
        })
    }

    fn input_schema(self) -> Value {
        let id = json!({ "type": "string", "minLength": 1, "description": "The issue's id, or ENG-123" });
        let text = |told: &str| json!({ "type": ["string", "null"], "description": told });
        let fields = json!({
            "teamId": text("The id of the team; the connection may have a default"),
            "title": { "type": "string", "minLength": 1, "description": "The title" },
            "description": text("The description, in Markdown"),
            "priority": { "type": ["integer", "null"], "minimum": 0, "maximum": 4,
                "description": "0 none, 1 urgent, 2 high, 3 medium, 4 low" },
            "assigneeId": text("Who it is given to"),
            "stateId": text("The id of its state"),
            "projectId": text("The id of its project"),
            "parentId": text("The id of the issue that it is a part of"),
            "labelIds": { "type": ["array", "null"], "items": { "type": "string" },
                "description": "The ids of its labels" },
            "dueDate": text("The day on which it is due"),
            "estimate": { "type": ["number", "null"], "description": "How large it is" },
        });
        match self {
            CreateIssue => input_schema(fields, &["title"]),
            UpdateIssue => {
                let mut fields = fields;
                fields["id"] = id;
                input_schema(fields, &["id"])
            }
            GetIssue | DeleteIssue | ArchiveIssue => input_schema(json!({ "id": id }), &["id"]),
            CreateComment => {
                let body =
                    json!({ "type": "string", "minLength": 1, "description": "In Markdown" });
                input_schema(json!({ "issueId": id, "body": body }), &["issueId", "body"])
            }
            DeleteComment => {
                let id = json!({ "type": "string", "minLength": 1, "description": "Its id" });
                input_schema(json!({ "id": id }), &["id"])
            }
        }
    }
}

impl OutsideActivity for Linear {
    fn spec(&self) -> ActivitySpec {
        let (name, description) = self.verb.told();
        ActivitySpec {
            identifier: self.verb.identifier().to_owned(),
            name: name.to_owned(),
            version: 1,
            category: "linear".to_owned(),
            source: "linear".to_owned(),
            description: description.to_owned(),
            input_schema: self.verb.input_schema(),
            output_schema: output_schema(
                json!({
                    "ok": { "const": true, "description": "Always true: a refusal fails the step" },
                    "id": { "type": "string", "description": "The id" },
                    "identifier": { "type": "string", "description": "Such as ENG-123" },
                    "url": { "type": "string", "description": "Where people see it" },
                    "title": { "type": "string", "description": "The title" },
                }),
                &["ok", "id"],
            ),
            reach: Reach::Outside,
            compensation: match self.verb {
                CreateIssue | CreateComment => Compensation::Offered,
                GetIssue => Compensation::NotNeeded,
                UpdateIssue | DeleteIssue | ArchiveIssue | DeleteComment => Compensation::Manual,
            },
            scopes: vec!["linear:write".to_owned()],
            timeout: Duration::from_secs(30),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn app(&self) -> Option<&'static str> {
        Some("linear")
    }

    fn undo(&self, input: &Value, output: &Value) -> Option<UndoCall> {
        let inverse = match self.verb {
            CreateIssue => DeleteIssue,
            CreateComment => DeleteComment,
            _ => return None, // Nothing is known of what was there before.
        };
        Some(undo_over(input, inverse.identifier(), [("id", output["id"].clone())]))
    }

    /// Made again under the same id, what is there already is recognised; asking first is possible.
    fn lookup(&self, call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        let (verb, http) = (self.verb, self.http.clone());
        async move {
            if verb != CreateIssue {
                return Ok(None);
            }
            let id = json!(uuid_of(&call.idempotency_key));
            let issue = found(&http, &call, &id).await?;
            issue.map(|issue| GetIssue.output(&call.input, &json!({ "issue": issue }))).transpose()
        }
        .boxed()
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let (verb, http) = (self.verb, self.http.clone());
        async move { answered(verb, &http, &call).await }.boxed()
    }
}

async fn answered(verb: Verb, http: &HttpRequest, call: &OutsideCall) -> Result<Value, Failure> {
    let variables = verb.variables(call, call.connection()?)?;
    match asked(verb, http, call, &variables).await {
        Ok(data) => verb.output(&call.input, &data),
        Err(failure) if failure.code == "graphql_errors" => {
            settled(verb, http, call, &variables, failure).await
        }
        Err(failure) => Err(failure),
    }
}

/// An issue that is there already, or gone already, is what was asked for: an earlier attempt may
/// have done it without an answer.
async fn settled(
    verb: Verb,
    http: &HttpRequest,
    call: &OutsideCall,
    variables: &Value,
    failure: Failure,
) -> Result<Value, Failure> {
    if super::connection::refuses_credentials(&failure) {
        return Err(failure);
    }
    match verb {
        CreateIssue => match found(http, call, &variables["input"]["id"]).await {
            Ok(Some(issue)) => GetIssue.output(&call.input, &json!({ "issue": issue })),
            Ok(None) | Err(_) => Err(failure),
        },
        DeleteIssue | DeleteComment if is_missing(&failure) => {
            Ok(json!({ "ok": true, "id": call.input["id"] }))
        }
        _ => Err(failure), // What is refused stays refused.
    }
}

/// Returns the issue with an id, `None` where there is none.
async fn found(
    http: &HttpRequest,
    call: &OutsideCall,
    id: &Value,
) -> Result<Option<Value>, Failure> {
    match asked(GetIssue, http, call, &json!({ "id": id })).await {
        Ok(data) => Ok(Some(data["issue"].clone()).filter(|issue| !issue.is_null())),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Linear says so in words alone.
fn is_missing(failure: &Failure) -> bool {
    failure.code == "graphql_errors" && failure.message.contains("not found")
}

async fn asked(
    verb: Verb,
    http: &HttpRequest,
    call: &OutsideCall,
    variables: &Value,
) -> Result<Value, Failure> {
    let connection = call.connection()?;
    let base = connection.base(Some(LINEAR_BASE_URL))?;
    let proof = match connection.secrets.get(ACCESS_TOKEN) {
        Some(token) => Proof::bearer(&base, token),
        // A personal key stands alone in the header, without a scheme before it.
        None => Proof::header(&base, AUTHORIZATION, connection.needed_secret("apiKey")?),
    };
    let body = json!({ "query": verb.query(), "variables": variables });
    let ask = Ask::new("POST", "graphql").with_body(body).expecting(STATUSES);
    let answer = http.ask(call, &base, proof, ask).await?;
    let mut output = judged(&answer, false)?;
    Ok(output["data"].take())
}
