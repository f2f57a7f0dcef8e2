//! The activities of one tenant: the built-in ones, and those that it brought.

use std::collections::HashMap;
use std::sync::Arc;

use super::checked::CheckedOutside;
use super::outside::operation::Operation;
use super::{Activities, Activity, OutsideActivity};
use crate::domain::activity::Catalogue;
use crate::domain::activity::custom::{Carrier, CustomActivity, Ended};
use crate::domain::run::Failure;
use crate::domain::time::Timestamp;

/// What the steps of one tenant can do.
#[derive(Clone)]
pub struct Installed {
    built_in: Activities,
    catalogue: Arc<Catalogue>,
    /// The versions of each in order; none is without one.
    brought: HashMap<String, Vec<Brought>>,
}

#[derive(Clone)]
struct Brought {
    row: Arc<CustomActivity>,
    /// `None` where another place than this carries it out.
    carried_out: Option<Arc<dyn OutsideActivity>>,
}

impl Installed {
    /// Adds the activities that a tenant brought to the built-in ones. A built-in one is never
    /// replaced.
    #[must_use]
    pub fn new(built_in: &Activities, rows: Vec<CustomActivity>) -> Installed {
        let mut catalogue = Arc::clone(built_in.catalogue());
        let mut brought: HashMap<String, Vec<Brought>> = HashMap::new();
        for row in rows {
            if built_in.catalogue().find(&row.identifier).is_some() {
                continue;
            }
            if row.is_offered() {
                let catalogue = Arc::make_mut(&mut catalogue);
                catalogue.add(row.spec());
                if let Some(alias) = &row.alias {
                    catalogue.add_alias(alias, &row.identifier);
                }
            }
            let row = Arc::new(row);
            let carried_out = built_in.carry_out(&row);
            let versions = brought.entry(row.identifier.clone()).or_default();
            versions.push(Brought { row, carried_out });
            versions.sort_by_key(|known| known.row.version);
        }
        Installed { built_in: built_in.clone(), catalogue, brought }
    }

    /// Returns what every activity that may be named says of itself.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Returns how an activity is carried out: in the version that is pinned, else in the newest
    /// that there was when the run began.
    ///
    /// # Errors
    /// Fails for good when there is none, or when whoever brought it is not installed any more.
    pub fn find(
        &self,
        identifier: &str,
        pinned: Option<u32>,
        run_began: Timestamp,
    ) -> Result<Activity, Failure> {
        if let Some(found) = self.built_in.find(identifier) {
            return Ok(found.clone());
        }
        let unknown = || {
            let message = format!("there is no activity `{identifier}` any more");
            Failure::terminal("unknown_activity", message)
        };
        let found = self.chosen(identifier, pinned, run_began).ok_or_else(unknown)?;
        let whose = &found.row.source;
        match found.row.ended {
            Some(Ended::NotInstalled) => {
                let message = format!(
                    "`{identifier}` belongs to {whose}, which is not installed any more; install \
                     it again and retry the run"
                );
                return Err(Failure::terminal("app_not_installed", message));
            }
            Some(Ended::NotGranted) => {
                let message = format!(
                    "`{identifier}` needs {}, which {whose} was not granted; install it again with \
                     that scope",
                    found.row.scopes.join(", ")
                );
                return Err(Failure::terminal("app_lacks_scope", message));
            }
            Some(Ended::Retired) | None => {}
        }
        found.carried_out.clone().map(Activity::Outside).ok_or_else(unknown)
    }

    /// Returns the row of an activity that the tenant brought, as [`Installed::find`] chooses it.
    #[must_use]
    pub fn brought(
        &self,
        identifier: &str,
        pinned: Option<u32>,
        run_began: Timestamp,
    ) -> Option<&Arc<CustomActivity>> {
        self.chosen(identifier, pinned, run_began).map(|found| &found.row)
    }

    fn chosen(
        &self,
        identifier: &str,
        pinned: Option<u32>,
        run_began: Timestamp,
    ) -> Option<&Brought> {
        let versions = self.brought.get(identifier)?;
        if let Some(version) = pinned {
            return versions.iter().find(|known| known.row.version == version);
        }
        let known_then = versions.iter().rev().find(|known| known.row.offered_at <= run_began);
        // A run that is older than all of them takes what came first.
        known_then.or_else(|| versions.first())
    }
}

impl Activities {
    fn carry_out(&self, row: &Arc<CustomActivity>) -> Option<Arc<dyn OutsideActivity>> {
        let activity: Arc<dyn OutsideActivity> = match &row.carrier {
            Carrier::Http(operation) => Arc::new(Operation::new(row, operation, self.http())),
            Carrier::Worker { .. } => return None,
        };
        Some(Arc::new(CheckedOutside::new(activity)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::activities::settings::EgressSettings;
    use crate::domain::activity::Compensation;
    use crate::domain::activity::custom::{Account, HttpOperation, Output, Owner, Sends};
    use crate::domain::workflow::Retry;

    fn row(version: u32, offered_ms: i64) -> CustomActivity {
        CustomActivity {
            identifier: "notify-APP001-ORG001".to_owned(),
            alias: Some("notify".to_owned()),
            version,
            name: format!("Notify {version}"),
            category: "apps".to_owned(),
            source: "Pager".to_owned(),
            description: String::new(),
            input_schema: json!({}),
            output_schema: json!({}),
            scopes: Vec::new(),
            compensation: Compensation::Manual,
            timeout_ms: 30_000,
            retry: Retry::DEFAULT,
            throttle: None,
            carrier: Carrier::Http(HttpOperation {
                method: "POST".to_owned(),
                url: "https://app.test".to_owned(),
                query: BTreeMap::new(),
                headers: BTreeMap::new(),
                sends: Sends::Input,
                account: Account::Nobody,
                output: Output::Body,
            }),
            owner: Owner::App("APP001".to_owned()),
            offered_at: Timestamp::from_millis(offered_ms),
            ended: None,
        }
    }

    fn installed(rows: Vec<CustomActivity>) -> Installed {
        Installed::new(&Activities::built_in(&EgressSettings::default()), rows)
    }

    fn version_for(installed: &Installed, pinned: Option<u32>, began_ms: i64) -> u32 {
        let began = Timestamp::from_millis(began_ms);
        match installed.find("notify-APP001-ORG001", pinned, began) {
            Ok(Activity::Outside(found)) => found.spec().version,
            _ => 0, // Neither version is found.
        }
    }

    #[test]
    fn a_run_keeps_the_version_that_it_began_with_unless_one_is_pinned() {
        let installed = installed(vec![row(1, 100), row(2, 200)]);
        for (pinned, began_ms, version) in
            [(None, 50, 1), (None, 150, 1), (None, 200, 2), (Some(1), 300, 1), (Some(2), 150, 2)]
        {
            let found = version_for(&installed, pinned, began_ms);
            assert_eq!(found, version, "{pinned:?} at {began_ms}");
        }
        assert_eq!(version_for(&installed, Some(3), 300), 0);
    }

    #[test]
    fn short_names_and_those_of_other_installations_stand_for_the_activity() {
        let catalogue = installed(vec![row(1, 0)]).catalogue().clone();
        for name in ["notify", "notify-APP001-ORG001", "notify-OTHER1-ORG002"] {
            assert_eq!(catalogue.bare(name), "notify-APP001-ORG001", "{name}");
        }
        let mut other = row(1, 0);
        other.identifier = "notify-APP002-ORG001".to_owned();
        let catalogue = installed(vec![row(1, 0), other]).catalogue().clone();
        assert_eq!(catalogue.bare("notify"), "notify");
        assert_eq!(catalogue.sharing("notify").len(), 2);
    }

    #[test]
    fn what_is_not_installed_any_more_fails_for_good_and_says_why() {
        let gone = CustomActivity { ended: Some(Ended::NotInstalled), ..row(1, 0) };
        let installed = installed(vec![gone]);
        assert!(installed.catalogue().find("notify-APP001-ORG001").is_none());
        let found = installed.find("notify-APP001-ORG001", None, Timestamp::from_millis(1));
        assert_eq!(found.err().map(|failure| failure.code), Some("app_not_installed".to_owned()));
    }

    #[test]
    fn nobody_replaces_what_is_built_in() {
        let mut row = row(9, 0);
        row.identifier = "tickets:get-ticket-platform".to_owned();
        let installed = installed(vec![row]);
        let spec = installed.catalogue().find("tickets:get-ticket-platform").expect("built in");
        assert_eq!((spec.version, spec.source.as_str()), (1, "platform"));
    }
}
