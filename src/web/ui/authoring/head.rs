//! What the pages of one workflow have on top: its name and the way to the other ones.

use askama::Template;
use askama::filters::HtmlSafe;

use super::super::parts::list::Tab;
use super::super::run::encoded;
use super::super::shell::Shell;

/// The pages of a workflow: the end of the path and the word.
const PAGES: [(&str, &str); 7] = [
    ("", "Overview"),
    ("/edit", "Edit"),
    ("/match", "Trigger"),
    ("/test", "Test"),
    ("/cases", "Cases"),
    ("/backtest", "Backtest"),
    ("/versions", "Versions"),
];

/// The links between the pages of one workflow.
#[derive(Clone, Debug, Template)]
#[template(path = "authoring/workflow_tabs.html")]
pub struct WorkflowTabs {
    tabs: Vec<Tab>,
}

impl HtmlSafe for WorkflowTabs {}

impl WorkflowTabs {
    /// Links the pages of `name`; `current` is the end of the path of the present one.
    pub fn new(shell: &Shell, name: &str, current: &str) -> WorkflowTabs {
        let tab = |(end, word): (&str, &str)| Tab {
            word: word.to_owned(),
            href: shell.url(&format!("/workflows/{}{end}", encoded(name))),
            chosen: end == current,
        };
        WorkflowTabs { tabs: PAGES.map(tab).to_vec() }
    }
}

/// The head of a page of one workflow.
#[derive(Clone, Debug, Template)]
#[template(path = "authoring/head.html")]
pub struct Head {
    shell: Shell,
    name: String,
    href: String,
    title: String,
    about: String,
    tabs: WorkflowTabs,
    curl: String,
}

impl HtmlSafe for Head {}

impl Head {
    /// Makes the head of the page `current`, headed by `title`; `api` is its twin below `/v1`.
    pub fn new(
        shell: &Shell,
        name: &str,
        (current, title, about): (&str, &str, &str),
        curl: String,
    ) -> Head {
        Head {
            href: shell.url(&format!("/workflows/{}", encoded(name))),
            tabs: WorkflowTabs::new(shell, name, current),
            name: name.to_owned(),
            title: title.to_owned(),
            about: about.to_owned(),
            shell: shell.clone(),
            curl,
        }
    }
}
