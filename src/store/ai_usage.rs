//! What asking language models took: counted for each day, workflow and model.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};

const USAGE: u8 = Row::AiUsage as u8;
/// How long a count is kept.
const KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How many old counts one transaction removes.
const REMOVED_AT_ONCE: usize = 1_000;

/// What the calls of one day, workflow and model took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AiUsageRow {
    /// The day in UTC, such as `2026-11-23`.
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
    /// What they cost, in thousand-millionths of the currency, so that sums stay exact.
    pub cost_nanos: u64,
    /// The currency; empty where no prices are set.
    pub currency: String,
}

impl TenantView<'_> {
    /// Returns what was counted from the day `since` to the day `until`, both included.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn ai_usage(&self, since: &str, until: &str) -> Result<Vec<AiUsageRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(USAGE));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        let rows: Result<Vec<AiUsageRow>, StoreError> =
            rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect();
        let mut rows = rows?;
        rows.retain(|row| (since..=until).contains(&row.day.as_str()));
        Ok(rows)
    }
}

impl TenantTx<'_, '_> {
    /// Adds one answer of today to the counts; `row` says what it took.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn count_ai_usage(&mut self, row: &AiUsageRow) -> Result<(), StoreError> {
        let key = Key::of(self.tenant()).tag(USAGE).text(&row.day);
        let key = key.text(&row.workflow).text(&row.model).done();
        let counted: Option<AiUsageRow> = self.view().json(Space::Row, &key)?;
        if counted.is_none() {
            self.forget_old_usage()?;
        }
        let counted = counted.unwrap_or_default();
        let sum = AiUsageRow {
            calls: counted.calls + 1,
            input_tokens: counted.input_tokens + row.input_tokens,
            output_tokens: counted.output_tokens + row.output_tokens,
            cost_nanos: counted.cost_nanos + row.cost_nanos,
            ..row.clone()
        };
        self.put_json(Space::Row, key, &sum);
        Ok(())
    }

    fn forget_old_usage(&mut self) -> Result<(), StoreError> {
        let oldest = (self.now() - KEPT).day();
        let prefix = Prefix::new(Key::of(self.tenant()).tag(USAGE));
        let range = prefix.range();
        let rows = self.view().scan(Space::Row, range, Direction::Ascending, REMOVED_AT_ONCE)?;
        for (key, row) in rows {
            let counted: AiUsageRow = from_json(Space::Row, &key, &row)?;
            if counted.day >= oldest {
                break; // They stand in the order of their days.
            }
            self.remove(Space::Row, key.into());
        }
        Ok(())
    }
}
