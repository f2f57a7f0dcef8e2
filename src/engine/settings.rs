//! The engine's limits, each with its unit in its name.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Limits of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// How many threads run tenants; partitions are spread over them.
    pub threads: u16,
    /// How many runs of one tenant may be at work at once; more wait as `queued`.
    pub runs_active_max: usize,
    /// How many messages wait at the door of a tenant before it answers 503.
    pub mailbox_messages_max: usize,
    /// How many bytes may wait for the disk before the door answers 503.
    pub pressure_bytes_max: usize,
    /// How many calls to the outside one tenant may have in flight.
    pub outside_calls_max: usize,
    /// How long a call may wait in memory before it waits in its run's journal, in milliseconds.
    pub outside_wait_ms_max: u64,
    /// How many calls of one tenant may wait in memory.
    pub outside_waiting_calls_max: usize,
    /// How many destinations of one tenant are remembered.
    pub destinations_max: usize,
    /// How many calls may be in flight to one destination.
    pub destination_calls_max: u32,
    /// Over how long a time the failures at a destination are counted, in milliseconds.
    pub destination_window_ms: u64,
    /// How many calls must have ended in that time before its circuit may open.
    pub destination_window_calls_min: u32,
    /// Which share of them must have failed for it, in percent.
    pub destination_failures_percent: u32,
    /// How long a circuit stays open the first time, in milliseconds; it doubles at each failure.
    pub destination_open_ms: u64,
    /// How long a circuit stays open at most, in milliseconds.
    pub destination_open_ms_max: u64,
    /// How many trial calls must work before a circuit closes.
    pub destination_trial_calls: u32,
    /// How many repeated attempts may follow from a hundred first ones at one destination.
    pub destination_repeats_percent: u32,
    /// How many repeated attempts are allowed in a second all the same.
    pub destination_repeats_per_second: u32,
    /// How many calls that were held back are let out in a second at one destination.
    pub destination_releases_per_second: u32,
    /// The pause after a 429 that does not say how long, in milliseconds.
    pub destination_pause_ms: u64,
    /// How many destinations have a series in the metrics.
    pub destination_series_max: usize,
    /// How many deadlines are fired at once, so that a herd of them leaves room for others.
    pub wake_batch_max: usize,
    /// How many earlier events a step that waits for one looks at, the newest first.
    pub look_back_events_max: usize,
    /// How many runs may follow from one another before an event starts no more.
    pub cause_depth_max: u32,
    /// How often one workflow may stand among the runs that followed from one another.
    pub cause_repeats_max: u32,
    /// How many windows the triggers of one tenant may have open.
    pub windows_max: u64,
    /// How many events one window gathers before it is over.
    pub batch_events_max: u32,
    /// How many bytes of payloads one window gathers before it is over.
    pub batch_bytes_max: u64,
    /// How many starts of one key may wait for their rate limit.
    pub delayed_starts_max: u32,
    /// How many records are looked at in one turn when a lasting state begins to be watched.
    pub lasting_batch_max: usize,
    /// How often a run's actor may crash before the run is set aside.
    pub crashes_max: u32,
    /// How many subscriptions one tenant may have.
    pub webhooks_max: usize,
    /// Whether subscribers outside may be reached without encryption.
    pub webhook_plain_http: bool,
    /// For how long every attempt may fail before a subscription is disabled, in milliseconds.
    pub webhook_failing_ms_max: u64,
    /// How many deliveries of one tenant may be in flight; one of each subscription.
    pub deliveries_in_flight_max: usize,
    /// How many deliveries may wait for one subscriber before the subscription is disabled.
    pub deliveries_pending_max: u64,
    /// How many deliveries that arrived are kept for each subscription.
    pub deliveries_kept_max: u64,
    /// How many deliveries that were given up on are kept for each subscription.
    pub deliveries_dead_kept_max: u64,
    /// How many deliveries one replay or recovery makes.
    pub deliveries_replayed_max: usize,
    /// How long a subscriber may take to answer, in milliseconds.
    pub delivery_timeout_ms: u64,
    /// The pauses between the attempts of a delivery, in milliseconds; after the last it is dead.
    pub delivery_pauses_ms: Pauses,
    /// How late a time of a schedule may fire before it counts as missed, in milliseconds.
    pub schedule_grace_ms: u64,
    /// How many times of a schedule that passed at once are looked at, the newest ones.
    pub schedule_slots_max: usize,
    /// How many times that did not fire are listed for each schedule.
    pub schedule_listed_max: usize,
    /// How long a worker holds a task after each sign of life unless it asks for longer, in
    /// milliseconds.
    pub task_lease_ms: u64,
    /// How long a worker may ask to hold a task without a sign of life, in milliseconds.
    pub task_lease_ms_max: u64,
    /// How many workers may take a task and vanish before the attempt fails.
    pub task_leases_max: u32,
    /// How many tasks a worker takes at once.
    pub tasks_taken_max: usize,
    /// How many workers of one tenant may wait for tasks at once.
    pub task_polls_max: usize,
    /// How long a worker is listed after it was heard of last, in milliseconds.
    pub worker_seen_ms: u64,
    /// How many runs or events a bulk job looks at in one transaction.
    pub bulk_batch_max: usize,
    /// How many runs or events one bulk job acts on in a second.
    pub bulk_per_second_max: u32,
    /// How many runs or events one bulk job may have.
    pub bulk_members_max: usize,
    /// How many bulk jobs of one tenant may go on at once.
    pub bulk_jobs_active_max: usize,
    /// How many bulk jobs that have ended are kept.
    pub bulk_jobs_kept_max: usize,
    /// How many searches for runs one tenant may save under a name.
    pub run_views_max: usize,
    /// How long a stop waits for calls in flight, in milliseconds.
    pub stop_ms: u64,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            threads: 1,
            runs_active_max: 10_000,
            mailbox_messages_max: 8_192,
            pressure_bytes_max: 16 * 1_024 * 1_024,
            outside_calls_max: 64,
            outside_wait_ms_max: 2_000,
            outside_waiting_calls_max: 10_000,
            destinations_max: 1_000,
            destination_calls_max: 32,
            destination_window_ms: 30_000,
            destination_window_calls_min: 20,
            destination_failures_percent: 50,
            destination_open_ms: 10_000,
            destination_open_ms_max: 300_000,
            destination_trial_calls: 3,
            destination_repeats_percent: 20,
            destination_repeats_per_second: 10,
            destination_releases_per_second: 50,
            destination_pause_ms: 1_000,
            destination_series_max: 100,
            wake_batch_max: 512,
            look_back_events_max: 10_000,
            cause_depth_max: 8,
            cause_repeats_max: 3,
            windows_max: 100_000,
            batch_events_max: 1_000,
            batch_bytes_max: 4 * 1_024 * 1_024,
            delayed_starts_max: 10_000,
            lasting_batch_max: 500,
            crashes_max: 3,
            webhooks_max: 100,
            webhook_plain_http: false,
            webhook_failing_ms_max: 5 * 24 * HOUR_MS,
            deliveries_in_flight_max: 32,
            deliveries_pending_max: 100_000,
            deliveries_kept_max: 1_000,
            deliveries_dead_kept_max: 10_000,
            deliveries_replayed_max: 10_000,
            delivery_timeout_ms: 15_000,
            delivery_pauses_ms: Pauses::default(),
            schedule_grace_ms: 60_000,
            schedule_slots_max: 100,
            schedule_listed_max: 50,
            task_lease_ms: 60_000,
            task_lease_ms_max: HOUR_MS,
            task_leases_max: 10,
            tasks_taken_max: 100,
            task_polls_max: 1_000,
            worker_seen_ms: 10 * MINUTE_MS,
            bulk_batch_max: 50,
            bulk_per_second_max: 100,
            bulk_members_max: 100_000,
            bulk_jobs_active_max: 10,
            bulk_jobs_kept_max: 100,
            run_views_max: 200,
            stop_ms: 5_000,
        }
    }
}

/// Pauses in milliseconds; a list, or one text with commas.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Pauses(pub Vec<u64>);

impl Default for Pauses {
    /// The pauses that Standard Webhooks advises: over a day, ever longer.
    fn default() -> Pauses {
        let hours = [2, 5, 10, 10].map(|hours| hours * HOUR_MS);
        Pauses([&[5_000, 5 * MINUTE_MS, 30 * MINUTE_MS], &hours[..]].concat())
    }
}

impl Pauses {
    /// Returns them as durations.
    #[must_use]
    pub fn durations(&self) -> Vec<Duration> {
        self.0.iter().copied().map(Duration::from_millis).collect()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled<T> {
    Listed(Vec<T>),
    Joined(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pause {
    Millis(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Pauses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pauses, D::Error> {
        let pauses = match Spelled::deserialize(deserializer)? {
            Spelled::Listed(pauses) => pauses,
            Spelled::Joined(text) => {
                text.split(',').map(|part| Pause::Text(part.to_owned())).collect()
            }
        };
        let read = |pause: Pause| match pause {
            Pause::Millis(millis) => Ok(millis),
            Pause::Text(text) => text.trim().parse().map_err(|_| {
                let detail = format!("`{text}` is not a pause in milliseconds such as 5000");
                serde::de::Error::custom(detail)
            }),
        };
        pauses.into_iter().map(read).collect::<Result<_, _>>().map(Pauses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_read_from_a_list_and_from_one_text() {
        for text in ["[5000, 100]", r#"["5000", "100"]"#, r#""5000, 100""#] {
            let pauses: Pauses = serde_json::from_str(text).expect(text);
            assert_eq!(pauses, Pauses(vec![5_000, 100]), "{text}");
        }
        assert!(serde_json::from_str::<Pauses>(r#""soon""#).is_err());
    }

    #[test]
    fn a_delivery_is_tried_for_more_than_a_day() {
        let all: u64 = Pauses::default().0.iter().sum();
        assert!(all > 24 * HOUR_MS && all < 48 * HOUR_MS, "{all}");
    }
}
