//! Whole stacks, put together as they were drawn.

use crate::{
    faults::OTHER_CHAIN,
    invariants::Held,
    mutants::Mutant,
    plan::{CachePlan, ChainSource, GuardPlan, LimitPlan, RingPlan, RotationPlan, StackPlan, cost},
    record::{Place, Recorder},
    tap::{Settling, Tap},
    world::{CHAIN_ID, World},
};
use alclad::{
    BlockCacheLayer, ChainGuardLayer, Endpoint, LeastLatency, MetricsLayer, Ordered,
    RateLimitLayer, RateLimiter, Report, RetryLayer, Rotation, RotationBuilder, TimeoutLayer,
    TransportLayers, WeightedRoundRobin,
    block_cache::{Age, BlockCache, Keep, Subject},
    chain_guard::TxGuardLayer,
    core::{Budget, ChainBaseline},
    rate_limit::{Aimd, ErrorShare},
    retry::Backoff,
};
use alclad_testkit::SimNode;
use alloy::transports::{BoxTransport, Transport};
use fastrand::Rng;
use std::{cell::RefCell, mem, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower::{Layer, layer::layer_fn, limit::GlobalConcurrencyLimitLayer};

/// A stack that stands, and what it holds.
pub(crate) struct Stack {
    pub(crate) top: BoxTransport,
    pub(crate) held: Held,
    /// A pipeline for the other chain, which keeps its answers in the same store.
    pub(crate) neighbour: Option<BoxTransport>,
}

/// What the layers of a stack share.
struct Shared<'a> {
    recorder: &'a Arc<Recorder>,
    mutant: Option<Mutant>,
    baseline: ChainBaseline,
    report: Option<Report>,
}

impl StackPlan {
    /// Puts it all together over the nodes. This is where another layer joins: one of the client
    /// ring in `client_ring`, one of the endpoints' rings in [`RingPlan::put_on`].
    pub(crate) fn build(&self, world: &World, mutant: Option<Mutant>) -> Stack {
        let shared = Shared {
            recorder: &world.recorder,
            mutant,
            baseline: match self.learns {
                true => ChainBaseline::new(),
                false => ChainBaseline::expecting(CHAIN_ID),
            },
            report: self.metrics.then(Report::new),
        };
        let mut held = Held { report: shared.report.clone(), ..Held::default() };
        let joint = match &self.rotation {
            Some(plan) => {
                let rotation = self.rotation(plan, world, &shared, &mut held);
                held.rotation = Some(rotation.clone());
                BoxTransport::new(rotation)
            }
            None => {
                let wire = BoxTransport::new(world.nodes[0].transport());
                self.rings[0].put_on(0, wire, &shared, &mut held)
            }
        };
        let joint = Mutant::below_joint(mutant, joint);
        let joint = Tap::at(Place::Joint, &world.recorder, joint);
        let top = self.client_ring(joint, &shared, &mut held);
        let neighbour = held.store.clone().filter(|_| self.shares_store());
        let neighbour = neighbour.map(|store| beside(world, store, mutant));
        Stack { top: Mutant::at_top(mutant, top), held, neighbour }
    }

    fn shares_store(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.is_shared)
    }

    /// What stands above the rotation, from the bottom up.
    fn client_ring(
        &self,
        joint: BoxTransport,
        shared: &Shared<'_>,
        held: &mut Held,
    ) -> BoxTransport {
        let mut below = self.retry(joint, shared, held);
        let tx_guard = |below| match self.tx_guard {
            true => on(&TxGuardLayer::learn(shared.baseline.clone()), below),
            false => below,
        };
        below = match &self.cache {
            Some(plan) if plan.above_tx_guard => plan.put_on(tx_guard(below), shared, held),
            Some(plan) => tx_guard(plan.put_on(below, shared, held)),
            None => tx_guard(below),
        };
        match &shared.report {
            Some(report) => on(&MetricsLayer::new().with_report(report), below),
            None => below,
        }
    }

    fn retry(&self, below: BoxTransport, shared: &Shared<'_>, held: &Held) -> BoxTransport {
        let Some(plan) = &self.retry else { return below };
        let budget = match (plan.budget, &held.rotation) {
            _ if shared.mutant == Some(Mutant::EndlessBudget) => Budget::unlimited(),
            (Some((share, reserve)), _) => Budget::new(share, reserve),
            (None, Some(rotation)) => rotation.budget(),
            (None, None) => Budget::default(),
        };
        let policy = Backoff::new()
            .with_attempts(plan.attempts)
            .with_first(plan.first)
            .with_cap(plan.cap)
            .with_max_hint(plan.max_hint)
            .with_block_waits(plan.block_waits);
        on(&RetryLayer::with_policy(policy).with_budget(budget), below)
    }

    fn rotation(
        &self,
        plan: &RotationPlan,
        world: &World,
        shared: &Shared<'_>,
        held: &mut Held,
    ) -> Rotation {
        let mut builder = plan.begin(self.attempt_timeout(), world);
        let of_rings = RefCell::new(mem::take(held));
        for (index, ring) in self.rings.iter().enumerate() {
            // The limiters make themselves known while the rotation takes the endpoint.
            let layer = layer_fn(|wire| {
                ring.put_on(index, BoxTransport::new(wire), shared, &mut of_rings.borrow_mut())
            });
            let endpoint = Endpoint::new(name(index), world.nodes[index].transport())
                .with_tier(ring.tier)
                .with_role(ring.role)
                .with_weight(NonZeroU32::new(ring.weight).expect("not zero"))
                .layer(layer);
            builder = builder.endpoint(endpoint);
        }
        *held = of_rings.into_inner();
        builder.build()
    }
}

/// An endpoint's label.
pub(crate) fn name(endpoint: usize) -> String {
    format!("node-{endpoint}")
}

/// It asks its own node, which nothing ails.
fn beside(world: &World, store: BlockCache, mutant: Option<Mutant>) -> BoxTransport {
    let chain_id = match mutant {
        Some(Mutant::KeyWithoutChain) => CHAIN_ID,
        _ => OTHER_CHAIN,
    };
    let layer = BlockCacheLayer::new().with_store(store).with_chain_id(chain_id);
    on(&layer, BoxTransport::new(SimNode::new(&world.twin).transport()))
}

fn on<L>(layer: &L, below: BoxTransport) -> BoxTransport
where
    L: Layer<BoxTransport, Service: Transport + Clone>,
{
    BoxTransport::new(layer.layer(below))
}

// === impl RingPlan ===

impl RingPlan {
    /// From the bottom up: the wire, permits and timeout, metrics, limiter, guard.
    fn put_on(
        &self,
        index: usize,
        wire: BoxTransport,
        shared: &Shared<'_>,
        held: &mut Held,
    ) -> BoxTransport {
        let Shared { recorder, mutant, baseline, report } = shared;
        let mut below = Tap::at(Place::Wire(index), recorder, wire);
        if self.permits_first {
            below = self.time(self.permit(below, held));
        } else {
            let timed = self.time(below);
            below = self.permit(timed, held);
        }
        below = Mutant::in_ring(*mutant, below, held);
        if let Some(report) = report {
            let layer = MetricsLayer::for_endpoint(name(index)).with_report(report);
            below = on(&layer, below);
            if *mutant == Some(Mutant::CountsTwice) {
                below = on(&layer, below);
            }
        }
        if let Some(plan) = &self.limit {
            let layer = plan.layer(*mutant == Some(Mutant::TwiceTheLimit));
            held.limiters.push((index, layer.limiter()));
            below = Mutant::on_limiter(*mutant, on(&layer, below));
        }
        if let Some(plan) = self.guard.as_ref().filter(|_| *mutant != Some(Mutant::NoGuard)) {
            below = on(&plan.layer(baseline), below);
        }
        Mutant::at_door(*mutant, Tap::at(Place::Door(index), recorder, below))
    }

    fn permit(&self, below: BoxTransport, held: &mut Held) -> BoxTransport {
        let Some(count) = self.permits else { return below };
        let permits = Arc::new(Semaphore::new(count));
        held.permits.push((Arc::clone(&permits), count));
        on(&TransportLayers(GlobalConcurrencyLimitLayer::with_semaphore(permits)), below)
    }

    fn time(&self, below: BoxTransport) -> BoxTransport {
        match self.timeout {
            Some(timeout) => {
                let layer = TimeoutLayer::new(timeout);
                let own = self.log_timeout.unwrap_or(timeout);
                on(&layer.with_method("eth_getLogs", own), below)
            }
            None => below,
        }
    }
}

// === impl GuardPlan ===

impl GuardPlan {
    fn layer(&self, baseline: &ChainBaseline) -> ChainGuardLayer {
        let layer = ChainGuardLayer::learn(baseline.clone())
            .with_interval(self.interval)
            .with_recheck(self.recheck.0, self.recheck.1);
        match self.answers_itself {
            true => layer,
            false => layer.without_local_answers(),
        }
    }
}

// === impl CachePlan ===

impl CachePlan {
    fn put_on(&self, below: BoxTransport, shared: &Shared<'_>, held: &mut Held) -> BoxTransport {
        let mut layer = BlockCacheLayer::new()
            .with_max_bytes(self.max_bytes)
            .with_final_depth(self.final_depth);
        layer = match self.source {
            ChainSource::Told => layer.with_chain_id(CHAIN_ID),
            ChainSource::Guards => layer.with_baseline(shared.baseline.clone()),
            ChainSource::Itself => layer,
        };
        layer = match self.lifetime {
            0 => layer.with_lifetime(|_: &Subject<'_>| Keep::UntilEvicted),
            1 => layer.with_lifetime(|of: &Subject<'_>| match of.age {
                Age::Tip => Keep::Never,
                _ => Keep::For(Duration::from_millis(700)),
            }),
            _ => layer,
        };
        if let Some(max_age) = self.pinned {
            layer = layer.with_pinned_latest(max_age);
        }
        if let Some(rotation) = held.rotation.as_ref().filter(|_| self.has_heads) {
            layer = layer.with_heads(rotation.heads());
        }
        let store = layer.store();
        held.store = Some(store.clone());
        on(&Settling::layer(store), on(&layer, below))
    }
}

// === impl LimitPlan ===

impl LimitPlan {
    fn layer(&self, twice: bool) -> RateLimitLayer {
        let number = |number: u32| NonZeroU32::new(number).expect("not zero");
        let factor = if twice { 2 } else { 1 };
        let (rate, burst) = (number(self.rate * factor), number(self.burst * factor));
        let mut layer = match self.by_method {
            true => RateLimitLayer::compute_units(
                rate,
                |request: &alloy::rpc::json_rpc::SerializedRequest| cost(request.method()),
            ),
            false => RateLimitLayer::per_second(rate),
        };
        layer = layer.with_burst(burst);
        if let Some(window) = self.window {
            layer = layer.with_window(window);
        }
        if let Some(max_wait) = self.max_wait {
            layer = layer.with_max_wait(max_wait);
        }
        match self.policy {
            0 => layer.with_policy(Aimd::new()),
            1 => layer.with_policy(ErrorShare::new()),
            _ => layer,
        }
    }
}

// === impl RotationPlan ===

impl RotationPlan {
    fn begin(&self, attempt_timeout: Duration, world: &World) -> RotationBuilder {
        let (share, reserve) = self.budget;
        let mut builder = Rotation::builder()
            .with_sends(self.sends)
            .with_attempt_timeout(attempt_timeout)
            .with_budget(Budget::new(share, reserve));
        builder = match self.strategy {
            0 => builder.with_strategy(LeastLatency::new()),
            1 => builder.with_strategy(WeightedRoundRobin::new()),
            _ => builder.with_strategy(Ordered::new()),
        };
        if !self.hedged {
            builder = builder.without_hedging();
        }
        if self.polled {
            builder = builder.with_head_polling();
        }
        if self.knows_block_time {
            builder = builder.with_block_time(world.block_time);
        }
        builder
    }
}

/// Sets an endpoint's limit while it is at work.
pub(crate) fn move_limit(recorder: &Recorder, limited: &[(usize, RateLimiter)], dice: &mut Rng) {
    let Some((index, limiter)) = limited.get(dice.usize(..limited.len().max(1))) else { return };
    let rate = dice.u32(2..60);
    limiter.set_rate(NonZeroU32::new(rate).expect("not zero"));
    let now = recorder.now();
    if let Some(limit) = recorder.record().checks.limits[*index].as_mut() {
        limit.set_rate(now, rate);
    }
    recorder.note(format_args!("world: endpoint {index} is limited to {rate} per second"));
}
