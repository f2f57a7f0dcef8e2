//! What follows from changes of records, and what comes back when they are undone.

use serde_json::{Value, json};

use super::{Query, TicketQuery, list, search_tickets, threads};
use crate::activities::harness::{Bench, map};
use crate::domain::desk::RecordKind::{Account, Comment, Contact, Ticket, User};
use crate::domain::desk::ticket;

fn opened(bench: &mut Bench, more: Value) -> Value {
    let mut input = json!({"title": "Down", "requestorEmail": "kim@acme.test", "teamId": "WED"});
    input.as_object_mut().unwrap().extend(map(more));
    bench.create(Ticket, input)
}

#[test]
fn tickets_are_numbered_within_their_team_and_found_by_that_name() {
    let mut bench = Bench::new();
    let first = opened(&mut bench, json!({}));
    let second = opened(&mut bench, json!({}));
    assert_eq!(first["ticketIdentifier"], "WED-1");
    assert_eq!(second["ticketIdentifier"], "WED-2");
    assert_eq!(bench.get(Ticket, "wed-2").unwrap()["id"], second["id"]);
    assert_eq!(bench.get(Ticket, "WED-9").unwrap_err().code, "not_found");
}

#[test]
fn whoever_asks_for_the_first_time_becomes_a_contact_of_the_account_of_that_domain() {
    let mut bench = Bench::new();
    bench.events();
    let ticket = opened(&mut bench, json!({"requestorEmail": "New.One@Acme.test"}));
    let account = bench.get(Account, "acme.test").unwrap();
    let contact = bench.get(Contact, "new.one@acme.test").unwrap();
    assert_eq!(contact["accountIds"], json!([account["id"]]));
    assert_eq!(ticket["customerContactId"], contact["id"]);
    assert_eq!(ticket["accountId"], account["id"]);
    assert_eq!(bench.events(), ["customer-contact:created", "ticket:created"]);
}

#[test]
fn the_first_comment_comes_with_its_ticket_and_dates_it() {
    let mut bench = Bench::new();
    bench.take_events();
    let ticket = opened(&mut bench, json!({"commentContent": "Help"}));
    let events = bench.take_events();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["ticket:created", "ticket:comment:added"]);
    assert_eq!(events[0].payload["comment"]["content"], "Help");
    assert_eq!(events[1].payload["ticket"]["id"], ticket["id"]);
    assert_eq!(events[1].subject.as_deref(), ticket["id"].as_str());
    assert_eq!(events[1].cause, bench.caller.cause);
    assert_eq!(events[1].actor, bench.caller.actor);
    assert_eq!(ticket["lastVendorComment"], events[1].payload["comment"]["createdAt"]);
}

#[test]
fn a_wrong_first_comment_makes_neither_ticket_nor_contact() {
    let mut bench = Bench::new();
    let before = bench.rows();
    let input = json!({
        "title": "Down", "requestorEmail": "new@acme.test", "teamId": "WED",
        "commentContent": "Hi", "commentImpersonatedUserEmail": "nobody",
    });
    let refused = bench.desk(|desk| desk.create(Ticket, &map(input))).unwrap_err();
    assert_eq!(refused.code, "invalid_input");
    assert_eq!(bench.rows(), before);
}

#[test]
fn a_unique_value_is_refused_with_the_name_of_its_holder_and_free_once_given_up() {
    let mut bench = Bench::new();
    let kim = bench.get(Contact, "kim@acme.test").unwrap();
    let again = json!({"firstName": "K", "email": "KIM@acme.test"});
    let refused = bench.desk(|desk| desk.create(Contact, &map(again.clone()))).unwrap_err();
    assert_eq!(refused.code, "conflict");
    assert!(refused.message.contains(kim["id"].as_str().unwrap()), "{}", refused.message);
    let moved = map(json!({"email": "kim@elsewhere.test"}));
    bench.desk(|desk| desk.update(Contact, "kim@acme.test", &moved)).unwrap();
    assert_ne!(bench.create(Contact, again)["id"], kim["id"]);
}

#[test]
fn deleting_a_ticket_deletes_its_comments_and_undo_brings_all_back() {
    let mut bench = Bench::new();
    let ticket = opened(&mut bench, json!({"commentContent": "one"}));
    bench.create(Comment, json!({"ticketId": "WED-1", "content": "two"}));
    let before = bench.rows();
    bench.events();
    let done = bench
        .desk(|desk| {
            desk.remove(Ticket, "WED-1")?;
            Ok(std::mem::take(&mut desk.changes))
        })
        .unwrap();
    let events = bench.events();
    assert_eq!(events, ["ticket:comment:deleted", "ticket:comment:deleted", "ticket:deleted"]);
    assert_eq!(bench.get(Ticket, ticket["id"].as_str().unwrap()).unwrap_err().code, "not_found");
    bench.undo(&serde_json::to_value(done).unwrap()).unwrap();
    assert_eq!(bench.rows(), before);
    assert_eq!(bench.events(), ["ticket:created", "ticket:comment:added", "ticket:comment:added"]);
}

#[test]
fn a_user_who_writes_is_the_author() {
    let mut bench = Bench::new();
    opened(&mut bench, json!({}));
    let ana = bench.get(User, "ana@ours.test").unwrap();
    bench.caller.actor.id = ana["id"].as_str().unwrap().to_owned();
    let comment = bench.create(Comment, json!({"ticketId": "WED-1", "content": "Hello"}));
    assert_eq!((&comment["authorId"], &comment["author"]), (&ana["id"], &json!("Ana")));
}

#[test]
fn existing_contacts_join_a_new_account_that_asks_for_them() {
    let mut bench = Bench::new();
    bench.create(Contact, json!({"firstName": "Lu", "email": "lu@new.test"}));
    let account = bench.create(
        Account,
        json!({"name": "New", "primaryDomain": "new.test", "addExistingUsersToAccountContacts": true}),
    );
    let contact = bench.get(Contact, "lu@new.test").unwrap();
    assert_eq!(contact["accountIds"], json!([account["id"]]));
}

#[test]
fn searches_narrow_by_every_field_newest_first() {
    let mut bench = Bench::new();
    opened(&mut bench, json!({"priority": "urgent", "tags": ["printer"]}));
    opened(
        &mut bench,
        json!({"title": "Other", "statusName": "Resolved", "assignedAgentEmail": "ana@ours.test"}),
    );
    opened(&mut bench, json!({"requestorEmail": "x@else.test"}));
    bench
        .desk(|desk| desk.apply(Ticket, "WED-3", |now, facts| Ok(ticket::archive(now, facts))))
        .unwrap();
    for (query, expected) in [
        (json!({}), vec!["WED-3", "WED-2", "WED-1"]),
        (json!({"limit": 1}), vec!["WED-3"]),
        (json!({"priority": "URGENT"}), vec!["WED-1"]),
        (json!({"status": "closed"}), vec!["WED-2"]),
        (json!({"statusName": "resolved"}), vec!["WED-2"]),
        (json!({"teamId": "wed", "isArchived": false}), vec!["WED-2", "WED-1"]),
        (json!({"teamId": "other"}), vec![]),
        (json!({"accountId": "acme.test"}), vec!["WED-2", "WED-1"]),
        (json!({"assignedAgentId": "ana@ours.test"}), vec!["WED-2"]),
        (json!({"requestorEmail": "x@else.test"}), vec!["WED-3"]),
        (json!({"q": "PRINT"}), vec!["WED-1"]),
    ] {
        let wanted: TicketQuery = serde_json::from_value(query.clone()).unwrap();
        let found = bench.desk(|desk| Ok(search_tickets(&desk.view(), &wanted, None)?)).unwrap();
        let named: Vec<&str> =
            found.items.iter().filter_map(|item| item["ticketIdentifier"].as_str()).collect();
        assert_eq!(named, expected, "{query}");
        assert!(!found.truncated);
        assert_eq!(found.next.is_some(), found.total > found.items.len(), "{query}");
    }
    let people = Query { text: Some("BO@".to_owned()), ..Query::default() };
    let found = bench.desk(|desk| Ok(list(&desk.view(), User, &people)?)).unwrap();
    assert_eq!((found.total, &found.items[0]["name"]), (1, &json!("Bo")));
}

#[test]
fn a_search_says_when_it_left_rows_unread_and_where_to_go_on() {
    let mut bench = Bench::new();
    for number in 0..11 {
        bench
            .desk(|desk| {
                for index in 0..500 {
                    let email = format!("p{number}-{index}@many.test");
                    desk.create(Contact, &map(json!({"firstName": "P", "email": email})))?;
                }
                Ok(())
            })
            .unwrap();
    }
    let mut query = Query { limit: Some(1), text: Some("kim@acme".to_owned()), before: None };
    let found = bench.desk(|desk| Ok(list(&desk.view(), Contact, &query)?)).unwrap();
    assert_eq!((found.total, found.truncated), (0, true));
    query.before = found.next;
    let found = bench.desk(|desk| Ok(list(&desk.view(), Contact, &query)?)).unwrap();
    assert_eq!((found.total, found.truncated), (1, false));
}

#[test]
fn an_undo_leaves_what_others_changed_since() {
    let mut bench = Bench::new();
    opened(&mut bench, json!({}));
    let done =
        bench.run("tickets:update-ticket-platform", json!({"id": "WED-1", "title": "Up"})).unwrap();
    let other = json!({"id": "WED-1", "priority": "high"});
    bench.run("tickets:update-ticket-platform", other).unwrap();
    let answer = bench.undo(&done.undo).unwrap();
    assert_eq!(answer["restored"][0]["outcome"], "restored");
    let ticket = bench.get(Ticket, "WED-1").unwrap();
    assert_eq!((&ticket["title"], &ticket["priority"]), (&json!("Down"), &json!("high")));
}

#[test]
fn an_undone_ticket_keeps_the_contact_who_has_written_again() {
    let mut bench = Bench::new();
    let input = json!({"title": "A", "requestorEmail": "new@x.test", "teamId": "WED"});
    let done = bench.run("tickets:create-ticket-platform", input.clone()).unwrap();
    bench.run("tickets:create-ticket-platform", input).unwrap();
    let answer = bench.undo(&done.undo).unwrap();
    let outcomes: Vec<&Value> =
        answer["restored"].as_array().unwrap().iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["removed", "kept"]);
    assert!(bench.get(Contact, "new@x.test").is_ok());
}

#[test]
fn an_undo_takes_no_comment_of_others_away() {
    let mut bench = Bench::new();
    let input = json!({"title": "A", "requestorEmail": "kim@acme.test", "teamId": "WED"});
    let done = bench.run("tickets:create-ticket-platform", input).unwrap();
    bench.create(Comment, json!({"ticketId": "WED-1", "content": "mine"}));
    let refused = bench.undo(&done.undo).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), &refused.details["conflict"]),
        ("undo_conflict", &json!("inUse"))
    );
}

#[test]
fn a_reply_whose_comment_is_gone_begins_a_conversation() {
    let mut bench = Bench::new();
    let ticket = opened(&mut bench, json!({}));
    let top = bench.create(Comment, json!({"ticketId": "WED-1", "content": "top"}));
    let input = json!({"ticketId": "WED-1", "content": "reply", "parentCommentId": top["id"]});
    bench.create(Comment, input);
    bench.desk(|desk| desk.remove(Comment, top["id"].as_str().unwrap())).unwrap();
    let id = ticket["id"].as_str().unwrap();
    let found = bench.desk(|desk| Ok(threads(&desk.view(), id)?)).unwrap();
    assert_eq!((found.len(), &found[0]["content"]), (1, &json!("reply")));
}
