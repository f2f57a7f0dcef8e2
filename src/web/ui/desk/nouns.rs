//! The nouns of the desk that have the same pages: what each is called and shows.

use crate::app::desk::Record;
use crate::domain::desk::RecordKind;
use crate::web::ui::tickets::text;

/// A kind of record with its pages.
#[derive(Debug)]
pub struct Noun {
    /// The kind.
    pub kind: RecordKind,
    /// Where its pages are.
    pub path: &'static str,
    /// Several of them, with a capital.
    pub title: &'static str,
    /// One of them.
    pub one: &'static str,
    /// What changing one needs.
    pub write: &'static str,
    /// The drawing.
    pub icon: &'static str,
    /// The fields that name one, the first that is there.
    pub name: &'static [&'static str],
    /// The field that stands under the name.
    pub under: &'static str,
    /// The columns of the list: title and field.
    pub columns: &'static [(&'static str, &'static str)],
    /// The fields of its form.
    pub form: &'static [&'static str],
    /// What it is for, where there is none yet.
    pub about: &'static str,
    /// What kind of custom fields it has; none for none.
    pub custom: &'static str,
    /// Whether a table of them can be taken in.
    pub sheet: Sheets,
}

/// Whether tables of a kind can be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheets {
    /// They can.
    Taken,
    /// They cannot.
    No,
}

/// Accounts.
pub static ACCOUNTS: Noun = Noun {
    kind: RecordKind::Account,
    path: "/accounts",
    title: "Accounts",
    one: "account",
    write: "accounts:write",
    icon: "people",
    name: &["name", "primaryDomain", "id"],
    under: "primaryDomain",
    columns: &[
        ("Status", "status"),
        ("Health", "health"),
        ("Class", "classification"),
        ("Owner", "accountOwner"),
    ],
    form: &[
        "name",
        "primaryDomain",
        "secondaryDomain",
        "website",
        "status",
        "classification",
        "health",
        "industry",
        "accountOwnerId",
        "employees",
        "annualRevenue",
        "description",
    ],
    about: "Accounts are the organisations that ask for help. A domain names one, and tickets of \
            its people find it by themselves.",
    custom: "account",
    sheet: Sheets::Taken,
};

/// Contacts.
pub static CONTACTS: Noun = Noun {
    kind: RecordKind::Contact,
    path: "/contacts",
    title: "Contacts",
    one: "contact",
    write: "contacts:write",
    icon: "person",
    name: &["firstName", "email", "id"],
    under: "email",
    columns: &[("Last name", "lastName"), ("Kind", "contactType"), ("Telephone", "phoneNumber")],
    form: &["firstName", "lastName", "email", "phoneNumber", "contactType", "accountIds"],
    about: "Contacts are the people at your customers. A mail address names one; whoever asks for \
            something for the first time becomes one.",
    custom: "contact",
    sheet: Sheets::Taken,
};

/// Teams.
pub static TEAMS: Noun = Noun {
    kind: RecordKind::Team,
    path: "/teams",
    title: "Teams",
    one: "team",
    write: "teams:write",
    icon: "people",
    name: &["name", "identifier", "id"],
    under: "description",
    columns: &[
        ("Short name", "identifier"),
        ("Lead", "teamOwner"),
        ("Routing", "userRoutingStrategy"),
        ("Time zone", "timezone"),
    ],
    form: &[
        "name",
        "identifier",
        "description",
        "teamOwnerId",
        "memberIds",
        "parentTeamId",
        "timezone",
        "userRoutingStrategy",
        "isActive",
        "isPrivate",
    ],
    about: "Every ticket belongs to a team. Its short name begins the numbers of its tickets.",
    custom: "",
    sheet: Sheets::No,
};

/// Tickets, as far as their form and their table go; their own pages show them.
pub static TICKETS: Noun = Noun {
    kind: RecordKind::Ticket,
    path: "/tickets",
    title: "Tickets",
    one: "ticket",
    write: "tickets:write",
    icon: "tickets",
    name: &["title", "ticketIdentifier", "id"],
    under: "ticketIdentifier",
    columns: &[],
    form: &[
        "title",
        "description",
        "requestorEmail",
        "teamId",
        "priorityName",
        "assignedAgentId",
        "type",
        "tags",
        "dueDate",
    ],
    about: "",
    custom: "ticket",
    sheet: Sheets::Taken,
};

/// The fields that a ticket's own page changes.
pub const TICKET_CHANGES: &[&str] =
    &["statusName", "priorityName", "assignedAgentId", "teamId", "type", "tags", "dueDate"];

impl Noun {
    /// Returns what people call a record.
    pub fn name_of(&self, record: &Record) -> String {
        let name = text(&record.clone().into(), self.name);
        match (self.kind, record.get("lastName").and_then(|last| last.as_str())) {
            (RecordKind::Contact, Some(last)) => format!("{name} {last}"),
            _ => name, // Only people have two names.
        }
    }
}
