//! Writing the same in many ways.

/// Draws a spelling of JSON from a tape.
pub(super) struct Pen<'a> {
    tape: &'a [u8],
    at: usize,
}

// === impl Pen ===

impl<'a> Pen<'a> {
    pub(super) const fn new(tape: &'a [u8]) -> Self {
        Self { tape, at: 0 }
    }

    /// One of so many ways; the first where the tape has only zeros.
    pub(super) fn choose(&mut self, ways: u8) -> u8 {
        let byte = self.tape[self.at % self.tape.len()];
        self.at += 1;
        byte % ways
    }

    /// Hex of which each digit counts, in either case.
    pub(super) fn data(&mut self, digits: &str) -> String {
        let (is_upper, every) = (self.choose(2) == 1, usize::from(self.choose(3)) + 1);
        let digit = |(index, digit): (usize, char)| match is_upper && index % every == 0 {
            true => digit.to_ascii_uppercase(),
            false => digit,
        };
        format!("\"0x{}\"", digits.chars().enumerate().map(digit).collect::<String>())
    }

    /// A number, before which zeros mean nothing.
    pub(super) fn quantity(&mut self, number: u64) -> String {
        let zeros = usize::from(self.choose(4));
        self.data(&format!("{}{number:x}", "0".repeat(zeros)))
    }

    /// An object with its fields in any order, and perhaps with one of these as `null`.
    pub(super) fn object(&mut self, mut fields: Vec<(String, String)>, absent: &[&str]) -> String {
        if let (1, Some(name)) = (self.choose(3), absent.first()) {
            fields.push((format!("\"{name}\""), "null".to_owned()));
        }
        if !fields.is_empty() {
            let middle = usize::from(self.choose(8)) % fields.len();
            fields.rotate_left(middle);
        }
        let colon = ["", " "][usize::from(self.choose(2))];
        let fields =
            fields.into_iter().map(|(name, value)| format!("{name}{colon}:{colon}{value}"));
        format!("{{{}}}", self.between_commas(fields.collect()))
    }

    pub(super) fn list(&mut self, items: Vec<String>) -> String {
        format!("[{}]", self.between_commas(items))
    }

    fn between_commas(&mut self, items: Vec<String>) -> String {
        if items.is_empty() {
            return String::new();
        }
        let blank = ["", " ", "\n\t"][usize::from(self.choose(3))];
        format!("{blank}{}{blank}", items.join(&format!("{blank},{blank}")))
    }
}
