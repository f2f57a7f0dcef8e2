//! How often activities may be called: what each says of itself, and what somebody set instead.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::activities::ActivityView;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::activity::{Reach, ThrottleKey};
use crate::domain::problem::Problem;
use crate::domain::time::format_duration;
use crate::store::destinations::ThrottleRow;

/// No window is longer, in milliseconds: 31 days.
const WINDOW_MS_MAX: u64 = 31 * 86_400_000;
/// No window takes more calls.
const LIMIT_MAX: u32 = 1_000_000;

/// A throttle as somebody wants it.
#[derive(Clone, Debug)]
pub struct NewThrottle {
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is.
    pub window: Duration,
    /// What is counted together.
    pub key: ThrottleKey,
    /// Whether it is held to.
    pub enabled: bool,
}

/// How often an activity may be called.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThrottleView {
    /// The activity.
    pub activity: String,
    /// Whether calls are held to it.
    pub enabled: bool,
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is.
    pub window: String,
    /// What is counted together.
    pub key: String,
}

impl App {
    /// Shows what somebody set in place of what activities say of themselves.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn show_throttles(&self, who: &Principal, shown: &mut [ActivityView]) -> Result<(), Error> {
        let rows = self.read(who, |view| Ok(view.throttles()?))?;
        for row in rows {
            let found = shown.iter_mut().find(|it| it.unique_identifier == row.activity);
            let Some(activity) = found else { continue };
            activity.throttle = match row.enabled {
                true => json!({
                    "limit": row.limit,
                    "window": format_duration(Duration::from_millis(row.window_ms)),
                    "key": row.key,
                }),
                false => Value::Null,
            };
        }
        Ok(())
    }

    /// Sets how often an activity may be called; it holds from the next call on.
    ///
    /// # Errors
    /// `NotFound` for an activity that is none, `Invalid` for a limit or window out of bounds.
    pub async fn set_throttle(
        &self,
        who: &Principal,
        identifier: &str,
        wanted: NewThrottle,
    ) -> Result<ThrottleView, Error> {
        let activity = self.throttled(who, identifier)?;
        let window_ms = u64::try_from(wanted.window.as_millis()).unwrap_or(u64::MAX);
        let mut problems = Vec::new();
        if !(1..=LIMIT_MAX).contains(&wanted.limit) {
            let detail = format!("must be from 1 to {LIMIT_MAX}");
            problems.push(Problem::new("/limit", "out_of_range", detail));
        }
        if !(1..=WINDOW_MS_MAX).contains(&window_ms) {
            let detail = "must be from 1ms to 31d";
            problems.push(Problem::new("/window", "out_of_range", detail));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        let change = Change::of("activity.throttle", activity.as_str());
        let row = self.write(who, change, move |tx, change| {
            let row = ThrottleRow {
                activity,
                enabled: wanted.enabled,
                limit: wanted.limit,
                window_ms,
                key: wanted.key.name().to_owned(),
                updated_at: tx.now(),
            };
            if let Some(before) = tx.view().throttle(&row.activity)? {
                change.before(&view(&before));
            }
            change.after(&view(&row));
            tx.put_throttle(&row);
            Ok(row)
        });
        Ok(view(&row.await?))
    }

    /// Leaves it to the activity again how often it may be called.
    ///
    /// # Errors
    /// `NotFound` when nothing was set.
    pub async fn remove_throttle(&self, who: &Principal, identifier: &str) -> Result<(), Error> {
        let activity = self.throttled(who, identifier)?;
        let change = Change::of("activity.unthrottle", activity.as_str());
        self.write(who, change, move |tx, change| {
            let Some(row) = tx.view().throttle(&activity)? else {
                return Err(Error::NotFound { what: "throttle", id: activity.clone() });
            };
            change.before(&view(&row));
            tx.remove_throttle(&activity);
            Ok(())
        })
        .await
    }

    /// Returns the identifier of an activity that can be throttled.
    fn throttled(&self, who: &Principal, identifier: &str) -> Result<String, Error> {
        let found = self.activity(who, identifier)?.unique_identifier;
        let catalogue = self.catalogue(who.tenant);
        match catalogue.find(&found).map(|spec| spec.reach) {
            Some(Reach::Sleep) => {
                let detail = "a pause is kept by its run and is not throttled";
                Err(Error::Invalid(vec![Problem::new("", "not_throttled", detail)]))
            }
            Some(Reach::Platform | Reach::Outside) | None => Ok(found),
        }
    }
}

fn view(row: &ThrottleRow) -> ThrottleView {
    ThrottleView {
        activity: row.activity.clone(),
        enabled: row.enabled,
        limit: row.limit,
        window: format_duration(Duration::from_millis(row.window_ms)),
        key: row.key.clone(),
    }
}
