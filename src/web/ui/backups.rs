//! Backups: those that there are, the one that is being taken, and the end of a restore's pause.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::pages::back;
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::backups::{BackupList, BackupView};
use crate::app::restored::Resumed;
use crate::web::error::Answer;

const PATH: &str = "/system/backups";
const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];

struct Row {
    name: String,
    taken: Option<Moment>,
    size: String,
    rows: u64,
    fault: Option<String>,
    verified: Option<Moment>,
    link: String,
}

/// A backup that is being taken.
struct Running {
    name: String,
    since: Moment,
    percent: u64,
}

/// The page.
#[derive(Template)]
#[template(path = "backups.html")]
pub struct BackupsPage {
    shell: Shell,
    rows: Vec<Row>,
    running: Option<Running>,
    failure: Option<(String, Moment)>,
    directory: String,
    schedule: Option<String>,
    next: Option<Moment>,
    mark: Option<Mark>,
    log: Option<String>,
    point_in_time: bool,
    curl: String,
}

/// Makes the page.
pub fn page(shell: Shell, list: BackupList) -> BackupsPage {
    let BackupList { data, state, .. } = list;
    let running = state.job.filter(|job| job.state == "running").map(|job| Running {
        since: Moment::relative(job.started_at, shell.now),
        percent: (job.bytes * 100 / job.bytes_expected.max(1)).min(99),
        name: job.name,
    });
    BackupsPage {
        rows: data.into_iter().map(|view| row(&shell, view)).collect(),
        failure: state.last_failure.map(|it| (it.reason, Moment::relative(it.at, shell.now))),
        directory: state.directory.display().to_string(),
        schedule: state.schedule,
        next: state.next_at.map(|at| Moment::relative(at, shell.now)),
        mark: state.is_overdue.then(|| Mark::of("failed")),
        log: state.log_fault,
        point_in_time: state.point_in_time,
        curl: shell.curl("/v1/system/backups"),
        running,
        shell,
    }
}

fn row(shell: &Shell, view: BackupView) -> Row {
    Row {
        taken: view.manifest.as_ref().map(|it| Moment::relative(it.taken_at, shell.now)),
        size: size(view.bytes),
        rows: view.manifest.as_ref().map_or(0, |manifest| manifest.rows),
        fault: view.fault,
        verified: view.verified_at.map(|at| Moment::relative(at, shell.now)),
        link: shell.url(&format!("/v1/system/backups/{}", view.name)),
        name: view.name,
    }
}

/// Writes a number of bytes in the unit that a person would take.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit) -> Answer {
    let list = app.list_backups(&visit.who)?;
    html(&page(visit.shell, list))
}

/// Begins to take one.
pub async fn start(app: web::Data<App>, visit: Visit) -> Answer {
    app.start_backup(&visit.who).await?;
    Ok(back(&visit.shell, PATH))
}

/// Which backup is meant.
#[derive(Deserialize)]
pub struct NameForm {
    name: String,
}

/// Reads one whole.
pub async fn verify(app: web::Data<App>, visit: Visit, form: web::Form<NameForm>) -> Answer {
    app.verify_backup(&visit.who, &form.name).await?;
    Ok(back(&visit.shell, PATH))
}

/// Lets a restored appliance go on.
pub async fn resume(app: web::Data<App>, visit: Visit) -> Answer {
    app.resume(&visit.who, Resumed::Everything).await?;
    Ok(back(&visit.shell, PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_in_its_unit() {
        let sizes = [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (1 << 40, "1024.0 GiB")];
        for (bytes, written) in sizes {
            assert_eq!(size(bytes), written);
        }
    }
}
