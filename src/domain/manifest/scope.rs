//! Thena's scopes in the words of the platform.

use crate::domain::problem::{Problem, nearest};
use crate::domain::role::RESOURCES;

/// Resources that have another name here.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("companies", "accounts"),
    ("customer-contacts", "contacts"),
    ("conversations", "comments"),
    ("conversations.attachments", "comments"),
    ("comments.attachments", "comments"),
    ("contacts.custom_fields", "custom-fields"),
    ("companies.custom_fields", "custom-fields"),
    ("tickets.custom_fields", "custom-fields"),
    ("users.preferences", "users"),
    ("workspace", "organization"),
    ("workspace.members", "users"),
];
/// What no app is ever granted: with it the app could give itself everything else.
const NEVER: [&str; 5] = ["keys", "people", "tenants", "audit", "apps"];

/// Returns the scopes of the platform that a scope of a manifest asks for. Removing is writing
/// here.
///
/// # Errors
/// Returns the problem of a scope that does not exist or that no app gets; its pointer is empty.
pub fn own_scopes(text: &str) -> Result<Vec<String>, Problem> {
    let (resource, action) = text.split_once(':').unwrap_or((text, ""));
    let other = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == resource);
    let own = other.map_or(resource, |(_, own)| *own);
    let actions: &[&str] = match action {
        "read" => &["read"],
        "write" | "delete" | "*" => &["write"],
        _ => &[], // No scope at all.
    };
    if NEVER.contains(&own) {
        let detail = format!("no app is granted `{text}`");
        return Err(Problem::new("", "scope_not_granted", detail));
    }
    if !RESOURCES.contains(&own) || actions.is_empty() {
        let detail = format!("`{text}` is no scope; one is `<resource>:read` or `:write`");
        let problem = Problem::new("", "unknown_scope", detail);
        let theirs = OTHER_NAMES.iter().map(|(theirs, _)| *theirs);
        let near = nearest(resource, RESOURCES.into_iter().chain(theirs));
        return Err(match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}:read`?")),
            None => problem.with_hint(format!("the resources are {}", RESOURCES.join(", "))),
        });
    }
    Ok(actions.iter().map(|action| format!("{own}:{action}")).collect())
}
