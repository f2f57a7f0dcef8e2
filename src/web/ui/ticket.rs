//! One ticket: its conversation, and what automations did to it.

use askama::Template;
use serde_json::Value;

use super::parts::moment::Moment;
use super::runs::{self, RunRow};
use super::shell::Shell;
use super::tickets::{TicketModel, moment, read, text};
use crate::app::views::RunSummary;

#[derive(Clone, Debug)]
struct Comment {
    author: String,
    initials: String,
    face: &'static str,
    label: &'static str,
    note: bool,
    content: String,
    at: Option<Moment>,
    edited: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "ticket.html")]
pub struct TicketPage {
    shell: Shell,
    ticket: TicketModel,
    comments: Vec<Comment>,
    rows: Vec<RunRow>,
    curl: String,
}

/// Makes the page; `runs` are those whose event is about the ticket, comments come oldest first.
pub fn page(shell: Shell, ticket: &Value, comments: &[Value], runs: &[RunSummary]) -> TicketPage {
    let ticket = read(&shell, ticket);
    TicketPage {
        comments: comments.iter().map(|comment| read_comment(&shell, comment)).collect(),
        rows: runs::rows(&shell, runs),
        curl: shell.curl(&format!("/v1/tickets/{}", ticket.id)),
        ticket,
        shell,
    }
}

fn read_comment(shell: &Shell, comment: &Value) -> Comment {
    let named = text(comment, &["impersonatedUserName", "author", "customerEmail", "authorId"]);
    let kind = text(comment, &["authorUserType"]);
    // A workflow's step writes in nobody's name.
    let robot = named.is_empty() || kind == "WORKFLOW";
    let author = if named.is_empty() { "Ergane".to_owned() } else { named };
    let note = text(comment, &["commentVisibility"]) == "private"
        || text(comment, &["commentType"]) == "note";
    Comment {
        initials: if robot { "↻".to_owned() } else { initials(&author) },
        face: if robot { "robot" } else { "person" },
        label: match (note, robot) {
            (true, _) => "internal note",
            (false, true) => "automation",
            (false, false) => "",
        },
        note,
        content: text(comment, &["content", "contentMarkdown"]),
        at: moment(shell, &comment["createdAt"]),
        edited: comment["isEdited"] == true,
        author,
    }
}

fn initials(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(2).filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}
