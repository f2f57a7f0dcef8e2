//! `ergane healthcheck`: whether the server takes work, for containers and monitors.

use reqwest::Method;
use serde_json::json;

use super::Session;
use super::client::Body;
use super::failure::Failure;

/// Asks the server whether it is ready; fails with 75 when it is not, or not there.
pub async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.client.exchange(Method::GET, "/readyz", Body::Empty).await?;
    session.printer.print(&json!({ "ready": true }), |out| writeln!(out, "ready"))?;
    Ok(())
}
