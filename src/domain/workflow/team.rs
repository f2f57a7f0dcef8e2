//! Whose event it is: the team that its payload names.

use serde_json::Value;

/// The records of a payload that say whose they are; the first that is there decides.
const OWNED: [&str; 4] = ["ticket", "previousTicket", "comment", "previousComment"];
const NAMES: [&str; 3] = ["teamId", "teamIdentifier", "teamName"];

/// Returns every name of the team that a payload is about; none when it names no team.
#[must_use]
pub fn names_of(payload: &Value) -> Vec<&str> {
    let records = OWNED.iter().filter_map(|name| payload.get(*name));
    let places = records.chain([payload]).map(|record| named(record, &NAMES));
    let team = ["team", "previousTeam"].iter().filter_map(|name| payload.get(*name));
    let own = team.map(|team| named(team, &["id", "identifier", "name"]));
    places.chain(own).find(|names| !names.is_empty()).unwrap_or_default()
}

fn named<'p>(record: &'p Value, names: &[&str]) -> Vec<&'p str> {
    names.iter().filter_map(|name| record.get(*name)?.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_record_that_is_told_of_names_the_team() {
        for (payload, names) in [
            (json!({"ticket": {"teamId": "G1", "teamName": "Web"}}), &["G1", "Web"][..]),
            (json!({"ticket": {"teamId": "G2"}, "previousTicket": {"teamId": "G1"}}), &["G2"]),
            (json!({"previousTicket": {"teamId": "G1"}}), &["G1"]),
            (json!({"comment": {"teamId": "G1"}}), &["G1"]),
            (json!({"teamId": "G1"}), &["G1"]),
            (json!({"team": {"id": "G1"}}), &["G1"]),
            (json!({"account": {"id": "A1"}}), &[]),
            (json!([1]), &[]),
        ] {
            assert_eq!(names_of(&payload), names, "{payload}");
        }
    }
}
