//! What lists have in common: tabs and chips that are links, pages, and three ways to be empty.

use crate::web::ui::shell::Shell;

/// One choice among several, as a link.
#[derive(Clone, Debug)]
pub struct Tab {
    /// The word.
    pub word: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is chosen now.
    pub chosen: bool,
}

/// A filter in force, as a link that drops it.
#[derive(Clone, Debug)]
pub struct Chip {
    /// What is filtered.
    pub name: &'static str,
    /// By what.
    pub value: String,
    /// The list without it.
    pub without: String,
}

/// Why a list shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// There are rows.
    No,
    /// There is nothing of the kind yet.
    Nothing,
    /// Filters leave nothing.
    NoMatch,
}

impl Empty {
    /// Tells why `rows` are none.
    pub fn of<T>(rows: &[T], chips: &[Chip]) -> Empty {
        match (rows.is_empty(), chips.is_empty()) {
            (false, _) => Empty::No,
            (true, true) => Empty::Nothing,
            (true, false) => Empty::NoMatch,
        }
    }
}

/// A list's filters as they stand in its address; the address is the state.
#[derive(Clone, Debug)]
pub struct Address {
    path: &'static str,
    pairs: Vec<(&'static str, String)>,
}

impl Address {
    /// Takes the filters in force; empty ones are dropped.
    pub fn new(path: &'static str, pairs: Vec<(&'static str, Option<String>)>) -> Address {
        let pairs = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
            .collect();
        Address { path, pairs }
    }

    /// Returns the value of a filter, or nothing.
    pub fn value(&self, name: &str) -> &str {
        self.pairs.iter().find(|(pair, _)| *pair == name).map_or("", |(_, value)| value)
    }

    /// Returns the address with one filter changed; an empty value drops it.
    pub fn with(&self, shell: &Shell, name: &'static str, value: &str) -> String {
        let kept = self.pairs.iter().filter(|(pair, _)| *pair != name);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        kept.for_each(|(pair, text)| {
            query.append_pair(pair, text);
        });
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        let query = query.finish();
        let path = shell.url(self.path);
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    /// Returns the present address.
    pub fn here(&self, shell: &Shell) -> String {
        self.with(shell, "", "")
    }

    /// Returns a tab for each choice of one filter; the first choice has an empty value.
    pub fn tabs(&self, shell: &Shell, name: &'static str, choices: &[(&str, &str)]) -> Vec<Tab> {
        let tab = |(value, word): &(&str, &str)| Tab {
            word: (*word).to_owned(),
            href: self.with(shell, name, value),
            chosen: self.value(name) == *value,
        };
        choices.iter().map(tab).collect()
    }

    /// Returns a chip for each filter in force.
    pub fn chips(&self, shell: &Shell) -> Vec<Chip> {
        let chip = |(name, value): &(&'static str, String)| Chip {
            name,
            value: value.clone(),
            without: self.with(shell, name, ""),
        };
        self.pairs.iter().map(chip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_keeps_the_other_filters() {
        let shell = Shell::for_tests("/ops");
        let address = Address::new(
            "/runs",
            vec![("status", Some("failed".into())), ("q", Some("a&b".into())), ("since", None)],
        );
        assert_eq!(address.with(&shell, "status", "running"), "/ops/runs?q=a%26b&status=running");
        assert_eq!(address.with(&shell, "q", ""), "/ops/runs?status=failed");
        assert_eq!(address.chips(&shell).len(), 2);
    }
}
