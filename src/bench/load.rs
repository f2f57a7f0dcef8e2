//! Many connections on one thread, each asking again as soon as it is answered.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;

use crate::subject::wire::Connection;

const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(2);

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// After this time.
    After(Duration),
    /// After this many answers.
    Count(u64),
}

/// What a load did.
#[derive(Debug)]
pub struct Load {
    /// How many requests were granted.
    pub granted: u64,
    /// How many were refused for the time being.
    pub refused: u64,
    /// From the first request to the last answer.
    pub duration: Duration,
    /// How long each granted request took, shortest first.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// Returns the time within which `share` of the requests were answered.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        percentile(&self.latencies, share)
    }

    /// Returns how many requests were granted in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.granted as f64 / self.duration.as_secs_f64()
    }
}

/// Returns the value below which `share` of sorted `times` lie.
#[must_use]
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let place = (times.len() as f64 * share) as usize;
    times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Sends what `write` makes of each number, over `connections` at a time.
pub async fn drive(
    port: u16,
    connections: usize,
    end: End,
    write: impl Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<Load> {
    let next = Cell::new(0u64);
    let refused = Cell::new(0u64);
    let began = Instant::now();
    let goes_on = || match end {
        End::After(duration) => began.elapsed() < duration,
        End::Count(count) => next.get() < count,
    };
    let connection = || async {
        let mut connection = Connection::open(port).await?;
        let (mut request, mut latencies) = (Vec::new(), Vec::new());
        while goes_on() {
            write(next.replace(next.get() + 1), &mut request);
            loop {
                let asked = Instant::now();
                let reply = connection.exchange(&request).await?;
                if reply.is_success() {
                    latencies.push(asked.elapsed());
                    break;
                }
                let text = String::from_utf8_lossy(reply.body);
                ensure!(matches!(reply.status, 429 | 503), "status {}: {text}", reply.status);
                refused.set(refused.get() + 1);
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
            }
        }
        anyhow::Ok(latencies)
    };
    let latencies = try_join_all((0..connections).map(|_| connection())).await?;
    let duration = began.elapsed();
    let mut latencies: Vec<Duration> = latencies.into_iter().flatten().collect();
    latencies.sort();
    Ok(Load { granted: latencies.len() as u64, refused: refused.get(), duration, latencies })
}
