//! What the demo is made of, read from the files beside this one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A record as an input names its fields.
pub type Record = Map<String, Value>;

/// The example workflows by name, as users see them, comments included.
pub const WORKFLOWS: [(&str, &str); 6] = [
    ("escalate-urgent", include_str!("workflows/escalate-urgent.yaml")),
    ("refund-with-undo", include_str!("workflows/refund-with-undo.yaml")),
    ("follow-up-reminder", include_str!("workflows/follow-up-reminder.yaml")),
    ("vip-alert", include_str!("workflows/vip-alert.yaml")),
    ("sync-to-crm", include_str!("workflows/sync-to-crm.yaml")),
    ("morning-report", include_str!("workflows/morning-report.yaml")),
];

/// The systems that the example workflows call, each a connection to a stand-in of this name. One
/// that is down holds nobody up on the way to another.
pub const SYSTEMS: [&str; 3] = ["pager", "billing", "crm"];

const SOURCES: [&str; 3] = ["email", "web", "slack"];

/// Everybody, and what they belong to.
#[derive(Debug, Deserialize)]
pub struct People {
    pub teams: Vec<Record>,
    pub users: Vec<Record>,
    pub tags: Vec<Record>,
    pub accounts: Vec<Record>,
    pub contacts: Vec<Record>,
}

/// A ticket with its conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    pub title: String,
    pub description: String,
    pub team: String,
    pub from: String,
    pub priority: String,
    pub status: String,
    #[serde(default)]
    pub agent: Option<String>,
    #[serde(default)]
    pub escalated: bool,
    #[serde(default)]
    pub tags: Vec<String>,
    pub talk: Vec<BTreeMap<String, String>>,
}

/// One message of a conversation.
#[derive(Debug)]
pub struct Message<'t> {
    /// The first name of an agent; `None` for the customer.
    pub agent: Option<&'t str>,
    pub form: Form,
    pub text: &'t str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Comment,
    Reply,
    Note,
}

/// What the generator says.
#[derive(Debug, Deserialize)]
pub struct Arrivals {
    pub tickets: Vec<Arrival>,
    pub customer: Vec<String>,
    pub agent: Vec<String>,
    pub note: Vec<String>,
}

/// A ticket that comes in.
#[derive(Clone, Debug, Deserialize)]
pub struct Arrival {
    pub team: String,
    pub title: String,
    pub description: String,
}

pub fn people() -> People {
    read(include_str!("people.yaml"))
}

pub fn tickets() -> Vec<Ticket> {
    read(include_str!("tickets.yaml"))
}

pub fn arrivals() -> Arrivals {
    read(include_str!("arrivals.yaml"))
}

/// Returns where the stand-in of a system is in the appliance at `own_url`.
pub fn system_url(system: &str, own_url: &str) -> String {
    format!("{own_url}/demo/{system}")
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_norway::from_str(text).expect("the demo's own files are sound, as a test proves")
}

impl Ticket {
    /// Returns the input that makes the ticket; `number` counts the demo's tickets from 0.
    pub fn input(&self, number: usize, people: &People) -> Record {
        let input = json!({
            "title": self.title,
            "description": self.description,
            "teamId": self.team,
            "requestorEmail": self.from,
            "priorityName": self.priority,
            "statusName": self.status,
            "assignedAgentEmail": self.agent.as_deref().map(|agent| people.agent_email(agent)),
            "isEscalated": self.escalated,
            "tags": self.tags,
            "source": SOURCES[number % SOURCES.len()],
            "deDuplicationKey": format!("demo/{number}"),
        });
        record(input)
    }

    /// Returns the message `index` of the conversation.
    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        let (by, text) = self.talk.get(index)?.first_key_value()?;
        let (who, form) = match by.split_once(' ') {
            Some((who, "note")) => (who, Form::Note),
            Some((who, _)) => (who, Form::Reply),
            None => (by.as_str(), Form::Comment),
        };
        let agent = (who != "customer").then_some(who);
        Some(Message { agent, form, text })
    }
}

impl People {
    /// Returns the address of the agent with this first name.
    pub fn agent_email(&self, first_name: &str) -> String {
        let emails = self.users.iter().filter_map(|user| user["email"].as_str());
        let mut named = emails.filter(|email| email.split('.').next() == Some(first_name));
        named.next().expect("every agent of a ticket is a user, as a test proves").to_owned()
    }
}

/// Takes an object for the record that it is.
pub fn record(value: Value) -> Record {
    match value {
        Value::Object(record) => record,
        _ => Record::new(), // Callers write objects.
    }
}
