//! The limits of calls to other systems, each with its unit in its name.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

/// Limits of calls that leave the appliance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressSettings {
    /// Inner networks that calls may reach all the same; a list, or one text with commas.
    #[serde(deserialize_with = "networks")]
    pub allow: Vec<IpNet>,
    /// How long a connection may take to come about.
    pub connect_timeout_ms: u64,
    /// How long an answer may take to begin.
    pub first_byte_timeout_ms: u64,
    /// How large an answer may be, unpacked.
    pub response_bytes_max: usize,
    /// How many redirects a call follows.
    pub redirects_max: u32,
}

impl Default for EgressSettings {
    fn default() -> EgressSettings {
        EgressSettings {
            allow: Vec::new(),
            connect_timeout_ms: 5_000,
            first_byte_timeout_ms: 60_000,
            response_bytes_max: 1_024 * 1_024,
            redirects_max: 3,
        }
    }
}

/// Limits of what events carry and of what is kept of refused ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// How many bytes of each text of a comment an event carries; the comment itself stays whole.
    pub comment_text_bytes_max: usize,
    /// How many refused events each tenant keeps; the oldest gives way.
    pub rejected_events_max: u64,
    /// How large a refused payload may be to be kept whole.
    pub rejected_event_bytes_max: usize,
}

impl Default for EventSettings {
    fn default() -> EventSettings {
        EventSettings {
            comment_text_bytes_max: 16 * 1_024,
            rejected_events_max: 1_000,
            rejected_event_bytes_max: 64 * 1_024,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Networks {
    Listed(Vec<String>),
    Joined(String),
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let listed = match Networks::deserialize(deserializer)? {
        Networks::Listed(texts) => texts,
        Networks::Joined(text) => text.split(',').map(str::to_owned).collect(),
    };
    let named = listed.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    named.map(|text| network(text).map_err(serde::de::Error::custom)).collect()
}

/// A single address is a network of itself.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
    text.parse().or_else(|_| address()).map_err(|_| {
        format!("`{text}` is not a network such as 10.1.0.0/16 or an address such as 127.0.0.1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_from_a_list_and_from_one_text() {
        let joined: EgressSettings =
            serde_json::from_str(r#"{"allow": "127.0.0.1, 10.1.0.0/16,"}"#).unwrap();
        let listed: EgressSettings =
            serde_json::from_str(r#"{"allow": ["127.0.0.1/32", "10.1.0.0/16"]}"#).unwrap();
        assert_eq!(joined, listed);
        assert_eq!(joined.allow.len(), 2);
        let wrong = serde_json::from_str::<EgressSettings>(r#"{"allow": "ten"}"#).unwrap_err();
        assert!(wrong.to_string().contains("`ten` is not a network"), "{wrong}");
    }
}
