/// What an endpoint is asked to do.
///
/// If any endpoint of a rotation has [`Role::Write`], then it and its like are the only ones that
/// are sent transactions, and they are asked nothing else: so a private relay gets every
/// transaction, and no public endpoint sees one. [`Role::Read`] endpoints are never sent a
/// transaction, also when there is no other.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// It answers calls, and is sent transactions unless others are there for that alone.
    #[default]
    ReadWrite,
    /// It answers calls, and is never sent a transaction.
    Read,
    /// It is sent transactions, and asked nothing else.
    Write,
}

// === impl Role ===

impl Role {
    /// The name by which it goes in snapshots: `read-write`, `read` or `write`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_does_everything_unless_told_otherwise() {
        assert_eq!(Role::default(), Role::ReadWrite);
        let names = [Role::ReadWrite, Role::Read, Role::Write].map(Role::name);
        assert_eq!(names, ["read-write", "read", "write"]);
    }
}
