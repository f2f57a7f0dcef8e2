//! `ergane storage` and `ergane compact`: how much of the disk everything takes, and less of it.

use serde_json::{Value, json};

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::printer::{cell, table};

const PATH: &str = "/v1/system/storage";
const STEP: f64 = 1_024.0;
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Shows what was measured last; a server that has not measured yet is asked to.
pub async fn show(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut answer = session.client.get(PATH).await?;
    if answer["measuredAt"].is_null() {
        answer = session.client.post(&format!("{PATH}/measure"), Body::Json(json!({}))).await?;
    }
    session.printer.print(&answer, |out| {
        writeln!(out, "measured {}", cell(&answer, "/measuredAt"))?;
        let file = &answer["file"];
        if file.is_object() {
            writeln!(
                out,
                "file {}, {} % of it free; disk has {} left, grows by {} a day, full in {} days",
                size(&file["bytes"]),
                cell(file, "/freePercent"),
                size(&file["diskFreeBytes"]),
                size(&file["growthBytesPerDay"]),
                cell(file, "/daysUntilFull"),
            )?;
        }
        for finding in answer["findings"].as_array().into_iter().flatten() {
            writeln!(out, "! {}; {}", cell(finding, "/detail"), cell(finding, "/cure"))?;
        }
        let mut rows = Vec::new();
        for tenant in answer["tenants"].as_array().into_iter().flatten() {
            for kind in tenant["kinds"].as_array().into_iter().flatten() {
                rows.push(vec![
                    cell(tenant, "/tenant"),
                    cell(kind, "/kind"),
                    cell(kind, "/rows"),
                    size(&kind["bytes"]),
                ]);
            }
        }
        table(out, ["TENANT", "KIND", "ROWS", "SIZE"].map(str::to_owned).to_vec(), rows)
    })?;
    Ok(())
}

/// Writes the store's file anew and says what came of it.
pub async fn compact(session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = session.client.post("/v1/system/compact", Body::Json(json!({}))).await?;
    session.printer.print(&answer, |out| {
        let pause_ms = answer["pauseUs"].as_u64().unwrap_or(0) / 1_000;
        let (before, after) = (size(&answer["bytesBefore"]), size(&answer["bytesAfter"]));
        let took = cell(&answer, "/tookMs");
        writeln!(out, "{before} became {after} in {took} ms; commits waited {pause_ms} ms")
    })?;
    Ok(())
}

/// Writes a number of bytes for people.
fn size(bytes: &Value) -> String {
    let Some(bytes) = bytes.as_f64() else { return "-".to_owned() };
    let (mut amount, mut unit) = (bytes, 0);
    while amount.abs() >= STEP && unit + 1 < UNITS.len() {
        amount /= STEP;
        unit += 1;
    }
    match unit {
        0 => format!("{amount} {}", UNITS[0]),
        unit => format!("{amount:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, text) in [(json!(12), "12 B"), (json!(1_536), "1.5 KiB"), (Value::Null, "-")] {
            assert_eq!(size(&bytes), text);
        }
        assert_eq!(size(&json!(3_u64 << 30)), "3.0 GiB");
    }
}
