//! The words of an error, made ready to be searched for phrases.

/// As much of a message, and of its data, as is read: what tells stands at the beginning.
const READ: usize = 2048;

/// As much of a page: its headline, not its footer.
const READ_OF_PAGE: usize = 512;

/// The longest stretch of text that a star in a phrase stands for.
const GAP: usize = 100;

/// A text in lower case, and where its words begin.
///
/// A phrase is found only where a word begins: "known transaction" is not in "unknown transaction".
/// Its end is open: "revert" finds "reverted". Its spaces also find `_` and `-`. A ` * ` stands for
/// any few words, and the words around it are whole: "block * not found" is in "block 0x12 was not
/// found", but not in "blocked: page not found".
#[derive(Debug)]
pub(super) struct Words {
    text: String,
    starts: Vec<usize>,
    page: bool,
}

impl Words {
    /// The words of a message and of the data beside it, which is JSON.
    pub(super) fn of(message: &str, data: Option<&str>) -> Self {
        let page = message.trim_start().starts_with('<');
        let mut text =
            String::with_capacity(message.len().min(READ) + data.map_or(0, str::len).min(READ) + 1);
        if page {
            push(&mut text, visible(message), READ_OF_PAGE);
        } else {
            push(&mut text, message.chars(), READ);
        }
        if let Some(data) = data {
            text.push('|');
            push(&mut text, unescaped(data), READ);
        }
        let starts = starts(text.as_bytes());
        Self { text, starts, page }
    }

    /// Whether this is a page made for people, not an error made for programs.
    pub(super) const fn is_page(&self) -> bool {
        self.page
    }

    /// Whether there are no words at all.
    pub(super) fn is_empty(&self) -> bool {
        self.text.chars().all(|c| !c.is_alphanumeric())
    }

    /// Whether one of the phrases is in the text.
    pub(super) fn have_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.after(phrase).is_some())
    }

    /// What follows the first place where the phrase is in the text.
    pub(super) fn after(&self, phrase: &str) -> Option<&str> {
        let bytes = self.text.as_bytes();
        let first = phrase.bytes().next()?;
        let mut begun = self.starts.iter().filter(|&&at| bytes[at] == first);
        let end = begun.find_map(|&at| self.match_at(at, phrase))?;
        self.text.get(end..)
    }

    fn match_at(&self, at: usize, phrase: &str) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let Some((part, rest)) = phrase.split_once(" * ") else {
            return starts_with(bytes.get(at..)?, phrase).then_some(at + phrase.len());
        };
        let end = at + part.len();
        if !starts_with(bytes.get(at..)?, part) || bytes.get(end).is_some_and(|&b| in_word(b)) {
            return None;
        }
        let next = self.starts.partition_point(|&start| start < end);
        let near = self.starts[next..].iter().take_while(|&&start| start <= end + GAP);
        near.copied().find_map(|start| self.match_at(start, rest))
    }
}

/// Appends at most that many bytes: lower case, single spaces.
fn push(text: &mut String, chars: impl Iterator<Item = char>, most: usize) {
    let end = text.len() + most;
    let mut last = ' ';
    let mut chars = chars.peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            // A constant, such as RATE_LIMIT, is words; a method, such as trace_block, is one.
            '_' if last.is_ascii_uppercase()
                && chars.peek().is_some_and(char::is_ascii_uppercase) =>
            {
                ' '
            }
            '\u{2019}' => '\'',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if text.len() + c.len_utf8() > end {
            return;
        }
        if c != ' ' || last != ' ' {
            text.push(c.to_ascii_lowercase());
        }
        last = c;
    }
}

/// JSON text without the escapes that would stick to a word.
fn unescaped(json: &str) -> impl Iterator<Item = char> {
    let mut chars = json.chars();
    std::iter::from_fn(move || match chars.next()? {
        '\\' => chars.next().map(|c| if matches!(c, 'n' | 'r' | 't') { ' ' } else { c }),
        c => Some(c),
    })
}

/// What a reader of a page sees: no tags, scripts and styles.
fn visible(page: &str) -> impl Iterator<Item = char> {
    let mut rest = page;
    std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        rest = if c == '<' { after_tag(rest) } else { &rest[c.len_utf8()..] };
        Some(if c == '<' { ' ' } else { c })
    })
}

fn after_tag(page: &str) -> &str {
    let end = match page.as_bytes() {
        [b'<', b's' | b'S', b'c' | b'C', ..] => "</script>",
        [b'<', b's' | b'S', b't' | b'T', b'y' | b'Y', ..] => "</style>",
        _ => ">",
    };
    page.split_once(end).map_or("", |(_, rest)| rest)
}

/// Where words begin, and slashes stand: there are phrases such as "/sec".
fn starts(text: &[u8]) -> Vec<usize> {
    let begins = |at: usize| in_word(text[at]) && (at == 0 || !in_word(text[at - 1]));
    (0..text.len()).filter(|&at| text[at] == b'/' || begins(at)).collect()
}

const fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn starts_with(text: &[u8], phrase: &str) -> bool {
    let same = |(&t, p)| t == p || p == b' ' && matches!(t, b'_' | b'-');
    text.len() >= phrase.len() && text.iter().zip(phrase.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn finds(text: &str, phrase: &str) -> bool {
        Words::of(text, None).have_any(&[phrase])
    }

    #[test]
    fn a_phrase_begins_where_a_word_begins() {
        assert!(finds("Known transaction: 0x12", "known transaction"));
        assert!(!finds("unknown transaction type", "known transaction"));
    }

    #[test]
    fn the_end_of_a_phrase_is_open() {
        assert!(finds("execution reverted", "revert"));
    }

    #[test]
    fn spaces_find_the_signs_of_constants_and_headers() {
        assert!(finds("ERR_RATE_LIMIT", "rate limit"));
        assert!(finds("Retry-After: 3", "retry after"));
        assert!(finds("rate_limit", "rate limit"));
    }

    #[test]
    fn the_name_of_a_method_is_one_word() {
        assert!(!finds("the method trace_block not found", "block not found"));
    }

    #[test]
    fn a_star_stands_for_a_few_words() {
        assert!(finds("block 0x12 was not found", "block * not found"));
        assert!(finds("block not found", "block * not found"));
        assert!(!finds("blocked: page not found", "block * not found"));
        assert!(!finds(&format!("block {} not found", "x ".repeat(90)), "block * not found"));
    }

    #[test]
    fn a_page_is_read_as_people_see_it() {
        let page = "<html><style>.too { many: requests }</style><script>setTimeout(f, 1)</script>\
            <h1>Too <b>many</b> requests</h1>";
        let words = Words::of(page, None);
        assert!(words.is_page());
        assert!(words.have_any(&["too many requests"]));
        assert!(!words.have_any(&["settimeout"]));
    }

    #[test]
    fn data_is_read_too_and_never_joined_to_the_message() {
        let words = Words::of("rate", Some(r#""limit\nreached \"now\"""#));
        assert!(words.have_any(&["limit reached"]));
        assert!(!words.have_any(&["rate limit"]));
    }

    #[test]
    fn long_and_foreign_texts_are_cut_and_read() {
        let words = Words::of(&"é\u{2019}日本".repeat(1 << 20), None);
        assert!(words.text.len() <= 2048);
        assert!(Words::of("", None).is_empty());
    }
}
