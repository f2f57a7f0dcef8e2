//! One ticket: its conversation, and what automations did to it.

use askama::Template;
use serde_json::Value;

use super::desk::blank::{Blank, Control};
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::parts::trace::Trace;
use super::run::encoded;
use super::runs::{self, RunRow};
use super::shell::Shell;
use super::tickets::{TicketModel, moment, read, text};
use crate::app::foresight::{ForeseenRun, Foresight};
use crate::app::views::{EventView, RunSummary};
use crate::domain::time::Timestamp;

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

/// Something that happened to the ticket, and what it set off.
#[derive(Clone, Debug)]
struct Happening {
    what: String,
    href: String,
    by: String,
    by_run: Option<String>,
    at: Moment,
    runs: Vec<Started>,
}

/// A run that an event about the ticket started.
#[derive(Clone, Debug)]
struct Started {
    workflow: String,
    href: String,
    mark: Mark,
}

/// One entry of the feed.
#[derive(Clone, Debug)]
enum Entry {
    Said(Comment),
    Done(Happening),
}

/// What the form's second button was answered with.
#[derive(Debug)]
pub enum Asked {
    /// What the change would set off.
    Told(Foresight),
    /// Why the change would be refused.
    Refused(String),
}

/// What a workflow would do, as the page shows it.
struct Foreseen {
    event: String,
    workflow: String,
    href: String,
    version: u32,
    matches: bool,
    why: Option<Trace>,
}

/// The page.
#[derive(Template)]
#[template(path = "ticket.html")]
pub struct TicketPage {
    shell: Shell,
    said: Option<&'static str>,
    problem: Option<String>,
    ticket: TicketModel,
    feed: Vec<(Option<Timestamp>, Entry)>,
    count: usize,
    rows: Vec<RunRow>,
    blanks: Vec<Blank>,
    foreseen: Option<Vec<Foreseen>>,
    would_emit: Vec<String>,
    may_write: bool,
    curl: String,
}

/// Makes the page; `runs` are those whose event is about the ticket, comments come oldest first.
pub fn page(shell: Shell, ticket: &Value, comments: &[Value], runs: &[RunSummary]) -> TicketPage {
    let ticket = read(&shell, ticket);
    let said = |comment: &Value| {
        let at = comment["createdAt"].as_str().and_then(|at| at.parse().ok());
        (at, Entry::Said(read_comment(&shell, comment)))
    };
    TicketPage {
        said: None,
        problem: None,
        feed: comments.iter().map(said).collect(),
        count: comments.len(),
        blanks: Vec::new(),
        foreseen: None,
        would_emit: Vec::new(),
        may_write: shell.viewer.as_ref().is_some_and(|viewer| viewer.may("tickets:write")),
        rows: runs::rows(&shell, runs),
        curl: shell.curl(&format!("/v1/tickets/{}", ticket.id)),
        ticket,
        shell,
    }
}

impl TicketPage {
    /// Says what came of a form.
    pub fn say(&mut self, sentence: Option<&'static str>) {
        self.said = sentence;
    }

    /// Puts what happened to the ticket between what was said, in the order of time.
    pub fn tell(&mut self, events: &[EventView], runs: &[RunSummary]) {
        let done = events.iter().filter_map(|event| {
            let happening = happening(&self.shell, event, runs)?;
            Some((Some(event.time), Entry::Done(happening)))
        });
        let done: Vec<_> = done.collect();
        self.feed.extend(done);
        // Of what happened at one instant the first stays first: the sort keeps the order.
        self.feed.sort_by_key(|(at, _)| *at);
    }

    /// Asks what is to be changed.
    pub fn ask(&mut self, blanks: Vec<Blank>) {
        self.blanks = blanks;
    }

    /// Shows what the change in the form would do.
    pub fn foretell(&mut self, asked: Asked) {
        let foresight = match asked {
            Asked::Refused(problem) => {
                self.problem = Some(problem);
                return;
            }
            Asked::Told(foresight) => foresight,
        };
        self.would_emit = foresight.events.iter().map(|event| event.kind.clone()).collect();
        let shell = &self.shell;
        let told = foresight.events.into_iter().flat_map(|event| {
            let kind = event.kind;
            event.workflows.into_iter().map(move |run| foreseen(shell, kind.clone(), run))
        });
        let mut told: Vec<Foreseen> = told.collect();
        told.sort_by_key(|it| !it.matches);
        self.foreseen = Some(told);
    }
}

fn foreseen(shell: &Shell, event: String, run: ForeseenRun) -> Foreseen {
    Foreseen {
        event,
        href: shell.url(&format!("/workflows/{}", encoded(&run.workflow))),
        version: run.version,
        why: if run.matches { None } else { Trace::read(&run.trace) },
        matches: run.matches,
        workflow: run.workflow,
    }
}

fn happening(shell: &Shell, event: &EventView, runs: &[RunSummary]) -> Option<Happening> {
    let started: Vec<Started> = event
        .runs
        .iter()
        .filter_map(|id| runs.iter().find(|run| run.id == *id))
        .map(|run| Started {
            workflow: run.workflow.clone(),
            href: shell.url(&format!("/runs/{}", run.id)),
            mark: Mark::of(&run.status),
        })
        .collect();
    // What is told of in no words of its own is worth a line only for what it set off.
    let what = told(event).or_else(|| (!started.is_empty()).then(|| event.kind.clone()))?;
    let cause = event.cause.as_ref().map(|cause| cause.run_id);
    let by = match cause {
        Some(id) => runs
            .iter()
            .find(|run| run.id == id)
            .map_or_else(|| "a workflow".to_owned(), |run| run.workflow.clone()),
        None if event.actor.email.is_empty() => event.actor.kind.to_lowercase(),
        None => event.actor.email.clone(),
    };
    Some(Happening {
        what,
        href: shell.url(&format!("/events/{}", encoded(&event.id))),
        by,
        by_run: cause.map(|id| shell.url(&format!("/runs/{id}"))),
        at: Moment::relative(event.time, shell.now),
        runs: started,
    })
}

/// Says in words what an event tells of a ticket.
fn told(event: &EventView) -> Option<String> {
    let (now, before) = (&event.payload["ticket"], &event.payload["previousTicket"]);
    let change = |what: &str, name: &str| {
        let (from, to) = (text(before, &[name]), text(now, &[name]));
        let nothing = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        Some(format!("{what}: {} → {}", nothing(from), nothing(to)))
    };
    let plain = |what: &str| Some(what.to_owned());
    match event.kind.as_str() {
        "ticket:created" => plain("The ticket was made"),
        "ticket:status:changed" => change("Status", "statusName"),
        "ticket:priority:changed" => change("Priority", "priorityName"),
        "ticket:sentiment:changed" => change("Sentiment", "sentimentName"),
        "ticket:type:changed" => change("Type", "type"),
        "ticket:migrated" => change("Team", "teamName"),
        "ticket:assigned" => {
            let agent = text(now, &["assignedAgentEmail", "assignedAgent", "assignedAgentId"]);
            Some(format!("Assigned to {agent}"))
        }
        "ticket:tag:updated" => Some(tags(before, now)),
        "ticket:escalated" => plain("Escalated"),
        "ticket:archived" => plain("Archived"),
        "ticket:unarchived" => plain("Taken back out of the archive"),
        "ticket:csat:sent" => plain("The customer was asked for an opinion"),
        "ticket:csat:received" => plain("The customer gave an opinion"),
        kind => {
            kind.strip_prefix("ticket:sla:").map(|rest| format!("SLA {}", rest.replace(':', " ")))
        }
    }
}

fn tags(before: &Value, now: &Value) -> String {
    let of = |ticket: &Value| -> Vec<String> {
        let tags = ticket["tags"].as_array().into_iter().flatten();
        tags.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (before, now) = (of(before), of(now));
    let added = now.iter().filter(|tag| !before.contains(tag)).map(|tag| format!("+ {tag}"));
    let gone = before.iter().filter(|tag| !now.contains(tag)).map(|tag| format!("− {tag}"));
    format!("Tags: {}", added.chain(gone).collect::<Vec<_>>().join(", "))
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
