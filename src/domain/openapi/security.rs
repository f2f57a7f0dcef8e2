//! Which credentials an operation asks for.

use serde_json::Value;

use super::reference::Document;
use super::{Credential, text};
use crate::domain::problem::{Problem, pointer_to};

/// Returns the first way to identify oneself that can be gone; none where none is asked for.
pub(super) fn credentials(
    document: &Document<'_>,
    operation: &Value,
    at: &str,
    notes: &mut Vec<Problem>,
) -> Vec<Credential> {
    let (ways, at) = match operation.get("security") {
        Some(own) => (Some(own), pointer_to(at, "security")),
        None => (document.root.get("security"), "/security".to_owned()),
    };
    let Some(ways) = ways.and_then(Value::as_array).filter(|ways| !ways.is_empty()) else {
        return Vec::new();
    };
    let mut why = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        let place = pointer_to(&at, &index.to_string());
        match way_of(document, way, &place) {
            Ok(credentials) => return credentials,
            Err(problem) => why.push(problem),
        }
    }
    notes.append(&mut why);
    Vec::new()
}

/// A way is several schemes, all of which are needed.
fn way_of(document: &Document<'_>, way: &Value, at: &str) -> Result<Vec<Credential>, Problem> {
    let schemes = way.as_object().into_iter().flatten();
    schemes
        .map(|(name, scopes)| {
            let place = pointer_to(at, name);
            let scheme = pointer_to("/components/securitySchemes", name);
            let Some(found) = document.root.pointer(&scheme) else {
                let detail = format!("there is no security scheme `{name}`");
                return Err(Problem::new(place, "unknown_security_scheme", detail));
            };
            let (scheme, _) = document.followed(found, &scheme)?;
            let scopes = scopes.as_array().into_iter().flatten();
            let scopes = scopes.filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
            credential(scheme, scopes).ok_or_else(|| {
                let detail = format!("credentials of the kind of `{name}` cannot be sent");
                let problem = Problem::new(place, "unsupported_security", detail);
                problem.with_hint(
                    "keys in a header or the query, basic, bearer and client credentials can",
                )
            })
        })
        .collect()
}

fn credential(scheme: &Value, scopes: Vec<String>) -> Option<Credential> {
    let name = || text(scheme, "/name").to_owned();
    match text(scheme, "/type") {
        "apiKey" => match text(scheme, "/in") {
            "header" => Some(Credential::HeaderKey { name: name() }),
            "query" => Some(Credential::QueryKey { name: name() }),
            _ => None, // A cookie is for a browser.
        },
        "http" => match text(scheme, "/scheme").to_ascii_lowercase().as_str() {
            "basic" => Some(Credential::Basic),
            "bearer" => Some(Credential::Bearer),
            _ => None, // Digest and the like ask for more than one request.
        },
        "oauth2" => {
            let url = text(scheme, "/flows/clientCredentials/tokenUrl");
            let token_url = url.to_owned();
            (!url.is_empty()).then_some(Credential::ClientCredentials { token_url, scopes })
        }
        _ => None, // OpenID Connect and client certificates.
    }
}
