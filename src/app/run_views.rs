//! Searches for runs under a name: those that come with the product, shared ones and one's own.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::run_words::RunWords;
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::store::run_views::RunViewRow;

const LETTER: char = 'V';
const TITLE_CHARS_MAX: usize = 60;
const QUERY_BYTES_MAX: usize = 1_000;

/// What everybody has: id, title, search.
const BUILT_IN: [(&str, &str, &str); 6] = [
    ("needs-attention", "Needs attention", "status:failed"),
    ("waits-for-somebody", "Waits for somebody", "waitingFor:approval,incident,doubt"),
    ("retrying", "Retrying", "status:retrying"),
    ("waiting-long", "Waiting longer than a day", "status:waiting until:1d"),
    ("undo-failed", "Undo failed", "undo:incomplete"),
    ("by-hand", "Started by hand", "event:workflow:started"),
];

/// Who sees a saved search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Whoever saved it.
    Private,
    /// Everybody in the tenant.
    Shared,
}

/// A search for runs under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedRunView {
    /// Names it.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// The search as it could be typed: the `q` of the list.
    pub q: String,
    /// `builtIn`, `shared` or `private`.
    pub kind: &'static str,
    /// Who saved it; nobody for one that comes with the product.
    pub created_by: Option<String>,
    /// When it was saved.
    pub created_at: Option<Timestamp>,
    /// Whether whoever asks may remove it.
    pub removable: bool,
}

impl App {
    /// Lists the searches that the caller sees: built in, shared, their own.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn run_views(&self, who: &Principal) -> Result<Vec<SavedRunView>, Error> {
        let mut rows = self.read(who, |view| Ok(view.run_views()?))?;
        rows.retain(|row| row.shared || row.owner == who.id);
        rows.sort_by_key(|row| !row.shared);
        let built_in = BUILT_IN.into_iter().map(|(id, title, q)| SavedRunView {
            id: id.to_owned(),
            title: title.to_owned(),
            q: q.to_owned(),
            kind: "builtIn",
            created_by: None,
            created_at: None,
            removable: false,
        });
        Ok(built_in.chain(rows.into_iter().map(|row| shown(row, who))).collect())
    }

    /// Saves a search under a name.
    ///
    /// # Errors
    /// `Invalid` for a name or a search that cannot be, `Forbidden` to share one without
    /// `runs:write`, `Conflict` when there are as many as there may be.
    pub async fn save_run_view(
        &self,
        who: &Principal,
        title: &str,
        q: &str,
        sharing: Sharing,
    ) -> Result<SavedRunView, Error> {
        let shared = sharing == Sharing::Shared;
        if shared && !who.scopes.allow("runs:write") {
            return Err(Error::Forbidden { scope: "runs:write".to_owned() });
        }
        let (title, query) = checked(title, q, self.now())?;
        let views_max = self.engine().settings().run_views_max;
        let (owner, owner_name) = (who.id.clone(), who.name.clone());
        let row = self
            .write(who, Change::of("runView.save", ""), move |tx, change| {
                if tx.view().run_views()?.len() >= views_max {
                    let detail = format!("a tenant has at most {views_max} saved searches");
                    return Err(Error::Conflict { code: "too_many_views", detail });
                }
                let created_at = tx.now();
                let id = Uid::new(LETTER, created_at, tx.random()).to_string();
                let row = RunViewRow { id, title, query, shared, owner, owner_name, created_at };
                tx.put_run_view(&row);
                change.target(&row.id);
                change.after(&row);
                Ok(row)
            })
            .await?;
        Ok(shown(row, who))
    }

    /// Removes a saved search: one's own, or a shared one with `runs:write`.
    ///
    /// # Errors
    /// `NotFound` for one that the caller does not see, `Forbidden` for one of somebody else.
    pub async fn remove_run_view(&self, who: &Principal, id: &str) -> Result<(), Error> {
        let missing = || Error::NotFound { what: "saved search", id: id.to_owned() };
        let found = self.run_views(who)?.into_iter().find(|view| view.id == id);
        let found = found.filter(|view| view.kind != "builtIn").ok_or_else(missing)?;
        if !found.removable {
            return Err(Error::Forbidden { scope: "runs:write".to_owned() });
        }
        let wanted = id.to_owned();
        self.write(who, Change::of("runView.remove", id), move |tx, change| {
            change.before(&found);
            tx.remove_run_view(&wanted);
            Ok(())
        })
        .await
    }
}

fn checked(title: &str, q: &str, now: Timestamp) -> Result<(String, String), Error> {
    let (title, q) = (title.trim(), q.trim());
    let mut problems = Vec::new();
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
        let detail = format!("must have 1 to {TITLE_CHARS_MAX} characters");
        problems.push(Problem::new("/title", "invalid_value", detail));
    }
    if q.is_empty() || q.len() > QUERY_BYTES_MAX {
        let detail = format!("must have 1 to {QUERY_BYTES_MAX} bytes");
        problems.push(Problem::new("/q", "invalid_value", detail));
    } else if let Err(wrong) = RunWords::typed(q).and_then(|words| words.filter(now)) {
        problems.extend(wrong.into_iter().map(|it| Problem { pointer: "/q".to_owned(), ..it }));
    }
    if problems.is_empty() {
        Ok((title.to_owned(), q.to_owned()))
    } else {
        Err(Error::Invalid(problems))
    }
}

fn shown(row: RunViewRow, who: &Principal) -> SavedRunView {
    let removable = row.owner == who.id || (row.shared && who.scopes.allow("runs:write"));
    SavedRunView {
        id: row.id,
        title: row.title,
        q: row.query,
        kind: if row.shared { "shared" } else { "private" },
        created_by: Some(row.owner_name),
        created_at: Some(row.created_at),
        removable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_search_can_be_typed() {
        for (id, _, q) in BUILT_IN {
            let words = RunWords::typed(q).expect(id);
            words.filter(Timestamp::from_millis(1_000_000_000)).expect(id);
        }
    }
}
