//! How far events reach: how many workflows listen to each type.

use std::collections::BTreeMap;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::workflows::events_of;
use crate::domain::event_type::{Pattern, canonical};

/// The workflows that listen to one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// Those that events start.
    pub active: usize,
    /// Those that are switched off.
    pub inactive: usize,
}

impl App {
    /// Counts for each of some event types the workflows that listen to it now.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn listeners(
        &self,
        who: &Principal,
        kinds: &[&str],
    ) -> Result<BTreeMap<String, Listeners>, Error> {
        let mut counts: BTreeMap<String, Listeners> =
            kinds.iter().map(|kind| ((*kind).to_owned(), Listeners::default())).collect();
        self.read(who, |view| {
            for row in view.workflows()?.into_iter().filter(|row| row.deleted_at.is_none()) {
                let Some(version) = view.version(&row.name, row.version)? else { continue };
                let listened: Vec<Pattern> = events_of(&version.definition)
                    .map(|kind| Pattern::restore(&canonical(kind)))
                    .collect();
                let hears = |kind: &str| listened.iter().any(|pattern| pattern.covers(kind));
                for (kind, count) in &mut counts {
                    match (hears(kind), row.active) {
                        (false, _) => {}
                        (true, true) => count.active += 1,
                        (true, false) => count.inactive += 1,
                    }
                }
            }
            Ok(())
        })?;
        Ok(counts)
    }
}
