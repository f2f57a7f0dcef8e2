//! The next 24 hours of every schedule together: when how many fire, and which come at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::schedules::schedule_of;
use crate::domain::time::Timestamp;

/// How far ahead is looked.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
const QUARTER_MS: i64 = 15 * 60 * 1_000;
const MINUTE_MS: i64 = 60 * 1_000;
/// How many quarters of an hour a day has.
const QUARTERS: usize = 96;
/// How many times of one schedule are looked at: one a minute.
const TIMES_MAX: usize = 24 * 60;
/// How many of the fullest minutes are told.
const PILES_MAX: usize = 5;

/// The next 24 hours.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgendaView {
    /// The beginning of the first quarter of an hour.
    pub from: Timestamp,
    /// How many schedules fire in each quarter of an hour from then on, jitter included.
    pub quarters: Vec<u32>,
    /// How many fire in all.
    pub firings: u64,
    /// The minutes in which several fire, the fullest first.
    pub piles: Vec<PileView>,
    /// How many schedules were looked at.
    pub schedules: usize,
}

/// A minute in which several schedules fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PileView {
    /// Its beginning.
    pub at: Timestamp,
    /// The workflows that start then.
    pub workflows: Vec<String>,
}

impl App {
    /// Tells when the tenant's schedules fire in the next 24 hours.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn agenda(&self, who: &Principal) -> Result<AgendaView, Error> {
        let now = self.now();
        let from = Timestamp::from_millis(now.millis() - now.millis().rem_euclid(QUARTER_MS));
        self.read(who, |view| {
            let (mut quarters, mut minutes) = (vec![0_u32; QUARTERS], BTreeMap::new());
            let (mut firings, mut schedules) = (0, 0);
            for row in view.schedules()? {
                if !row.active || row.paused.is_some() || !view.sees_workflow(&row.workflow) {
                    continue;
                }
                schedules += 1;
                let schedule = schedule_of(view, &row)?;
                let after = row.done_until.max(now);
                for slot in schedule.passed(after, from + AHEAD, TIMES_MAX).slots {
                    let at = match schedule.jitter.is_zero() {
                        true => slot,
                        false => schedule.fires_at(slot, &row.workflow),
                    };
                    let place = (at.millis() - from.millis()) / QUARTER_MS;
                    let place = usize::try_from(place).unwrap_or(QUARTERS);
                    let Some(quarter) = quarters.get_mut(place) else { continue };
                    *quarter += 1;
                    firings += 1;
                    let minute = at.millis() - at.millis().rem_euclid(MINUTE_MS);
                    minutes.entry(minute).or_insert_with(Vec::new).push(row.workflow.clone());
                }
            }
            Ok(AgendaView { from, quarters, firings, piles: piles(minutes), schedules })
        })
    }
}

fn piles(minutes: BTreeMap<i64, Vec<String>>) -> Vec<PileView> {
    let several = minutes.into_iter().filter(|(_, workflows)| workflows.len() > 1);
    let mut piles: Vec<PileView> = several
        .map(|(at, workflows)| PileView { at: Timestamp::from_millis(at), workflows })
        .collect();
    // Of equals the earlier one stays first.
    piles.sort_by_key(|pile| std::cmp::Reverse(pile.workflows.len()));
    piles.truncate(PILES_MAX);
    piles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_minutes_come_first_and_lonely_ones_not_at_all() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let minutes = BTreeMap::from([
            (0, names(&["a"])),
            (60_000, names(&["a", "b"])),
            (120_000, names(&["a", "b", "c"])),
        ]);
        let found: Vec<_> = piles(minutes).iter().map(|pile| pile.at.millis()).collect();
        assert_eq!(found, [120_000, 60_000]);
    }
}
