//! The real binary as a process of its own, to be stopped, killed and starved.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::{KEY, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running server and a client with its owner's key.
pub struct Process {
    pub app: TestApp,
    child: Child,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub said: String,
}

/// Returns a command that serves `directory` on a free port.
pub fn serve(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .env("ERGANE_BOOTSTRAP_KEY", KEY)
        .env("ERGANE_EGRESS__ALLOW", "127.0.0.0/8")
        .env("RUST_BACKTRACE", "0")
        // What holds room back has tests of its own.
        .env("ERGANE_STORE__RESERVE_BYTES", "0")
        .env("ERGANE_ALERTS__DISK_FREE_PERCENT_MIN", "0")
        .current_dir(directory.parent().expect("a directory above"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts a server on `directory`, and returns when it takes requests.
    pub fn start(directory: &Path) -> Process {
        Process::attempt(directory).unwrap_or_else(|ended| panic!("it serves: {ended:?}"))
    }

    /// Starts a server on `directory`; returns how it ended if it did before it took requests.
    pub fn attempt(directory: &Path) -> Result<Process, Ended> {
        Process::of(serve(directory))
    }

    /// Starts what `serve` returned; its log may go elsewhere.
    pub fn of(mut command: Command) -> Result<Process, Ended> {
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while lines.read_line(&mut line).expect("text") > 0 {
            if let Some((before, address)) = line.split_once("://") {
                let scheme = before.rsplit(' ').next().unwrap_or_default();
                let base = format!("{scheme}://{}", address.trim().trim_end_matches('/'));
                // What it says later must not fill a pipe.
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                if let Some(mut log) = child.stderr.take() {
                    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                }
                return Ok(Process { app: TestApp::at(base, KEY), child });
            }
            line.clear();
        }
        Err(end_of(child))
    }

    /// Returns the process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and returns how it ended and how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        signal(self.id(), "TERM");
        let asked = Instant::now();
        (wait(&mut self.child), asked.elapsed())
    }

    /// Waits for its end, after a signal that ends it.
    pub fn stop_after_signal(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        (wait(&mut self.child), asked.elapsed())
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        wait(&mut self.child);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Ended {
    end_of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

/// Sends a signal to a process that a test started.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn end_of(mut child: Child) -> Ended {
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said).expect("text");
    }
    if let Some(mut log) = child.stderr.take() {
        log.read_to_string(&mut said).expect("text");
    }
    Ended { status: wait(&mut child), said }
}

#[expect(clippy::disallowed_methods, reason = "the end of another process tells nobody")]
fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill(); // The test fails below in any case.
            panic!("the process does not end");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
