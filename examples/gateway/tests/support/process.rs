//! The program itself, in a process of its own.

use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

pub(crate) struct Program {
    pub(crate) process: Child,
    /// `127.0.0.1:port`.
    pub(crate) public: String,
    pub(crate) admin: String,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    pub(crate) async fn start(config: &Path, password: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_alclad-gateway"))
            .arg("--config")
            .arg(config)
            .env("ADMIN_PASSWORD", password)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stderr = process.stderr.take().expect("it is piped");
        let mut log = BufReader::new(stderr).lines();
        let address = |line: &str, before: &str| {
            let (_, rest) = line.split_once(before)?;
            Some(rest.split([',', ' ']).next()?.to_owned())
        };
        loop {
            let line = log.next_line().await.expect("a text").expect("it goes on");
            if let Some(public) = address(&line, "calls at http://") {
                let admin = address(&line, "admin at http://").expect("both");
                return Self { process, public, admin, log };
            }
        }
    }

    pub(crate) async fn logs(&mut self, words: &str) -> String {
        loop {
            let line = self.log.next_line().await.expect("a text").expect("it goes on");
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) async fn signal(&self, name: &str) {
        let id = self.process.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([name, &id]).status().await.expect("there is kill");
        assert!(sent.success());
    }

    /// What it has of the memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id().expect("it runs"));
        let status = std::fs::read_to_string(path).expect("Linux tells");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }
}
