//! Executions: the runs of a workflow in Thena's words.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::auth::Caller;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::paging::Paging;
use super::{moment, tasks};
use crate::app::App;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::runs::RunFilter;
use crate::app::thena::Deleted;
use crate::app::views::{RunSummary, RunView};
use crate::domain::problem::nearest;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;

/// How many runs are looked at in one go.
const CHUNK: usize = 200;

/// Thena's statuses with the runs that may be in each.
const STATUSES: [(&str, &[Status]); 8] = [
    ("PENDING", &[Status::Queued]),
    ("SCHEDULED", &[Status::Queued]),
    ("EXECUTING_ACTIVITIES", &[Status::Running]),
    ("FINISHED", &[Status::Succeeded]),
    ("FAILED", &[Status::Failed, Status::Cancelled]),
    ("RETRYING", &[Status::Retrying]),
    ("COMPENSATING", &[Status::Compensating]),
    ("SUSPENDED", &[Status::Waiting]),
];
const ALIASES: [(&str, &str); 2] = [("RUNNING", "EXECUTING_ACTIVITIES"), ("COMPLETED", "FINISHED")];

/// Which executions of a workflow are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Thena's statuses; empty for all.
    statuses: Vec<&'static str>,
    version: Option<u32>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

pub(super) async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    Ok(HttpResponse::Ok().json(listed(&app, &who, &query)?))
}

/// Returns a page of the executions of a workflow.
pub(super) fn listed(app: &App, who: &Principal, query: &Query) -> Result<Value, ApiError> {
    let paging = Paging::of(query)?;
    let Some(id) = query.text("workflowId") else {
        return Err(ApiError::bad_parameter("workflowId", "name the workflow: it is required"));
    };
    let wanted = Wanted {
        statuses: query.list("status").into_iter().map(status).collect::<Result<_, _>>()?,
        version: query.number("version")?,
        from: query.text("from").map(|text| time("from", text)).transpose()?,
        to: query.text("to").map(|text| time("to", text)).transpose()?,
    };
    let (name, workflow_id) = app.thena_names(who, id, Deleted::Shown)?;
    let (runs, more) = paging.cut(wanted.first(app, who, &name, paging.needed())?);
    let shown = runs.into_iter().map(|run| {
        let run = app.run(who, run.id)?;
        Ok(execution(&run, &workflow_id, &who.tenant.to_string()))
    });
    let data = shown.collect::<Result<Vec<Value>, Error>>()?;
    Ok(paging.envelope(data, more))
}

fn time(name: &str, text: &str) -> Result<Timestamp, ApiError> {
    moment::parse(text).ok_or_else(|| {
        let detail = "must be ISO 8601, or seconds or milliseconds since 1970";
        ApiError::bad_parameter(name, detail)
    })
}

fn status(given: &str) -> Result<&'static str, ApiError> {
    let given = given.to_ascii_uppercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == given).map(|(_, status)| *status);
    let known = || STATUSES.iter().map(|(status, _)| *status);
    if let Some(status) = alias.or_else(|| known().find(|status| *status == given)) {
        return Ok(status);
    }
    let hint = match nearest(&given, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it must be one of {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(ApiError::bad_parameter("status", format!("`{given}` is no status; {hint}")))
}

impl Wanted {
    /// Returns the newest of them, at most `count`.
    fn first(
        &self,
        app: &App,
        who: &Principal,
        name: &str,
        count: usize,
    ) -> Result<Vec<RunSummary>, Error> {
        let mut request = PageRequest { limit: CHUNK, after: None };
        let mut found = Vec::new();
        loop {
            let page = app.runs(who, &self.filter(name), &request)?;
            found.extend(page.data.into_iter().filter(|run| self.holds(run)));
            found.truncate(count);
            if found.len() == count || page.next_cursor.is_none() {
                return Ok(found);
            }
            request.after = page.next_cursor;
        }
    }

    fn filter(&self, name: &str) -> RunFilter {
        let of = |wanted: &str| STATUSES.iter().find(|(status, _)| *status == wanted);
        let statuses = self.statuses.iter().filter_map(|status| of(status));
        RunFilter {
            statuses: statuses.flat_map(|(_, statuses)| *statuses).copied().collect(),
            workflow: Some(name.to_owned()),
            since: self.from,
            // `to` belongs to the range, the end of our own does not.
            until: self.to.map(|to| Timestamp::from_millis(to.millis().saturating_add(1))),
            ..RunFilter::default()
        }
    }

    fn holds(&self, run: &RunSummary) -> bool {
        self.version.is_none_or(|version| run.version == version)
            && (self.statuses.is_empty() || self.statuses.contains(&state(run)))
    }
}

/// Returns Thena's status: a run is pending until it is asked to begin, and scheduled while others
/// of its key keep it waiting.
fn state(run: &RunSummary) -> &'static str {
    let waits_for = |kind: &str| run.waiting_for.as_ref().is_some_and(|it| it.kind == kind);
    match Status::parse(&run.status) {
        Some(Status::Queued) if !waits_for("concurrency") => "PENDING",
        Some(status) => status.thena(),
        None => "EXECUTING_ACTIVITIES", // A status to come, of a run that has not ended.
    }
}

fn execution(run: &RunView, workflow_id: &str, organization: &str) -> Value {
    json!({
        "id": run.summary.id,
        "workflowId": workflow_id,
        "version": run.summary.version,
        "status": state(&run.summary),
        "context": context(run, workflow_id, organization),
        "startedAt": run.summary.started_at,
        "lastUpdatedAt": updated_at(run),
    })
}

/// Returns when something was last recorded of the run.
fn updated_at(run: &RunView) -> Timestamp {
    let of_steps = run.steps.iter().flat_map(|step| &step.attempts);
    let of_undos = run.compensations.iter().flat_map(|undo| &undo.attempts);
    let attempts = of_steps.chain(of_undos).map(|it| it.ended_at.unwrap_or(it.started_at));
    let summary = &run.summary;
    let own = [summary.started_at, summary.ended_at].into_iter().flatten();
    attempts.chain(own).fold(summary.created_at, Timestamp::max)
}

/// Returns what expressions below `context` see, in the spelling that they use.
fn context(run: &RunView, workflow_id: &str, organization: &str) -> Value {
    let steps: Map<String, Value> = run
        .steps
        .iter()
        .map(|step| {
            let shown = json!({
                "status": step.status,
                "input": step.input,
                "result": step.output,
                "error": step.error,
            });
            let id = tasks::step_identifier(&step.id);
            (id.as_str().map_or_else(|| id.to_string(), str::to_owned), shown)
        })
        .collect();
    let event = run.trigger.as_ref().unwrap_or(&Value::Null);
    json!({
        "event": {
            "message": {
                "eventId": event["id"],
                "eventType": event["type"],
                "timestamp": event["time"],
                "orgId": organization,
                "actor": event["actor"],
                "payload": event["payload"],
                "metadata": event["metadata"],
            },
            "messageAttributes": {
                "event_name": event["type"],
                "event_id": event["id"],
                "event_timestamp": event["time"],
                "context_user_id": event["actor"]["id"],
                "context_user_type": event["actor"]["type"],
                "context_organization_id": organization,
            },
        },
        "steps": steps,
        "execution": {"id": run.summary.id},
        "workflow": {
            "name": run.summary.workflow,
            "uniqueIdentifier": workflow_id,
            "version": run.summary.version,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::tasks::tests::{attempt, run, step};
    use super::*;
    use crate::app::views::WaitingForView;

    #[test]
    fn every_status_of_a_run_has_one_of_thenas() {
        for (ours, waiting, theirs) in [
            ("queued", Some("start"), "PENDING"),
            ("queued", Some("concurrency"), "SCHEDULED"),
            ("running", None, "EXECUTING_ACTIVITIES"),
            ("retrying", Some("retry"), "RETRYING"),
            ("waiting", Some("sleep"), "SUSPENDED"),
            ("compensating", None, "COMPENSATING"),
            ("succeeded", None, "FINISHED"),
            ("failed", None, "FAILED"),
            ("cancelled", None, "FAILED"),
        ] {
            let mut run = run(ours, vec![]).summary;
            run.waiting_for = waiting
                .map(|kind| WaitingForView { kind: kind.to_owned(), ..WaitingForView::default() });
            assert_eq!(state(&run), theirs, "{ours} {waiting:?}");
            let wanted = |status| Wanted { statuses: vec![status], ..Wanted::default() };
            assert!(wanted(theirs).holds(&run));
            let looked_at = wanted(theirs).filter("a").statuses;
            assert!(looked_at.iter().any(|status| status.as_str() == ours), "{ours}");
            assert!(!wanted("OTHER").holds(&run));
        }
    }

    #[test]
    fn statuses_are_read_with_their_aliases() {
        for (given, status) in [
            ("FINISHED", Some("FINISHED")),
            ("COMPLETED", Some("FINISHED")),
            ("completed", Some("FINISHED")),
            ("RUNNING", Some("EXECUTING_ACTIVITIES")),
            ("DONE", None),
        ] {
            assert_eq!(super::status(given).ok(), status, "{given}");
        }
    }

    #[test]
    fn a_range_holds_both_its_ends() {
        let at = Timestamp::from_millis;
        let wanted = Wanted { from: Some(at(5)), to: Some(at(9)), ..Wanted::default() };
        let filter = wanted.filter("a");
        assert_eq!((filter.since, filter.until), (Some(at(5)), Some(at(10))));
        assert_eq!(filter.workflow.as_deref(), Some("a"));
    }

    #[test]
    fn an_execution_carries_its_event_and_its_steps_as_expressions_see_them() {
        let mut first = step("step_1", "succeeded");
        first.output = Some(json!({"id": "T1"}));
        first.attempts = vec![attempt(1, "succeeded", 2_000, Some(4_500))];
        let mut run = run("succeeded", vec![first, step("notify", "skipped")]);
        run.trigger = Some(json!({"id": "e1", "type": "ticket:created", "time": "t",
            "actor": {"id": "u1", "type": "AGENT"}, "payload": {"ticket": {"id": "T1"}}}));
        let shown = execution(&run, "W1", "7");
        assert_eq!(shown["workflowId"], "W1");
        assert_eq!(shown["status"], "FINISHED");
        assert_eq!(shown["lastUpdatedAt"], "1970-01-01T00:00:04.500Z");
        let context = &shown["context"];
        let message = &context["event"]["message"];
        assert_eq!(message["payload"]["ticket"]["id"], "T1");
        assert_eq!(message["eventType"], "ticket:created");
        assert_eq!(message["orgId"], "7");
        assert_eq!(context["event"]["messageAttributes"]["context_user_id"], "u1");
        assert_eq!(context["steps"]["1"]["result"]["id"], "T1");
        assert_eq!(context["steps"]["notify"]["status"], "skipped");
    }
}
