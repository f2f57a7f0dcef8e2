//! The right to write one part of the file.

use super::queue::Request;
use super::rows::Rows;
use super::shared::Shared;
use super::tables::PartState;
use super::view::RedbView;
use crate::failpoint;
use crate::store::seam::{Batch, CommitError, Epoch, Owned, Part, Seq, StoreError, View};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::oneshot;

pub struct RedbOwned {
    shared: Arc<Shared>,
    part: Part,
    state: PartState,
    /// A commit was sent whose answer was never taken; `seq` may be behind the file.
    in_doubt: bool,
}

impl RedbOwned {
    pub fn new(shared: Arc<Shared>, part: Part, state: PartState) -> RedbOwned {
        RedbOwned { shared, part, state, in_doubt: false }
    }
}

impl Owned for RedbOwned {
    fn part(&self) -> Part {
        self.part
    }

    fn epoch(&self) -> Epoch {
        self.state.epoch
    }

    fn seq(&self) -> Seq {
        self.state.seq
    }

    fn commit(&mut self, batch: Batch) -> BoxFuture<'_, Result<Seq, CommitError>> {
        Box::pin(async move {
            if self.in_doubt {
                return Err(CommitError::Unknown(
                    "an earlier commit of this owner is in doubt".into(),
                ));
            }
            let (bytes, bytes_max) = (batch.bytes(), self.shared.settings.batch_bytes_max);
            if bytes > bytes_max {
                return Err(CommitError::TooLarge { bytes, bytes_max });
            }
            let rows = Rows::seal(self.part, batch);
            failpoint::hit("batch.send");
            let (answer, answered) = oneshot::channel();
            let (part, PartState { epoch, seq }) = (self.part, self.state);
            let in_doubt = &mut self.in_doubt;
            self.shared
                .queue
                .push_when_free(move || {
                    *in_doubt = true;
                    Request::Commit { part, epoch, seq, rows, answer }
                })
                .await;
            let outcome = answered.await.unwrap_or_else(|_| Err(unanswered()));
            self.in_doubt = matches!(outcome, Err(CommitError::Unknown(_)));
            self.state.seq = outcome?;
            Ok(self.state.seq)
        })
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(RedbView::take(&self.shared, self.part)?))
    }
}

/// The writer answers everything; only its death leaves something without an answer.
pub fn unanswered() -> CommitError {
    CommitError::Unknown("the writer ended before it answered".into())
}
