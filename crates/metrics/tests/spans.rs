//! The spans of a call and of its attempts, as a subscriber sees them.

use alclad_core::{EndpointId, note};
use alclad_metrics::MetricsLayer;
use alclad_testkit::{
    ErrorObject, answer, batch, error_object, mock, request, request_with_id, single,
};
use alloy_json_rpc::{Id, RequestPacket};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};
use tower::{Layer as _, ServiceExt, service_fn};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id as SpanId, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// All spans, by their number.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Seen>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &SpanId, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut seen);
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &SpanId, values: &Record<'_>, _: Context<'_, S>) {
        values.record(self.0.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {}
}

impl Spans {
    fn watch() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    fn named(&self, name: &str) -> Vec<(u64, Seen)> {
        let spans = self.0.lock().unwrap();
        let named = spans.iter().filter(|(_, seen)| seen.name == name);
        named.map(|(id, seen)| (*id, seen.clone())).collect()
    }
}

fn read(id: u64) -> RequestPacket {
    single(request(id, "eth_call", ("0xf00d",)))
}

#[tokio::test]
async fn a_call_has_a_span_and_each_attempt_a_child() {
    let (spans, _guard) = Spans::watch();
    let (transport, mut upstream) = mock();
    let endpoint = MetricsLayer::for_endpoint("own").layer(transport);
    // Asks twice, as a retry would.
    let twice = service_fn(move |packet: RequestPacket| {
        let endpoint = endpoint.clone();
        async move {
            let _ = endpoint.clone().oneshot(packet.clone()).await;
            let id = EndpointId::from("own");
            let (answer, notes) = note::capture_at(id, endpoint.oneshot(packet)).await;
            notes.pass_up();
            note::record(|note| note.attempts = 2);
            answer
        }
    });
    let call = tokio::spawn(MetricsLayer::new().layer(twice).oneshot(read(7)));
    let throttled = ErrorObject::new(-32005, "too many requests");
    upstream.next().await.unwrap().answer(error_object(7, throttled));
    upstream.next().await.unwrap().answer(answer(7, "0x1"));
    call.await.unwrap().unwrap();

    let [(call, root)] = &spans.named("rpc.call")[..] else { panic!("one call") };
    let expected = [
        ("attempts", "2"),
        ("endpoint", "own"),
        ("outcome", "ok"),
        ("rpc.jsonrpc.request_id", "7"),
        ("rpc.jsonrpc.version", "2.0"),
        ("rpc.method", "eth_call"),
        ("rpc.system", "jsonrpc"),
        ("server.address", "own"),
    ];
    assert_eq!(root.fields, expected.map(|(name, value)| (name, value.to_owned())).into());
    assert_eq!(root.parent, None);

    let attempts = spans.named("rpc.attempt");
    let [(_, first), (_, second)] = &attempts[..] else { panic!("two attempts: {attempts:?}") };
    assert_eq!((first.parent, second.parent), (Some(*call), Some(*call)));
    assert_eq!((&*first.fields["attempt"], &*second.fields["attempt"]), ("1", "2"));
    assert_eq!(first.fields["rpc.jsonrpc.error_code"], "-32005");
    assert_eq!(first.fields["outcome"], "RateLimited");
    assert_eq!(first.fields["server.address"], "own");
    assert_eq!(second.fields["outcome"], "ok");
}

#[tokio::test]
async fn each_member_of_a_batch_has_a_span_below_that_of_the_batch() {
    let (spans, _guard) = Spans::watch();
    let (transport, mut upstream) = mock();
    let asked = [1, 2].map(|id| request(id, "eth_call", ()));
    let call = tokio::spawn(MetricsLayer::new().layer(transport).oneshot(batch(asked)));
    upstream.next().await.unwrap().answer_batch([answer(1, "0x1"), answer(2, "0x")]);
    call.await.unwrap().unwrap();
    let [(whole, batch)] = &spans.named("rpc.batch")[..] else { panic!("one batch") };
    assert_eq!(batch.fields["rpc.batch.size"], "2");
    let members = spans.named("rpc.call");
    let outcomes: Vec<_> = members.iter().map(|(_, seen)| &*seen.fields["outcome"]).collect();
    assert_eq!(outcomes, ["ok", "empty"]);
    assert!(members.iter().all(|(_, member)| member.parent == Some(*whole)));
}

#[tokio::test]
async fn neither_params_nor_ids_that_are_texts_nor_unknown_methods_are_recorded() {
    let (spans, _guard) = Spans::watch();
    let (transport, mut upstream) = mock();
    let asked = request_with_id(Id::String("s3cret".to_owned()), "s3cret_method", ("s3cret",));
    let call = tokio::spawn(MetricsLayer::new().layer(transport).oneshot(single(asked)));
    upstream.next().await.unwrap().answer(answer(1, "s3cret"));
    call.await.unwrap().unwrap();
    let [(_, seen)] = &spans.named("rpc.call")[..] else { panic!("one call") };
    assert_eq!(seen.fields["rpc.method"], "other");
    assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
}

#[tokio::test]
async fn a_dropped_call_says_so() {
    let (spans, _guard) = Spans::watch();
    let (transport, _upstream) = mock();
    let mut call = Box::pin(MetricsLayer::new().layer(transport).oneshot(read(1)));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(spans.named("rpc.call")[0].1.fields["outcome"], "dropped");
}
