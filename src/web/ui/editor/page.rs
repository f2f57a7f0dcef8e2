//! The page of the editor, and the part of it that follows what is typed.

use askama::Template;
use serde_json::Value;

use super::super::authoring::WorkflowTabs;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::catalogue::{Shelf, shelves};
use super::control::{Outcome, Widget};
use super::diagram::{Diagram, Drawn};
use super::state::{Refused, Standing, State};
use super::step::{Card, Drawing, WayBack};
use super::trigger::TriggerCard;
use crate::app::definitions::Verdict;
use crate::app::drafts::{Opened, spelled};
use crate::app::editing::{ReferenceView, Sample};
use crate::domain::activity::Catalogue;
use crate::domain::problem::Problem;
use crate::domain::workflow::outline::{Outlined, outline};

/// How many references are offered on a page.
const OFFERED_MAX: usize = 150;
const SAMPLE_CHARS_MAX: usize = 60;

/// What the address asks for.
#[derive(Clone, Debug, Default)]
pub struct EditQuery {
    /// `form` or `source`.
    pub tab: String,
    /// The pointer of the card that is open.
    pub open: String,
    /// The pointer of the place where a step is to be added.
    pub add: String,
    /// What is looked for among the activities.
    pub find: String,
    /// The event whose values are shown.
    pub event: Option<String>,
    /// The fields that are shown as expressions.
    pub fx: String,
}

/// What the editor knows of the draft.
pub struct Known<'k> {
    /// The workflow's name.
    pub name: &'k str,
    /// What is being edited.
    pub opened: &'k Opened,
    /// The document; null where the text cannot be read.
    pub document: &'k Value,
    /// What the check said, or why the text cannot be read.
    pub verdict: Result<Verdict, Problem>,
    /// What stands for the world.
    pub sample: &'k Sample,
    /// What activities there are.
    pub catalogue: &'k Catalogue,
    /// The events that can be looked at: id and how it is shown.
    pub events: Vec<(String, String)>,
    /// What starts it.
    pub trigger: Option<TriggerCard>,
    /// Names this page.
    pub hand: String,
}

/// The page.
#[derive(Template)]
#[template(path = "editor/page.html")]
pub struct EditorPage {
    shell: Shell,
    query: EditQuery,
    name: String,
    title: String,
    description: String,
    timeout: String,
    href: String,
    view_href: String,
    live: Option<(u32, bool)>,
    next_version: u32,
    has_draft: bool,
    is_source: bool,
    is_readable: bool,
    format: &'static str,
    text: String,
    unkept: bool,
    revision: u64,
    hand: String,
    tabs: Option<WorkflowTabs>,
    /// While a step is open, the trigger is told in a word.
    trigger: Option<TriggerCard>,
    begins: String,
    cards: Vec<Card>,
    undone: usize,
    shelves: Vec<Shelf>,
    activities: Vec<String>,
    references: Vec<Offer>,
    events: Vec<(String, String)>,
    sample_event: String,
    state: State,
    diagram: Diagram,
    curl: String,
}

/// The part that follows what is typed.
#[derive(Template)]
#[template(path = "editor/follow.html")]
pub struct EditorLive {
    shell: Shell,
    state: State,
    diagram: Diagram,
    /// The id of the open step, as its card has to know it from now on.
    was: Option<String>,
    outcomes: Vec<(String, Outcome, Vec<String>)>,
}

/// A reference as it is offered.
#[derive(Clone, Debug)]
struct Offer {
    path: String,
    /// The path in its braces.
    expression: String,
    kind: String,
    sample: String,
}

/// What the page and its live part are made of alike.
struct Made {
    cards: Vec<Card>,
    state: State,
    diagram: Diagram,
    steps: Vec<Outlined>,
}

fn made(shell: &Shell, query: &EditQuery, known: &Known<'_>, href: &str) -> Made {
    let steps = outline(known.document);
    let problems: Vec<Problem> = match &known.verdict {
        Ok(verdict) => verdict.problems.iter().map(|told| told.problem.clone()).collect(),
        Err(problem) => vec![problem.clone()],
    };
    let fx: Vec<&str> = query.fx.split(',').filter(|name| !name.is_empty()).collect();
    let drawing = Drawing {
        catalogue: known.catalogue,
        sample: known.sample,
        problems: &problems,
        open: &query.open,
        fx: &fx,
    };
    let cards = drawing.cards(known.document, &steps);
    let standing =
        Standing { opened: known.opened, verdict: known.verdict.as_ref(), steps: &steps, href };
    let state = State::new(shell, &standing, &cards);
    let look = |step: &Outlined| {
        let card = cards.iter().find(|card| card.at == step.at);
        let undo = card.map(|card| &card.undo);
        Drawn {
            href: format!("{href}?open={}#card", step.at),
            undo: matches!(undo, Some(WayBack::Auto | WayBack::Call { .. })),
            tone: match card {
                Some(card) if card.faults > 0 => "wrong",
                Some(card) if card.is_off => "off",
                _ => "", // Nothing is special about it.
            },
        }
    };
    let diagram = Diagram::new(known.document, &trigger_word(known.document), &look);
    Made { cards, state, diagram, steps }
}

/// Names what starts a workflow.
pub fn trigger_word(document: &Value) -> String {
    let trigger = document["triggers"].get(0).unwrap_or(&document["trigger"]);
    match (trigger["event"].as_str(), trigger.get("schedule")) {
        (Some(event), _) => event.to_owned(),
        (None, Some(_)) => "schedule".to_owned(),
        (None, None) => document["triggerEvent"].as_str().unwrap_or("by hand").to_owned(),
    }
}

/// Makes the page.
pub fn page(shell: Shell, query: EditQuery, known: Known<'_>) -> EditorPage {
    let path = format!("/workflows/{}", encoded(known.name));
    let href = shell.url(&format!("{path}/edit"));
    let Made { cards, state, diagram, steps } = made(&shell, &query, &known, &href);
    let document = known.document;
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    let live = known.opened.live.is_some();
    let open = Some(query.open.as_str()).filter(|open| steps.iter().any(|step| step.at == *open));
    let references = known.sample.references(document, Some(open.unwrap_or("/steps/0")));
    let is_adding = !query.add.is_empty() || steps.is_empty();
    EditorPage {
        title: Some(text("title")).filter(|it| !it.is_empty()).unwrap_or(known.name.to_owned()),
        description: text("description"),
        timeout: text("timeout"),
        view_href: shell.url(&path),
        live: known.opened.live.as_ref().map(|live| (live.version, live.active)),
        next_version: known.opened.live.as_ref().map_or(1, |live| live.version + 1),
        has_draft: known.opened.draft.is_some(),
        is_source: query.tab == "source" || known.verdict.is_err(),
        is_readable: known.verdict.is_ok(),
        format: spelled(known.opened.source.format),
        text: known.opened.source.text.clone(),
        unkept: false,
        revision: known.opened.revision(),
        begins: trigger_word(known.document),
        trigger: known.trigger.filter(|_| open.is_none()),
        tabs: live.then(|| WorkflowTabs::new(&shell, known.name, "/edit")),
        undone: cards
            .iter()
            .filter(|card| matches!(card.undo, WayBack::Auto | WayBack::Call { .. }))
            .count(),
        shelves: if is_adding { shelves(known.catalogue, &query.find) } else { Vec::new() },
        activities: match open {
            Some(_) => known.catalogue.iter().map(|spec| spec.identifier.clone()).collect(),
            None => Vec::new(),
        },
        references: references.iter().take(OFFERED_MAX).map(offer).collect(),
        sample_event: known.sample.event.clone().unwrap_or_default(),
        curl: shell.curl(&format!("/v1{path}/draft")),
        name: known.name.to_owned(),
        hand: known.hand,
        events: known.events,
        cards,
        state,
        diagram,
        href,
        query,
        shell,
    }
}

impl EditorPage {
    /// Shows a text that is not kept.
    pub fn with_text(mut self, text: &str) -> EditorPage {
        self.text = text.to_owned();
        self.unkept = true;
        self.is_source = true;
        self
    }

    fn may_add_at(&self, at: &str) -> bool {
        self.query.add == at
    }
}

/// Makes the part that follows what is typed.
pub fn live(shell: Shell, query: &EditQuery, known: &Known<'_>) -> EditorLive {
    let href = shell.url(&format!("/workflows/{}/edit", encoded(known.name)));
    let Made { cards, state, diagram, .. } = made(&shell, query, known, &href);
    let open = cards.into_iter().find(|card| card.body.is_some());
    let was = open.as_ref().map(|card| card.was.clone());
    let body = open.and_then(|card| card.body);
    let controls = body.into_iter().flat_map(|body| {
        let rest = [body.condition, body.approval];
        body.main.into_iter().chain(body.more).chain(body.failing).chain(rest)
    });
    let outcomes = controls.map(|it| (it.id, it.outcome, it.problems)).collect();
    EditorLive { shell, state, diagram, was, outcomes }
}

impl EditorLive {
    /// Says why what was typed was not kept.
    pub fn refused(mut self, refused: Refused, form: &'static str) -> EditorLive {
        self.state.refused = Some((refused, form));
        self
    }
}

fn offer(reference: &ReferenceView) -> Offer {
    let sample = reference.sample.as_ref().filter(|sample| !sample.is_null());
    let sample = sample.map(ToString::to_string).unwrap_or_default();
    let sample = match sample.char_indices().nth(SAMPLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &sample[..end]),
        None => sample,
    };
    Offer {
        path: reference.path.clone(),
        expression: format!("{{{{ {} }}}}", reference.path),
        kind: reference.kind.clone(),
        sample,
    }
}
