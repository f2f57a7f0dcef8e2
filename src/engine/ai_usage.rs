//! Counts what asking language models took, in the transaction that notes the answer.

use serde_json::Value;

use crate::activities::outside::ai_prompt::AI_PROMPT;
use crate::domain::run::Input;
use crate::domain::workflow::{Action, Workflow};
use crate::store::ai_usage::AiUsageRow;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

const NANOS_OF_A_UNIT: f64 = 1e9;

/// Counts an answer that came for a step, if it came from a model; one that was of no use was paid
/// for all the same.
pub(super) fn count(
    tx: &mut TenantTx<'_, '_>,
    workflow: &Workflow,
    input: &Input,
) -> Result<(), StoreError> {
    let (step, usage, model) = match input {
        Input::Completed { step, output, .. } => (step, &output["usage"], &output["model"]),
        Input::Failed { step, failure, .. } => {
            (step, &failure.details["usage"], &failure.details["model"])
        }
        _ => return Ok(()), // No answer of a call.
    };
    if !usage.is_object() || !asks_model(workflow, step) {
        return Ok(());
    }
    let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cost = usage["cost"].as_f64().unwrap_or(0.0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = AiUsageRow {
        day: tx.now().day(),
        workflow: workflow.name.clone(),
        model: text(model),
        calls: 1,
        input_tokens: tokens("inputTokens"),
        output_tokens: tokens("outputTokens"),
        cost_nanos: (cost * NANOS_OF_A_UNIT).round() as u64,
        currency: text(&usage["currency"]),
    };
    tx.count_ai_usage(&row)
}

fn asks_model(workflow: &Workflow, step: &str) -> bool {
    workflow.step_at(step).is_some_and(
        |found| matches!(&found.action, Action::Call { activity, .. } if activity == AI_PROMPT),
    )
}
