//! Secrets on their way into a call: named in the input, put in at the last moment, and only
//! towards the hosts that they are bound to.

use std::fmt;

use super::{Mask, Secret, may_go_to};

/// Returns what stands for a secret in a rendered input, in journals and on pages.
#[must_use]
pub fn marker(name: &str) -> String {
    format!("{{{{secrets.{name}}}}}")
}

/// A secret with its name and the hosts that it may be sent to.
#[derive(Clone, Debug)]
pub struct BoundSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
}

/// The secrets that the input of one call names.
#[derive(Clone, Default)]
pub struct BoundSecrets(Vec<BoundSecret>);

/// Says that a secret may not go to a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{name}` may not be sent to {host}: it is bound to {}", told(.hosts))]
pub struct NotBound {
    name: String,
    host: String,
    hosts: Vec<String>,
}

fn told(hosts: &[String]) -> String {
    if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") }
}

impl BoundSecrets {
    /// Collects the secrets of a call.
    #[must_use]
    pub fn new(secrets: Vec<BoundSecret>) -> BoundSecrets {
        BoundSecrets(secrets)
    }

    /// Returns a text with the values in the places of their markers.
    ///
    /// # Errors
    /// Fails when one of them may not go to `host`.
    pub fn reveal(&self, text: &str, host: &str) -> Result<Secret, NotBound> {
        // One pass from left to right: a value that looks like a marker stays what it is.
        let mut revealed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, secret)) = self.next_in(rest) {
            if !may_go_to(&secret.hosts, host) {
                let (name, hosts) = (secret.name.clone(), secret.hosts.clone());
                return Err(NotBound { name, host: host.to_owned(), hosts });
            }
            revealed.push_str(&rest[..at]);
            revealed.push_str(secret.value.expose());
            rest = &rest[at + marker(&secret.name).len()..];
        }
        revealed.push_str(rest);
        Ok(Secret::new(revealed))
    }

    /// Returns the values of the secrets.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter().map(|secret| &secret.value)
    }

    /// Returns what takes these secrets out of answers.
    #[must_use]
    pub fn mask(&self) -> Mask {
        Mask::new(self.values())
    }

    fn next_in(&self, text: &str) -> Option<(usize, &BoundSecret)> {
        let found = self.0.iter().filter_map(|it| Some((text.find(&marker(&it.name))?, it)));
        found.min_by_key(|(at, _)| *at)
    }
}

impl fmt::Debug for BoundSecrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|secret| &secret.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> BoundSecrets {
        let bound = |name: &str, value: &str, host: &str| BoundSecret {
            name: name.to_owned(),
            value: Secret::new(value),
            hosts: vec![host.to_owned()],
        };
        BoundSecrets::new(vec![
            bound("a", "{{secrets.b}}", "x.test"),
            bound("b", "bravo", "x.test"),
            bound("c", "charlie", "y.test"),
        ])
    }

    #[test]
    fn values_stand_where_their_markers_stood_once() {
        let revealed = secrets().reveal("Bearer {{secrets.b}}:{{secrets.a}}.", "x.test");
        assert_eq!(revealed.expect("both go there").expose(), "Bearer bravo:{{secrets.b}}.");
        let plain = secrets().reveal("{{secrets.unknown}} plain", "x.test").expect("no secret");
        assert_eq!(plain.expose(), "{{secrets.unknown}} plain");
    }

    #[test]
    fn a_secret_does_not_leave_for_another_host() {
        let refused = secrets().reveal("{{secrets.c}}", "x.test").unwrap_err().to_string();
        assert_eq!(refused, "the secret `c` may not be sent to x.test: it is bound to y.test");
    }
}
