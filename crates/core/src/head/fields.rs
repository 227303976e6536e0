//! A few fields of a large object, read without reading the rest.

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// The values of these top-level fields of the object that the text begins with, as JSON.
///
/// Reading ends with the last of them: nodes write a block's transactions after its header.
pub(super) fn fields<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> [Option<&'a str>; N] {
    let mut reader = Reader { names, values: [None; N] };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // An error is how it ends early; what was read until then is what counts.
    let _ = deserializer.deserialize_map(&mut reader);
    reader.values
}

struct Reader<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a str>; N],
}

impl<'a, const N: usize> Visitor<'a> for &mut Reader<'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Name(&self.names))? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.values[index] = Some(map.next_value::<&RawValue>()?.get());
            if self.values.iter().all(Option::is_some) {
                return Err(A::Error::custom("all is read"));
            }
        }
        Ok(())
    }
}

/// Which of these names a key is.
struct Name<'n>(&'n [&'static str]);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}
