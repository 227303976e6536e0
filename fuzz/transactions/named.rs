//! The chain that an envelope names, read by hand: what the guard's reading is held against.

/// What an envelope says of its chain.
#[derive(Debug, PartialEq)]
pub(super) enum Named {
    Chain(u64),
    NoChain,
    UnknownType(u8),
    Unreadable,
}

impl Named {
    pub(super) fn read(raw: &[u8]) -> Self {
        match raw {
            [1..=4, list @ ..] => Self::of_typed(list).unwrap_or(Self::Unreadable),
            [0xc0..=0xff, ..] => Self::of_legacy(raw).unwrap_or(Self::Unreadable),
            [ty @ (0 | 5..=0x7f), ..] => Self::UnknownType(*ty),
            _ => Self::Unreadable,
        }
    }

    /// The chain's id comes first; where blobs follow the transaction, in a list of its own.
    fn of_typed(list: &[u8]) -> Option<Self> {
        let (first, _) = item(item(list)?.0.content)?;
        let id = if first.is_list { item(first.content)?.0 } else { first };
        number(id).and_then(|id| u64::try_from(id).ok()).map(Self::Chain)
    }

    /// The chain's id is in `v`, the seventh.
    fn of_legacy(list: &[u8]) -> Option<Self> {
        let mut rest = item(list)?.0.content;
        for _ in 0..6 {
            rest = item(rest)?.1;
        }
        Some(match number(item(rest)?.0)? {
            v @ 35.. => Self::Chain(u64::try_from((v - 35) / 2).ok()?),
            _ => Self::NoChain,
        })
    }
}

/// An item of RLP.
#[derive(Clone, Copy)]
struct Item<'a> {
    is_list: bool,
    content: &'a [u8],
}

/// The first item, and what follows it.
fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let long = |most: u8| {
        let (length, rest) = rest.split_at_checked(usize::from(first - most))?;
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        rest.split_at_checked(length)
    };
    let (content, rest) = match first {
        ..0x80 => (&bytes[..1], rest),
        0x80..=0xb7 => rest.split_at_checked(usize::from(first - 0x80))?,
        0xb8..=0xbf => long(0xb7)?,
        0xc0..=0xf7 => rest.split_at_checked(usize::from(first - 0xc0))?,
        0xf8.. => long(0xf7)?,
    };
    Some((Item { is_list: first >= 0xc0, content }, rest))
}

fn number(item: Item<'_>) -> Option<u128> {
    let is_short = !item.is_list && item.content.len() <= 16;
    is_short.then(|| item.content.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}
