//! What probably helps against the failures of steps.

/// Codes of failures with what to do about each; of several the first that fits.
const CURES: [(&str, &str); 32] = [
    ("not_in_channel", "Invite the bot to the channel, then retry."),
    ("channel_not_found", "Check the channel's name or id; a private one needs the bot in it."),
    ("is_archived", "The channel is archived: choose another one."),
    ("invalid_auth", "The token is not valid: put a new one into the connection, then retry."),
    ("token_revoked", "The token was revoked: put a new one into the connection, then retry."),
    ("missing_scope", "Give the app the scope that it lacks and install it again."),
    ("slack_refused", "Slack names its reason in the message; mend that, then retry."),
    ("connection_missing", "Make the connection that the step names, then retry."),
    ("connection_incomplete", "Complete the settings or secrets of the connection, then retry."),
    ("connection_unauthorized", "Renew the credentials of the connection, then retry."),
    ("connection_other_host", "The address belongs to another system than the connection."),
    ("connection_ambiguous", "Name the connection in the step: there are several of this app."),
    ("connection_lost", "Check at the other side whether the call took effect, then retry."),
    ("connect_failed", "Check that the other side is up and its address is right, then retry."),
    ("timeout", "The other side was too slow: retry later, or give the step more time."),
    ("approval_timeout", "Nobody decided in time: restart the run, or give approvers longer."),
    ("rejected", "Somebody rejected it: their comment says why."),
    (
        "egress_refused",
        "Inner addresses are refused; `egress.allow` in the configuration lifts it.",
    ),
    ("insecure_url", "Use an address that begins with https."),
    ("invalid_url", "Mend the address in the step's input, then retry with another input."),
    ("invalid_input", "Retry with another input, or mend the step and restart."),
    ("path_missing", "The step reads what is not there: add `| default(…)`, or mend the path."),
    ("expression_failed", "Mend the expression: the context tab evaluates it on this run."),
    ("secret_missing", "Set the secret that the step names, then retry."),
    ("secret_refused", "The secret is bound to other hosts: change its hosts, then retry."),
    ("app_not_installed", "Install the app, then retry."),
    ("app_lacks_scope", "Give the app the scope, then retry."),
    ("unknown_workflow", "Save the workflow that the step starts, then retry."),
    ("no_worker", "Start a worker for this activity; the step is tried again by itself."),
    ("worker_lost", "Look at the worker's log, and whether the work was done, then retry."),
    ("undo_conflict", "Somebody changed the record since: settle it by hand."),
    ("panic", "This is a fault of the appliance: please report it with the run's journal."),
];

/// Returns what probably helps against a failure of this code.
pub(super) fn cure(code: &str) -> Option<&'static str> {
    if let Some((_, cure)) = CURES.iter().find(|(known, _)| *known == code) {
        return Some(cure);
    }
    let status: u16 = code.strip_prefix("http_")?.parse().ok()?;
    Some(match status {
        401 | 403 => "The other side does not let us in: renew the credentials, then retry.",
        404 | 410 => "The address leads nowhere there: mend it in the step, then restart.",
        409 => "The other side is in another state than the step expects: look there first.",
        400 | 422 => "The other side refuses the input: its answer says why; retry with another.",
        429 => "The other side wants fewer calls: retry later.",
        500.. => "The other side is not well: retry when it is.",
        _ => return None, // Nothing general can be said of it.
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_have_a_cure_and_others_none() {
        assert!(cure("not_in_channel").is_some_and(|cure| cure.contains("Invite the bot")));
        assert!(cure("http_503").is_some_and(|cure| cure.contains("not well")));
        assert_eq!((cure("http_200"), cure("odd")), (None, None));
    }
}
