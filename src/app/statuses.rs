//! Ticket statuses as people see them: the platform's own and those that the tenant added.

use serde_json::{Value, json};

use super::App;
use super::desk::{Precondition, Record};
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use crate::domain::desk::{CLOSED, RecordKind, find_choice, statuses};

const KIND: RecordKind = RecordKind::TicketStatus;
const LISTED_MAX: usize = 500;

impl App {
    /// Lists every status: the four, those below them that come with the platform, and the tenant's.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn ticket_statuses(&self, who: &Principal) -> Result<Vec<Record>, Error> {
        let all = PageRequest { limit: LISTED_MAX, after: None };
        let mut own = self.records(who, KIND, None, &all)?.data;
        own.reverse();
        let built_in = statuses(None).into_iter().map(|choice| {
            let is_parent = choice.name == choice.parent;
            let parent = (!is_parent).then_some(choice.parent.clone());
            let parent_id = parent.as_ref().and_then(|name| {
                find_choice(&statuses(None), name).map(|choice| choice.id.clone())
            });
            let shown = json!({
                "id": choice.id, "statusId": choice.id, "name": choice.name,
                "displayName": choice.name, "description": null, "color": null,
                "parentStatusName": parent, "parentStatusId": parent_id,
                "isDefault": choice.id == statuses(None)[0].id, "teamId": null,
            });
            flagged(shown.as_object().cloned().unwrap_or_default(), Maker::Platform)
        });
        Ok(built_in.chain(own.into_iter().map(|own| flagged(own, Maker::Tenant))).collect())
    }

    /// Returns one status by its id, its id in tickets or its name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn ticket_status(&self, who: &Principal, key: &str) -> Result<Record, Error> {
        let wanted = key.trim().to_lowercase();
        let is_wanted = |status: &Record| {
            ["id", "statusId", "name"].iter().any(|name| {
                let text = status.get(*name).and_then(Value::as_str);
                text.is_some_and(|text| text.to_lowercase() == wanted)
            })
        };
        let found = self.ticket_statuses(who)?.into_iter().find(is_wanted);
        found.ok_or_else(|| Error::NotFound { what: KIND.name(), id: key.to_owned() })
    }

    /// Makes a status below one of the four.
    ///
    /// # Errors
    /// `Invalid` with every problem of the input, `Conflict` for a name that is taken.
    pub async fn create_ticket_status(
        &self,
        who: &Principal,
        input: Record,
    ) -> Result<Record, Error> {
        Ok(flagged(self.create_record(who, KIND, input).await?, Maker::Tenant))
    }

    /// Changes one of the tenant's own statuses.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Invalid` with every problem, `Conflict` for a
    /// status of the platform.
    pub async fn update_ticket_status(
        &self,
        who: &Principal,
        key: &str,
        patch: Record,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        let id = self.own_status(who, key)?;
        let changed = self.update_record(who, (KIND, &id), patch, precondition).await?;
        Ok(flagged(changed, Maker::Tenant))
    }

    /// Removes one of the tenant's own statuses; its tickets move to the default beside it, or to
    /// its parent.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Conflict` for a status of the platform, and for a
    /// default while there are others beside it.
    pub async fn remove_ticket_status(
        &self,
        who: &Principal,
        key: &str,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        let id = self.own_status(who, key)?;
        self.remove_record(who, (KIND, &id), precondition).await
    }

    fn own_status(&self, who: &Principal, key: &str) -> Result<String, Error> {
        let status = self.ticket_status(who, key)?;
        if status.get("isBuiltIn") == Some(&json!(true)) {
            let name = status.get("name").and_then(Value::as_str).unwrap_or_default();
            let detail = format!("`{name}` comes with the platform and stays as it is");
            return Err(Error::Conflict { code: "protected", detail });
        }
        Ok(status.get("id").and_then(Value::as_str).unwrap_or_default().to_owned())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Maker {
    Platform,
    Tenant,
}

fn flagged(mut status: Record, maker: Maker) -> Record {
    let is_closed = ["name", "parentStatusName"]
        .iter()
        .any(|name| status.get(*name).and_then(Value::as_str) == Some(CLOSED));
    status.insert("isClosed".to_owned(), json!(is_closed));
    status.insert("isBuiltIn".to_owned(), json!(maker == Maker::Platform));
    status
}
