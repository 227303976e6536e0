//! `Rotation` over three endpoints: one is asked, and the next one when it fails.

use alclad::{CallOptions, Endpoint, Rotation};
use alclad_testkit::{Disruption, SimChain, SimNode};
use alloy::{
    providers::{Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::TransportResult,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let chain = SimChain::random();
    chain.mine(20);
    let [own, paid, public] = [(); 3].map(|()| SimNode::new(&chain));
    let rotation = Rotation::builder()
        .endpoint(Endpoint::new("own", own.transport()))
        .endpoint(Endpoint::new("paid", paid.transport()).with_tier(1))
        .endpoint(Endpoint::new("public", public.transport()).with_tier(2))
        .build();
    let provider = ProviderBuilder::new().connect_client(RpcClient::new(rotation.clone(), true));

    for _ in 0..20 {
        provider.get_block_number().await?;
    }
    show("all is well: the first tier has it all", &rotation);

    own.set(Disruption::Dead);
    paid.set(Disruption::too_many_requests(None));
    for _ in 0..20 {
        provider.get_block_number().await?;
    }
    show("own is dead, paid is throttled: they are asked a few times and no more", &rotation);

    own.set_lag(5);
    own.clear();
    let behind = rotation.pinned("own");
    let behind = ProviderBuilder::new().connect_client(RpcClient::new(behind, true));
    println!("own, asked alone, is at block {}", behind.get_block_number().await?);

    let newest = provider.get_block_by_number(20.into());
    let block = CallOptions::new().pinned_to("own").scope(newest.into_future()).await?;
    println!("a call that is pinned to it does not find block 20: {block:?}");
    let block = provider.get_block_by_number(20.into()).await?;
    println!("the rotation finds it: {:?}", block.map(|block| block.header.hash));
    Ok(())
}

fn show(what: &str, rotation: &Rotation) {
    println!("{what}");
    for endpoint in rotation.snapshot() {
        let (id, faults) = (endpoint.id, endpoint.faults);
        println!("    {id}: {} calls, {faults:?}, {:?}", endpoint.requests, endpoint.state);
    }
}
