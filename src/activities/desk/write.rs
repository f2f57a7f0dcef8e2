//! The one place that writes records: keys, belongings, the row, the undo and the events together.

use serde_json::{Map, Value, json};

use super::index::{self, DEDUPE, IndexKey};
use super::{Desk, DeskError};
use crate::domain::desk::change::{Surroundings, difference, events};
use crate::domain::desk::{Emitted, RecordKind, UniqueKey, comment};
use crate::domain::event::Event;

/// Who says what the platform's own records do.
const SOURCE: &str = "ergane";

impl Desk<'_, '_, '_> {
    /// Writes what leads from `before` to `after`; the first comment is that of a new ticket.
    pub(super) fn write(
        &mut self,
        kind: RecordKind,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
        first_comment: Option<&Map<String, Value>>,
    ) -> Result<(), DeskError> {
        for record in before.into_iter().chain(after) {
            self.check_team(kind, record)?;
        }
        let change = difference(kind, before, after);
        if change.is_empty() {
            return Ok(());
        }
        self.move_keys(kind, &change.id, before, after)?;
        self.move_belongings(kind, &change.id, before, after);
        if kind == RecordKind::Ticket {
            self.move_alarm(&change.id, before, after);
        }
        match after {
            Some(record) => self.tx.put_record(kind, &change.id, record),
            None => self.tx.remove_record(kind, &change.id),
        }
        self.changes.push(change);
        let parent = self.parent_of(kind, after.or(before))?;
        let organization_id = self.tx.tenant().to_string();
        let organization = self.organization_for(kind, before)?;
        let around = Surroundings {
            parent: parent.as_ref(),
            first_comment,
            organization_id: Some(&organization_id),
            organization: organization.as_ref(),
            text_bytes_max: Some(self.caller.comment_text_bytes_max),
        };
        for emitted in events(kind, before, after, &around) {
            self.publish(SOURCE, emitted);
        }
        for emitted in std::mem::take(&mut self.told) {
            self.publish(SOURCE, emitted);
        }
        Ok(())
    }

    /// Only events of new users and of mentions tell of the organization.
    fn organization_for(
        &self,
        kind: RecordKind,
        before: Option<&Map<String, Value>>,
    ) -> Result<Option<Map<String, Value>>, DeskError> {
        let is_told = match kind {
            RecordKind::User => before.is_none(),
            RecordKind::Comment => true,
            _ => false, // Their events do not.
        };
        if !is_told {
            return Ok(None);
        }
        let id = self.tx.tenant().to_string();
        Ok(self.tx.view().record(RecordKind::Organization, &id)?)
    }

    fn move_keys(
        &mut self,
        kind: RecordKind,
        id: &str,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Result<(), DeskError> {
        let (old, new) = (index::keys(kind, before), index::keys(kind, after));
        for key in new.iter().filter(|key| !old.contains(key)) {
            if let Some(holder) = self.tx.view().holder(kind, key.field, &key.value)? {
                return Err(taken(kind, key, &holder));
            }
        }
        for key in old.iter().filter(|key| !new.contains(key)) {
            self.tx.release(kind, key.field, &key.value);
        }
        for key in new.iter().filter(|key| !old.contains(key)) {
            self.tx.hold(kind, key.field, &key.value, id);
        }
        Ok(())
    }

    fn move_belongings(
        &mut self,
        kind: RecordKind,
        id: &str,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) {
        let (old, new) = (index::parents(kind, before), index::parents(kind, after));
        for parent in old.iter().filter(|parent| !new.contains(parent)) {
            self.tx.detach(kind, parent, id);
        }
        for parent in new.iter().filter(|parent| !old.contains(parent)) {
            self.tx.attach(kind, parent, id);
        }
    }

    /// Returns what a comment is on.
    pub(super) fn parent_of(
        &self,
        kind: RecordKind,
        record: Option<&Map<String, Value>>,
    ) -> Result<Option<Map<String, Value>>, DeskError> {
        if kind != RecordKind::Comment {
            return Ok(None);
        }
        let text = |name: &str| record.and_then(|record| record.get(name)?.as_str());
        let Some(id) = text("entityId") else { return Ok(None) };
        let entity = comment::entity_kind(text("entityType").unwrap_or_default());
        Ok(self.tx.view().record(entity, id)?)
    }

    /// Emits an event on behalf of the caller; an empty subject is none.
    pub fn publish(&mut self, source: &str, emitted: Emitted) {
        self.tx.emit(Event {
            id: String::new(), // Given when it is accepted.
            kind: emitted.kind,
            source: source.to_owned(),
            subject: Some(emitted.subject).filter(|subject| !subject.is_empty()),
            time: self.tx.now(),
            actor: self.caller.actor.clone(),
            payload: emitted.payload,
            metadata: emitted.metadata,
            cause: self.caller.cause,
        });
    }
}

fn taken(kind: RecordKind, key: &IndexKey, holder: &str) -> DeskError {
    let problem = match key.field {
        DEDUPE => UniqueKey { field: key.field, value: json!("…").to_string() },
        field => UniqueKey { field, value: key.value.clone() },
    }
    .taken_by(kind, holder);
    DeskError::Conflict { code: problem.code, detail: problem.detail }
}
