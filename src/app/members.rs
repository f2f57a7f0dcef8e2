//! The members of a team: listed as users, taken in and let go.

use serde_json::{Map, Value, json};

use super::App;
use super::desk::Record;
use super::error::Error;
use super::principal::Principal;
use crate::activities::desk::{Desk, DeskError, find};
use crate::domain::desk::RecordKind;

/// What is done about the members of a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// These users, named by ids or mail addresses, become members.
    Join(Vec<String>),
    /// This user is no member any more.
    Leave(String),
}

impl App {
    /// Lists the members of a team, in the order in which they joined.
    ///
    /// # Errors
    /// `NotFound` when there is no such team.
    pub fn members_of(&self, who: &Principal, team: &str) -> Result<Vec<Record>, Error> {
        let team = self.record(who, RecordKind::Team, team)?;
        self.read(who, |view| {
            let mut members = Vec::new();
            for id in member_ids(&team) {
                members.extend(find(&view, RecordKind::User, &id)?);
            }
            Ok(members)
        })
    }

    /// Changes who is a member of a team, and returns the team.
    ///
    /// # Errors
    /// `NotFound` when there is no such team, or nobody of that name in it to leave; `Invalid` for
    /// users who are unknown.
    pub async fn change_members(
        &self,
        who: &Principal,
        team: &str,
        membership: Membership,
    ) -> Result<Record, Error> {
        let team = team.to_owned();
        self.change(who, move |desk| {
            let current = desk.get(RecordKind::Team, &team)?;
            let mut ids = member_ids(&current);
            match membership {
                Membership::Join(users) => ids.extend(users),
                Membership::Leave(user) => {
                    let id = named(desk, &user)?;
                    if !ids.contains(&id) {
                        return Err(Error::NotFound { what: "member", id: user });
                    }
                    ids.retain(|member| *member != id);
                }
            }
            let mut once: Vec<String> = Vec::new();
            for id in ids {
                let id = named(desk, &id).unwrap_or(id);
                if !once.contains(&id) {
                    once.push(id);
                }
            }
            let patch = Map::from_iter([("memberIds".to_owned(), json!(once))]);
            Ok(desk.update(RecordKind::Team, &team, &patch)?)
        })
        .await
    }
}

fn named(desk: &Desk<'_, '_, '_>, user: &str) -> Result<String, DeskError> {
    let record = desk.get(RecordKind::User, user)?;
    Ok(record.get("id").and_then(Value::as_str).unwrap_or(user).to_owned())
}

fn member_ids(team: &Record) -> Vec<String> {
    let listed = team.get("memberIds").and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}
