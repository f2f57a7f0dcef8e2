//! Every page of the desk and the house, rendered from samples: complete and escaped.

use serde_json::{Map, Value, json};

use super::*;
use crate::app::agenda::{AgendaView, PileView};
use crate::app::approvals::AskedView;
use crate::app::causes::{CauseView, Causes};
use crate::app::desk::Record;
use crate::app::foresight::{ForeseenEvent, ForeseenRun, Foresight};
use crate::app::quotas::UsageView;
use crate::app::sheets::{SheetColumn, SheetProblem, SheetView};
use crate::app::tenants::{TenantDetails, TenantView};
use crate::app::views::{ApprovalView, IncidentView, Page};
use crate::domain::id::TenantId;
use crate::domain::problem::Problem;
use crate::web::ui::samples::{HOSTILE, NOW};
use crate::web::ui::shell::Shell;
use crate::web::ui::{schedules, ticket as ticket_page};

fn shell(here: &str) -> Shell {
    Shell { here: here.to_owned(), ..Shell::for_tests("/x") }
}

fn asked(status: &str) -> AskedView {
    let is_open = status == "pending";
    AskedView {
        approval: ApprovalView {
            run: "run_01KAQ0000000000000000000AA".parse().unwrap_or_else(|_| run()),
            step: HOSTILE.to_owned(),
            workflow: HOSTILE.to_owned(),
            status: status.to_owned(),
            approvers: vec![HOSTILE.to_owned()],
            reason: Some(HOSTILE.to_owned()),
            requested_at: NOW,
            until: Some(NOW),
            decided_by: (!is_open).then(|| HOSTILE.to_owned()),
            decided_at: (!is_open).then_some(NOW),
            comment: Some(HOSTILE.to_owned()),
        },
        subject: Some(HOSTILE.to_owned()),
        may_decide: is_open,
        escalates_at: Some(NOW),
    }
}

fn run() -> crate::domain::id::RunId {
    crate::web::ui::samples::runs().data[0].id
}

fn cause(kind: &str) -> CauseView {
    let incident = IncidentView {
        run: run(),
        step: HOSTILE.to_owned(),
        workflow: HOSTILE.to_owned(),
        kind: kind.to_owned(),
        code: HOSTILE.to_owned(),
        message: HOSTILE.to_owned(),
        since: NOW,
        subject: Some(HOSTILE.to_owned()),
    };
    CauseView {
        workflow: HOSTILE.to_owned(),
        step: HOSTILE.to_owned(),
        code: HOSTILE.to_owned(),
        kind: kind.to_owned(),
        message: HOSTILE.to_owned(),
        count: 37,
        first_at: NOW,
        last_at: NOW,
        newest: vec![incident],
    }
}

fn tenant_of(first: bool) -> TenantDetails {
    TenantDetails {
        view: TenantView {
            id: TenantId(2),
            slug: HOSTILE.to_owned(),
            name: HOSTILE.to_owned(),
            created_at: NOW,
            suspended_at: (!first).then_some(NOW),
        },
        people: 3,
        keys: 2,
        workflows: 7,
        stored_bytes: 4_096,
        active_runs: 1,
        waiting_runs: 5,
        events: 812,
        runs: 90,
        first,
    }
}

fn record_of(kind: &str) -> Record {
    let value = json!({
        "id": HOSTILE, "name": HOSTILE, "title": HOSTILE, "primaryDomain": HOSTILE,
        "firstName": HOSTILE, "lastName": HOSTILE, "email": HOSTILE, "status": "ACTIVE",
        "website": "https://example.com/<b>", "description": HOSTILE, "kind": kind,
        "customFields": { HOSTILE: [HOSTILE] }, "createdAt": NOW.to_string(),
    });
    value.as_object().cloned().unwrap_or_else(Map::new)
}

fn foresight() -> Foresight {
    let run = |matches| ForeseenRun {
        workflow: HOSTILE.to_owned(),
        version: 3,
        matches,
        trace: json!({"op": "~eq", "path": HOSTILE, "expected": HOSTILE, "actual": HOSTILE,
            "result": matches}),
    };
    let event = ForeseenEvent { kind: HOSTILE.to_owned(), workflows: vec![run(true), run(false)] };
    Foresight { events: vec![event] }
}

fn table() -> SheetView {
    SheetView {
        rows: 3,
        right: 2,
        made: 0,
        columns: vec![SheetColumn {
            name: HOSTILE.to_owned(),
            field: Some("name"),
            hint: Some(HOSTILE.to_owned()),
        }],
        problems: vec![SheetProblem {
            line: 2,
            problem: Problem::new(HOSTILE, "wrong_type", HOSTILE).with_hint(HOSTILE),
        }],
        preview: vec![record_of("account")],
    }
}

fn agenda() -> AgendaView {
    let pile = PileView { at: NOW, workflows: vec![HOSTILE.to_owned(), "b".to_owned()] };
    AgendaView { from: NOW, quarters: vec![2; 96], firings: 192, piles: vec![pile], schedules: 2 }
}

#[expect(clippy::too_many_lines, reason = "one of everything")]
fn pages() -> Vec<(&'static str, String)> {
    let page = |data| Page { data, next_cursor: Some(HOSTILE.to_owned()) };
    let list = page(vec![asked("pending"), asked("approved"), asked("withdrawn")]);
    let nothing = Page { data: Vec::new(), next_cursor: None };
    let causes = Causes { data: vec![cause("incident"), cause("doubt")], partial: true };
    let usage = || UsageView { tenant: HOSTILE.to_owned(), suspended_at: None, data: Vec::new() };
    let owner = tenant::Standing::Owner;
    let ticket = Value::Object(record_of("ticket"));
    let mut foretold = ticket_page::page(shell("/tickets/T1"), &ticket, &[], &[]);
    foretold.foretell(ticket_page::Asked::Told(foresight()));
    let no_schedule = Page { data: Vec::new(), next_cursor: None };
    let mut ahead = schedules::page(shell("/schedules"), None, &no_schedule);
    ahead.look_ahead(&agenda());
    let around = record::Surroundings {
        tickets: Some(vec![record_of("ticket")]),
        besides: vec![record::Beside {
            title: "Notes",
            all: Some(HOSTILE.to_owned()),
            rows: vec![record::BesideRow {
                name: HOSTILE.to_owned(),
                under: HOSTILE.to_owned(),
                href: Some(HOSTILE.to_owned()),
                at: None,
            }],
        }],
    };
    let blank = |control| blank::Blank {
        name: HOSTILE.to_owned(),
        label: HOSTILE.to_owned(),
        help: HOSTILE.to_owned(),
        value: HOSTILE.to_owned(),
        control,
        required: true,
        problem: Some(HOSTILE.to_owned()),
    };
    let pair = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    let blanks = vec![
        blank(blank::Control::Line("text")),
        blank(blank::Control::Long),
        blank(blank::Control::Choice(pair.clone())),
        blank(blank::Control::Suggested(pair)),
    ];
    let some = Page { data: vec![record_of("account")], next_cursor: None };
    vec![
        ("approvals", approvals::page(shell("/approvals"), "all", list).to_string()),
        ("approvals-none", approvals::page(shell("/approvals"), "", nothing).to_string()),
        ("incidents", incidents::page(shell("/incidents"), causes).to_string()),
        ("roles", roles::page(shell("/people/roles")).to_string()),
        ("tenants", {
            let rows = vec![tenant_of(true), tenant_of(false)];
            tenants::page(shell("/tenants"), rows, Some(Vec::new())).to_string()
        }),
        ("tenant", tenant::page(shell("/tenants/a"), tenant_of(false), usage(), owner).to_string()),
        ("accounts", records::page(shell("/accounts"), &ACCOUNTS, Some("a"), &some).to_string()),
        (
            "account",
            record::page(shell("/accounts/A"), &ACCOUNTS, &record_of("account"), around)
                .to_string(),
        ),
        ("form", record_form::page(shell("/contacts/new"), &CONTACTS, None, blanks).to_string()),
        (
            "sheet",
            sheet::page(shell("/accounts/import"), &ACCOUNTS, HOSTILE.to_owned(), Some(table()))
                .to_string(),
        ),
        ("licences", licences::page(shell("/system/licences")).to_string()),
        ("ticket", foretold.to_string()),
        ("schedules", ahead.to_string()),
    ]
}

#[test]
fn nothing_that_somebody_wrote_becomes_markup() {
    for (name, html) in pages() {
        let told = html.matches("<h1").count();
        assert_eq!(told, 1, "{name} has {told} headings of the first rank");
        assert!(!html.contains(HOSTILE), "{name} shows a hostile text as it was written");
        for inline in [" style=", " onclick=", "<script>", "javascript:"] {
            assert!(!html.contains(inline), "{name} has {inline}");
        }
    }
}

#[test]
fn every_address_stands_under_the_base_path() {
    for (name, html) in pages() {
        for part in html.split("href=\"").skip(1).chain(html.split("action=\"").skip(1)) {
            let address = part.split('"').next().unwrap_or_default();
            let is_ours = address.starts_with("/x/") || address.starts_with('#');
            let is_given = address.starts_with("https://") || address.contains("&#");
            assert!(is_ours || is_given, "{name} leads to {address}");
        }
    }
}
