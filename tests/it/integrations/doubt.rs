//! What was made without an answer is not made twice.

use serde_json::json;

use crate::peer::{Peer, Reply};

use super::{connect_all, step_of, with_outside};

#[test]
fn an_issue_of_linear_that_is_there_already_is_the_one_that_was_meant() {
    with_outside(|app| async move {
        let peer = Peer::start(|number, received| {
            let id = received.body["variables"]["input"]["id"].clone();
            match number {
                // It was made, and the answer was lost on the way.
                0 => Reply::Status(502, json!({})),
                1 => Reply::Status(
                    400,
                    json!({"errors": [{"message": "Duplicate id",
                    "extensions": {"code": "INPUT_ERROR"}}], "of": id}),
                ),
                _ => Reply::Status(
                    200,
                    json!({"data": {"issue":
                    {"id": received.body["variables"]["id"], "identifier": "ENG-7",
                        "title": "Fire", "url": "https://linear.app/x"}}}),
                ),
            }
        })
        .await;
        connect_all(&app, &peer.url).await;
        let made = step_of(&app, "linear.createIssue", json!({"title": "Fire"})).await;
        assert_eq!(made["output"]["identifier"], "ENG-7", "{made}");
        let ids: Vec<_> = peer
            .received()
            .iter()
            .map(|it| {
                let variables = &it.body["variables"];
                if variables["id"].is_string() {
                    variables["id"].clone()
                } else {
                    variables["input"]["id"].clone()
                }
            })
            .collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    });
}
