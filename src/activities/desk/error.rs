//! Why the desk refuses, and what that is to the step that asked.

use serde_json::json;

use crate::activities::identity::UNAUTHORIZED;
use crate::domain::desk::RecordKind;
use crate::domain::problem::Problem;
use crate::domain::run::Failure;
use crate::store::seam::StoreError;

/// Why a record could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// There is no such record.
    #[error("there is no {} `{id}`", kind.name())]
    NotFound {
        /// The kind that was looked for.
        kind: RecordKind,
        /// The id or natural key that was given.
        id: String,
    },
    /// The record belongs to a team that the caller is not of.
    #[error("the {} `{id}` belongs to another team", kind.name())]
    OtherTeam {
        /// Its kind.
        kind: RecordKind,
        /// Its id.
        id: String,
    },
    /// The input is wrong; at least one problem, with pointers into it.
    #[error("{}", sentence(.0))]
    Invalid(Vec<Problem>),
    /// Another record stands in the way.
    #[error("{detail}")]
    Conflict {
        /// What kind of conflict, in snake case: `duplicate`, `in_use`, `protected` or
        /// `too_many`.
        code: String,
        /// Which record, and why.
        detail: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Failure {
        let message = error.to_string();
        match error {
            DeskError::NotFound { kind, id } => Failure::terminal("not_found", message)
                .with_details(json!({ "kind": kind.name(), "id": id })),
            DeskError::OtherTeam { kind, id } => Failure::terminal(UNAUTHORIZED, message)
                .with_details(json!({ "kind": kind.name(), "id": id })),
            DeskError::Invalid(problems) => Failure::terminal("invalid_input", message)
                .with_details(json!({ "problems": problems })),
            DeskError::Conflict { code, detail } => Failure::terminal("conflict", message)
                .with_details(json!({ "code": code, "detail": detail })),
            DeskError::Store(_) => Failure::retryable("store_unavailable", message),
        }
    }
}

fn sentence(problems: &[Problem]) -> String {
    let told = problems.iter().map(|problem| match problem.pointer.as_str() {
        "" => problem.detail.clone(),
        pointer => format!("{pointer}: {}", problem.detail),
    });
    told.collect::<Vec<_>>().join("; ")
}
