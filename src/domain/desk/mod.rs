//! The platform's own records: their fields, the rules of their changes, and what a change emits.

mod choice;
mod cut;
mod draft;
mod emit;
pub mod emitted;
mod family;
mod field;
mod schema;

pub mod account;
pub mod change;
pub mod comment;
pub mod contact;
pub mod csat;
pub mod custom_field;
pub mod custom_object;
pub mod entry;
pub mod organization;
pub mod relation;
pub mod relationship;
pub mod sla;
pub mod sla_policy;
pub mod tag;
pub mod team;
pub mod ticket;
pub mod ticket_status;
pub mod user;

#[cfg(test)]
mod defined_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::Uid;
use super::problem::{Problem, pointer_to};
use super::time::Timestamp;

use draft::Draft;

pub use choice::{
    CLOSED, Choice, PARENT_STATUSES, find as find_choice, is_built_in_status, priorities,
    sentiments, statuses,
};
pub use emit::{Emitted, Surroundings, events, joined};
pub use family::derived_from;
pub use field::{Field, FieldType, Input, Kept, Need};
pub use schema::{create_schema, event_schema, output_schema, update_schema};

/// A kind of record that the platform keeps itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// A customer's request and what became of it.
    Ticket,
    /// A message on a ticket, or on an entry of an account.
    Comment,
    /// A customer organisation.
    Account,
    /// A person at a customer.
    Contact,
    /// A group of users with its own tickets.
    Team,
    /// A person, or a bot, who works here.
    User,
    /// A word to sort tickets or skills by.
    Tag,
    /// A note about an account.
    AccountNote,
    /// A task for an account.
    AccountTask,
    /// A call, mail, meeting or visit with an account.
    AccountActivity,
    /// What one account is to another.
    Relationship,
    /// The definition of a custom field.
    CustomField,
    /// A ticket's status below one of the four.
    TicketStatus,
    /// A promise about tickets.
    SlaPolicy,
    /// A record of a kind that the tenant names itself.
    CustomObject,
    /// The tenant itself.
    Organization,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [RecordKind; 16] = [
        RecordKind::Ticket,
        RecordKind::Comment,
        RecordKind::Account,
        RecordKind::Contact,
        RecordKind::Team,
        RecordKind::User,
        RecordKind::Tag,
        RecordKind::AccountNote,
        RecordKind::AccountTask,
        RecordKind::AccountActivity,
        RecordKind::Relationship,
        RecordKind::CustomField,
        RecordKind::TicketStatus,
        RecordKind::SlaPolicy,
        RecordKind::CustomObject,
        RecordKind::Organization,
    ];

    /// Returns the name, such as `ticket` or `account-note`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Ticket => "ticket",
            RecordKind::Comment => "comment",
            RecordKind::Account => "account",
            RecordKind::Contact => "contact",
            RecordKind::Team => "team",
            RecordKind::User => "user",
            RecordKind::Tag => "tag",
            RecordKind::AccountNote => "account-note",
            RecordKind::AccountTask => "account-task",
            RecordKind::AccountActivity => "account-activity",
            RecordKind::Relationship => "account-relationship",
            RecordKind::CustomField => "custom-field",
            RecordKind::TicketStatus => "ticket-status",
            RecordKind::SlaPolicy => "sla-policy",
            RecordKind::CustomObject => "custom-object",
            RecordKind::Organization => "organization",
        }
    }

    /// Returns the letter that uids of this kind begin with.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            RecordKind::Ticket => 'T',
            RecordKind::Comment => 'C',
            RecordKind::Account => 'A',
            RecordKind::Contact => 'P',
            RecordKind::Team => 'G',
            RecordKind::User => 'U',
            RecordKind::Tag => 'L',
            RecordKind::AccountNote => 'N',
            RecordKind::AccountTask => 'K',
            RecordKind::AccountActivity => 'V',
            RecordKind::Relationship => 'R',
            RecordKind::CustomField => 'F',
            RecordKind::TicketStatus => 'S',
            RecordKind::SlaPolicy => 'Y',
            RecordKind::CustomObject => 'O',
            RecordKind::Organization => 'Z',
        }
    }

    /// Returns the kind that `name` names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<RecordKind> {
        RecordKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the fields, in the order in which a record shows them.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            RecordKind::Ticket => ticket::FIELDS,
            RecordKind::Comment => comment::FIELDS,
            RecordKind::Account => account::FIELDS,
            RecordKind::Contact => contact::FIELDS,
            RecordKind::Team => team::FIELDS,
            RecordKind::User => user::FIELDS,
            RecordKind::Tag => tag::FIELDS,
            RecordKind::AccountNote => entry::NOTE_FIELDS,
            RecordKind::AccountTask => entry::TASK_FIELDS,
            RecordKind::AccountActivity => entry::ACTIVITY_FIELDS,
            RecordKind::Relationship => relationship::FIELDS,
            RecordKind::CustomField => custom_field::FIELDS,
            RecordKind::TicketStatus => ticket_status::FIELDS,
            RecordKind::SlaPolicy => sla_policy::FIELDS,
            RecordKind::CustomObject => custom_object::FIELDS,
            RecordKind::Organization => organization::FIELDS,
        }
    }
}

/// Finds a record by its id or its natural key, matched without regard to case.
pub type Lookup<'a> = dyn Fn(RecordKind, &str) -> Option<Map<String, Value>> + 'a;

/// Lists the records of a kind of which a tenant has few: definitions, statuses, policies.
pub type Listing<'a> = dyn Fn(RecordKind) -> Vec<Map<String, Value>> + 'a;

/// The other records of the tenant, as far as a change needs them.
#[derive(Clone, Copy)]
pub struct Related<'a> {
    /// Returns a record by its id or by its natural key: a team's identifier, a user's or contact's
    /// mail address, an account's primary domain, a tag's name.
    pub get: &'a Lookup<'a>,
    /// Returns every record of a kind, oldest first.
    pub all: &'a Listing<'a>,
}

/// What a change needs to know beside its input.
pub struct Facts<'a> {
    /// The time of the change.
    pub now: Timestamp,
    /// The id of the record if the change creates one; unused by an update.
    pub id: Uid,
    /// The number that a new ticket gets in its team, from 1; unused by all else.
    pub number: u64,
    /// The other records.
    pub related: Related<'a>,
}

/// What is particular to a kind of record: how a new one begins, what a change has to keep, and
/// what holds of every one.
struct Rules {
    begin: Rule,
    change: Rule,
    always: Rule,
}

type Rule = fn(&mut Draft<'_>);

impl Rules {
    const NONE: Rules = Rules { begin: |_| (), change: |_| (), always: |_| () };

    fn of(kind: RecordKind) -> Rules {
        let always = |always: Rule| Rules { always, ..Rules::NONE };
        let begin = |begin: Rule, always: Rule| Rules { begin, always, ..Rules::NONE };
        match kind {
            RecordKind::Ticket => Rules {
                begin: ticket::begin,
                change: ticket::set_team,
                always: ticket::apply_rules,
            },
            RecordKind::Comment => {
                Rules { begin: comment::begin, change: comment::change, ..Rules::NONE }
            }
            RecordKind::Account => always(account::apply_rules),
            RecordKind::Contact => always(contact::apply_rules),
            RecordKind::Team => begin(team::begin, team::apply_rules),
            RecordKind::User => always(user::apply_rules),
            RecordKind::Tag => always(tag::apply_rules),
            RecordKind::AccountNote | RecordKind::AccountTask | RecordKind::AccountActivity => {
                always(entry::apply_rules)
            }
            RecordKind::Relationship => Rules { begin: relationship::begin, ..Rules::NONE },
            RecordKind::CustomField => begin(custom_field::begin, custom_field::apply_rules),
            RecordKind::TicketStatus => {
                Rules { begin: ticket_status::begin, change: ticket_status::change, ..Rules::NONE }
            }
            RecordKind::SlaPolicy => begin(sla_policy::begin, sla_policy::apply_rules),
            RecordKind::CustomObject => begin(custom_object::begin, custom_object::apply_rules),
            RecordKind::Organization => Rules { begin: organization::begin, ..Rules::NONE },
        }
    }
}

/// Returns the new record of `kind` that `input` describes.
///
/// # Errors
/// Returns every fault of the input, with pointers into it.
pub fn create(
    kind: RecordKind,
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let input = match kind {
        RecordKind::TicketStatus => ticket_status::named(input),
        _ => Cow::Borrowed(input), // Taken as it is given.
    };
    let mut draft = Draft::create(kind, &input, facts);
    let rules = Rules::of(kind);
    (rules.begin)(&mut draft);
    (rules.always)(&mut draft);
    draft.finish()
}

/// Returns `current` as `patch` changes it; equal to `current` when nothing changes.
///
/// # Errors
/// Returns every fault of the patch, with pointers into it, or that a ticket is archived.
pub fn update(
    kind: RecordKind,
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    if kind == RecordKind::Ticket {
        ticket::refuse_archived(current)?;
    }
    let mut draft = Draft::update(kind, current, patch, facts);
    let rules = Rules::of(kind);
    (rules.change)(&mut draft);
    (rules.always)(&mut draft);
    draft.finish()
}

/// A value that no two records of a kind share in a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueKey {
    /// The field, such as `email`.
    pub field: &'static str,
    /// The value in its comparable spelling, lower case.
    pub value: String,
}

impl UniqueKey {
    /// Describes the fault of a record whose key the record `holder` has already.
    #[must_use]
    pub fn taken_by(&self, kind: RecordKind, holder: &str) -> Problem {
        let detail =
            format!("the {} `{holder}` has the {} `{}`", kind.name(), self.field, self.value);
        Problem::new(pointer_to("", self.field), "duplicate", detail)
            .with_hint("change that record, or choose another value")
    }
}

/// Returns the keys of `record` that no other record of `kind` may have; each also finds it.
#[must_use]
pub fn unique_keys(kind: RecordKind, record: &Map<String, Value>) -> Vec<UniqueKey> {
    let field = match kind {
        RecordKind::Account => "primaryDomain",
        RecordKind::Contact | RecordKind::User => "email",
        RecordKind::Team => "identifier",
        RecordKind::Tag | RecordKind::SlaPolicy => "name",
        RecordKind::CustomField => "slug",
        RecordKind::TicketStatus => "statusId",
        RecordKind::Ticket
        | RecordKind::Comment
        | RecordKind::AccountNote
        | RecordKind::AccountTask
        | RecordKind::AccountActivity
        | RecordKind::Relationship
        | RecordKind::CustomObject
        | RecordKind::Organization => return Vec::new(),
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_lowercase);
    let value = match kind {
        // A ticket and an account may each have a field of the same name.
        RecordKind::CustomField => {
            let place = [text("source"), text("objectType")].into_iter().flatten();
            let path: Vec<String> = place.chain(text(field)).collect();
            Some(path.join("/"))
        }
        _ => text(field), // A value of its own.
    };
    value.into_iter().map(|value| UniqueKey { field, value }).collect()
}

/// Returns the key by which a repeated creation of a ticket or comment is recognised; it works on
/// the input as well as on the record.
#[must_use]
pub fn dedupe_key(record: &Map<String, Value>) -> Option<String> {
    let key = record.get("deDuplicationKey")?.as_str()?;
    (!key.is_empty()).then(|| key.to_owned())
}

/// Returns what a person calls the record: a ticket's title, a user's name, a comment's words.
#[must_use]
pub fn label(kind: RecordKind, record: &Map<String, Value>) -> String {
    let names: &[&str] = match kind {
        RecordKind::Ticket | RecordKind::AccountTask => &["title"],
        RecordKind::Comment | RecordKind::AccountNote => &["content"],
        RecordKind::Contact => &["firstName", "lastName"],
        RecordKind::AccountActivity => &["type", "activityTimestamp"],
        RecordKind::Relationship => &["accountId", "type", "relatedAccountId"],
        RecordKind::CustomObject => &["objectType", "id"],
        RecordKind::Account
        | RecordKind::Team
        | RecordKind::User
        | RecordKind::Tag
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy
        | RecordKind::Organization => &["name"],
    };
    let words: Vec<&str> =
        names.iter().filter_map(|name| record.get(*name).and_then(Value::as_str)).collect();
    words.join(" ")
}
