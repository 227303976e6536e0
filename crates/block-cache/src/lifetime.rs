use alclad_core::Method;
use std::{sync::Arc, time::Duration};

/// How old the block is that an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Age {
    /// It is final, or was asked for by its hash, or the answer does not depend on a block.
    Final,
    /// It has blocks above it, and may still be replaced.
    Young,
    /// It is the newest one.
    Tip,
    /// It was asked for as `latest`.
    Latest,
}

impl Age {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Final, Self::Young, Self::Tip, Self::Latest];

    /// As it stands in metrics: `final`, `young`, `tip`, `latest`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Young => "young",
            Self::Tip => "tip",
            Self::Latest => "latest",
        }
    }
}

/// An answer that may be kept: what a [`Lifetime`] decides about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// What was asked.
    pub method: &'a Method,
    /// How old its block is.
    pub age: Age,
    /// How many blocks there are above its block, if that is known.
    pub depth: Option<u64>,
    /// How long the answer is, in bytes.
    pub bytes: usize,
}

/// How long an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// Until there is no room for it.
    UntilEvicted,
    /// At most this long.
    For(Duration),
    /// Not at all.
    Never,
}

/// Decides how long an answer is kept at most.
///
/// It does not decide whether it is still true: that follows from the chain, whatever the policy
/// says. Every `Fn(&Subject) -> Keep` is one.
pub trait Lifetime: Send + Sync + 'static {
    /// How long this one is kept.
    fn of(&self, subject: &Subject<'_>) -> Keep;
}

impl<F: Fn(&Subject<'_>) -> Keep + Send + Sync + 'static> Lifetime for F {
    fn of(&self, subject: &Subject<'_>) -> Keep {
        self(subject)
    }
}

impl<L: Lifetime + ?Sized> Lifetime for Arc<L> {
    fn of(&self, subject: &Subject<'_>) -> Keep {
        (**self).of(subject)
    }
}

/// The default: by how deep the block lies.
///
/// What is final or deeper than 64 blocks (two epochs of Ethereum's, after which a block is final
/// when all goes well) is kept until it is evicted, what is younger for 5 minutes, and what is at
/// the tip for 30 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByDepth {
    /// What is deeper than so many blocks is kept until it is evicted.
    pub deep: u64,
    /// How long younger answers are kept.
    pub young: Duration,
    /// How long answers at the newest block are kept.
    pub tip: Duration,
}

impl Default for ByDepth {
    fn default() -> Self {
        Self { deep: 64, young: Duration::from_secs(300), tip: Duration::from_secs(30) }
    }
}

impl Lifetime for ByDepth {
    fn of(&self, subject: &Subject<'_>) -> Keep {
        match (subject.age, subject.depth) {
            (Age::Final, _) => Keep::UntilEvicted,
            (Age::Young, Some(depth)) if depth > self.deep => Keep::UntilEvicted,
            (Age::Young, _) => Keep::For(self.young),
            (Age::Tip | Age::Latest, _) => Keep::For(self.tip),
        }
    }
}
