//! What every page needs around its content: where it is served, for whom, and in which theme.

use super::assets;
use super::navigation::{self, NavArea, NavLink};
use super::parts::copy::Copy;
use super::parts::frame::{Foot, Side, Stripes, Top, Traits};
use super::parts::icon::Icon;
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::parts::proof::Proof;
use super::parts::twin::Twin;
use super::taste::Taste;
use crate::app::principal::Scopes;
use crate::domain::condition::Reason;
use crate::domain::time::Timestamp;

/// Light or dark; without one the system decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on light ground.
    Light,
    /// Light ink on dark ground.
    Dark,
}

impl Theme {
    /// Reads the theme's cookie; anything unknown means that the system decides.
    pub fn from_cookie(value: &str) -> Option<Theme> {
        match value {
            "light" => Some(Theme::Light),
            "dark" => Some(Theme::Dark),
            _ => None,
        }
    }

    /// Returns the word in the cookie and in the page.
    pub fn word(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// Whether the tenant's data is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It is someone's.
    Real,
    /// It was made up to play with, and more of it is being made up.
    Demo,
    /// It was made up to play with; the generator is paused.
    PausedDemo,
}

/// Who is signed in, and to which tenant.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// What the person or the key is called.
    pub name: String,
    /// The tenant's label.
    pub tenant: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Whether a person signed in and not a key.
    pub is_person: bool,
    /// The tenants to choose from, by slug and name; none for whoever has but one.
    pub tenants: Vec<(String, String)>,
}

impl Viewer {
    /// Returns whether they may do what `scope` names.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.allow(scope)
    }
}

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The path under which everything is served, without a slash at its end.
    pub base: String,
    /// Scheme and host as the browser sees them, for commands to copy.
    pub origin: String,
    /// The path of this page with its query, without the base.
    pub here: String,
    /// Who looks at it; nobody on the sign-in page.
    pub viewer: Option<Viewer>,
    /// What was chosen.
    pub theme: Option<Theme>,
    /// How the viewer likes pages.
    pub taste: Taste,
    /// Whether to warn that nothing here is real.
    pub data: Data,
    /// Why nothing goes on by itself, since a restore.
    pub paused: Option<String>,
    /// What forms of this page show; empty where nobody is signed in.
    pub token: String,
    /// What is wrong with the machine, the worst first.
    pub troubles: Vec<Reason>,
    /// When the page is made.
    pub now: Timestamp,
}

impl Shell {
    /// Returns the address of `path` (`/runs`) under the base path; the one maker of addresses.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns the address of a file of `static/`, which changes with its content.
    pub fn asset(&self, name: &str) -> String {
        self.url(&assets::path_of(name))
    }

    /// Returns a drawing.
    pub fn icon(&self, name: &'static str) -> Icon {
        Icon::new(name)
    }

    /// Returns the hidden field that every form needs which changes something.
    pub fn proof(&self) -> Proof {
        Proof::new(&self.token)
    }

    /// Returns the mark of a status.
    pub fn mark(&self, status: &str) -> Mark {
        Mark::of(status)
    }

    /// Returns how far an instant is from now.
    pub fn ago(&self, at: &Timestamp) -> Moment {
        Moment::relative(*at, self.now)
    }

    /// Returns an instant's clock time.
    pub fn at(&self, at: &Timestamp) -> Moment {
        Moment::absolute(*at)
    }

    /// Returns a button that copies.
    pub fn copy(&self, text: &str, what: &'static str) -> Copy {
        Copy::new(text, what)
    }

    /// Returns the command that asks the API for `path`, with the key as `$ERGANE_KEY`.
    pub fn curl(&self, path: &str) -> String {
        let address = format!("{}{}", self.origin, self.url(path));
        format!("curl -H \"Authorization: Bearer $ERGANE_KEY\" {}", quoted(&address))
    }

    /// Returns the word of the theme that was chosen, or nothing.
    pub fn theme_word(&self) -> &'static str {
        self.theme.map_or("", Theme::word)
    }

    /// Returns the theme that the switch leads to where no script runs.
    pub fn other_theme(&self) -> &'static str {
        match self.theme {
            Some(Theme::Dark) => Theme::Light.word(),
            Some(Theme::Light) | None => Theme::Dark.word(),
        }
    }

    /// Returns whether the browser speaks to us over TLS.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Returns the base path as a cookie's path.
    pub fn cookie_path(&self) -> &str {
        if self.base.is_empty() { "/" } else { &self.base }
    }

    /// Returns whether the stripe of the demo is shown.
    pub fn is_demo(&self) -> bool {
        self.data != Data::Real
    }

    /// Returns whether the demo's generator makes things happen.
    pub fn is_demo_running(&self) -> bool {
        self.data == Data::Demo
    }

    /// Returns the areas of the navigation, with the entry of this page marked.
    pub fn areas(&self) -> Vec<NavArea> {
        navigation::areas(self)
    }

    /// Returns what stands at the foot of a small screen.
    pub fn dock(&self) -> Vec<NavLink> {
        navigation::dock(self)
    }

    /// Returns whether there is such a page and the viewer may see it.
    pub fn leads_to(&self, path: &str) -> bool {
        navigation::leads_to(self.viewer.as_ref(), path)
    }

    /// Returns the attributes of the root element.
    pub fn traits(&self) -> Traits<'_> {
        Traits { shell: self }
    }

    /// Returns what is out of the ordinary.
    pub fn stripes(&self) -> Stripes<'_> {
        Stripes { shell: self }
    }

    /// Returns the navigation.
    pub fn side(&self) -> Side<'_> {
        Side { shell: self }
    }

    /// Returns the line above the page.
    pub fn top(&self) -> Top<'_> {
        Top { shell: self }
    }

    /// Returns what small screens have at their foot, and what opens over the page.
    pub fn foot(&self) -> Foot<'_> {
        Foot { shell: self }
    }

    /// Returns the question to the API that this page answers.
    pub fn twin(&self) -> Option<Twin> {
        Twin::of(self)
    }

    #[cfg(test)]
    pub(super) fn for_tests(base: &str) -> Shell {
        Shell {
            base: base.to_owned(),
            origin: "http://127.0.0.1:7171".to_owned(),
            here: "/".to_owned(),
            viewer: Some(Viewer {
                name: "operator".to_owned(),
                tenant: "acme".to_owned(),
                scopes: Scopes::owner(),
                is_person: true,
                tenants: Vec::new(),
            }),
            theme: None,
            taste: Taste::default(),
            troubles: Vec::new(),
            data: Data::Real,
            paused: None,
            token: "proof".to_owned(),
            now: super::samples::NOW,
        }
    }
}

/// Puts a text in single quotes for a POSIX shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Returns `path` when it leads to a page of ours, else the dashboard: a link from elsewhere must
/// not choose where a sign-in ends.
pub fn safe_return(path: &str) -> &str {
    let local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\r', '\n', '\t'])
        && !path.starts_with("/sign-")
        && !path.starts_with("/join")
        && !path.starts_with("/setup");
    if local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_returned_to() {
        for (path, safe) in [
            ("/runs?status=failed", "/runs?status=failed"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("/sign-out", "/"),
            ("", "/"),
        ] {
            assert_eq!(safe_return(path), safe, "{path}");
        }
    }
}
