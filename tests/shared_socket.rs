//! Many clients of one WebSocket never get each other's answers.

use alclad::{Endpoint, RetryLayer, Rotation, TimeoutLayer, core::Budget, retry::Backoff};
use alclad_tests::{Node, within};
use alloy::{
    primitives::{B256, Bytes, keccak256},
    providers::{Provider, ProviderBuilder},
    pubsub::{PubSubConnect, PubSubFrontend},
    rpc::client::{ClientRef, RpcClient},
};
use futures::{StreamExt, stream};
use std::time::Duration;

const CALLS: usize = 2000;
const LIMIT: Duration = Duration::from_secs(60);

/// Asks for so many hashes at once, and counts the right ones.
async fn right_answers(client: ClientRef<'_>, who: &str) -> usize {
    let ask = async |number: usize| {
        let question = Bytes::from(format!("{who} asks for {number}").into_bytes());
        let answer = client.request::<_, B256>("web3_sha3", (&question,)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{who}, {number}: {error}"));
        usize::from(answer == keccak256(&question))
    };
    let answers = stream::iter(0..CALLS).map(ask).buffer_unordered(CALLS);
    answers.fold(0, async |sum, right| sum + right).await
}

/// A client with a layer, through alloy's `ProviderBuilder`.
fn client(frontend: &PubSubFrontend) -> impl Provider + use<> {
    let client = RpcClient::new(frontend.clone(), true);
    ProviderBuilder::new().layer(RetryLayer::new()).connect_client(client)
}

/// A rotation whose only endpoint is the socket.
fn rotation(frontend: &PubSubFrontend) -> impl Provider + use<> {
    let rotation = Rotation::builder().endpoint(Endpoint::new("socket", frontend.clone())).build();
    ProviderBuilder::new().connect_client(RpcClient::new(rotation, true))
}

/// A client that soon loses patience and asks again, while its first question is still on its way.
fn impatient(frontend: &PubSubFrontend) -> impl Provider + use<> {
    let often = Backoff::new().with_attempts(20);
    let client = RpcClient::new(frontend.clone(), true);
    ProviderBuilder::new()
        .layer(RetryLayer::with_policy(often).with_budget(Budget::unlimited()))
        .layer(TimeoutLayer::new(Duration::from_millis(500)))
        .connect_client(client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_and_a_rotation_get_their_own_answers() {
    let node = Node::start();
    let frontend = node.ws().into_service().await.unwrap();
    let clients = (client(&frontend), client(&frontend), rotation(&frontend));
    let all = async {
        tokio::join!(
            right_answers(clients.0.client(), "the first client"),
            right_answers(clients.1.client(), "the second client"),
            right_answers(clients.2.client(), "the rotation"),
        )
    };
    assert_eq!(within(LIMIT, all).await, (CALLS, CALLS, CALLS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_not_taken_for_that_of_another_question() {
    let node = Node::start();
    let frontend = node.ws().into_service().await.unwrap();
    let (impatient, patient) = (impatient(&frontend), client(&frontend));
    let disturb = async {
        for _ in 0..3 {
            node.freeze();
            tokio::time::sleep(Duration::from_millis(700)).await;
            node.thaw();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let all = async {
        tokio::join!(
            right_answers(impatient.client(), "the impatient one"),
            right_answers(patient.client(), "the patient one"),
            disturb,
        )
    };
    assert_eq!(within(LIMIT, all).await, (CALLS, CALLS, ()));
}
