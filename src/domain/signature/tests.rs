//! Published examples of each scheme, and everything that must not be believed.

use super::*;

const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&\
channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&\
command=%2Fwebhook-collect&text=&\
response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SLACK_SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const SLACK_TIME: &str = "1531420618";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().copied().map(Secret::new).collect()
}

#[test]
fn slacks_published_example_is_believed() {
    let own = secrets(&[SLACK_SECRET]);
    let headers = (SLACK_TIME, SLACK_SIGNATURE);
    let body = SLACK_BODY.as_bytes();
    assert_eq!(slack::verify(&own, headers, body, at(1_531_420_618)), Ok(()));
    assert_eq!(slack::sign(&own[0], SLACK_TIME, body), SLACK_SIGNATURE);
}

#[test]
fn a_slack_request_that_is_not_quite_right_is_not_believed() {
    let now = 1_531_420_618;
    let own = secrets(&[SLACK_SECRET]);
    let upper = SLACK_SIGNATURE.to_uppercase();
    let cut = &SLACK_SIGNATURE[..SLACK_SIGNATURE.len() - 2];
    for (secrets, time, signature, body, now, why) in [
        (&own[..], SLACK_TIME, SLACK_SIGNATURE, "token=other", now, Disbelief::Wrong),
        (&[], SLACK_TIME, SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::NoSecret),
        (&secrets(&[""]), SLACK_TIME, SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::NoSecret),
        (&secrets(&["other"]), SLACK_TIME, SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::Wrong),
        (&own, SLACK_TIME, SLACK_SIGNATURE, SLACK_BODY, now + 301, Disbelief::OutOfTime),
        (&own, SLACK_TIME, SLACK_SIGNATURE, SLACK_BODY, now - 301, Disbelief::OutOfTime),
        (&own, "1531420619", SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::Wrong),
        (&own, "", SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::Malformed),
        (&own, "+1531420618", SLACK_SIGNATURE, SLACK_BODY, now, Disbelief::Malformed),
        (&own, SLACK_TIME, "", SLACK_BODY, now, Disbelief::Malformed),
        (&own, SLACK_TIME, "v0=", SLACK_BODY, now, Disbelief::Wrong),
        (&own, SLACK_TIME, cut, SLACK_BODY, now, Disbelief::Wrong),
        (&own, SLACK_TIME, &upper, SLACK_BODY, now, Disbelief::Malformed),
    ] {
        let verdict = slack::verify(secrets, (time, signature), body.as_bytes(), at(now));
        assert_eq!(verdict, Err(why), "{time} {signature}");
    }
}

#[test]
fn five_minutes_are_the_edge_and_both_secrets_of_an_exchange_hold() {
    let both = secrets(&["the new one", SLACK_SECRET]);
    for apart in [-300, 300] {
        let now = at(1_531_420_618 + apart);
        let headers = (SLACK_TIME, SLACK_SIGNATURE);
        assert_eq!(slack::verify(&both, headers, SLACK_BODY.as_bytes(), now), Ok(()), "{apart}");
    }
}

#[test]
fn the_published_example_of_standard_webhooks_is_believed() {
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let secret = Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let good = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    assert_eq!(standard_webhooks::sign(&secret, id, "1649367553", body), good);
    let own = [secret];
    let verify = |signatures: &str, timestamp: &str, now: i64| {
        let headers = standard_webhooks::Headers { id, timestamp, signatures };
        standard_webhooks::verify(&own, headers, body, at(now))
    };
    let several = format!("v1a,abcd v1,bm90IHRoaXM= {good}");
    assert_eq!(verify(good, "1649367553", 1_649_367_553), Ok(()));
    assert_eq!(verify(&several, "1649367553", 1_649_367_553), Ok(()));
    assert_eq!(verify("v1,bm90IHRoaXM=", "1649367553", 1_649_367_553), Err(Disbelief::Wrong));
    assert_eq!(verify(&good[3..], "1649367553", 1_649_367_553), Err(Disbelief::Wrong));
    assert_eq!(verify("", "1649367553", 1_649_367_553), Err(Disbelief::Missing));
    assert_eq!(verify(good, "1649367553", 1_649_367_854), Err(Disbelief::OutOfTime));
}

#[test]
fn githubs_published_example_is_believed() {
    let own = secrets(&["It's a Secret to Everybody"]);
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(github::verify(&own, good, b"Hello, World!"), Ok(()));
    assert_eq!(github::verify(&own, good, b"Hello, World"), Err(Disbelief::Wrong));
    assert_eq!(github::verify(&own, &good[7..], b"Hello, World!"), Err(Disbelief::Malformed));
}

#[test]
fn stripe_and_linear_check_the_time_as_well() {
    let own = secrets(&["whsec_of_stripe"]);
    let body = br#"{"webhookTimestamp":1700000000000}"#;
    let signed = hex::encode(hmac_sha256(b"whsec_of_stripe", &[b"1700000000.", body]));
    let header = format!("t=1700000000,v1=00ff,v1={signed},v0=abc");
    assert_eq!(stripe::verify(&own, &header, body, at(1_700_000_100)), Ok(()));
    assert_eq!(stripe::verify(&own, &header, body, at(1_700_000_301)), Err(Disbelief::OutOfTime));
    assert_eq!(stripe::verify(&own, &signed, body, at(1_700_000_000)), Err(Disbelief::Malformed));
    let signed = hex::encode(hmac_sha256(b"whsec_of_stripe", &[body]));
    assert_eq!(linear::verify(&own, &signed, body, at(1_700_000_060)), Ok(()));
    assert_eq!(linear::verify(&own, &signed, body, at(1_700_000_061)), Err(Disbelief::OutOfTime));
    let wrong = linear::verify(&own, &signed, b"{}", at(1_700_000_000));
    assert_eq!(wrong, Err(Disbelief::Wrong));
}

#[test]
fn a_shared_secret_is_shown_as_it_is() {
    let own = secrets(&["", "tell-nobody"]);
    assert_eq!(plain::verify(&own, "tell-nobody"), Ok(()));
    assert_eq!(plain::verify(&own, "Bearer tell-nobody"), Ok(()));
    assert_eq!(plain::verify(&own, ""), Err(Disbelief::Wrong));
    assert_eq!(plain::verify(&secrets(&[""]), ""), Err(Disbelief::NoSecret));
}
