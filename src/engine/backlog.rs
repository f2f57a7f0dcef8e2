//! Which runs without an actor need one, and in which order they get it.

use std::collections::BTreeMap;

use crate::domain::id::RunId;
use crate::domain::run::Status;
use crate::domain::workflow::Priority;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

/// Runs without an actor that need one, in the order in which they get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Backlog {
    /// Runs that were being undone when the process ended.
    Compensating,
    /// Runs that were at work when the process ended.
    Running,
    /// Runs for which others left something to look at.
    WithNotices,
    /// Runs that wait for room.
    Queued(Priority),
}

impl Backlog {
    /// Returns every backlog, none of which has been looked at.
    pub(super) fn everything() -> BTreeMap<Backlog, Option<RunId>> {
        let queued = Priority::ALL.map(Backlog::Queued);
        let at_work = [Backlog::Compensating, Backlog::Running, Backlog::WithNotices];
        let backlogs = at_work.into_iter().chain(queued);
        backlogs.map(|backlog| (backlog, None)).collect()
    }

    /// Returns the next runs that belong to it, oldest first.
    pub(super) fn read(
        self,
        view: TenantView<'_>,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        match self {
            Backlog::Compensating => view.runs_in_status(Status::Compensating, after, limit),
            Backlog::Running => view.runs_in_status(Status::Running, after, limit),
            Backlog::WithNotices => view.runs_with_notices(after, limit),
            Backlog::Queued(Priority::NORMAL) => view.runs_in_status(Status::Queued, after, limit),
            Backlog::Queued(priority) => view.queued_of_priority(priority, after, limit),
        }
    }
}
