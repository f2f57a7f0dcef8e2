//! Reads how a step is undone: by the platform, by another activity, or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{Field, is_off};
use super::parse::Reading;
use super::step::Placed;
use super::{Action, UNDO_RETRY, Undo, thena};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};

/// Says that a definition leaves something to the default.
pub(super) struct Unsaid;

impl<'a> Reading<'a> {
    pub(super) fn undo(
        &self,
        field: Option<Field<'a>>,
        action: &Option<Action>,
        spec: Option<&ActivitySpec>,
    ) -> Undone {
        let starts = matches!(action, Some(Action::Run { .. }));
        let automatic =
            if starts { Some(Compensation::Automatic) } else { spec.map(|spec| spec.compensation) };
        let Some(field) = field.filter(|field| !is_off(field.value)) else {
            let undo = match automatic {
                Some(Compensation::Automatic) => Undo::Auto,
                Some(Compensation::NotNeeded | Compensation::Offered | Compensation::Manual)
                | None => Undo::None,
            };
            return Undone { undo: Some(undo), unsaid: Some(Unsaid), ..Undone::default() };
        };
        if field.value.is_string() {
            return match field.choice(&[("auto", UndoWord::Auto), ("none", UndoWord::None)]) {
                Some(UndoWord::Auto) => self.automatic(&field, spec),
                Some(UndoWord::None) => Undone::of(Undo::None),
                None => Undone::default(),
            };
        }
        self.called_undo(&field)
    }

    fn automatic(&self, field: &Field<'a>, spec: Option<&ActivitySpec>) -> Undone {
        match spec.map(|spec| (spec.compensation, &spec.identifier)) {
            Some((Compensation::Automatic | Compensation::Offered, _)) | None => {
                Undone::of(Undo::Auto)
            }
            Some((Compensation::NotNeeded, _)) => Undone::of(Undo::None),
            Some((Compensation::Manual, identifier)) => {
                let detail = format!("`{identifier}` cannot be put back by itself");
                let problem = field.problem("not_undoable", detail);
                let hint = "name the activity that undoes it, or write `none`";
                field.findings.problem(problem.with_hint(hint));
                Undone::default()
            }
        }
    }

    fn called_undo(&self, field: &Field<'a>) -> Undone {
        let Some(mut fields) = field.object() else { return Undone::default() };
        let activity = fields.need(&["activity"], "name the activity that undoes the step");
        let input = fields.take(&["input"]);
        let connection = fields.take(&["connection"]);
        let retry = self.retry(fields.take(&["retry"]), UNDO_RETRY);
        let timeout = fields.take(&["timeout"]).map_or(Some(None), |field| {
            field.duration(Duration::from_millis(1)..=self.limits().step_timeout_max).map(Some)
        });
        fields.close();
        let named =
            activity.and_then(|field| thena::activity(self, &field).map(|named| (field, named)));
        let spec = named.as_ref().and_then(|(field, named)| self.checked_spec(named, field));
        let over = self.input_over(connection.as_ref(), input.as_ref(), spec.as_deref());
        let template = self.input_template(input.as_ref(), over.as_deref());
        let placed = Placed {
            at: input.as_ref().map_or_else(|| field.at.clone(), |input| input.at.clone()),
            value: over.as_deref().map_or_else(|| Value::Object(Map::new()), Value::clone),
        };
        let Some((activity, named)) = named else { return Undone::default() };
        if spec.as_ref().is_some_and(|spec| spec.reach == Reach::Sleep) {
            let detail = "a pause undoes nothing";
            activity.findings.problem(activity.problem("not_undoable", detail));
        }
        let version = named.pinned;
        let undo = template.zip(retry).zip(timeout).map(|((input, retry), timeout)| Undo::Call {
            activity: named.identifier,
            version,
            input,
            retry,
            timeout,
        });
        Undone { undo, input: placed, spec, unsaid: None }
    }
}

#[derive(Default)]
pub(super) struct Undone {
    pub(super) undo: Option<Undo>,
    pub(super) input: Placed<Value>,
    pub(super) spec: Option<Arc<ActivitySpec>>,
    pub(super) unsaid: Option<Unsaid>,
}

impl Undone {
    pub(super) fn of(undo: Undo) -> Undone {
        Undone { undo: Some(undo), ..Undone::default() }
    }
}

#[derive(Clone, Copy)]
enum UndoWord {
    Auto,
    None,
}
