//! Names by pattern.

/// Whether the name is as the pattern says, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for pattern in ["eth_getLogs", "eth_get*", "*", "*Logs", "eth*get*s", "eth_getLogs*", "**"]
        {
            assert!(matches(pattern, "eth_getLogs"), "{pattern}");
        }
        for pattern in ["", "eth_getLog", "eth_get", "*Log", "eth*Logs*Logs", "et_*", "x*"] {
            assert!(!matches(pattern, "eth_getLogs"), "{pattern}");
        }
    }
}
