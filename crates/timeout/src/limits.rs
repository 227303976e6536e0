use alloy_json_rpc::RequestPacket;
use std::{collections::HashMap, time::Duration};

/// How long an attempt may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) all: Duration,
    pub(crate) methods: HashMap<String, Duration>,
}

impl Limits {
    /// The longest of its members' limits; `None` for a subscription, which is never cut off.
    pub(crate) fn of(&self, packet: &RequestPacket) -> Option<Duration> {
        let requests = packet.requests();
        if requests.iter().any(|request| request.is_subscription()) {
            return None;
        }
        requests.iter().map(|request| self.of_method(request.method())).max().or(Some(self.all))
    }

    fn of_method(&self, method: &str) -> Duration {
        match self.methods.is_empty() {
            true => self.all,
            false => self.methods.get(method).copied().unwrap_or(self.all),
        }
    }
}
