//! `ergane clock`: what the appliance thinks of the machine's clock.

use clap::Subcommand;
use serde_json::json;

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::printer::cell;

const PATH: &str = "/v1/system/clock";

/// What to do with the clock.
#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Takes the clock for right: deadlines come by it from now on
    Accept,
    /// Says what the clock says, and whether it is believed
    Show,
}

/// Does what was asked for.
pub async fn run(command: ClockCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = match command {
        ClockCommand::Accept => {
            session.client.post(&format!("{PATH}/accept"), Body::Json(json!({}))).await?
        }
        ClockCommand::Show => session.client.get(PATH).await?,
    };
    session.printer.print(&answer, |out| {
        let detail = answer["detail"].as_str().map(|it| format!(": {it}")).unwrap_or_default();
        writeln!(out, "{}  {}{detail}", cell(&answer, "/now"), cell(&answer, "/state"))
    })?;
    Ok(())
}
