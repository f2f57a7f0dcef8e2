//! The appliance that is measured or tried: a child process with its own data directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::wire::{Connection, KEY, get, post};

const START_MAX: Duration = Duration::from_secs(120);

/// A running appliance; dropping it kills it.
pub struct Appliance {
    process: Child,
    /// Where it listens.
    pub port: u16,
    /// Its data directory.
    pub directory: PathBuf,
}

impl Appliance {
    /// Starts one and waits until it takes work; answers how long that took.
    pub async fn start(directory: &Path) -> anyhow::Result<(Appliance, Duration)> {
        let port = free_port()?;
        let log = directory.with_extension("log");
        let log = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ERGANE_")) {
            command.env_remove(name);
        }
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(directory)
            // A configuration in the present directory must not change what is found.
            .current_dir(std::env::temp_dir())
            .env("ERGANE_BOOTSTRAP_KEY", KEY)
            .env("ERGANE_LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let began = Instant::now();
        let process = command.spawn().context("cannot start `ergane serve`")?;
        let mut appliance = Appliance { process, port, directory: directory.to_path_buf() };
        while !appliance.is_ready().await {
            if let Some(status) = appliance.process.try_wait()? {
                let log = directory.with_extension("log");
                bail!("`ergane serve` ended with {status}; see {}", log.display());
            }
            ensure!(began.elapsed() < START_MAX, "`ergane serve` is not ready after {START_MAX:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok((appliance, began.elapsed()))
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.port).await else { return false };
        connection.exchange(&get("/readyz")).await.is_ok_and(|reply| reply.is_success())
    }

    /// Ends the process without any warning, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.process.kill(); // It may have ended already.
        let _ = self.process.wait();
    }

    /// Returns the memory that the process has in use.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .and_then(|number| number.trim().parse().ok())
            .context("cannot read the memory of the process")?;
        Ok(kilobytes / 1024.0)
    }

    /// Returns the processor time that the process has used, in seconds.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("cannot read the processor time")?;
        Ok((user + system) / TICKS_A_SECOND)
    }

    /// Returns how much the data directory takes on disk.
    pub fn bytes_on_disk(&self) -> anyhow::Result<u64> {
        disk_usage(&self.directory)
    }

    /// Returns the JSON that answers a POST.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut connection = Connection::open(self.port).await?;
        let reply = connection.exchange(&post(path, body)).await?;
        reply.json().with_context(|| format!("POST {path}"))
    }

    /// Returns how many runs reached `status` since the process began.
    pub async fn runs(&self, status: &str) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.port).await?;
        let reply = connection.exchange(&get("/metrics")).await?;
        ensure!(reply.is_success(), "/metrics answered with {}", reply.status);
        let text = String::from_utf8_lossy(reply.body);
        let wanted = format!("status=\"{status}\"");
        let counts = text
            .lines()
            .filter(|line| line.starts_with("ergane_runs_total{") && line.contains(&wanted))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

fn disk_usage(directory: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            disk_usage(&entry.path())?
        } else {
            metadata.blocks() * 512 // What is allotted, since a file may have holes.
        };
    }
    Ok(bytes)
}
