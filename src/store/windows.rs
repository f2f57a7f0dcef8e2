//! What triggers remember between events: what was let through, what is gathered, what lasts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::alarms::AlarmKind;
use super::events::EventKey;
use super::family::Meta;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use crate::domain::time::Timestamp;
use crate::domain::workflow::gate::Period;

const WINDOW: u8 = Meta::Window as u8;
const MEMBER: u8 = Meta::WindowMember as u8;
const COUNT: u8 = Meta::WindowCount as u8;

/// Which gate a window belongs to; the letter is part of its key and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Remembers which key was seen.
    Dedupe,
    /// Counts what was let through.
    Throttle,
    /// Waits for quiet, or for a batch to be full.
    Gather,
    /// Gives starts their places.
    RateLimit,
    /// Watches a record that is in a state.
    Lasting,
}

impl Gate {
    const ALL: [(Gate, char); 5] = [
        (Gate::Dedupe, 'd'),
        (Gate::Throttle, 't'),
        (Gate::Gather, 'g'),
        (Gate::RateLimit, 'r'),
        (Gate::Lasting, 'l'),
    ];

    fn letter(self) -> char {
        Gate::ALL.into_iter().find(|(gate, _)| *gate == self).map_or('?', |(_, letter)| letter)
    }
}

/// Names the window of one key of one gate of one trigger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId {
    /// The workflow.
    pub workflow: String,
    /// The gate.
    pub gate: Gate,
    digest: u128,
}

impl WindowId {
    /// Names the window of `key`; keys hold what users wrote, so a digest stands for them.
    #[must_use]
    pub fn new(workflow: &str, trigger: usize, gate: Gate, key: &str) -> WindowId {
        let text = format!("{trigger}\u{0}{key}");
        let digest = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
        WindowId { workflow: workflow.to_owned(), gate, digest }
    }

    fn alarm(&self) -> AlarmKind {
        match self.gate {
            Gate::Lasting => AlarmKind::Lasting,
            Gate::Dedupe | Gate::Throttle | Gate::Gather | Gate::RateLimit => AlarmKind::Window,
        }
    }

    fn key(&self, view: &TenantView<'_>, tag: u8) -> Key {
        let base = Key::of(view.tenant()).tag(tag).text(&self.workflow);
        base.tag(self.gate.letter() as u8).bytes(&self.digest.to_be_bytes())
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{:032x}", self.workflow, self.gate.letter(), self.digest)
    }
}

impl FromStr for WindowId {
    type Err = ();

    fn from_str(text: &str) -> Result<WindowId, ()> {
        let mut parts = text.split('/');
        let (workflow, letter, digest) = (parts.next(), parts.next(), parts.next());
        let gate = Gate::ALL.into_iter().find(|(_, known)| letter == Some(&known.to_string()));
        let digest = u128::from_str_radix(digest.ok_or(())?, 16).map_err(drop)?;
        let workflow = workflow.ok_or(())?.to_owned();
        Ok(WindowId { workflow, gate: gate.ok_or(())?.0, digest })
    }
}

/// A window as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowRow {
    /// The position of the trigger in its workflow.
    pub trigger: usize,
    /// The rendered key; a record's id where a state lasts.
    pub key: String,
    /// When it is to be looked at, and its alarm rings; none when only an event moves it.
    pub alarm: Option<Timestamp>,
    /// What it remembers.
    pub held: Held,
}

/// What a window remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Held {
    /// The key was seen.
    Seen {
        /// The id of the event that came first.
        event: String,
        /// Until when it is remembered.
        until: Timestamp,
    },
    /// Starts were counted.
    Counted {
        /// The period and its count.
        period: Period,
    },
    /// Events are gathered.
    Gathered {
        /// When the first came.
        first_at: Timestamp,
        /// When the last came.
        last_at: Timestamp,
        /// When it is over.
        due: Timestamp,
        /// How many there are.
        count: u32,
        /// How many bytes their payloads have, roughly.
        bytes: u64,
    },
    /// Starts have places.
    Placed {
        /// The newest period that has a place taken.
        period: Period,
        /// How many starts wait.
        waiting: u32,
        /// When that period is over.
        until: Timestamp,
    },
    /// A record is in a state.
    Lasting {
        /// Since when it counts.
        since: Timestamp,
    },
}

/// An event that waits in a window, and the time that it waits for, where it has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// When it is to start; the beginning of time when the window decides.
    pub place: Timestamp,
    /// The event.
    pub event: EventKey,
}

impl TenantView<'_> {
    /// Returns a window.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn window(&self, id: &WindowId) -> Result<Option<WindowRow>, StoreError> {
        self.json(Space::Meta, &id.key(self, WINDOW).done())
    }

    /// Returns the windows of a workflow.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn windows_of(&self, workflow: &str) -> Result<Vec<(WindowId, WindowRow)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(WINDOW).text(workflow));
        let rows = self.scan(Space::Meta, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter()
            .map(|(key, row)| {
                let wrong = || damaged(Space::Meta, key, "no window's key");
                let (letter, digest) =
                    key[prefix.start().len()..].split_first().ok_or_else(wrong)?;
                let gate = Gate::ALL.into_iter().find(|(_, known)| *known as u8 == *letter);
                let digest = u128::from_be_bytes(digest.try_into().map_err(|_| wrong())?);
                let gate = gate.ok_or_else(wrong)?.0;
                let id = WindowId { workflow: workflow.to_owned(), gate, digest };
                Ok((id, from_json(Space::Meta, key, row)?))
            })
            .collect()
    }

    /// Returns how many windows the tenant has.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn window_count(&self) -> Result<u64, StoreError> {
        Ok(self.json(Space::Meta, &count_key(self))?.unwrap_or(0))
    }

    /// Returns the first events that wait in a window, in order.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn members(&self, id: &WindowId, limit: usize) -> Result<Vec<Member>, StoreError> {
        let prefix = Prefix::new(id.key(self, MEMBER));
        let rows = self.scan(Space::Meta, prefix.range(), Direction::Ascending, limit)?;
        rows.iter()
            .map(|(key, _)| {
                let wrong = || damaged(Space::Meta, key, "no member of a window");
                let (place, event) =
                    key[prefix.start().len()..].split_at_checked(8).ok_or_else(wrong)?;
                let number = |bytes: &[u8]| {
                    let bytes = bytes.try_into().map_err(|_| wrong())?;
                    Ok::<_, StoreError>(u64::from_be_bytes(bytes))
                };
                let place = i64::try_from(number(place)?).map_err(|_| wrong())?;
                Ok(Member { place: Timestamp::from_millis(place), event: EventKey(number(event)?) })
            })
            .collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes a window; its alarm is set to where the row says, and lifted from where it was.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn put_window(&mut self, id: &WindowId, row: &WindowRow) -> Result<(), StoreError> {
        let before = self.view().window(id)?;
        let alarm_before = before.as_ref().and_then(|before| before.alarm);
        if before.is_none() {
            self.count_windows(1)?;
        }
        if alarm_before != row.alarm {
            self.move_alarm(id, alarm_before, row.alarm);
        }
        let key = id.key(&self.view(), WINDOW).done();
        self.put_json(Space::Meta, key, row);
        Ok(())
    }

    /// Removes a window with its members and its alarm.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn remove_window(&mut self, id: &WindowId) -> Result<(), StoreError> {
        let Some(row) = self.view().window(id)? else { return Ok(()) };
        self.move_alarm(id, row.alarm, None);
        for member in self.view().members(id, usize::MAX)? {
            self.remove_member(id, member);
        }
        let key = id.key(&self.view(), WINDOW).done();
        self.remove(Space::Meta, key);
        self.count_windows(-1)
    }

    /// Lets an event wait in a window.
    pub fn put_member(&mut self, id: &WindowId, member: Member) {
        let key = member_key(&self.view(), id, member);
        self.put(Space::Meta, key, Vec::new());
    }

    /// Lets an event wait no longer.
    pub fn remove_member(&mut self, id: &WindowId, member: Member) {
        let key = member_key(&self.view(), id, member);
        self.remove(Space::Meta, key);
    }

    fn move_alarm(&mut self, id: &WindowId, from: Option<Timestamp>, to: Option<Timestamp>) {
        let (kind, name) = (id.alarm(), id.to_string());
        if let Some(from) = from {
            self.lift_alarm(from, kind, &name);
        }
        if let Some(to) = to {
            self.set_alarm(to, kind, &name);
        }
    }

    fn count_windows(&mut self, change: i64) -> Result<(), StoreError> {
        let count = self.view().window_count()?.saturating_add_signed(change);
        let key = count_key(&self.view());
        self.put_json(Space::Meta, key, &count);
        Ok(())
    }
}

fn member_key(view: &TenantView<'_>, id: &WindowId, member: Member) -> Vec<u8> {
    let place = member.place.millis().max(0).unsigned_abs();
    id.key(view, MEMBER).number(place).number(member.event.0).done()
}

fn count_key(view: &TenantView<'_>) -> Vec<u8> {
    Key::of(view.tenant()).tag(COUNT).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_named_by_a_text_that_reads_back() {
        for gate in Gate::ALL.map(|(gate, _)| gate) {
            let id = WindowId::new("escalate", 2, gate, "T1/ä");
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
            assert_ne!(id, WindowId::new("escalate", 1, gate, "T1/ä"));
        }
        assert_eq!("escalate/x/00".parse::<WindowId>(), Err(()));
    }
}
