//! An activity that workers carry out: they ask for tasks, and are held to its schemas.

use std::sync::Arc;

use serde_json::Value;

use super::checked::{Check, invalid};
use crate::domain::activity::custom::CustomActivity;
use crate::domain::problem::Problem;
use crate::domain::run::Failure;

/// An activity that workers carry out.
pub struct WorkerActivity {
    row: Arc<CustomActivity>,
    queue: String,
    input: Check,
    output: Check,
}

impl WorkerActivity {
    pub(super) fn new(row: &Arc<CustomActivity>, queue: &str) -> WorkerActivity {
        let (input, output) = Default::default();
        WorkerActivity { row: Arc::clone(row), queue: queue.to_owned(), input, output }
    }

    /// Returns what is known of it.
    #[must_use]
    pub fn row(&self) -> &CustomActivity {
        &self.row
    }

    /// Returns where its tasks wait.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Checks what a worker would get.
    ///
    /// # Errors
    /// Fails for good when it does not fit the schema.
    pub fn check_input(&self, input: &Value) -> Result<(), Failure> {
        match self.input.problems(&self.row.input_schema, input).as_slice() {
            [] => Ok(()),
            problems => Err(invalid("invalid_input", problems)),
        }
    }

    /// Returns what is wrong with what a worker made.
    #[must_use]
    pub fn output_problems(&self, output: &Value) -> Vec<Problem> {
        self.output.problems(&self.row.output_schema, output)
    }
}
