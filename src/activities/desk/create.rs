//! New records, and the records that come with them.

use serde_json::{Map, Value, json};

use super::index::{DEDUPE, dedupe_value};
use super::{Desk, DeskError, Pending, query};
use crate::domain::desk::{self as rules, RecordKind, dedupe_key, ticket};
use crate::domain::id::Uid;

type Record = Map<String, Value>;

impl Desk<'_, '_, '_> {
    /// Returns the record that an earlier input with the same key made.
    pub(super) fn repeated(
        &self,
        kind: RecordKind,
        input: &Record,
    ) -> Result<Option<Record>, DeskError> {
        let Some(key) = dedupe_key(input) else { return Ok(None) };
        let view = self.tx.view();
        let Some(id) = view.holder(kind, DEDUPE, &dedupe_value(&key))? else { return Ok(None) };
        Ok(view.record(kind, &id)?)
    }

    pub(super) fn create_alone(
        &mut self,
        kind: RecordKind,
        input: &Record,
    ) -> Result<Record, DeskError> {
        let input = self.signed(kind, input)?;
        let record =
            self.decide(self.id_for(kind), 0, &[], |facts| rules::create(kind, &input, facts))?;
        self.write(kind, None, Some(&record), None)?;
        Ok(record)
    }

    /// The organization is the tenant itself, and is named as the tenant is.
    fn id_for(&self, kind: RecordKind) -> Uid {
        match kind {
            RecordKind::Organization => Uid::from_text(self.tx.tenant().to_string()),
            _ => self.new_id(kind), // All others are many.
        }
    }

    /// Everything is decided before anything is written, so that a wrong comment makes no ticket.
    pub(super) fn create_ticket(&mut self, input: &Record) -> Result<Record, DeskError> {
        let contact = self.missing_contact(input)?;
        let known: Vec<Pending> =
            contact.iter().map(|record| Pending { kind: RecordKind::Contact, record }).collect();
        let number = self.next_ticket_number(input)?;
        let id = self.new_id(RecordKind::Ticket);
        let ticket = self
            .decide(id, number, &known, |facts| rules::create(RecordKind::Ticket, input, facts))?;
        let comment = self.first_comment(input, &ticket)?;
        let ticket = match &comment {
            Some(comment) => ticket::commented(&ticket, comment),
            None => ticket,
        };
        let ticket = self.timed(None, ticket)?;
        if let Some(contact) = &contact {
            self.write(RecordKind::Contact, None, Some(contact), None)?;
        }
        self.write(RecordKind::Ticket, None, Some(&ticket), comment.as_ref())?;
        if let Some(comment) = &comment {
            self.write(RecordKind::Comment, None, Some(comment), None)?;
        }
        Ok(ticket)
    }

    pub(super) fn create_comment(&mut self, input: &Record) -> Result<Record, DeskError> {
        let input = self.signed(RecordKind::Comment, input)?;
        let id = self.new_id(RecordKind::Comment);
        let comment =
            self.decide(id, 0, &[], |facts| rules::create(RecordKind::Comment, &input, facts))?;
        if let Some(on) = comment.get("ticketId").and_then(Value::as_str) {
            let before = self.get(RecordKind::Ticket, on)?;
            let dated = ticket::commented(&before, &comment);
            let dated = self.timed(Some(&before), dated)?;
            self.write(RecordKind::Ticket, Some(&before), Some(&dated), None)?;
        }
        self.write(RecordKind::Comment, None, Some(&comment), None)?;
        Ok(comment)
    }

    pub(super) fn create_account(&mut self, input: &Record) -> Result<Record, DeskError> {
        let account = self.create_alone(RecordKind::Account, input)?;
        if input.get("addExistingUsersToAccountContacts") == Some(&json!(true)) {
            self.adopt_contacts(&account)?;
        }
        Ok(account)
    }

    fn adopt_contacts(&mut self, account: &Record) -> Result<(), DeskError> {
        let Some(domain) = account["primaryDomain"].as_str() else { return Ok(()) };
        let ending = format!("@{domain}");
        let is_theirs = |contact: &Record| {
            contact.get("email").and_then(Value::as_str).is_some_and(|mail| mail.ends_with(&ending))
        };
        let contacts = query::scan(&self.tx.view(), RecordKind::Contact, None, is_theirs)?.0;
        for contact in contacts {
            let mut ids = contact["accountIds"].as_array().cloned().unwrap_or_default();
            ids.push(account["id"].clone());
            let patch = Map::from_iter([("accountIds".to_owned(), Value::Array(ids))]);
            let id = contact["id"].as_str().unwrap_or_default();
            self.update(RecordKind::Contact, id, &patch)?;
        }
        Ok(())
    }

    /// Returns the contact to be made for somebody who asks for the first time.
    fn missing_contact(&self, input: &Record) -> Result<Option<Record>, DeskError> {
        let Some(email) = input.get("requestorEmail").and_then(Value::as_str) else {
            return Ok(None);
        };
        let email = email.trim();
        let Some((name, domain)) = email.rsplit_once('@') else { return Ok(None) };
        let view = self.tx.view();
        if query::find(&view, RecordKind::Contact, email)?.is_some() {
            return Ok(None);
        }
        let mut contact = json!({ "email": email, "firstName": name });
        if let Some(account) = query::find(&view, RecordKind::Account, domain)? {
            contact["accountIds"] = json!([account["id"]]);
        }
        let contact = contact.as_object().cloned().unwrap_or_default();
        let id = self.new_id(RecordKind::Contact);
        let made =
            self.decide(id, 0, &[], |facts| rules::create(RecordKind::Contact, &contact, facts));
        match made {
            Ok(contact) => Ok(Some(contact)),
            // The ticket's own rules say what is wrong with the address.
            Err(DeskError::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn first_comment(&self, input: &Record, ticket: &Record) -> Result<Option<Record>, DeskError> {
        let Some(mut comment) = ticket::first_comment(input) else { return Ok(None) };
        comment.insert("ticketId".to_owned(), ticket["id"].clone());
        let comment = self.signed(RecordKind::Comment, &comment)?;
        let pending = [Pending { kind: RecordKind::Ticket, record: ticket }];
        let id = self.new_id(RecordKind::Comment);
        self.decide(id, 0, &pending, |facts| rules::create(RecordKind::Comment, &comment, facts))
            .map(Some)
    }

    /// Counted by identifier, not by team: an identifier that goes to another team goes on counting.
    fn next_ticket_number(&mut self, input: &Record) -> Result<u64, DeskError> {
        let Some(team) = input.get("teamId").and_then(Value::as_str) else { return Ok(0) };
        let Some(team) = query::find(&self.tx.view(), RecordKind::Team, team)? else {
            return Ok(0); // The ticket's own rules say so.
        };
        let identifier = team["identifier"].as_str().unwrap_or_default();
        Ok(self.tx.next_number(&format!("ticket/{identifier}"))?)
    }

    /// Returns the input with the caller as its author, where the caller is a user and the input
    /// names nobody else.
    fn signed(&self, kind: RecordKind, input: &Record) -> Result<Record, DeskError> {
        const AUTHORS: [&str; 3] = ["authorId", "customerEmail", "impersonatedUserName"];
        let has_author = kind.fields().iter().any(|field| field.name == AUTHORS[0]);
        let is_named =
            AUTHORS.iter().any(|name| input.get(*name).is_some_and(|value| !value.is_null()));
        let mut input = input.clone();
        if !has_author || is_named {
            return Ok(input);
        }
        if let Some(user) = self.user()? {
            input.insert(AUTHORS[0].to_owned(), user["id"].clone());
        }
        Ok(input)
    }

    /// Returns the user on whose behalf changes are made; none for a key or a run.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn user(&self) -> Result<Option<Record>, DeskError> {
        let actor = &self.caller.actor;
        let view = self.tx.view();
        for key in [&actor.id, &actor.email] {
            if let Some(user) = query::find(&view, RecordKind::User, key)? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }
}
