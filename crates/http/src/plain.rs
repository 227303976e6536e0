/// Escapes inside escapes are undone this often: a proxy may quote an answer that quotes a URL.
const DEPTH: usize = 3;

/// A text as it reads when its escapes are undone and its letters are small, and where in the
/// text each of these bytes stands.
///
/// An endpoint that repeats a key may do so in JSON, HTML or a URL, each of which writes `/`, `+`
/// and `=` in its own way.
pub(crate) struct Plain {
    pub(crate) bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Plain {
    pub(crate) fn of(text: &str) -> Self {
        let mut plain = Self { bytes: text.into(), places: (0..=text.len()).collect() };
        for _ in 0..DEPTH {
            let before = plain.bytes.len();
            plain = plain.unescaped();
            if plain.bytes.len() == before {
                break;
            }
        }
        for byte in &mut plain.bytes {
            // A query writes a space as a plus.
            *byte = if *byte == b' ' { b'+' } else { byte.to_ascii_lowercase() };
        }
        plain
    }

    fn unescaped(&self) -> Self {
        let mut plain = Self { bytes: Vec::new(), places: Vec::new() };
        let mut at = 0;
        while let Some(first) = self.bytes.get(at) {
            let (byte, width) = escape(&self.bytes[at..]).unwrap_or((*first, 1));
            plain.bytes.push(byte);
            plain.places.push(self.places[at]);
            at += width;
        }
        plain.places.push(self.places[at]);
        plain
    }

    /// Where in the text this byte stands.
    pub(crate) fn place(&self, index: usize) -> usize {
        self.places[index]
    }
}

/// The byte that an escape at the beginning stands for, and how long the escape is.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', high, low, ..] => Some((number(*high, *low, 16)?, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((number(*high, *low, 16)?, 6)),
        [b'\\', quoted @ (b'/' | b'"' | b'\\'), ..] => Some((*quoted, 2)),
        [b'&', b'#', b'x' | b'X', high, low, b';', ..] => Some((number(*high, *low, 16)?, 6)),
        [b'&', b'#', high, low, b';', ..] => Some((number(*high, *low, 10)?, 5)),
        [b'&', b'a', b'm', b'p', b';', ..] => Some((b'&', 5)),
        _ => None,
    }
}

fn number(high: u8, low: u8, radix: u32) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(radix);
    u8::try_from(digit(high)? * radix + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undoes_the_escapes_of_urls_json_and_html() {
        let plain = b"a/b=c+d".to_vec();
        for text in [
            "A/b=c+d",
            "a%2Fb%3dc%20d",
            r"a\/b\u003dc d",
            r"a\\\/b%253Dc d",
            "a&#x2F;b&#x3D;c d",
            "a&#47;b&#61;c d",
        ] {
            assert_eq!(Plain::of(text).bytes, plain, "{text}");
        }
    }

    #[test]
    fn knows_where_a_byte_stands() {
        let plain = Plain::of("%2Fb");
        assert_eq!([0, 1, 2].map(|index| plain.place(index)), [0, 3, 4]);
    }
}
