//! Whole stacks, put together as they were drawn.

use crate::{
    invariants::Held,
    mutants::Mutant,
    plan::{LimitPlan, RingPlan, RotationPlan, StackPlan, cost},
    record::{Place, Recorder},
    tap::Tap,
    world::{CHAIN_ID, World},
};
use alclad::{
    ChainGuardLayer, Endpoint, LeastLatency, Ordered, RateLimitLayer, RateLimiter, RetryLayer,
    Rotation, RotationBuilder, TimeoutLayer, TransportLayers, WeightedRoundRobin,
    chain_guard::TxGuardLayer,
    core::Budget,
    rate_limit::{Aimd, ErrorShare},
    retry::Backoff,
};
use alloy::transports::{BoxTransport, Transport};
use fastrand::Rng;
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower::{Layer, layer::layer_fn, limit::GlobalConcurrencyLimitLayer};

/// A stack that stands, and what it holds.
pub(crate) struct Stack {
    pub(crate) top: BoxTransport,
    pub(crate) held: Held,
}

impl StackPlan {
    /// Puts it all together over the nodes. This is where another layer joins: one of the client
    /// ring in `client_ring`, one of the endpoints' rings in [`RingPlan::put_on`].
    pub(crate) fn build(&self, world: &World, mutant: Option<Mutant>) -> Stack {
        let recorder = &world.recorder;
        let mut held = Held::default();
        let joint = match &self.rotation {
            Some(plan) => {
                let rotation = self.rotation(plan, world, mutant, &mut held);
                held.rotation = Some(rotation.clone());
                BoxTransport::new(rotation)
            }
            None => {
                let wire = BoxTransport::new(world.nodes[0].transport());
                self.rings[0].put_on(0, wire, recorder, mutant, &mut held)
            }
        };
        let joint = Mutant::below_joint(mutant, joint);
        let joint = Tap::at(Place::Joint, recorder, joint);
        let top = self.client_ring(joint, mutant, &held);
        Stack { top: Mutant::at_top(mutant, top), held }
    }

    /// What stands above the rotation, from the bottom up.
    fn client_ring(
        &self,
        mut below: BoxTransport,
        mutant: Option<Mutant>,
        held: &Held,
    ) -> BoxTransport {
        if let Some(plan) = &self.retry {
            let budget = match (plan.budget, &held.rotation) {
                _ if mutant == Some(Mutant::EndlessBudget) => Budget::unlimited(),
                (Some((share, reserve)), _) => Budget::new(share, reserve),
                (None, Some(rotation)) => rotation.budget(),
                (None, None) => Budget::default(),
            };
            let policy = Backoff::new().with_attempts(plan.attempts).with_first(plan.first);
            below = on(&RetryLayer::with_policy(policy).with_budget(budget), below);
        }
        if self.tx_guard {
            below = on(&TxGuardLayer::expect(CHAIN_ID), below);
        }
        below
    }

    fn rotation(
        &self,
        plan: &RotationPlan,
        world: &World,
        mutant: Option<Mutant>,
        held: &mut Held,
    ) -> Rotation {
        let mut builder = plan.begin(self.attempt_timeout(), world);
        for (index, ring) in self.rings.iter().enumerate() {
            let recorder = Arc::clone(&world.recorder);
            let mut of_ring = Held::default();
            // The limiters make themselves known while the rotation takes the endpoint.
            let (own, found) = (ring.clone(), Arc::new(std::sync::Mutex::new(None)));
            let kept = Arc::clone(&found);
            let layer = layer_fn(move |wire| {
                let mut held = Held::default();
                let top = own.put_on(index, BoxTransport::new(wire), &recorder, mutant, &mut held);
                kept.lock().expect("nobody panics").replace(held);
                top
            });
            let endpoint = Endpoint::new(format!("node-{index}"), world.nodes[index].transport())
                .with_tier(ring.tier)
                .with_role(ring.role)
                .with_weight(NonZeroU32::new(ring.weight).expect("not zero"))
                .layer(layer);
            builder = builder.endpoint(endpoint);
            if let Some(held) = found.lock().expect("nobody panics").take() {
                of_ring = held;
            }
            held.limiters.extend(of_ring.limiters);
            held.permits.extend(of_ring.permits);
            held.limited.extend(of_ring.limited);
        }
        builder.build()
    }
}

fn on<L>(layer: &L, below: BoxTransport) -> BoxTransport
where
    L: Layer<BoxTransport, Service: Transport + Clone>,
{
    BoxTransport::new(layer.layer(below))
}

// === impl RingPlan ===

impl RingPlan {
    /// From the bottom up: the wire, permits and timeout, limiter, guard.
    fn put_on(
        &self,
        index: usize,
        wire: BoxTransport,
        recorder: &Arc<Recorder>,
        mutant: Option<Mutant>,
        held: &mut Held,
    ) -> BoxTransport {
        let mut below = Tap::at(Place::Wire(index), recorder, wire);
        if self.permits_first {
            below = self.time(self.permit(below, held));
        } else {
            let timed = self.time(below);
            below = self.permit(timed, held);
        }
        below = Mutant::in_ring(mutant, below, held);
        if let Some(plan) = &self.limit {
            let layer = plan.layer(mutant == Some(Mutant::TwiceTheLimit));
            held.limited.push((index, layer.limiter()));
            held.limiters.push(layer.limiter());
            below = on(&layer, below);
        }
        if let Some(interval) = self.guard.filter(|_| mutant != Some(Mutant::NoGuard)) {
            below = on(&ChainGuardLayer::expect(CHAIN_ID).with_interval(interval), below);
        }
        Mutant::at_door(mutant, Tap::at(Place::Door(index), recorder, below))
    }

    fn permit(&self, below: BoxTransport, held: &mut Held) -> BoxTransport {
        let Some(count) = self.permits else { return below };
        let permits = Arc::new(Semaphore::new(count));
        held.permits.push((Arc::clone(&permits), count));
        on(&TransportLayers(GlobalConcurrencyLimitLayer::with_semaphore(permits)), below)
    }

    fn time(&self, below: BoxTransport) -> BoxTransport {
        match self.timeout {
            Some(timeout) => on(&TimeoutLayer::new(timeout), below),
            None => below,
        }
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
