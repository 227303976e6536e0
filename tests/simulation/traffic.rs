//! What the application asks.

use crate::{
    answers::{Call, Kind, Member, Question, deadline},
    faults::OTHER_CHAIN,
    world::{CHAIN_ID, World},
};
use alclad::CallOptions;
use alclad_testkit::{REVERTING, Transfer};
use alloy::primitives::{B256, Bytes};
use fastrand::Rng;
use serde_json::{Value, json};
use std::{sync::OnceLock, time::Duration};

/// A call that will be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) at: Duration,
    /// Given up by the application after so long.
    pub(crate) dropped: Option<Duration>,
    pub(crate) dice: u64,
    /// What differs between calls that ask the same: ids, options, spelling.
    pub(crate) twist: u64,
    /// What this application mostly asks, by its place in [`read`].
    pub(crate) habit: Option<u8>,
}

/// What the stack lets an application do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) endpoints: usize,
    pub(crate) has_rotation: bool,
    /// Deadlines are kept by the layers: without, a call ends in its own time.
    pub(crate) keeps_deadlines: bool,
    pub(crate) tx_guard: bool,
}

pub(crate) fn draw(rng: &mut Rng, horizon: Duration) -> Vec<Plan> {
    // Only what is asked often is hedged.
    let habit = (rng.u8(..4) == 0).then(|| rng.u8(..20));
    let count = if habit.is_some() { rng.usize(60..140) } else { rng.usize(20..70) };
    let is_bursty = rng.bool();
    let mut at = Duration::ZERO;
    let mut plans: Vec<Plan> = Vec::new();
    while plans.len() < count {
        at = match is_bursty && rng.u8(..10) < 8 {
            true => at + Duration::from_millis(rng.u64(..20)),
            false => at + (horizon / count as u32).mul_f64(2.0 * rng.f64()),
        };
        let (dice, is_asked_by_many) = (rng.u64(..), rng.u8(..10) == 0);
        for _ in 0..if is_asked_by_many { rng.u8(2..6) } else { 1 } {
            let gives_up = rng.u8(..12) == 0;
            let patience = [60, 300, 3_000][rng.usize(..3)];
            let dropped = gives_up.then(|| Duration::from_millis(rng.u64(..patience)));
            let later = Duration::from_millis(rng.u64(..40) * u64::from(is_asked_by_many));
            plans.push(Plan { at: at + later, dropped, dice, twist: rng.u64(..), habit });
        }
    }
    plans
}

/// Makes a call up, of what there is on the chain now.
pub(crate) fn make(world: &World, index: usize, plan: &Plan, manners: Manners) -> Call {
    let (rng, own) = (&mut Rng::with_seed(plan.dice), &mut Rng::with_seed(plan.twist));
    let is_batch = rng.u8(..4) == 0;
    let count = if is_batch { rng.usize(1..6) } else { 1 };
    let question = |rng: &mut Rng| match rng.u8(..30) {
        0 => send(rng, manners.tx_guard),
        1 if !is_batch => Question { method: "evm_mine", params: json!([]), kind: Kind::Write },
        2 => filter(world, rng),
        roll => read(world, rng, plan.habit.filter(|_| roll > 7)),
    };
    let mut members: Vec<_> = (0..count).map(|_| Member::new(question(rng))).collect();
    if own.u8(..4) == 0 {
        members.iter_mut().for_each(|member| shout(&mut member.question.params));
    }
    let options = options(own, manners);
    let begun = world.recorder.now();
    let head = world.chain.block_number();
    Call {
        index,
        begun,
        members,
        is_batch,
        deadline: deadline(&options, begun),
        options,
        first_id: own.u64(..7),
        floor: world.past().floor,
        lowest: head,
        block_time: Duration::ZERO,
    }
}

fn options(rng: &mut Rng, manners: Manners) -> CallOptions {
    let options = CallOptions::new();
    match rng.u8(..20) {
        0..4 if manners.keeps_deadlines => {
            options.with_timeout(Duration::from_millis(rng.u64(20..2_000)))
        }
        4..6 if manners.keeps_deadlines => {
            options.with_timeout(Duration::from_millis(rng.u64(2_000..60_000)))
        }
        6 => options.without_retry(),
        9 => options.without_cache(),
        7 if manners.has_rotation => {
            options.pinned_to(format!("node-{}", rng.usize(..manners.endpoints)))
        }
        8 if rng.bool() => options.ignoring_errors(),
        _ => options,
    }
}

/// Questions of which a healthy stack has the answer.
fn read(world: &World, rng: &mut Rng, habit: Option<u8>) -> Question {
    let chain = &world.chain;
    let head = chain.block_number();
    // Mostly near the head, where things move.
    let number = match rng.u8(..10) {
        // What is to come, as of one who waits for it.
        0 => head + 1,
        1..6 => head.saturating_sub(rng.u64(..3)),
        _ => head.saturating_sub(rng.u64(..20)),
    };
    let block = format!("{number:#x}");
    let accounts = chain.accounts();
    let account = accounts[rng.usize(..accounts.len())];
    let of = |method, params| Question { method, params, kind: Kind::Read };
    let newest = |method, params| Question { method, params, kind: Kind::Head };
    match habit.unwrap_or_else(|| rng.u8(..20)) {
        0..3 => newest("eth_blockNumber", json!([])),
        3..5 => newest("eth_getBlockByNumber", json!(["latest", rng.bool()])),
        5..7 => of("eth_getBlockByNumber", json!([block, rng.u8(..4) == 0])),
        7 => of("eth_getBlockByHash", json!([hash_at(world, number), false])),
        8 => of("eth_getBalance", json!([account, block])),
        9 => of("eth_getBalance", json!([account, "latest"])),
        10 => of("eth_call", json!([{ "to": account, "data": "0x1234" }, block])),
        11 => of("eth_call", json!([{ "to": account, "data": "0x5678" }, "latest"])),
        12 => of("eth_call", json!([{ "to": REVERTING, "data": "0x" }, block])),
        13 | 14 => transaction(world, rng, number),
        15 => of("eth_getLogs", json!([{ "fromBlock": block, "toBlock": block }])),
        16 => of("eth_getLogs", json!([{ "fromBlock": block, "toBlock": "latest" }])),
        17 => of("eth_getBlockReceipts", json!([block])),
        18 => of(["eth_chainId", "net_version"][rng.usize(..2)], json!([])),
        _ => of(["eth_gasPrice", "eth_maxPriorityFeePerGas", "foo_bar"][rng.usize(..3)], json!([])),
    }
}

/// The same, spelled in upper case: numbers and hashes, which are first.
fn shout(params: &mut Value) {
    if let Some(Value::String(text)) = params.get_mut(0)
        && let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() <= 64)
    {
        *text = format!("0x{}", digits.to_uppercase());
    }
}

/// Something about a filter, which is known to the endpoint alone that made it.
fn filter(world: &World, rng: &mut Rng) -> Question {
    let filters = &world.past().filters;
    let of = |method, params| Question { method, params, kind: Kind::Filter };
    match rng.u8(..6) {
        0..2 => of("eth_newBlockFilter", json!([])),
        _ if filters.is_empty() => of("eth_newBlockFilter", json!([])),
        2 => of("eth_uninstallFilter", json!([filters[rng.usize(..filters.len())]])),
        _ => of("eth_getFilterChanges", json!([filters[rng.usize(..filters.len())]])),
    }
}

fn hash_at(world: &World, number: u64) -> B256 {
    world.chain.block(number).map(|block| block.header.hash).unwrap_or_default()
}

/// A look-up of a transaction in a block near this one.
fn transaction(world: &World, rng: &mut Rng, number: u64) -> Question {
    let blocks = (0..=number).rev().filter_map(|number| world.chain.block(number));
    let mut hashes = blocks.flat_map(|block| block.transactions.hashes().collect::<Vec<_>>());
    let mined = hashes.next().unwrap_or_else(|| B256::with_last_byte(1));
    let sent = world.chain.pending();
    let hash = match sent.is_empty() || rng.bool() {
        true => mined,
        false => sent[rng.usize(..sent.len())],
    };
    let methods = ["eth_getTransactionReceipt", "eth_getTransactionByHash"];
    Question { method: methods[rng.usize(..2)], params: json!([hash]), kind: Kind::Read }
}

fn send(rng: &mut Rng, guarded: bool) -> Question {
    let foreign = guarded && rng.u8(..4) == 0;
    let all = signed(if foreign { OTHER_CHAIN } else { CHAIN_ID });
    let (raw, hash) = &all[rng.usize(..all.len())];
    let kind = Kind::Send { hash: *hash, foreign };
    Question { method: "eth_sendRawTransaction", params: json!([raw]), kind }
}

/// Signing takes long: it is done once for all runs.
fn signed(chain_id: u64) -> &'static [(Bytes, B256)] {
    static OWN: OnceLock<Vec<(Bytes, B256)>> = OnceLock::new();
    static FOREIGN: OnceLock<Vec<(Bytes, B256)>> = OnceLock::new();
    let (cell, count) = if chain_id == CHAIN_ID { (&OWN, 32) } else { (&FOREIGN, 4) };
    let signed = |account| Transfer { chain_id, account, ..Transfer::default() }.signed();
    cell.get_or_init(|| (1..=count).map(signed).collect())
}
