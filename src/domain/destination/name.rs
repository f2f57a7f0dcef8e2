//! What a destination is called: the connection, or else the scheme, host and port of the address.

use url::Url;

/// No address is longer.
const NAME_CHARS_MAX: usize = 300;

/// Returns the destination of a call: the `connection` that it goes over, else the origin of its
/// `address`, else the activity itself.
#[must_use]
pub fn name_of(connection: Option<&str>, activity: &str, address: Option<&str>) -> String {
    if let Some(connection) = connection {
        return connection.to_owned();
    }
    let url = address.and_then(|url| Url::parse(url.trim()).ok());
    let origin = url.filter(Url::has_host).map(|url| url.origin().ascii_serialization());
    match origin {
        Some(origin) if origin != "null" && origin.len() <= NAME_CHARS_MAX => origin,
        Some(_) | None => activity.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_connection_or_an_origin_or_the_activity() {
        let name = |connection, url| name_of(connection, "act", Some(url));
        assert_eq!(name(Some("billing"), "https://x.test"), "billing");
        assert_eq!(name(None, "https://User:pw@API.example.com/a?b#c"), "https://api.example.com");
        assert_eq!(name(None, "http://10.0.0.1:8080/x"), "http://10.0.0.1:8080");
        assert_eq!(name(None, "https://x.test:443/"), "https://x.test");
        assert_eq!(name(None, "https://x.test/v1/{{ input.id }}"), "https://x.test");
        assert_eq!(name(None, "https://{{ input.host }}/"), "act");
        assert_eq!(name(None, "nonsense"), "act");
        assert_eq!(name_of(None, "act", None), "act");
    }
}
