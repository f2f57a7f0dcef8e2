//! The log of the process, for those who may see it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::streams::Followed;
use crate::domain::problem::Problem;
use crate::logs::{self, LevelState, LineFilter, LogLine};

/// The longest time for which the level differs from the settings.
pub const LEVEL_FOR_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Lines as they are written, from a place on.
pub struct LogStream {
    app: App,
    who: Principal,
    filter: LineFilter,
    place: u64,
    news: watch::Receiver<u64>,
}

impl App {
    /// Returns the newest lines that are asked for, oldest first: those of every tenant for whoever
    /// owns the appliance, else those of the caller's own.
    ///
    /// # Errors
    /// Fails when it cannot be read who asks.
    pub fn log_lines(
        &self,
        who: &Principal,
        filter: LineFilter,
        limit: usize,
    ) -> Result<Vec<Arc<LogLine>>, Error> {
        Ok(logs::book().newest(&self.seen_by(who, filter)?, limit))
    }

    /// Opens a stream of lines after number `after`, or of what is new.
    ///
    /// # Errors
    /// Fails when it cannot be read who asks.
    pub fn log_stream(
        &self,
        who: &Principal,
        filter: LineFilter,
        after: Option<u64>,
    ) -> Result<LogStream, Error> {
        let news = logs::book().watch();
        let newest = *news.borrow();
        let place = after.unwrap_or(newest).min(newest);
        let filter = self.seen_by(who, filter)?;
        Ok(LogStream { app: self.clone(), who: who.clone(), filter, place, news })
    }

    fn seen_by(&self, who: &Principal, filter: LineFilter) -> Result<LineFilter, Error> {
        let tenant = match self.owns_appliance(who)? {
            true => filter.tenant,
            false => Some(self.slug_of(who.tenant)),
        };
        Ok(LineFilter { tenant, ..filter })
    }

    /// Returns what is logged at present.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance.
    pub fn log_level(&self, who: &Principal) -> Result<LevelState, Error> {
        self.check_owner(who)?;
        Ok(logs::book().level())
    }

    /// Changes what is logged, for a time or until the next start.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `Invalid` for what is no level.
    pub async fn set_log_level(
        &self,
        who: &Principal,
        level: &str,
        lasting: Option<Duration>,
    ) -> Result<LevelState, Error> {
        self.check_owner(who)?;
        let before = logs::book().level();
        let until = lasting.map(|lasting| self.now() + lasting.min(LEVEL_FOR_MAX));
        logs::book().set_level(level, until).map_err(|reason| {
            let problem = Problem::new("/level", "invalid_level", reason);
            let hint = "a level such as `debug`, or a list such as `info,ergane::engine=debug`";
            Error::Invalid(vec![problem.with_hint(hint)])
        })?;
        let mut change = Change::of("log.setLevel", "log");
        change.before(&json!({ "level": before.level }));
        change.after(&json!({ "level": level, "until": until }));
        self.record_change(who, change).await?;
        Ok(logs::book().level())
    }
}

impl Followed for LogStream {
    fn follower(&self) -> (&App, &Principal) {
        (&self.app, &self.who)
    }
}

impl LogStream {
    /// Returns the lines since the last look.
    pub fn read(&mut self) -> Vec<Arc<LogLine>> {
        let (lines, place) = logs::book().after(self.place, &self.filter);
        self.place = place;
        lines
    }

    /// Returns the number up to which lines were looked at.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Waits until something was written.
    pub async fn news(&mut self) {
        let place = self.place;
        // The book lives as long as the process.
        let _ = self.news.wait_for(|newest| *newest > place).await;
    }
}
