//! What an endpoint's limiter tells the rotation.

use alloy_json_rpc::SerializedRequest;
use std::{cell::RefCell, sync::Arc, time::Duration};

/// When the limiter in an endpoint's ring would let a packet pass.
///
/// A rotation asks before it sends, and passes over an endpoint that has none left while another
/// is free. A limiter makes itself known with [`register`] when its layer is put on.
pub trait Headroom: Send + Sync {
    /// How long until these requests, sent as one packet, would pass; zero is now.
    fn free_in(&self, requests: &[SerializedRequest]) -> Duration;
}

impl<F> Headroom for F
where
    F: Fn(&[SerializedRequest]) -> Duration + Send + Sync,
{
    fn free_in(&self, requests: &[SerializedRequest]) -> Duration {
        self(requests)
    }
}

thread_local! {
    static COLLECTED: RefCell<Option<Vec<Arc<dyn Headroom>>>> = const { RefCell::new(None) };
}

/// Puts the layers of an endpoint's ring on, and returns the limiters among them.
pub fn collect<T>(put_on: impl FnOnce() -> T) -> (T, Vec<Arc<dyn Headroom>>) {
    let before = COLLECTED.replace(Some(Vec::new()));
    let ring = put_on();
    (ring, COLLECTED.replace(before).unwrap_or_default())
}

/// Makes a limiter known to the rotation that is being built around it.
///
/// Returns whether there is one: then it asks before it sends, and what comes nevertheless need
/// not wait.
pub fn register(limiter: Arc<dyn Headroom>) -> bool {
    COLLECTED.with_borrow_mut(|collected| match collected {
        Some(limiters) => {
            limiters.push(limiter);
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(wait: Duration) -> Arc<dyn Headroom> {
        Arc::new(move |_: &[SerializedRequest]| wait)
    }

    #[test]
    fn a_limiter_is_known_to_the_rotation_that_is_built_around_it() {
        assert!(!register(limiter(Duration::ZERO)));
        let (registered, limiters) = collect(|| register(limiter(Duration::from_secs(3))));
        assert!(registered);
        assert_eq!(limiters[0].free_in(&[]), Duration::from_secs(3));
        assert!(!register(limiter(Duration::ZERO)));
    }

    #[test]
    fn a_rotation_inside_another_keeps_its_limiters() {
        let put_on = || {
            register(limiter(Duration::ZERO));
            collect(|| register(limiter(Duration::ZERO))).1.len()
        };
        let (inner, outer) = collect(put_on);
        assert_eq!((inner, outer.len()), (1, 1));
    }
}
