//! Questions, what they mean, and how they may be spelt.

use super::spelling::Pen;
use arbitrary::Arbitrary;
use std::collections::BTreeMap;

/// Blocks up to here are final.
pub(super) const FINAL: u16 = 900;

#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Question {
    Balance(Repeated, Block),
    Storage(Repeated, u16, Block),
    Call(Call, Block, BTreeMap<Repeated, Data>),
    Trace(Call, Block, Text),
    Proof(Repeated, Vec<Data>, Block),
    Fees(u8, Block, Vec<u8>),
    Logs(Filter),
    ByHashAndIndex(Repeated, u16),
    Receipt(Repeated),
    Sha3(Vec<Text>),
}

/// An address or a hash, by the byte that it repeats.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repeated(u8);

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Block {
    Number(u16),
    Hash(Repeated),
    Earliest,
    Latest,
}

/// Up to four digits, of which also the zeros count.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Data(u16, u8);

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Call {
    from: Option<Repeated>,
    to: Option<Repeated>,
    gas: Option<u16>,
    value: Option<u16>,
    input: Option<Data>,
    data: Option<Data>,
}

#[derive(Arbitrary, Clone, Debug)]
pub(super) struct Filter {
    blocks: Blocks,
    address: Option<Vec<Repeated>>,
    topics: Vec<Option<Repeated>>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Blocks {
    Range(u16, u16),
    Hash(Repeated),
}

/// Anything, in a string.
#[derive(Arbitrary, Clone, Debug)]
pub(super) struct Text(String);

// === impl Question ===

impl Question {
    pub(super) const fn method(&self) -> &'static str {
        match self {
            Self::Balance(..) => "eth_getBalance",
            Self::Storage(..) => "eth_getStorageAt",
            Self::Call(..) => "eth_call",
            Self::Trace(..) => "debug_traceCall",
            Self::Proof(..) => "eth_getProof",
            Self::Fees(..) => "eth_feeHistory",
            Self::Logs(..) => "eth_getLogs",
            Self::ByHashAndIndex(..) => "eth_getTransactionByBlockHashAndIndex",
            Self::Receipt(..) => "eth_getTransactionReceipt",
            Self::Sha3(..) => "web3_sha3",
        }
    }

    /// Whether an answer to it is kept.
    pub(super) fn can_be_kept(&self) -> bool {
        match self {
            Self::Balance(_, block)
            | Self::Storage(_, _, block)
            | Self::Call(_, block, _)
            | Self::Trace(_, block, _)
            | Self::Proof(_, _, block)
            | Self::Fees(_, block, _) => block.is_final(),
            Self::Logs(Filter { blocks: Blocks::Range(from, to), .. }) => {
                from <= to && *to <= FINAL
            }
            _ => true,
        }
    }

    /// The same for two that ask the same.
    pub(super) fn meaning(&self) -> String {
        let rest = match self {
            Self::Balance(address, block) => format!("{address:?} {block:?}"),
            Self::Storage(address, slot, block) => format!("{address:?} {slot} {block:?}"),
            Self::Call(call, block, overrides) => {
                let overrides = overrides.iter().map(|(a, code)| (a, code.digits()));
                format!("{} {block:?} {:?}", call.meaning(), Vec::from_iter(overrides))
            }
            Self::Trace(call, block, tracer) => {
                format!("{} {block:?} {}", call.meaning(), tracer.meaning())
            }
            Self::Proof(address, slots, block) => {
                let slots = Vec::from_iter(slots.iter().map(Data::digits));
                format!("{address:?} {slots:?} {block:?}")
            }
            Self::Fees(count, block, percentiles) => format!("{count} {block:?} {percentiles:?}"),
            Self::Logs(filter) => format!("{filter:?}"),
            Self::ByHashAndIndex(hash, index) => format!("{hash:?} {index}"),
            Self::Receipt(hash) => format!("{hash:?}"),
            Self::Sha3(texts) => format!("{:?}", Vec::from_iter(texts.iter().map(Text::meaning))),
        };
        format!("{} {rest}", self.method())
    }

    /// An answer that is about it.
    pub(super) fn answer(&self) -> String {
        match self {
            Self::Logs(Filter { blocks: Blocks::Range(_, to), .. }) => {
                format!(r#"[{{"blockNumber":"{to:#x}"}}]"#)
            }
            Self::Logs(Filter { blocks: Blocks::Hash(hash), .. }) => {
                format!(r#"[{{"blockHash":"0x{}"}}]"#, hash.digits(32))
            }
            Self::ByHashAndIndex(hash, _) => format!(r#"{{"blockHash":"0x{}"}}"#, hash.digits(32)),
            Self::Receipt(hash) => {
                let (block, own) = (Repeated(7).digits(32), hash.digits(32));
                format!(
                    r#"{{"blockNumber":"0x7","blockHash":"0x{block}","transactionHash":"0x{own}"}}"#
                )
            }
            _ => r#""0x7""#.to_owned(),
        }
    }

    /// Its params, spelt in one of many ways.
    pub(super) fn params(&self, pen: &mut Pen<'_>) -> String {
        let mut params = match self {
            Self::Balance(address, block) => vec![address.spelt(pen, 20), block.spelt(pen)],
            Self::Storage(address, slot, block) => {
                vec![address.spelt(pen, 20), pen.quantity((*slot).into()), block.spelt(pen)]
            }
            Self::Call(call, block, overrides) => {
                let mut params = vec![call.spelt(pen), block.spelt(pen)];
                if !overrides.is_empty() || pen.choose(2) == 1 {
                    params.push(overridden(overrides, pen));
                }
                params
            }
            Self::Trace(call, block, tracer) => {
                let options = vec![("\"tracer\"".to_owned(), tracer.json())];
                let options = pen.object(options, &["tracerConfig"]);
                vec![call.spelt(pen), block.spelt(pen), options]
            }
            Self::Proof(address, slots, block) => {
                let slots = Vec::from_iter(slots.iter().map(|slot| slot.spelt(pen)));
                vec![address.spelt(pen, 20), pen.list(slots), block.spelt(pen)]
            }
            Self::Fees(count, block, percentiles) => {
                let percentiles = percentiles.iter().map(u8::to_string).collect();
                vec![pen.quantity((*count).into()), block.spelt(pen), pen.list(percentiles)]
            }
            Self::Logs(filter) => vec![filter.spelt(pen)],
            Self::ByHashAndIndex(hash, index) => {
                vec![hash.spelt(pen, 32), pen.quantity((*index).into())]
            }
            Self::Receipt(hash) => vec![hash.spelt(pen, 32)],
            Self::Sha3(texts) => texts.iter().map(Text::json).collect(),
        };
        let omitted = usize::from(pen.choose(3));
        params.extend(vec!["null".to_owned(); omitted]);
        pen.list(params)
    }
}

impl Repeated {
    fn digits(self, bytes: usize) -> String {
        format!("{:02x}", self.0).repeat(bytes)
    }

    fn spelt(self, pen: &mut Pen<'_>, bytes: usize) -> String {
        pen.data(&self.digits(bytes))
    }
}

impl Block {
    const fn is_final(self) -> bool {
        match self {
            Self::Number(number) => number <= FINAL,
            Self::Hash(_) | Self::Earliest => true,
            Self::Latest => false,
        }
    }

    fn spelt(self, pen: &mut Pen<'_>) -> String {
        let field = |name: &str, value| (format!("\"{name}\""), value);
        match self {
            Self::Number(number) => match pen.choose(3) {
                0 => pen.quantity(number.into()),
                1 => number.to_string(),
                _ => {
                    let number = pen.quantity(number.into());
                    pen.object(vec![field("blockNumber", number)], &["blockHash"])
                }
            },
            Self::Hash(hash) => {
                let hash = hash.spelt(pen, 32);
                match pen.choose(3) {
                    0 => hash,
                    1 => pen.object(vec![field("blockHash", hash)], &["blockNumber"]),
                    _ => {
                        let canonical = field("requireCanonical", "false".to_owned());
                        pen.object(vec![field("blockHash", hash), canonical], &["blockNumber"])
                    }
                }
            }
            Self::Earliest => "\"earliest\"".to_owned(),
            Self::Latest => ["\"latest\"", "null"][usize::from(pen.choose(2))].to_owned(),
        }
    }
}

impl Data {
    fn digits(&self) -> String {
        let mut digits = format!("{:04x}", self.0);
        digits.truncate(usize::from(self.1 % 5));
        digits
    }

    fn spelt(self, pen: &mut Pen<'_>) -> String {
        pen.data(&self.digits())
    }
}

impl Call {
    /// What a call's input is called, if it stands there once, does not matter.
    const fn inputs(&self) -> (Option<Data>, Option<Data>) {
        match (self.input, self.data) {
            (None, data) => (data, None),
            both => both,
        }
    }

    fn meaning(&self) -> String {
        let Self { from, to, gas, value, .. } = self;
        let (input, data) = self.inputs();
        let digits = |data: Option<Data>| data.map(|data| data.digits());
        format!("{from:?} {to:?} {gas:?} {value:?} {:?} {:?}", digits(input), digits(data))
    }

    fn spelt(&self, pen: &mut Pen<'_>) -> String {
        let (input, data) = self.inputs();
        let is_old = data.is_none() && pen.choose(2) == 1;
        let fields = [
            ("from", self.from.map(|from| from.spelt(pen, 20))),
            ("to", self.to.map(|to| to.spelt(pen, 20))),
            ("gas", self.gas.map(|gas| pen.quantity(gas.into()))),
            ("value", self.value.map(|value| pen.quantity(value.into()))),
            (if is_old { "data" } else { "input" }, input.map(|input| input.spelt(pen))),
            ("data", data.map(|data| data.spelt(pen))),
        ];
        let is_there =
            |(name, value): (&str, Option<String>)| Some((format!("\"{name}\""), value?));
        pen.object(fields.into_iter().filter_map(is_there).collect(), &["nonce", "accessList"])
    }
}

impl Filter {
    fn spelt(&self, pen: &mut Pen<'_>) -> String {
        let mut fields = match self.blocks {
            Blocks::Range(from, to) => {
                vec![("fromBlock", pen.quantity(from.into())), ("toBlock", pen.quantity(to.into()))]
            }
            Blocks::Hash(hash) => vec![("blockHash", hash.spelt(pen, 32))],
        };
        if let Some(addresses) = &self.address {
            let addresses = Vec::from_iter(addresses.iter().map(|one| one.spelt(pen, 20)));
            fields.push(("address", pen.list(addresses)));
        }
        let topic = |topic: &Option<Repeated>| match topic {
            Some(topic) => topic.spelt(pen, 32),
            None => "null".to_owned(),
        };
        let topics = Vec::from_iter(self.topics.iter().map(topic));
        fields.push(("topics", pen.list(topics)));
        let fields = fields.into_iter().map(|(name, value)| (format!("\"{name}\""), value));
        let absent: &[_] = if self.address.is_none() { &["address"] } else { &[] };
        pen.object(fields.collect(), absent)
    }
}

fn overridden(overrides: &BTreeMap<Repeated, Data>, pen: &mut Pen<'_>) -> String {
    let of = |(address, code): (&Repeated, &Data)| {
        let code = vec![("\"code\"".to_owned(), code.spelt(pen))];
        (address.spelt(pen, 20), pen.object(code, &["balance"]))
    };
    let overrides = overrides.iter().map(of).collect();
    pen.object(overrides, &[])
}

impl Text {
    fn json(&self) -> String {
        serde_json::Value::from(self.0.as_str()).to_string()
    }

    /// Where it is hex, its case does not count.
    fn meaning(&self) -> String {
        let is_hex = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match self.0.strip_prefix("0x").is_some_and(is_hex) {
            true => self.0.to_ascii_lowercase(),
            false => self.0.clone(),
        }
    }
}
