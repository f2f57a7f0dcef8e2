//! The table of built-in event types.

mod backups;
mod channels;
mod destinations;
mod runs;
mod system;

use serde_json::json;

use super::{EventType, Part, Shape};
use crate::domain::desk::{Need, RecordKind};

use RecordKind::{
    Account, AccountActivity, AccountNote, AccountTask, Comment, Contact, CustomObject,
    Organization, Relationship, Team, User,
};

/// Returns every built-in event type, in the order in which they are listed.
pub fn rows() -> Vec<EventType> {
    let groups = [
        tickets(),
        ticket_signals(),
        comments(),
        accounts(),
        entries(),
        people(),
        organizations(),
        custom_objects(),
        channels::rows(),
        runs::rows(),
        timers(),
        webhooks(),
        destinations::rows(),
        channels::apps(),
        lasting(),
        system::rows(),
        backups::rows(),
    ];
    groups.into_iter().flatten().collect()
}

fn row(kind: &'static str, name: &'static str, description: &'static str) -> EventType {
    EventType {
        kind,
        name,
        description,
        source: "platform",
        group: "Tickets",
        aliases: &[],
        parts: Vec::new(),
    }
}

impl EventType {
    fn among(mut self, group: &'static str) -> EventType {
        self.group = group;
        self
    }

    fn from(mut self, source: &'static str) -> EventType {
        self.source = source;
        self
    }

    fn also(mut self, aliases: &'static [&'static str]) -> EventType {
        self.aliases = aliases;
        self
    }

    fn with(self, name: &'static str, shape: Shape) -> EventType {
        self.part(name, shape, Need::Required)
    }

    fn maybe(self, name: &'static str, shape: Shape) -> EventType {
        self.part(name, shape, Need::Optional)
    }

    fn part(mut self, name: &'static str, shape: Shape, need: Need) -> EventType {
        self.parts.push(Part { name, shape, need });
        self
    }

    /// Adds a record that has just been made or changed in a way that shows it alone.
    fn of(self, kind: RecordKind) -> EventType {
        self.with(word(kind), Shape::Record(kind))
    }

    /// Adds a record and what it was before; other senders may not know the latter.
    fn turning(self, kind: RecordKind) -> EventType {
        self.of(kind).maybe(previous_word(kind), Shape::Previous(kind))
    }

    /// Adds a record that is no more.
    fn gone(self, kind: RecordKind) -> EventType {
        self.with(previous_word(kind), Shape::Previous(kind))
    }

    fn with_custom_fields(self) -> EventType {
        let change = json!([{
            "fieldUid": "plan",
            "previousValues": ["gold"],
            "newValues": ["platinum"],
            "changeType": "changed",
        }]);
        self.with("changedCustomFields", Shape::Like(change))
    }
}

pub(super) fn word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Ticket => "ticket",
        Comment => "comment",
        Account => "account",
        Contact => "customerContact",
        Team => "team",
        User => "user",
        RecordKind::Tag => "tag",
        AccountNote => "accountNote",
        AccountTask => "accountTask",
        AccountActivity => "accountActivity",
        Relationship => "accountRelationship",
        CustomObject => "object",
        Organization => "organization",
        // Definitions change silently.
        RecordKind::CustomField | RecordKind::TicketStatus | RecordKind::SlaPolicy => kind.name(),
    }
}

fn previous_word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Ticket => "previousTicket",
        Comment => "previousComment",
        Account => "previousAccount",
        Contact => "previousCustomerContact",
        Team => "previousTeam",
        User => "previousUser",
        RecordKind::Tag => "previousTag",
        AccountNote => "previousAccountNote",
        AccountTask => "previousAccountTask",
        AccountActivity => "previousAccountActivity",
        Relationship => "previousAccountRelationship",
        CustomObject => "previousObject",
        Organization => "previousOrganization",
        RecordKind::CustomField | RecordKind::TicketStatus | RecordKind::SlaPolicy => kind.name(),
    }
}

fn lasting() -> Vec<EventType> {
    let row = |kind, name, record| {
        row(kind, name, "It has been in a state for as long as a trigger asks.")
            .of(record)
            .with("since", Shape::Like(json!("2026-11-23T10:00:00.000Z")))
            .with("for", Shape::Like(json!("2h")))
    };
    vec![
        row("ticket:lasting", "Ticket unchanged", RecordKind::Ticket),
        row("account:lasting", "Account unchanged", Account).among("Accounts"),
        row("customer-contact:lasting", "Contact unchanged", Contact).among("Contacts"),
        row("account-task:lasting", "Account task unchanged", AccountTask).among("Accounts"),
        row("account-activity:lasting", "Account activity unchanged", AccountActivity)
            .among("Accounts"),
    ]
}

fn tickets() -> Vec<EventType> {
    let ticket = RecordKind::Ticket;
    let changed = |kind, name, description| row(kind, name, description).turning(ticket);
    let team = json!({ "teamId": "G1", "teamName": "Web desk", "teamIdentifier": "WED" });
    vec![
        row("ticket:created", "Ticket created", "A ticket was made.")
            .of(ticket)
            .maybe("comment", Shape::Record(Comment)),
        changed("ticket:updated", "Ticket updated", "Anything about a ticket changed."),
        row("ticket:deleted", "Ticket deleted", "A ticket was deleted.").gone(ticket),
        changed("ticket:archived", "Ticket archived", "A ticket was put away."),
        changed("ticket:unarchived", "Ticket unarchived", "A ticket was taken out again."),
        changed("ticket:status:changed", "Ticket status changed", "A ticket got another status."),
        changed(
            "ticket:priority:changed",
            "Ticket priority changed",
            "A ticket got another priority.",
        ),
        changed("ticket:assigned", "Ticket assigned", "A ticket was given to an agent."),
        changed("ticket:type:changed", "Ticket type changed", "A ticket got another type."),
        changed(
            "ticket:sentiment:changed",
            "Ticket sentiment changed",
            "A ticket got another sentiment.",
        ),
        changed("ticket:escalated", "Ticket escalated", "A ticket was escalated."),
        changed("ticket:tag:updated", "Ticket tags changed", "A ticket gained or lost tags."),
        changed("ticket:migrated", "Ticket moved", "A ticket moved to another team.")
            .maybe("team", Shape::Like(team.clone()))
            .maybe("previousTeam", Shape::Like(team)),
        changed(
            "ticket:custom_field_value:added",
            "Ticket custom field set",
            "Custom fields of a ticket got values.",
        )
        .with_custom_fields(),
        changed(
            "ticket:custom_field_value:removed",
            "Ticket custom field cleared",
            "Custom fields of a ticket lost their values.",
        )
        .with_custom_fields(),
        changed(
            "ticket:custom_field_value:changed",
            "Ticket custom field changed",
            "Custom fields of a ticket got other values.",
        )
        .with_custom_fields(),
    ]
}

fn ticket_signals() -> Vec<EventType> {
    let sent = json!({ "id": "csat_T1", "status": "SENT", "sentAt": "2026-11-23T10:00:00.000Z" });
    let csat = json!({
        "id": "csat_T1",
        "status": "RECEIVED",
        "rating": 5,
        "comment": "Quick and kind",
        "sentAt": "2026-11-23T10:00:00.000Z",
        "receivedAt": "2026-11-23T11:00:00.000Z",
    });
    let sla = json!({
        "metric": "first_response",
        "policy": "Standard",
        "policyId": "Y1",
        "target": "2h",
        "startedAt": "2026-11-23T10:00:00.000Z",
        "dueAt": "2026-11-23T12:00:00.000Z",
    });
    vec![
        row("ticket:csat:sent", "Survey sent", "The customer was asked for an opinion.")
            .of(RecordKind::Ticket)
            .maybe("csat", Shape::Like(sent)),
        row("ticket:csat:received", "Survey answered", "The customer gave an opinion.")
            .of(RecordKind::Ticket)
            .maybe("csat", Shape::Like(csat)),
        row("ticket:sla:breach_warning", "Deadline near", "A promised time is about to pass.")
            .of(RecordKind::Ticket)
            .maybe("sla", Shape::Like(sla.clone())),
        row("ticket:sla:breached", "Deadline missed", "A promised time has passed.")
            .of(RecordKind::Ticket)
            .maybe("sla", Shape::Like(sla)),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table of event types")]
fn comments() -> Vec<EventType> {
    let on_ticket = |kind, name, description| row(kind, name, description).among("Comments");
    let ticket = || Shape::Record(RecordKind::Ticket);
    let reaction =
        json!({ "emoji": "+1", "userId": "U1", "createdAt": "2026-11-23T10:00:00.000Z" });
    let mut rows = vec![
        on_ticket("ticket:comment:added", "Comment added", "Somebody wrote on a ticket.")
            .also(&["ticket:comment:created"])
            .of(Comment)
            .maybe("ticket", ticket()),
        on_ticket("ticket:comment:updated", "Comment changed", "A comment's words changed.")
            .turning(Comment)
            .maybe("ticket", ticket()),
        on_ticket("ticket:comment:deleted", "Comment deleted", "A comment was deleted.")
            .gone(Comment)
            .maybe("ticket", ticket()),
        on_ticket("ticket:comment:reaction:added", "Reaction added", "Somebody reacted.")
            .of(Comment)
            .maybe("reaction", Shape::Like(reaction.clone()))
            .maybe("ticket", ticket()),
        on_ticket("ticket:comment:reaction:removed", "Reaction removed", "A reaction went away.")
            .of(Comment)
            .maybe("reaction", Shape::Like(reaction))
            .maybe("ticket", ticket()),
    ];
    for (kind, created, updated, deleted) in [
        (
            AccountTask,
            "account-task:comment:created",
            "account-task:comment:updated",
            "account-task:comment:deleted",
        ),
        (
            AccountActivity,
            "account-activity:comment:created",
            "account-activity:comment:updated",
            "account-activity:comment:deleted",
        ),
        (
            AccountNote,
            "account-note:comment:created",
            "account-note:comment:updated",
            "account-note:comment:deleted",
        ),
    ] {
        let about = |row: EventType| row.maybe(word(kind), Shape::Record(kind));
        rows.extend([
            about(
                on_ticket(
                    created,
                    "Account comment added",
                    "Somebody wrote on an account's entry.",
                )
                .of(Comment),
            ),
            about(
                on_ticket(updated, "Account comment changed", "A comment's words changed.")
                    .turning(Comment),
            ),
            about(
                on_ticket(deleted, "Account comment deleted", "A comment was deleted.")
                    .gone(Comment),
            ),
        ]);
    }
    rows
}

fn accounts() -> Vec<EventType> {
    let account = |kind, name, description| row(kind, name, description).among("Accounts");
    let contact = |kind, name, description| row(kind, name, description).among("Contacts");
    let custom_account = "Custom fields of an account changed.";
    let custom_contact = "Custom fields of a contact changed.";
    let mut rows = vec![
        account("account:created", "Account created", "An account was made.").of(Account),
        account("account:updated", "Account updated", "Anything about an account changed.")
            .turning(Account),
        account("account:deleted", "Account deleted", "An account was deleted.").gone(Account),
    ];
    for (kind, name, description) in [
        ("account-status:changed", "Account status changed", "An account got another status."),
        ("account-health:changed", "Account health changed", "An account got another health."),
        (
            "account-classification:changed",
            "Account classification changed",
            "An account got another classification.",
        ),
        (
            "account-industry:changed",
            "Account industry changed",
            "An account got another industry.",
        ),
    ] {
        rows.push(account(kind, name, description).turning(Account));
    }
    for (kind, name) in [
        ("account-custom_field_value:added", "Account custom field set"),
        ("account-custom_field_value:removed", "Account custom field cleared"),
        ("account-custom_field_value:changed", "Account custom field changed"),
    ] {
        rows.push(account(kind, name, custom_account).turning(Account).with_custom_fields());
    }
    rows.extend([
        contact("customer-contact:created", "Contact created", "A contact was made.").of(Contact),
        contact("customer-contact:updated", "Contact updated", "Anything about a contact changed.")
            .turning(Contact),
        contact("customer-contact:deleted", "Contact deleted", "A contact was deleted.")
            .gone(Contact),
        contact(
            "customer-contact:type:changed",
            "Contact type changed",
            "A contact got another type.",
        )
        .turning(Contact),
    ]);
    for (kind, name) in [
        ("customer-contact:custom_field_value:added", "Contact custom field set"),
        ("customer-contact:custom_field_value:removed", "Contact custom field cleared"),
        ("customer-contact:custom_field_value:changed", "Contact custom field changed"),
    ] {
        rows.push(contact(kind, name, custom_contact).turning(Contact).with_custom_fields());
    }
    rows
}

fn entries() -> Vec<EventType> {
    let entry = |kind, name, description| row(kind, name, description).among("Account entries");
    vec![
        entry("account-note:created", "Note created", "A note was made.").of(AccountNote),
        entry("account-note:updated", "Note updated", "A note changed.").turning(AccountNote),
        entry("account-note:deleted", "Note deleted", "A note was deleted.").gone(AccountNote),
        entry("account-task:created", "Task created", "A task was made.").of(AccountTask),
        entry("account-task:updated", "Task updated", "A task changed.").turning(AccountTask),
        entry("account-task:deleted", "Task deleted", "A task was deleted.").gone(AccountTask),
        entry("account-activity:created", "Activity created", "An activity was made.")
            .of(AccountActivity),
        entry("account-activity:updated", "Activity updated", "An activity changed.")
            .turning(AccountActivity),
        entry("account-activity:deleted", "Activity deleted", "An activity was deleted.")
            .gone(AccountActivity),
        entry("account-relationship:created", "Relationship created", "Two accounts were joined.")
            .of(Relationship),
        entry("account-relationship:updated", "Relationship updated", "A relationship changed.")
            .turning(Relationship),
        entry("account-relationship:deleted", "Relationship deleted", "Two accounts were parted.")
            .gone(Relationship),
    ]
}

fn people() -> Vec<EventType> {
    let user = |kind, name, description| row(kind, name, description).among("Users and teams");
    vec![
        user("user:mentioned", "User mentioned", "A comment named a user.").of(User),
        user("user:created", "User created", "A user was made.").of(User),
        user("user:updated", "User updated", "Anything about a user changed.").turning(User),
        user("user:deleted", "User deleted", "A user was deleted.").gone(User),
        user("user:permissions:changed", "User permissions changed", "A user got other roles.")
            .turning(User),
        user("team:created", "Team created", "A team was made.").of(Team),
        user("team:updated", "Team updated", "Anything about a team changed.").turning(Team),
        user("team:deleted", "Team deleted", "A team was deleted.").gone(Team),
        user("team:members:changed", "Team members changed", "A team gained or lost members.")
            .turning(Team),
    ]
}

fn organizations() -> Vec<EventType> {
    let organization = |kind, name, description| row(kind, name, description).among("Organization");
    vec![
        organization("organization:created", "Organization created", "An organization was made.")
            .also(&["org:created"])
            .of(Organization),
        organization(
            "organization:updated",
            "Organization updated",
            "Anything about an organization changed.",
        )
        .also(&["org:updated"])
        .turning(Organization),
        organization(
            "organization:deleted",
            "Organization deleted",
            "An organization was deleted.",
        )
        .also(&["org:deleted"])
        .gone(Organization),
        organization("organization:member-joined", "Member joined", "Somebody came in.")
            .also(&["org:member-joined"])
            .of(Organization)
            .with("user", Shape::Record(User)),
    ]
}

fn custom_objects() -> Vec<EventType> {
    let object = |kind, name, description| row(kind, name, description).among("Custom objects");
    vec![
        object("custom-object:*:*:created", "Custom object created", "An object was made.")
            .maybe("object", Shape::Record(CustomObject)),
        object("custom-object:*:*:updated", "Custom object updated", "An object changed.")
            .maybe("object", Shape::Record(CustomObject))
            .maybe("previousObject", Shape::Previous(CustomObject)),
        object("custom-object:*:*:deleted", "Custom object deleted", "An object was deleted.")
            .maybe("previousObject", Shape::Previous(CustomObject)),
    ]
}

fn timers() -> Vec<EventType> {
    let timer = |kind, name, description| {
        row(kind, name, description)
            .among("Schedules")
            .from("schedule")
            .maybe("schedule", Shape::Like(json!("Every day at 07:00")))
            .maybe("scheduledFor", Shape::Like(json!("2026-11-23T06:00:00.000Z")))
            .maybe("firedAt", Shape::Like(json!("2026-11-23T06:00:00.012Z")))
            .maybe("timezone", Shape::Like(json!("Europe/Berlin")))
            .maybe("local", Shape::Like(json!("2026-11-23T07:00:00+01:00")))
            .maybe("missed", Shape::Like(json!(0)))
    };
    vec![
        timer("schedule:hourly", "Every hour", "An hour began."),
        timer("schedule:daily", "Every day", "The time of day came."),
        timer("schedule:weekly", "Every week", "The time of week came."),
        timer("schedule:monthly", "Every month", "The time of month came."),
        timer("cron:custom", "Own schedule", "A moment of a cron expression came."),
    ]
}

fn webhooks() -> Vec<EventType> {
    let webhook = json!({
        "id": "wh_019ab0c1d2e3f4a5b6c7",
        "url": "https://hooks.wedding.example/ergane",
        "description": "Tells the booking system of tickets.",
    });
    vec![
        row(
            "webhook:disabled",
            "Webhook disabled",
            "A subscription to events was disabled because its subscriber did not take them.",
        )
        .among("Webhooks")
        .with("webhook", Shape::Like(webhook.clone()))
        .with("reason", Shape::Like(json!("the subscriber answered 410 Gone"))),
        row("webhook:test", "Webhook test", "Somebody tries a subscription; sent to it alone.")
            .among("Webhooks")
            .with("webhook", Shape::Like(webhook))
            .maybe("message", Shape::Like(json!("This is a test."))),
    ]
}
