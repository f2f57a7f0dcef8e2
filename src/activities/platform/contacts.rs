//! Contacts: the people at customers.

use super::input::{named, without};
use super::{OnDesk, changing, described, schema};
use crate::domain::desk::RecordKind;

const SCOPE: &str = "contacts";
const KIND: RecordKind = RecordKind::Contact;
const KEYS: &[&str] = &["id", "contactId", "customerContactId"];

pub(in crate::activities) const CREATE: OnDesk = OnDesk {
    spec: || {
        let text = "Makes a contact; a mail address that another contact has is refused.";
        let identifier = "contacts:create-customer-contact-platform";
        let spec = described(identifier, "Create a contact", text);
        changing(SCOPE, schema::creation(KIND), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.create(KIND, input)?.into()),
};

pub(in crate::activities) const UPDATE: OnDesk = OnDesk {
    spec: || {
        let text = "Changes fields of a contact, named by id or by mail address as its id.";
        let identifier = "contacts:update-customer-contact-platform";
        let spec = described(identifier, "Update a contact", text);
        changing(SCOPE, schema::change(KIND, KEYS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.update(KIND, named(input, KEYS)?, &without(input, KEYS))?.into()),
};
