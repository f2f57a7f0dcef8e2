//! What asking language models took: by day, workflow and model, and altogether.

use std::collections::BTreeMap;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::time::Timestamp;
use crate::store::ai_usage::AiUsageRow;

const NANOS_OF_A_UNIT: f64 = 1e9;
/// The last day that is asked for when nobody says.
const LAST_DAY: &str = "9999-12-31";

/// What some calls took.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AiUsageView {
    /// The day in UTC.
    pub day: String,
    /// The workflow whose steps asked.
    pub workflow: String,
    /// The model that answered.
    pub model: String,
    /// How many answers came.
    pub calls: u64,
    /// Tokens of what was asked.
    pub input_tokens: u64,
    /// Tokens of what was answered.
    pub output_tokens: u64,
    /// What they cost by the prices of that time.
    pub cost: f64,
    /// The currency; empty where no prices are set.
    pub currency: String,
}

/// What all of them took.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AiUsageTotal {
    /// How many answers came.
    pub calls: u64,
    /// Tokens of what was asked.
    pub input_tokens: u64,
    /// Tokens of what was answered.
    pub output_tokens: u64,
    /// What they cost, by currency.
    pub cost: BTreeMap<String, f64>,
}

impl App {
    /// Returns what asking language models took, day by day, and altogether.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn ai_usage(
        &self,
        who: &Principal,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<(Vec<AiUsageView>, AiUsageTotal), Error> {
        let since = since.map(Timestamp::day).unwrap_or_default();
        let until = until.map_or_else(|| LAST_DAY.to_owned(), Timestamp::day);
        let rows = self.read(who, |view| Ok(view.ai_usage(&since, &until)?))?;
        let mut total = AiUsageTotal::default();
        let mut nanos: BTreeMap<String, u64> = BTreeMap::new();
        for row in &rows {
            total.calls += row.calls;
            total.input_tokens += row.input_tokens;
            total.output_tokens += row.output_tokens;
            if !row.currency.is_empty() {
                *nanos.entry(row.currency.clone()).or_default() += row.cost_nanos;
            }
        }
        total.cost = nanos.into_iter().map(|(name, sum)| (name, in_units(sum))).collect();
        Ok((rows.into_iter().map(AiUsageView::from).collect(), total))
    }
}

fn in_units(nanos: u64) -> f64 {
    nanos as f64 / NANOS_OF_A_UNIT
}

impl From<AiUsageRow> for AiUsageView {
    fn from(row: AiUsageRow) -> AiUsageView {
        AiUsageView {
            day: row.day,
            workflow: row.workflow,
            model: row.model,
            calls: row.calls,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost: in_units(row.cost_nanos),
            currency: row.currency,
        }
    }
}
