//! `ergane openapi`: the description of the API, for generators and viewers.

use super::Session;
use super::failure::Failure;

/// Prints the OpenAPI document.
pub async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    let document = session.client.get("/v1/openapi.json").await?;
    Ok(session.printer.text(&format!("{document:#}"))?)
}
