//! The list of tickets, and how a ticket reads from its JSON.

use askama::Template;
use serde_json::Value;

use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::Moment;
use super::shell::Shell;
use crate::app::views::Page;

/// What the list can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct TicketsQuery {
    /// A status' name.
    pub status: Option<String>,
    /// A priority's name.
    pub priority: Option<String>,
    /// A team's id or identifier.
    pub team: Option<String>,
    /// A text in the title, the requestor or the id.
    pub q: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

/// A ticket as pages show it.
#[derive(Clone, Debug)]
pub struct TicketModel {
    /// Its uid.
    pub id: String,
    /// `WED-5`.
    pub identifier: String,
    /// Its page.
    pub href: String,
    /// What it is about.
    pub title: String,
    /// The whole story.
    pub description: String,
    /// The status' name.
    pub status: String,
    /// The class that carries the status' colour.
    pub status_tone: &'static str,
    /// The priority's name.
    pub priority: String,
    /// How many of three bars are lit, from 0.
    pub priority_bars: usize,
    /// The class that carries the priority's colour.
    pub priority_tone: &'static str,
    /// Who asked.
    pub requestor: String,
    /// Who works on it.
    pub assignee: String,
    /// The team's name.
    pub team: String,
    /// The account's name.
    pub account: String,
    /// Labels.
    pub tags: Vec<String>,
    /// When it was made.
    pub created: Option<Moment>,
    /// When it was changed last.
    pub updated: Option<Moment>,
    /// Whether it is out of the way.
    pub archived: bool,
    /// Whether it needs attention.
    pub escalated: bool,
}

/// Reads a ticket from its JSON; absent fields are empty.
pub fn read(shell: &Shell, ticket: &Value) -> TicketModel {
    let id = text(ticket, &["id"]);
    let status = text(ticket, &["statusName", "status"]);
    let priority = text(ticket, &["priorityName", "priority"]);
    let (priority_bars, priority_tone) = weight(&priority);
    let tags = ticket["tags"].as_array().map_or(&[][..], Vec::as_slice);
    TicketModel {
        href: shell.url(&format!("/tickets/{}", super::run::encoded(&id))),
        identifier: text(ticket, &["ticketIdentifier", "id"]),
        title: text(ticket, &["title"]),
        description: text(ticket, &["description"]),
        status_tone: tone(&status),
        requestor: text(ticket, &["requestorEmail", "customerContactEmail"]),
        assignee: text(ticket, &["assignedAgentEmail", "assignedAgent", "assignedAgentId"]),
        team: text(ticket, &["teamName", "team", "teamId"]),
        account: text(ticket, &["accountName", "account", "accountId"]),
        tags: tags.iter().map(name).filter(|tag| !tag.is_empty()).collect(),
        created: moment(shell, &ticket["createdAt"]),
        updated: moment(shell, &ticket["updatedAt"]),
        archived: ticket["isArchived"] == true || !ticket["archivedAt"].is_null(),
        escalated: ticket["isEscalated"] == true,
        id,
        status,
        priority,
        priority_bars,
        priority_tone,
    }
}

/// Reads an instant, shown as a distance from now.
pub fn moment(shell: &Shell, value: &Value) -> Option<Moment> {
    let at = value.as_str()?.parse().ok()?;
    Some(Moment::relative(at, shell.now))
}

/// Returns the first of the fields that has a text.
pub fn text(record: &Value, fields: &[&str]) -> String {
    let texts = fields.iter().map(|field| name(&record[*field]));
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// Reads a name that may stand alone or in an object.
fn name(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(fields) => ["displayName", "name", "email", "id"]
            .iter()
            .find_map(|field| fields.get(*field)?.as_str())
            .unwrap_or_default()
            .to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
    }
}

fn tone(status: &str) -> &'static str {
    match status.to_lowercase().as_str() {
        "open" | "new" => "run",
        "in progress" => "retry",
        "escalated" => "bad",
        "closed" | "resolved" => "ok",
        _ => "wait",
    }
}

fn weight(priority: &str) -> (usize, &'static str) {
    match priority.to_lowercase().as_str() {
        "urgent" => (3, "bad"),
        "high" => (3, "retry"),
        "medium" => (2, "wait"),
        "low" => (1, "wait"),
        _ => (0, "idle"),
    }
}

/// The page.
#[derive(Template)]
#[template(path = "tickets.html")]
pub struct TicketsPage {
    shell: Shell,
    rows: Vec<TicketModel>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    next: Option<String>,
    first: Option<String>,
    may_write: bool,
    curl: String,
}

const STATUSES: [(&str, &str); 5] = [
    ("", "All"),
    ("open", "Open"),
    ("in progress", "In progress"),
    ("on hold", "On hold"),
    ("closed", "Closed"),
];

/// Makes the page of one part of the list.
pub fn page(shell: Shell, query: &TicketsQuery, tickets: &Page<Value>) -> TicketsPage {
    let address = Address::new(
        "/tickets",
        vec![
            ("status", query.status.clone()),
            ("priority", query.priority.clone()),
            ("team", query.team.clone()),
            ("q", query.q.clone()),
        ],
    );
    let rows: Vec<_> = tickets.data.iter().map(|ticket| read(&shell, ticket)).collect();
    let chips = address.chips(&shell);
    TicketsPage {
        tabs: address.tabs(&shell, "status", &STATUSES),
        empty: Empty::of(&rows, &chips),
        next: tickets.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: query.cursor.as_ref().map(|_| address.here(&shell)),
        may_write: shell.viewer.as_ref().is_some_and(|viewer| viewer.may("tickets:write")),
        curl: shell.curl("/v1/tickets"),
        shell,
        rows,
        chips,
        address,
    }
}
