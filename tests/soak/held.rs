//! What this process holds.

use crate::load::CONCURRENCY;
use std::{fmt, fs, time::Duration};
use tokio::{runtime::Handle, time::sleep};

/// Idle connections are kept for reuse: how many there are follows from how many calls happened to
/// be on their way to one endpoint at once, which is at most all and their hedges.
const SOCKETS: usize = 2 * 3 * CONCURRENCY;
/// Beside the task of each connection there is that which polls heads, and one look of its own at
/// each endpoint.
const TASKS: usize = 1 + 3;
/// The allocator keeps what it was given back in pages that are not quite empty; the cache and the
/// report fill up to their bounds. A leak of 16 bytes per call would be ten times this in ten minutes.
const BYTES: usize = 6 << 20;

/// Resident memory, tasks and open sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    bytes: usize,
    tasks: usize,
    sockets: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        let tasks = Handle::current().metrics().num_alive_tasks();
        Self { bytes: resident(), tasks, sockets: sockets() }
    }

    /// What it holds more than when it had just come to speed.
    pub(crate) fn leaks_since(self, first: Self) -> Vec<String> {
        // Every connection has a task.
        let own_tasks = |held: Self| held.tasks.saturating_sub(held.sockets);
        let compared = [
            ("resident bytes", first.bytes, self.bytes, BYTES),
            ("tasks without a connection", own_tasks(first), own_tasks(self), TASKS),
            ("sockets", first.sockets, self.sockets, SOCKETS),
        ];
        let grown = compared.into_iter().filter(|(_, first, last, more)| *last > first + more);
        grown.map(|(what, first, last, _)| format!("{last} {what}, {first} at first")).collect()
    }

    /// What is left when nothing should be.
    pub(crate) fn remains_of(self, before: Self) -> Vec<String> {
        let compared =
            [("tasks", before.tasks, self.tasks), ("sockets", before.sockets, self.sockets)];
        let left = compared.into_iter().filter(|(_, before, after)| after > before);
        left.map(|(what, before, after)| format!("{after} {what} are left, of {before}")).collect()
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, tasks, sockets } = self;
        let megabytes = *bytes as f64 / f64::from(1 << 20);
        write!(f, "{megabytes:.1} MiB, {tasks} tasks, {sockets} sockets")
    }
}

/// Waits until tasks and sockets have not changed for a second, but not for ever.
pub(crate) async fn rest(look: fn() -> Held) -> Held {
    let (mut last, mut same) = (look(), 0);
    for _ in 0..200 {
        sleep(Duration::from_millis(100)).await;
        let held = look();
        same = if (held.tasks, held.sockets) == (last.tasks, last.sockets) { same + 1 } else { 0 };
        last = held;
        if same == 10 {
            break;
        }
    }
    last
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    1024 * kilobytes.expect("Linux tells how much memory a process has")
}

fn sockets() -> usize {
    let files = fs::read_dir("/proc/self/fd").expect("Linux lists open files").flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Held = Held { bytes: 30 << 20, tasks: 24, sockets: 20 };

    #[test]
    fn what_grows_beyond_its_bound_is_told() {
        assert!(FIRST.leaks_since(FIRST).is_empty());
        // Idle connections come and go, each with its task.
        let (tasks, sockets) = (FIRST.tasks + SOCKETS, FIRST.sockets + SOCKETS);
        assert!(Held { tasks, sockets, ..FIRST }.leaks_since(FIRST).is_empty());
        let grown = Held { bytes: FIRST.bytes + BYTES + 1, tasks: 500, sockets: 400 };
        assert_eq!(grown.leaks_since(FIRST).len(), 3);
        assert_eq!(Held { tasks: 40, ..FIRST }.leaks_since(FIRST).len(), 1);
    }

    #[test]
    fn nothing_may_remain() {
        assert!(FIRST.remains_of(FIRST).is_empty());
        assert_eq!(Held { tasks: 25, ..FIRST }.remains_of(FIRST), ["25 tasks are left, of 24"]);
        assert_eq!(Held { tasks: 25, sockets: 21, ..FIRST }.remains_of(FIRST).len(), 2);
    }
}
