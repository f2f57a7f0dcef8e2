//! What the navigation leads to: areas, and in each the pages that exist and that somebody may see.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::parts::icon::Icon;
use super::shell::{Shell, Viewer};
use crate::web::GROUPS;
use crate::web::route::{Access, Verb};

/// A page's place in the navigation.
#[derive(Clone, Copy, Debug)]
pub struct NavEntry {
    /// Its path.
    pub path: &'static str,
    /// Its name.
    pub title: &'static str,
    /// The drawing.
    pub icon: &'static str,
    /// The letter that follows `g`.
    pub key: char,
}

/// Pages that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// What they are about.
    pub title: &'static str,
    /// The pages in their order.
    pub entries: &'static [NavEntry],
}

/// An area as the page shows it.
#[derive(Clone, Debug)]
pub struct NavArea {
    /// What it is about.
    pub title: &'static str,
    /// Its pages.
    pub links: Vec<NavLink>,
}

/// One entry of the navigation as the page shows it.
#[derive(Clone, Debug)]
pub struct NavLink {
    /// The word.
    pub title: &'static str,
    /// The drawing.
    pub icon: Icon,
    /// The letter that follows `g`.
    pub key: char,
    /// Where it leads.
    pub href: String,
    /// Whether this page belongs to it.
    pub current: bool,
}

const fn entry(path: &'static str, title: &'static str, icon: &'static str, key: char) -> NavEntry {
    NavEntry { path, title, icon, key }
}

/// Every area in its order. An entry whose page is not in the route table is not shown.
pub const AREAS: [Area; 4] = [
    Area {
        title: "Work",
        entries: &[
            entry("/", "Dashboard", "dashboard", 'd'),
            entry("/workflows", "Workflows", "workflows", 'w'),
            entry("/runs", "Runs", "runs", 'r'),
            entry("/events", "Events", "events", 'e'),
            entry("/schedules", "Schedules", "waiting", 's'),
            entry("/approvals", "Approvals", "approval", 'a'),
            entry("/incidents", "Incidents", "warning", 'i'),
        ],
    },
    Area {
        title: "Desk",
        entries: &[
            entry("/tickets", "Tickets", "tickets", 't'),
            entry("/accounts", "Accounts", "account", 'n'),
            entry("/contacts", "Contacts", "person", 'c'),
            entry("/teams", "Teams", "people", 'm'),
        ],
    },
    Area {
        title: "Build",
        entries: &[
            entry("/activities", "Activities", "play", 'v'),
            entry("/connections", "Connections", "plug", 'o'),
            entry("/apps", "Apps", "plus", 'p'),
            entry("/webhooks", "Webhooks", "hook", 'h'),
            entry("/secrets", "Secrets", "lock", 'x'),
            entry("/destinations", "Destinations", "target", 'l'),
        ],
    },
    Area {
        title: "Settings",
        entries: &[
            entry("/keys", "Keys", "key", 'k'),
            entry("/people", "People", "people", 'u'),
            entry("/audit", "Audit", "list", 'y'),
            entry("/tenants", "Tenants", "tenant", 'b'),
            entry("/system", "System", "system", 'q'),
        ],
    },
];

/// How many entries stand at the foot of a small screen.
const DOCKED: usize = 4;
/// What somebody needs who is called at night, the most urgent first.
const DOCK: [&str; 6] = ["/", "/runs", "/incidents", "/approvals", "/workflows", "/events"];

/// Who may see which page.
static PAGES: LazyLock<BTreeMap<&'static str, Access>> = LazyLock::new(|| {
    let routes = GROUPS.iter().flat_map(|group| group.routes);
    let pages = routes.filter(|route| route.verb == Verb::Get && route.is_page());
    pages.map(|route| (route.path, route.access)).collect()
});

/// Returns whether there is such a page and the viewer may see it.
pub fn leads_to(viewer: Option<&Viewer>, path: &str) -> bool {
    let Some(viewer) = viewer else { return false };
    match PAGES.get(path) {
        Some(Access::Page(scope) | Access::Scope(scope)) => viewer.may(scope),
        Some(Access::OwnPage | Access::Known | Access::Public) => true,
        None => false,
    }
}

/// Returns the areas with the entries that lead somewhere for whoever looks.
pub fn areas(shell: &Shell) -> Vec<NavArea> {
    let area = |area: &Area| {
        let seen = area.entries.iter().filter(|it| leads_to(shell.viewer.as_ref(), it.path));
        NavArea { title: area.title, links: seen.map(|entry| link(shell, entry)).collect() }
    };
    AREAS.iter().map(area).filter(|area| !area.links.is_empty()).collect()
}

/// Returns the few entries that stand at the foot of a small screen.
pub fn dock(shell: &Shell) -> Vec<NavLink> {
    let all = || AREAS.iter().flat_map(|area| area.entries);
    let entries = DOCK.iter().filter_map(|path| all().find(|entry| entry.path == *path));
    let seen = entries.filter(|entry| leads_to(shell.viewer.as_ref(), entry.path));
    seen.take(DOCKED).map(|entry| link(shell, entry)).collect()
}

fn link(shell: &Shell, entry: &NavEntry) -> NavLink {
    let path = shell.here.split('?').next().unwrap_or_default();
    NavLink {
        title: entry.title,
        icon: Icon::new(entry.icon),
        key: entry.key,
        href: shell.url(entry.path),
        current: match entry.path {
            "/" => path == "/",
            start => path == start || path.starts_with(&format!("{start}/")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::principal::Scopes;

    fn titles(shell: &Shell) -> Vec<&'static str> {
        areas(shell).into_iter().flat_map(|area| area.links).map(|link| link.title).collect()
    }

    #[test]
    fn the_page_of_a_run_belongs_to_runs() {
        let shell = Shell { here: "/runs/run_1?a=b".to_owned(), ..Shell::for_tests("") };
        let links = areas(&shell).into_iter().flat_map(|area| area.links);
        let current: Vec<_> = links.filter(|link| link.current).map(|link| link.title).collect();
        assert_eq!(current, ["Runs"]);
    }

    #[test]
    fn nobody_is_led_where_they_may_not_go() {
        let mut shell = Shell::for_tests("");
        assert!(titles(&shell).contains(&"Audit"));
        let viewer = shell.viewer.as_mut().expect("somebody looks");
        viewer.scopes = Scopes::new(vec!["runs:read".to_owned()]);
        assert_eq!(titles(&shell), ["Dashboard", "Runs", "Incidents"]);
        assert_eq!(dock(&shell).len(), 3);
    }

    #[test]
    fn every_letter_leads_to_one_page() {
        let mut keys: Vec<char> =
            AREAS.iter().flat_map(|area| area.entries).map(|entry| entry.key).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
