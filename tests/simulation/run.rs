//! One run: everything is drawn from its seed.

use crate::{
    faults::{self, Allowed},
    invariants::{self, Invariant, Violation, answers},
    mutants::Mutant,
    neighbour,
    plan::StackPlan,
    record::Recorder,
    stack::{Stack, move_limit, name},
    tally::Tally,
    traffic::{self, Manners, Plan},
    world::World,
};
use alclad::{
    Rotation,
    core::{Heads, note},
    rotation::EndpointState,
};
use alclad_testkit::{Disruption, Rule, request, single};
use fastrand::Rng;
use serde_json::json;
use std::{mem, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Handle},
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};
use tower::ServiceExt;

/// What came of a run.
pub(crate) struct Report {
    pub(crate) hash: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) lines: Vec<String>,
    pub(crate) tally: Tally,
}

/// A call that has not ended by then never does: five attempts, four endpoints, two timeouts each,
/// and the longest hints between them are less.
const FOREVER: Duration = Duration::from_secs(900);

/// What a cache takes for it that is alone, until it knows better.
const UNKNOWN_BLOCK_TIME: Duration = Duration::from_secs(20);

/// What the world does on its own.
#[derive(Clone, Debug)]
enum Event {
    Block,
    Reorg { depth: u64, more: u64 },
    Turn { node: usize },
    Limit { dice: u64 },
    Call { index: usize, plan: Plan },
}

pub(crate) fn run(seed: u64, mutant: Option<Mutant>, is_verbose: bool) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O");
    runtime.block_on(simulate(seed, mutant, is_verbose))
}

async fn simulate(seed: u64, mutant: Option<Mutant>, is_verbose: bool) -> Report {
    let rng = &mut Rng::with_seed(seed);
    // The layers draw from the thread's generator.
    fastrand::seed(rng.u64(..));
    let plan = StackPlan::draw(rng);
    let (events, world) = draw(rng, seed, &plan, is_verbose);
    let world = Arc::new(world);
    world.recorder.note(format_args!("{plan:?}"));
    play(&plan, &world, events, mutant).await;
    let finding = invariants::finish(&world.recorder.record());
    if let Some((invariant, what)) = finding {
        world.recorder.violate(invariant, what);
    }
    let (hash, lines) = (world.recorder.hash(), world.recorder.lines());
    let mut record = world.recorder.record();
    Report { hash, violations: mem::take(&mut record.violations), lines, tally: record.tally }
}

fn draw(
    rng: &mut Rng,
    seed: u64,
    plan: &StackPlan,
    is_verbose: bool,
) -> (Vec<(Duration, Event)>, World) {
    let block_time = Duration::from_millis([500, 1_000, 2_000, 12_000][rng.usize(..4)]);
    let blocks = rng.u32(4..24);
    let horizon = (block_time * blocks).min(Duration::from_secs(90));
    let latencies = plan.rings.iter().map(|_| latency(rng)).collect();
    let recorder = Arc::new(Recorder::new(plan.checks(), is_verbose));
    let mut world = World::new(seed, block_time, latencies, recorder);
    (world.is_remembered, world.is_learnt) = (plan.cache.is_some(), plan.learns);
    let allowed = plan
        .rings
        .iter()
        .map(|ring| Allowed { silence: ring.timeout.is_some(), other_chain: ring.guard.is_some() });
    world.episodes = faults::draw(rng, &allowed.collect::<Vec<_>>(), horizon);
    let mut events = vec![];
    let turn = |at, node| (at, Event::Turn { node });
    events.extend((0..plan.rings.len()).map(|node| turn(Duration::ZERO, node)));
    for episode in &world.episodes {
        events.extend([turn(episode.from, episode.node), turn(episode.until, episode.node)]);
    }
    for block in 1..=blocks {
        // Not all blocks come on time.
        let at = block_time * block + block_time.mul_f64(0.3 * rng.f64());
        let event = match rng.u8(..8) {
            0 => Event::Reorg { depth: rng.u64(1..5), more: rng.u64(..2) },
            _ => Event::Block,
        };
        events.push((at, event));
    }
    for _ in 0..rng.usize(..3) {
        events.push((horizon.mul_f64(rng.f64()), Event::Limit { dice: rng.u64(..) }));
    }
    let calls = traffic::draw(rng, horizon).into_iter().enumerate();
    events.extend(calls.map(|(index, plan)| (plan.at, Event::Call { index, plan })));
    events.sort_by_key(|(at, _)| *at);
    (events, world)
}

/// How long a node takes when it is well; some answer at once.
fn latency(rng: &mut Rng) -> Vec<Rule> {
    let usual = match rng.u8(..4) {
        0 => return Vec::new(),
        1 => rng.u64(1..5),
        _ => rng.u64(5..100),
    };
    let slow = |millis| Disruption::SlowBy(Duration::from_millis(millis));
    let tail = slow(rng.u64(10..100)).with_share(0.3 * rng.f64());
    vec![slow(usual).into(), tail]
}

/// Lets all of it happen.
async fn play(
    plan: &StackPlan,
    world: &Arc<World>,
    events: Vec<(Duration, Event)>,
    mutant: Option<Mutant>,
) {
    let begun = tokio::time::Instant::now();
    let tasks = Handle::current().metrics().num_alive_tasks();
    let stack = plan.build(world, mutant);
    if let Some(rotation) = stack.held.rotation.clone() {
        let is_open = move |endpoint| {
            let (id, all) = (name(endpoint), rotation.snapshot());
            let state = all.iter().find(|seat| seat.id.as_str() == id).map(|seat| seat.state);
            matches!(state, Some(EndpointState::Open { .. }))
        };
        world.recorder.record().checks.is_open = Box::new(is_open);
    }
    let plan = Arc::new(plan.clone());
    let manners = manners(&plan);
    let (mut calls, mut made) = (JoinSet::new(), 0);
    // Whoever is right is asked first, before anything goes wrong.
    if plan.learns {
        let packet = single(request(1, "eth_chainId", json!([])));
        let _ = stack.top.clone().oneshot(packet).await;
    }
    for (at, event) in events {
        sleep_until(begun + at).await;
        match event {
            Event::Block => world.mine(),
            Event::Reorg { depth, more } => world.reorg(depth, more),
            Event::Turn { node } => world.inflict(node),
            Event::Limit { dice } => {
                let dice = &mut Rng::with_seed(dice);
                move_limit(&world.recorder, &stack.held.limiters, dice);
            }
            Event::Call { index, plan: call } => {
                made += 1;
                let call = ask(Arc::clone(world), Arc::clone(&plan), &stack, index, call, manners);
                calls.spawn(call);
            }
        }
    }
    world.heal();
    let all = async { while calls.join_next().await.is_some() {} };
    if timeout(FOREVER, all).await.is_err() {
        let waiting: Vec<_> = world.past().calls.keys().copied().collect();
        world.recorder.violate(Invariant::I1Ends, format!("calls {waiting:?} never end"));
        calls.abort_all();
    }
    rest(&plan, world, stack, made, manners, tasks).await;
}

const fn manners(plan: &StackPlan) -> Manners {
    Manners {
        endpoints: plan.rings.len(),
        has_rotation: plan.rotation.is_some(),
        keeps_deadlines: plan.rotation.is_some() || plan.retry.is_some(),
        tx_guard: plan.tx_guard,
    }
}

fn ask(
    world: Arc<World>,
    plan: Arc<StackPlan>,
    stack: &Stack,
    index: usize,
    drawn: Plan,
    manners: Manners,
) -> impl Future<Output = ()> + use<> {
    let (top, neighbour) = (stack.top.clone(), stack.neighbour.clone());
    let heads = stack.held.rotation.as_ref().map(Rotation::heads);
    async move {
        let mut call = traffic::make(&world, index, &drawn, manners);
        let heads = heads.filter(|_| plan.cache.as_ref().is_some_and(|cache| cache.has_heads));
        let block_time = || heads.as_ref().map_or(UNKNOWN_BLOCK_TIME, Heads::block_time);
        call.block_time = block_time();
        let neighbour = neighbour.zip(neighbour::packet(&call));
        let comes_first = drawn.twist.is_multiple_of(2);
        if let Some((neighbour, packet)) = neighbour.clone().filter(|_| comes_first) {
            neighbour::ask(&world, neighbour, packet).await;
        }
        let packet = call.packet();
        let (count, deadline, peculiar) = (packet.len(), call.deadline, call.is_peculiar());
        world.recorder.note(format_args!(
            "call {index} asks {count} until {deadline:?}, peculiar: {peculiar}"
        ));
        call.see_truths(&world);
        world.past().calls.insert(index, call);
        world.recorder.record().tally.calls += 1;
        world.recorder.record().members += count as u64;
        let patience = drawn.dropped.unwrap_or(Duration::MAX);
        let answer = timeout(patience, note::capture(top.oneshot(packet))).await;
        let Some(mut call) = world.past().calls.remove(&index) else { return };
        if let Ok((answer, notes)) = answer {
            call.see_truths(&world);
            call.block_time = call.block_time.max(block_time());
            answers::judge(&world, &plan, &call, &answer, &notes);
        } else {
            world.recorder.record().tally.dropped += 1;
        }
        if let Some((neighbour, packet)) = neighbour.filter(|_| !comes_first) {
            neighbour::ask(&world, neighbour, packet).await;
        }
    }
}

/// Nothing is held, nothing is stuck, and when all is gone nothing is left.
async fn rest(
    plan: &Arc<StackPlan>,
    world: &Arc<World>,
    stack: Stack,
    made: usize,
    manners: Manners,
    tasks: usize,
) {
    // What was answered elsewhere ends quietly, in at most ten seconds.
    sleep(Duration::from_secs(25)).await;
    invariants::at_rest(&world.recorder, &stack.held, &world.nodes).await;
    invariants::counted(&world.recorder, plan, &stack.held);
    world.past().is_over = true;
    sleep(left_alone(&stack) + world.longest_recheck()).await;
    for extra in 0..3 {
        sleep(Duration::from_secs(20)).await;
        let (at, dice) = (world.recorder.now(), extra);
        let call = Plan { at, dropped: None, dice, twist: dice, habit: None };
        let manners = Manners { keeps_deadlines: false, ..manners };
        ask(Arc::clone(world), Arc::clone(plan), &stack, made + extra as usize, call, manners)
            .await;
    }
    world.recorder.record().checks.is_open = Box::new(|_| false);
    drop(stack);
    // A task that looks at the heads now and then ends when it finds the rotation gone.
    sleep(Duration::from_secs(80)).await;
    let left = Handle::current().metrics().num_alive_tasks().saturating_sub(tasks);
    if left > 0 {
        world.recorder.violate(Invariant::I7Rest, format!("{left} task(s) go on for ever"));
    }
    let kept = Arc::strong_count(&world.recorder) - 1;
    if kept > 0 {
        let what = format!("the stack is dropped, and {kept} part(s) of it are still there");
        world.recorder.violate(Invariant::I7Rest, what);
    }
}

/// Until the last endpoint is tried again.
fn left_alone(stack: &Stack) -> Duration {
    let snapshot = stack.held.rotation.iter().flat_map(|rotation| rotation.snapshot());
    let left = snapshot.map(|endpoint| match endpoint.state {
        EndpointState::Open { left, .. } | EndpointState::Parked { left, .. } => left,
        _ => Duration::ZERO,
    });
    left.max().unwrap_or_default()
}
