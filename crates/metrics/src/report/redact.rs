//! What may be shown of an error's text.

use std::{collections::HashSet, sync::LazyLock};

/// The text is read this far.
const READ: usize = 512;
/// It is shown this far.
const SHOWN: usize = 160;
/// What stands for all that is not known.
const HIDDEN: &str = "..";

/// An error's text, of which only the words are left that errors of nodes and vendors are made of.
///
/// A vendor's text may repeat a key, an address or a transaction, and what is secret has no form by
/// which it could be found: so it is the harmless that is known, and everything else becomes `..`.
///
/// ```
/// # use alclad_metrics::report::redact;
/// assert_eq!(redact("invalid api key: a1B2c3 (https://x.example)"), "invalid api key ..");
/// assert_eq!(redact("header not found"), "header not found");
/// ```
pub fn redact(text: &str) -> String {
    let end = text.char_indices().nth(READ).map_or(text.len(), |(end, _)| end);
    let mut shown = String::new();
    // A word that the bound cuts in two may be harmless only by that.
    let whole = if end < text.len() { text[..end].rfind(' ').unwrap_or(0) } else { end };
    for word in text[..whole].split(|c: char| !is_part_of_a_word(c)).filter(|word| !word.is_empty())
    {
        let word = word.to_ascii_lowercase();
        let word = if is_harmless(&word) { &word } else { HIDDEN };
        if shown.len() + word.len() >= SHOWN {
            break;
        }
        if word == HIDDEN && shown.ends_with(HIDDEN) {
            continue;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown
}

/// All that a key may be made of is one word, so that no part of it is taken for a harmless one.
fn is_part_of_a_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, ':' | ';' | ',' | '(' | ')' | '"' | '\'' | '!')
}

fn is_harmless(word: &str) -> bool {
    let word = word.trim_end_matches(['.', '?']);
    WORDS.contains(word)
}

static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_words() {
        assert!(WORDS.len() > 300);
        assert!(WORDS.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }

    #[test]
    fn what_nobody_knows_is_hidden_whatever_it_looks_like() {
        for secret in ["hunter2", "0xdeadbeef", "supersecret", "k-e-y", "12345", "limit_key", "é"]
        {
            let text = redact(&format!("invalid key {secret}, rate/{secret} {secret}exceeded"));
            assert_eq!(text, "invalid key ..", "{secret}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_two_words() {
        let text = format!("{} limitsecret", "limit ".repeat(200));
        assert!(redact(&text).len() <= SHOWN);
        let text = format!("{}limitsecret", " ".repeat(READ - 5));
        assert_eq!(redact(&text), "");
    }
}
