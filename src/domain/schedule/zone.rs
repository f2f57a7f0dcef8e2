//! A zone of the IANA database, and what its clocks make of a local time.

use std::str::FromStr as _;

use chrono::{
    DateTime, LocalResult, NaiveDateTime, Offset as _, SecondsFormat, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::domain::problem::nearest;
use crate::domain::time::Timestamp;

/// A gap is looked for this far on either side of a local time: the widest offset from UTC (14 h)
/// and the widest gap that there has been (24 h, when Samoa crossed the date line).
const GAP_REACH: TimeDelta = TimeDelta::hours(40);

/// A zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

/// Says that there is no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{name}`")]
pub struct UnknownZone {
    /// What was asked for.
    pub name: String,
    /// The zone whose name is nearest.
    pub near: Option<&'static str>,
}

/// When a zone's clocks show a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Once(Timestamp),
    /// Clocks go back over it.
    Twice(Timestamp, Timestamp),
    /// Clocks go forward over it; the first instant after the gap.
    Never(Timestamp),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// Finds a zone by its name, in upper or lower case.
    ///
    /// # Errors
    /// Returns the nearest name when there is no such zone.
    pub fn parse(name: &str) -> Result<Zone, UnknownZone> {
        if let Ok(zone) = Tz::from_str(name) {
            return Ok(Zone(zone));
        }
        let same = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        same.copied().map(Zone).ok_or_else(|| {
            let city = |zone: &&Tz| {
                zone.name().rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name))
            };
            let near = TZ_VARIANTS.iter().find(city).map(|zone| zone.name());
            let near = near.or_else(|| nearest(name, TZ_VARIANTS.iter().map(|zone| zone.name())));
            UnknownZone { name: name.to_owned(), near }
        })
    }

    /// Returns every zone by its name.
    pub fn all() -> impl Iterator<Item = Zone> {
        TZ_VARIANTS.iter().copied().map(Zone)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns what the zone's clocks show, as RFC 3339 with the offset.
    #[must_use]
    pub fn written(self, at: Timestamp) -> String {
        let local = utc(at).with_timezone(&self.0);
        let millis = at.millis().rem_euclid(1_000);
        let format = if millis == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        local.to_rfc3339_opts(format, false)
    }

    /// Returns by how many seconds the zone's clocks are ahead of UTC.
    #[must_use]
    pub fn seconds_ahead(self, at: Timestamp) -> i32 {
        self.0.offset_from_utc_datetime(&utc(at).naive_utc()).fix().local_minus_utc()
    }

    pub(super) fn local(self, at: Timestamp) -> NaiveDateTime {
        utc(at).with_timezone(&self.0).naive_local()
    }

    pub(super) fn shown(self, local: NaiveDateTime) -> Shown {
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(only) => Shown::Once(instant(&only)),
            LocalResult::Ambiguous(one, other) => {
                let (one, other) = (instant(&one), instant(&other));
                Shown::Twice(one.min(other), one.max(other))
            }
            LocalResult::None => Shown::Never(self.end_of_gap(local)),
        }
    }

    /// Returns the first instant at which clocks show more than a local time that they leap over.
    fn end_of_gap(self, local: NaiveDateTime) -> Timestamp {
        let around = local.and_utc();
        let mut before = (around - GAP_REACH).timestamp_millis();
        let mut after = (around + GAP_REACH).timestamp_millis();
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.local(Timestamp::from_millis(middle)) > local {
                after = middle;
            } else {
                before = middle;
            }
        }
        Timestamp::from_millis(after)
    }
}

fn utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.millis()).unwrap_or_default()
}

fn instant(at: &DateTime<Tz>) -> Timestamp {
    Timestamp::from_millis(at.timestamp_millis())
}
