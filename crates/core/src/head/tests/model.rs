//! Three endpoints, of which one lags, show a chain that is replaced again and again.
//!
//! Each goes on by at most one block at a time, so that no replacement goes unseen.

use super::*;
use fastrand::Rng;
use tokio::time::Instant;

/// Hashes by height.
type Chain = Vec<B256>;

struct Endpoint {
    lookout: Lookout,
    /// The chain up to the block that it showed last.
    chain: Chain,
    /// The heights from here to its head have been shown, and linked since.
    known_from: usize,
    shown_at: Option<Instant>,
}

impl Endpoint {
    fn is_fresh(&self) -> bool {
        self.shown_at.is_some_and(|at| at.elapsed() <= 10 * SECOND)
    }

    fn head(&self) -> usize {
        self.chain.len() - 1
    }

    fn knows(&self, number: usize) -> Option<B256> {
        self.shown_at?;
        (self.known_from..=self.head()).contains(&number).then(|| self.chain[number])
    }

    /// Shows the last block of this chain, and returns all hashes that are no longer on it.
    fn show(&mut self, chain: Chain) -> (Seen, Vec<Orphan>) {
        let before: Vec<_> = (0..=self.head()).filter_map(|n| Some((n, self.knows(n)?))).collect();
        let head = chain.len() - 1;
        let knows = |number: usize| before.contains(&(number, chain[number]));
        self.known_from = match knows(head) || knows(head - 1) {
            true => self.known_from.max((head + 1).saturating_sub(128)),
            false => head,
        };
        let block = SightedBlock::new(head as u64, chain[head]).with_parent(chain[head - 1]);
        let seen = self.lookout.saw(&latest(Sighting::of_block(block)));
        let is_gone = |(number, hash): &(usize, B256)| chain.get(*number) != Some(hash);
        let gone = before.into_iter().filter(is_gone).map(|(n, hash)| (n as u64, hash)).collect();
        (self.chain, self.shown_at) = (chain, Some(Instant::now()));
        (seen, gone)
    }
}

/// As it reads in the documentation.
fn served<'a>(endpoints: impl Iterator<Item = &'a Endpoint> + Clone) -> Option<usize> {
    let fresh = || endpoints.clone().filter(|endpoint| endpoint.is_fresh());
    let have = |height| fresh().filter(|endpoint| endpoint.head() >= height).count();
    fresh().map(Endpoint::head).filter(|head| have(*head) * 2 > fresh().count()).max()
}

fn hash_at(endpoints: &[Endpoint], number: usize) -> Option<B256> {
    let fresh = endpoints.iter().filter(|endpoint| endpoint.is_fresh());
    let votes: Vec<_> = fresh.filter_map(|endpoint| endpoint.knows(number)).collect();
    let count = |hash: &B256| votes.iter().filter(|vote| *vote == hash).count();
    votes.iter().copied().find(|hash| count(hash) * 2 > votes.len())
}

fn grow(chain: &mut Chain, random: &mut Rng, blocks: usize) {
    (0..blocks).for_each(|_| chain.push(B256::from(std::array::from_fn(|_| random.u8(..)))));
}

async fn run(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut truth = Chain::new();
    grow(&mut truth, &mut random, 10);
    let (heads, lookouts) = with_block_time::<3>(2 * SECOND);
    let reorgs = reorgs(&heads);
    let mut endpoints = lookouts.map(|lookout| {
        let chain = truth[..5].to_vec();
        Endpoint { lookout, chain, known_from: 4, shown_at: None }
    });
    for step in 0..400 {
        advance(Duration::from_millis(random.u64(0..1500))).await;
        match random.u8(0..20) {
            0 => {
                let depth = random.usize(1..5);
                truth.truncate(truth.len() - depth);
                grow(&mut truth, &mut random, depth + 1);
            }
            1..6 => grow(&mut truth, &mut random, 1),
            _ => {}
        }
        let index = random.usize(0..3);
        let endpoint = &mut endpoints[index];
        let behind = [0, 0, 3][index] + usize::from(random.u8(..) < 20);
        let length = (truth.len() - behind).min(endpoint.chain.len() + 1);
        let (seen, gone) = endpoint.show(truth[..length].to_vec());

        let (head, at) = (endpoint.head(), format!("seed {seed}, step {step}"));
        assert_eq!(heads.latest(), served(endpoints.iter()).map(|head| head as u64), "{at}");
        let others = endpoints.iter().enumerate().filter(|(other, _)| *other != index);
        let others = served(others.map(|(_, endpoint)| endpoint)).unwrap_or_default();
        match others.saturating_sub(head) {
            0 => assert_eq!(seen, Seen::Ordinary, "{at}"),
            lag => assert_eq!(seen, Seen::Behind(lag as u64), "{at}"),
        }
        for number in 0..truth.len() + 5 {
            assert_eq!(heads.hash_at(number as u64), hash_at(&endpoints, number), "{at}: {number}");
        }
        let told: Vec<_> = reorgs.lock().unwrap().drain(..).flat_map(|r| r.orphaned).collect();
        assert!(gone.iter().all(|orphan| told.contains(orphan)), "{at}: {gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_what_the_endpoints_showed() {
    let seed = fastrand::u64(..);
    println!("seeds from {seed}");
    for seed in (0..50).map(|more| seed.wrapping_add(more)) {
        run(seed).await;
    }
}
