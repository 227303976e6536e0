//! How the rate follows the endpoint's own limit.

mod support;

use alclad_core::{
    Evidence, Fault, Limiter,
    error::{OverLimit, TypedError},
    note,
};
use alclad_rate_limit::{Aimd, ErrorShare, RateEvent, RateLimit, RateLimitLayer, RateLimiter};
use alclad_testkit::{ErrorObject, MockUpstream, StrictTransport, answer, error_object, mock};
use alloy_json_rpc::RequestPacket;
use alloy_transport::{TransportError, TransportErrorKind};
use std::time::Duration;
use support::{Answer, limit, ms, read, reads, refused, send, settle, units};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::{Layer, Service, ServiceExt};

struct Conversation {
    service: RateLimit<StrictTransport>,
    upstream: MockUpstream,
    limiter: RateLimiter,
}

impl Conversation {
    fn through(layer: &RateLimitLayer) -> Self {
        let (transport, upstream) = mock();
        Self { service: layer.layer(transport), upstream, limiter: layer.limiter() }
    }

    fn adaptive() -> Self {
        Self::through(&limit(200, 50).with_policy(Aimd::new()))
    }

    fn send(&self, packet: RequestPacket) -> JoinHandle<Answer> {
        send(&self.service, packet)
    }

    async fn fail(&mut self, error: TransportError) {
        let call = self.send(read(1));
        self.upstream.next().await.expect("a packet").fail(error);
        call.await.unwrap().unwrap_err();
    }

    async fn is_answered(&mut self) {
        let call = self.send(read(1));
        self.upstream.next().await.expect("a packet").answer(answer(1, "0x"));
        call.await.unwrap().unwrap();
    }
}

fn too_many() -> TransportError {
    TransportErrorKind::http_error(429, "Too Many Requests".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_overrun_cuts_once_however_many_were_on_their_way() {
    let mut talk = Conversation::adaptive();
    let calls: Vec<_> = (0..10).map(|_| talk.send(read(1))).collect();
    settle().await;
    sleep(ms(30)).await;
    for _ in &calls {
        talk.upstream.next().await.unwrap().fail(too_many());
        sleep(ms(10)).await;
    }
    assert_eq!((talk.limiter.rate(), talk.limiter.throttled()), (170.0, 10));
    // Sent after the cut, it says that this was not enough.
    talk.fail(too_many()).await;
    assert_eq!(talk.limiter.rate(), 144.5);
}

#[tokio::test(start_paused = true)]
async fn a_cut_leaves_nothing_in_the_bucket() {
    let mut talk = Conversation::adaptive();
    talk.fail(too_many()).await;
    assert_eq!(talk.limiter.tokens(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn answers_raise_it_slowly_to_the_ceiling_and_silence_does_not() {
    let mut talk = Conversation::adaptive();
    talk.fail(too_many()).await;
    sleep(Duration::from_secs(60)).await;
    talk.is_answered().await;
    assert_eq!(talk.limiter.rate(), 172.0);
    for _ in 0..290 {
        sleep(ms(50)).await;
        talk.is_answered().await;
    }
    assert_eq!(talk.limiter.rate(), 200.0);
}

#[tokio::test(start_paused = true)]
async fn it_is_never_cut_below_the_floor() {
    let mut talk = Conversation::through(&limit(3, 1).with_policy(Aimd::new().with_floor(2.0)));
    for rate in [2.55, 2.1675, 2.0, 2.0] {
        talk.fail(too_many()).await;
        assert_eq!(talk.limiter.rate(), rate);
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_in_the_body_closes_the_gate_for_every_clone() {
    let layer = limit(100, 50);
    let mut talk = Conversation::through(&layer);
    let other = layer.layer(support::Endpoint::new());
    let start = Instant::now();
    let hint = "rate limited, retry in 700ms".to_owned();
    talk.fail(TransportErrorKind::http_error(429, hint)).await;
    other.oneshot(read(1)).await.unwrap();
    // Then it begins with an empty bucket.
    assert_eq!(start.elapsed(), ms(710));
    assert_eq!(talk.limiter.rate(), 100.0);
}

#[tokio::test(start_paused = true)]
async fn a_hint_in_an_error_member_closes_it_too() {
    let mut talk = Conversation::through(&limit(100, 50));
    let call = talk.send(reads(1, 2));
    let limited = ErrorObject::new(-32005, "too many requests, try again in 2s");
    let members = [answer(1, "0x"), error_object(2, limited)];
    talk.upstream.next().await.unwrap().answer_batch(members);
    assert!(call.await.unwrap().is_ok());
    let start = Instant::now();
    talk.is_answered().await;
    assert_eq!((start.elapsed(), talk.limiter.throttled()), (ms(2010), 1));
}

/// A transport that notes a `Retry-After` beside an answer that is JSON-RPC.
fn notes_a_hint(
    transport: StrictTransport,
) -> impl Service<
    RequestPacket,
    Response = alloy_json_rpc::ResponsePacket,
    Error = TransportError,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |packet| {
        let transport = transport.clone();
        async move {
            note::record(|note| {
                note.http_status = Some(429);
                note.retry_after = Some(Duration::from_secs(3));
            });
            transport.oneshot(packet).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beside_the_answer_closes_it_and_is_known_above() {
    let (transport, mut upstream) = mock();
    let service = limit(100, 50).layer(notes_a_hint(transport));
    let call = tokio::spawn(note::capture(service.clone().oneshot(read(1))));
    let refusal = error_object(1, ErrorObject::new(-32000, "slow down"));
    upstream.next().await.unwrap().answer(refusal);
    let (_, notes) = call.await.unwrap();
    assert_eq!(notes.of(&1.into()).retry_after, Some(Duration::from_secs(3)));
    let start = Instant::now();
    drop(tokio::spawn(service.oneshot(read(1))));
    upstream.next().await.unwrap();
    assert_eq!(start.elapsed(), ms(3010));
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_days_is_heeded_for_an_hour() {
    let mut talk = Conversation::through(&limit(1, 1));
    let hint = "rate limited, retry in 30 days".to_owned();
    talk.fail(TransportErrorKind::http_error(429, hint)).await;
    assert_eq!(refused(talk.send(read(1)).await.unwrap()), Duration::from_secs(3601));
}

#[tokio::test(start_paused = true)]
async fn only_the_endpoints_own_limit_counts() {
    let mut talk = Conversation::adaptive();
    talk.fail(OverLimit::new(ms(100)).into_transport_error()).await;
    talk.fail(TransportErrorKind::http_error(500, String::new())).await;
    talk.fail(TransportErrorKind::backend_gone()).await;
    let call = talk.send(read(1));
    let reverted = ErrorObject::new(3, "execution reverted: rate limit exceeded");
    talk.upstream.next().await.unwrap().answer(error_object(1, reverted));
    call.await.unwrap().unwrap();
    assert_eq!((talk.limiter.rate(), talk.limiter.throttled()), (200.0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_is_asked_first() {
    let lunch = |evidence: &Evidence<'_>| {
        let limited = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };
        evidence.message.contains("lunch break").then_some(limited)
    };
    let layer = limit(200, 50).with_policy(Aimd::new()).with_classifier(lunch);
    let mut talk = Conversation::through(&layer);
    talk.fail(TransportErrorKind::http_error(503, "lunch break".to_owned())).await;
    assert_eq!(talk.limiter.rate(), 170.0);
}

#[tokio::test(start_paused = true)]
async fn one_error_in_a_hundred_is_forgiven_where_a_share_is_allowed() {
    let mut talk = Conversation::through(&limit(200, 50).with_policy(ErrorShare::new()));
    for _ in 0..99 {
        talk.is_answered().await;
    }
    talk.fail(too_many()).await;
    assert_eq!(talk.limiter.rate(), 200.0);
    sleep(ms(10)).await;
    talk.fail(too_many()).await;
    assert_eq!(talk.limiter.rate(), 180.0);
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_a_policy_and_what_it_says_is_bounded() {
    let policy = |event: RateEvent| if event.throttled { f64::NAN } else { f64::INFINITY };
    let mut talk = Conversation::through(&limit(10, 5).with_policy(policy));
    talk.is_answered().await;
    assert_eq!(talk.limiter.rate(), 10.0);
    talk.fail(too_many()).await;
    assert_eq!(talk.limiter.rate(), 10.0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_set_is_the_new_ceiling() {
    let mut talk = Conversation::adaptive();
    talk.fail(too_many()).await;
    talk.limiter.set_rate(units(100));
    assert_eq!(talk.limiter.rate(), 100.0);
    sleep(Duration::from_secs(1)).await;
    talk.is_answered().await;
    assert_eq!(talk.limiter.rate(), 100.0);
}
