//! Which events a change would emit, told from the fields that it gives, before it happens.

use super::RecordKind;
use super::family::{ACCOUNT, CONTACT, Family, TICKET};

/// Returns the types of the events that an update of the named fields may emit.
#[must_use]
pub fn update_kinds<'f>(
    kind: RecordKind,
    fields: impl IntoIterator<Item = &'f str>,
) -> Vec<String> {
    let family: &Family = match kind {
        RecordKind::Ticket => &TICKET,
        RecordKind::Account => &ACCOUNT,
        RecordKind::Contact => &CONTACT,
        _ => return vec![format!("{}:updated", kind.name())], // Nothing is derived from the others.
    };
    let fields: Vec<&str> = fields.into_iter().map(stem).collect();
    let derived = family.derived.iter().filter(|(_, field, _)| fields.contains(&stem(field)));
    let updated = std::iter::once(format!("{}:updated", family.prefix));
    updated.chain(derived.map(|(kind, ..)| (*kind).to_owned())).collect()
}

/// A status is given as `status`, `statusId` or `statusName`, an agent by id or mail address.
fn stem(field: &str) -> &str {
    let ends = ["Id", "Name", "Email"];
    ends.iter().find_map(|end| field.strip_suffix(end)).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_events_follow_from_the_fields_that_are_given() {
        for (fields, kinds) in [
            (&["id", "title"][..], &["ticket:updated"][..]),
            (&["id", "priorityName"], &["ticket:updated", "ticket:priority:changed"]),
            (&["assignedAgentEmail"], &["ticket:updated", "ticket:assigned"]),
        ] {
            assert_eq!(update_kinds(RecordKind::Ticket, fields.iter().copied()), kinds);
        }
    }
}
