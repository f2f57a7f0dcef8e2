//! `ergane setup-link`: a one-time link whose holder becomes an owner.

use serde_json::json;

use super::Session;
use super::client::Body;
use super::failure::Failure;
use super::user::write_link;

/// Makes the link and prints it.
pub async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut answer = session.client.post("/v1/setup-link", Body::Empty).await?;
    let path = answer["path"].as_str().unwrap_or_default();
    answer["url"] = json!(session.client.page(path));
    Ok(session.printer.print(&answer, |out| write_link(out, &answer))?)
}
