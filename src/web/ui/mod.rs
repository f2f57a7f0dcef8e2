//! The pages for people: parse, call, render. Each page is listed once, in `PAGES`.

pub mod assets;
pub mod dashboard;
pub mod errors;
pub mod event;
pub mod events;
pub mod parts;
pub mod run;
pub mod runs;
#[cfg(test)]
mod samples;
pub mod shell;
pub mod sign_in;
#[cfg(test)]
mod tests;
pub mod ticket;
pub mod tickets;
pub mod workflow;
pub mod workflows;

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone who reaches the server.
    Public,
    /// Anyone who is signed in.
    SignedIn,
    /// Whoever has this scope.
    Scope(&'static str),
}

/// A page's place in the navigation.
#[derive(Clone, Copy, Debug)]
pub struct NavEntry {
    /// The drawing.
    pub icon: &'static str,
    /// The letter that follows `g`.
    pub key: char,
}

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct PageSpec {
    /// Its path, with names in braces.
    pub path: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Where it stands in the navigation, if it does.
    pub nav: Option<NavEntry>,
    /// Who may see it.
    pub access: Access,
}

const fn page(path: &'static str, title: &'static str, access: Access) -> PageSpec {
    PageSpec { path, title, nav: None, access }
}

const fn entry(spec: PageSpec, icon: &'static str, key: char) -> PageSpec {
    PageSpec { nav: Some(NavEntry { icon, key }), ..spec }
}

/// Every page; one that is not here does not exist.
pub const PAGES: [PageSpec; 10] = [
    entry(page("/", "Dashboard", Access::Scope("runs:read")), "dashboard", 'd'),
    entry(page("/workflows", "Workflows", Access::Scope("workflows:read")), "workflows", 'w'),
    page("/workflows/{name}", "Workflow", Access::Scope("workflows:read")),
    entry(page("/runs", "Runs", Access::Scope("runs:read")), "runs", 'r'),
    page("/runs/{id}", "Run", Access::Scope("runs:read")),
    entry(page("/events", "Events", Access::Scope("events:read")), "events", 'e'),
    page("/events/{id}", "Event", Access::Scope("events:read")),
    entry(page("/tickets", "Tickets", Access::Scope("tickets:read")), "tickets", 't'),
    page("/tickets/{id}", "Ticket", Access::Scope("tickets:read")),
    page("/sign-in", "Sign in", Access::Public),
];
