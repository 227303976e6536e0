//! The transport under alloy's client.

mod support;

use alclad_http::HttpTransport;
use alloy_rpc_client::RpcClient;
use alloy_transport::{Transport, TransportConnect};
use support::{Act, Server};

const OK: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x10"}"#;

#[tokio::test]
async fn serves_an_rpc_client() {
    let server = Server::new(Act::json(OK)).await;
    let transport = server.transport();
    let client = RpcClient::new(transport.clone(), transport.guess_local());
    let block: String = client.request_noparams("eth_blockNumber").await.unwrap();
    assert_eq!(block, "0x10");
    assert!(client.is_local());
}

#[tokio::test]
async fn connects_as_a_client_does() {
    let server = Server::new(Act::json(OK)).await;
    let transport = server.transport();
    assert!(transport.is_local());
    let client = RpcClient::new(transport.get_transport().await.unwrap(), true);
    client.request_noparams::<String>("eth_blockNumber").await.unwrap();
}

#[test]
fn is_a_transport_whose_clone_is_one_pointer() {
    const fn transport<T: Transport + Clone + Send + Sync>() {}
    transport::<HttpTransport>();
    assert_eq!(size_of::<HttpTransport>(), size_of::<usize>());
}
