//! How the appliance does, in one look: its state in a sentence, what is the matter, its figures.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::doctor::{Depth, Diagnosis};
use super::error::Error;
use super::lookout::SettingView;
use super::notices::NoticeView;
use super::principal::Principal;
use crate::domain::alert::Alert;
use crate::domain::doctor::{Grade, bytes};
use crate::domain::run::Status;
use crate::logs::{LineFilter, LogLine};

const HOUR: Duration = Duration::from_secs(3_600);
const LINES: usize = 100;
const RECENT: usize = 10;

/// One figure with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub value: String,
}

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The state in a sentence.
    pub sentence: String,
    /// How bad it is.
    pub status: Grade,
    /// The alerts that are raised.
    pub alerts: Vec<Alert>,
    /// The last alerts that went.
    pub recent: Vec<Alert>,
    /// What the doctor found.
    pub diagnosis: Diagnosis,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Where alerts are told; for owners.
    pub notices: Vec<NoticeView>,
    /// Each setting in effect; for owners.
    pub settings: Vec<SettingView>,
    /// The newest lines of the log.
    pub lines: Vec<Arc<LogLine>>,
    /// The version of the program.
    pub version: &'static str,
    /// Whether the whole appliance is shown.
    pub is_whole: bool,
}

impl App {
    /// Returns how the appliance does, or what of that the caller may see.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn overview(&self, who: &Principal, filter: LineFilter) -> Result<Overview, Error> {
        let is_whole = self.owns_appliance(who)?;
        let diagnosis = self.doctor(who, Depth::Shallow).await?;
        let alerts = self.alerts(who)?;
        let (settings, notices) = match is_whole {
            true => (self.lookout().settings().to_vec(), self.notices(who)?),
            false => Default::default(),
        };
        let status = match alerts.data.is_empty() {
            true => diagnosis.status,
            false => diagnosis.status.max(Grade::Warn),
        };
        Ok(Overview {
            sentence: self.sentence(&diagnosis, alerts.data.len()),
            status,
            recent: alerts.recent.into_iter().take(RECENT).collect(),
            alerts: alerts.data,
            figures: self.figures(who, is_whole)?,
            notices,
            settings,
            lines: self.log_lines(who, filter, LINES)?,
            version: env!("CARGO_PKG_VERSION"),
            is_whole,
            diagnosis,
        })
    }

    fn sentence(&self, diagnosis: &Diagnosis, alerts: usize) -> String {
        let standing = self.standing();
        if let ("unready", Some(worst)) = (standing.status, standing.reasons.first()) {
            return format!("No work is taken: {}.", worst.detail);
        }
        let count = |grade| diagnosis.data.iter().filter(|it| it.status == grade).count();
        match (alerts, count(Grade::Fail), count(Grade::Warn)) {
            (0, 0, 0) => "Everything works, and nothing needs a look.".to_owned(),
            (0, 0, 1) => "Everything works; one thing could be better.".to_owned(),
            (0, 0, warned) => format!("Everything works; {warned} things could be better."),
            (0, failed, _) => format!("Work is taken, but {failed} checks fail."),
            (1, ..) => "Work is taken, and one alert is raised.".to_owned(),
            (alerts, ..) => format!("Work is taken, and {alerts} alerts are raised."),
        }
    }

    fn figures(&self, who: &Principal, is_whole: bool) -> Result<Vec<Figure>, Error> {
        let now = self.now();
        let (totals, hours) =
            self.read(who, |view| Ok((view.totals()?, view.hours(now - HOUR)?)))?;
        let events: u64 = hours.iter().map(|(_, counts)| counts.events).sum();
        let running = Status::ALL.iter().filter(|status| !status.is_final());
        let running: u64 = running.map(|status| totals.runs[*status as usize]).sum();
        let figure = |name, value| Figure { name, value };
        let mut figures = vec![
            figure("Events lately", events.to_string()),
            figure("Runs not over", running.to_string()),
        ];
        if is_whole {
            let text = self.engine().metrics().render();
            let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1_000.0);
            let store = self.engine().store().admin().bytes_on_disk();
            let usage = crate::metrics::process::Usage::read();
            let up = now.since(self.engine().started_at()).as_secs();
            figures.extend([
                figure(
                    "Commit, mean",
                    mean(&text, "ergane_store_commit_seconds")
                        .map_or_else(|| "none yet".to_owned(), milliseconds),
                ),
                figure(
                    "Timers, mean lag",
                    mean(&text, "ergane_schedule_lag_seconds")
                        .map_or_else(|| "none yet".to_owned(), milliseconds),
                ),
                figure("Store", bytes(store)),
                figure("Memory", usage.resident_bytes.map_or_else(String::new, bytes)),
                figure("Up for", format!("{}:{:02} h", up / 3_600, up / 60 % 60)),
            ]);
        }
        Ok(figures)
    }
}

/// Returns the mean of a histogram without labels.
fn mean(text: &str, family: &str) -> Option<f64> {
    let read = |ending: &str| -> Option<f64> {
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("{family}{ending} ")))?;
        line.parse().ok()
    };
    let (sum, count) = (read("_sum")?, read("_count")?);
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_histogram_is_read_from_its_text() {
        let text = "a_seconds_sum 3.0\na_seconds_count 2\nb_sum 0.0\nb_count 0\n";
        assert_eq!(mean(text, "a_seconds"), Some(1.5));
        assert_eq!((mean(text, "b"), mean(text, "c")), (None, None));
    }
}
