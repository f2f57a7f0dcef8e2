//! The verbs of Jira as data: what each needs, what it gives back, and the verb that undoes it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::api::{input_schema, output_schema};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::workflow::Retry;

/// What can be asked of Jira.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    CreateIssue,
    UpdateIssue,
    TransitionIssue,
    GetIssue,
    DeleteIssue,
    AddComment,
    DeleteComment,
}

use Verb::{
    AddComment, CreateIssue, DeleteComment, DeleteIssue, GetIssue, TransitionIssue, UpdateIssue,
};

impl Verb {
    pub(super) const ALL: [Verb; 7] = [
        CreateIssue,
        UpdateIssue,
        TransitionIssue,
        GetIssue,
        DeleteIssue,
        AddComment,
        DeleteComment,
    ];

    pub(super) fn identifier(self) -> &'static str {
        match self {
            CreateIssue => "jira.createIssue",
            UpdateIssue => "jira.updateIssue",
            TransitionIssue => "jira.transitionIssue",
            GetIssue => "jira.getIssue",
            DeleteIssue => "jira.deleteIssue",
            AddComment => "jira.addComment",
            DeleteComment => "jira.deleteComment",
        }
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            CreateIssue => (
                "Create a Jira issue",
                "Creates an issue with a label that follows from the step, by which it is found \
                 again. `compensate: auto` deletes it.",
            ),
            UpdateIssue => ("Change a Jira issue", "Changes fields of an issue."),
            TransitionIssue => (
                "Move a Jira issue",
                "Moves an issue to a status, or through a transition, by name; one that is there \
                 already is fine.",
            ),
            GetIssue => ("Read a Jira issue", "Reads an issue by its key or id."),
            DeleteIssue => (
                "Delete a Jira issue",
                "Deletes an issue with its subtasks; one that is gone already is fine.",
            ),
            AddComment => (
                "Comment on a Jira issue",
                "Adds a comment that is marked with the step. `compensate: auto` deletes it.",
            ),
            DeleteComment => {
                ("Delete a Jira comment", "Deletes a comment; one that is gone already is fine.")
            }
        }
    }

    pub(super) fn spec(self) -> ActivitySpec {
        let (name, description) = self.told();
        ActivitySpec {
            identifier: self.identifier().to_owned(),
            name: name.to_owned(),
            version: 1,
            category: "jira".to_owned(),
            source: "jira".to_owned(),
            description: description.to_owned(),
            input_schema: self.input_schema(),
            output_schema: self.output_schema(),
            reach: Reach::Outside,
            compensation: match self {
                CreateIssue | AddComment => Compensation::Offered,
                GetIssue => Compensation::NotNeeded,
                UpdateIssue | TransitionIssue | DeleteIssue | DeleteComment => Compensation::Manual,
            },
            scopes: vec!["jira:write".to_owned()],
            timeout: Duration::from_secs(30),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn input_schema(self) -> Value {
        let key = json!({ "type": "string", "pattern": "^[A-Za-z0-9]",
            "description": "The issue, such as OPS-12" });
        let text = |told: &str| json!({ "type": ["string", "null"], "description": told });
        let prose = |told: &str| {
            json!({ "type": ["string", "object", "null"],
                "description": format!("{told}, as plain text, or as a document of Atlassian's") })
        };
        let mut fields = json!({
            "summary": { "type": "string", "minLength": 1, "description": "The summary" },
            "description": prose("The description"),
            "priority": text("The name of its priority"),
            "assigneeId": text("The account id of who it is given to"),
            "parent": text("The key of the issue that it is a part of"),
            "dueDate": text("The day on which it is due"),
            "labels": { "type": ["array", "null"], "items": { "type": "string" },
                "description": "Its labels; none of them has a space" },
            "fields": { "type": ["object", "null"],
                "description": "Any further fields as Jira's own API names them" },
        });
        match self {
            CreateIssue => {
                fields["project"] = text("The project's key; the connection may have a default");
                fields["issueType"] = text("The name of its type; Task unless told");
                input_schema(fields, &["summary"])
            }
            UpdateIssue => {
                fields["issue"] = key;
                input_schema(fields, &["issue"])
            }
            TransitionIssue => {
                let to = json!({ "type": "string", "minLength": 1,
                    "description": "The name of the status, or the name or id of the transition" });
                input_schema(json!({ "issue": key, "to": to }), &["issue", "to"])
            }
            GetIssue => {
                let names = json!({ "type": ["array", "null"], "items": { "type": "string" },
                    "description": "Only these fields, as Jira's own API names them" });
                input_schema(json!({ "issue": key, "fields": names }), &["issue"])
            }
            DeleteIssue => input_schema(json!({ "issue": key }), &["issue"]),
            AddComment => {
                let body = json!({ "type": ["string", "object"], "minLength": 1,
                    "description": "As plain text, or as a document of Atlassian's" });
                input_schema(json!({ "issue": key, "body": body }), &["issue", "body"])
            }
            DeleteComment => {
                let id = json!({ "type": "string", "pattern": "^[A-Za-z0-9]",
                    "description": "The comment" });
                input_schema(json!({ "issue": key, "id": id }), &["issue", "id"])
            }
        }
    }

    fn output_schema(self) -> Value {
        let ok = json!({ "const": true, "description": "Always true: a refusal fails the step" });
        let mut fields = Map::from_iter([("ok".to_owned(), ok)]);
        let mut tell = |name: &str, kind: Value, told: &str| {
            fields.insert(name.to_owned(), json!({ "type": kind, "description": told }));
        };
        tell("issue", json!("string"), "The issue as it was named, or its key");
        match self {
            CreateIssue | GetIssue => {
                tell("id", json!("string"), "Its id");
                tell("key", json!("string"), "Its key");
                tell("url", json!("string"), "Where people see it");
            }
            AddComment | DeleteComment => tell("id", json!("string"), "The id of the comment"),
            TransitionIssue => tell("status", json!(["string", "null"]), "The status it has now"),
            UpdateIssue | DeleteIssue => {}
        }
        if self == GetIssue {
            for (name, told) in [("summary", "The summary"), ("status", "The name of its status")] {
                tell(name, json!(["string", "null"]), told);
            }
            tell("fields", json!("object"), "Its fields as Jira's own API names them");
        }
        output_schema(Value::Object(fields), &["ok", "issue"])
    }
}

/// Returns a text as a document of Atlassian's: an empty line begins a paragraph.
///
/// Source: <https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/>.
pub(super) fn document(text: &Value) -> Value {
    let Some(text) = text.as_str() else { return text.clone() };
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(|it| it.trim_matches('\n')).filter(|it| !it.is_empty());
    let content: Vec<Value> = paragraphs.map(paragraph).collect();
    json!({ "type": "doc", "version": 1, "content": content })
}

fn paragraph(text: &str) -> Value {
    let mut content = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            content.push(json!({ "type": "hardBreak" }));
        }
        if !line.is_empty() {
            content.push(json!({ "type": "text", "text": line }));
        }
    }
    json!({ "type": "paragraph", "content": content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_a_document() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let of = |content: Value| json!({ "type": "paragraph", "content": content });
        for (plain, content) in [
            ("one", json!([of(json!([text("one")]))])),
            (
                "one\ntwo\n\n\nthree\r\n",
                json!([
                    of(json!([text("one"), { "type": "hardBreak" }, text("two")])),
                    of(json!([text("three")])),
                ]),
            ),
            ("", json!([])),
        ] {
            let expected = json!({ "type": "doc", "version": 1, "content": content });
            assert_eq!(document(&json!(plain)), expected, "{plain:?}");
        }
        let own = json!({ "type": "doc", "version": 1, "content": [] });
        assert_eq!(document(&own), own);
    }
}
