//! What a service manager hears: the protocol of `sd_notify(3)`, from the real binary.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::process::{self, Process};

struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn hear(&mut self, wanted: &str) {
        while !self.heard.iter().any(|word| word == wanted) {
            let mut message = [0; 4096];
            let read = self.socket.recv(&mut message);
            let read = read.unwrap_or_else(|_| panic!("no {wanted} in {:?}", self.heard));
            let text = String::from_utf8_lossy(&message[..read]);
            self.heard.extend(text.lines().map(str::to_owned));
        }
        self.heard.clear();
    }
}

#[test]
fn a_service_manager_hears_of_readiness_life_and_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut manager = Manager { socket, heard: Vec::new() };
    let mut command = process::serve(&directory.path().join("data"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let server = Process::of(command).expect("it serves");
    manager.hear("READY=1");
    manager.hear("WATCHDOG=1");
    manager.hear("WATCHDOG=1");
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
    manager.hear("STOPPING=1");
}
