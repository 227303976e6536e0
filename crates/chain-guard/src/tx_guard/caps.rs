use alclad_core::error::RefusedTransaction;

/// What a transaction may be, besides being for the right chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caps {
    pub(super) unprotected: bool,
    pub(super) unknown_types: bool,
    pub(super) fee_per_gas: Option<u128>,
    pub(super) total_fee: Option<u128>,
    pub(super) gas: Option<u64>,
}

/// What a transaction says of itself, as far as it says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) chain_id: Option<u64>,
    pub(super) gas: Option<u64>,
    /// What it pays for one gas at most, in wei.
    pub(super) fee_per_gas: Option<u128>,
    /// What it pays for its blobs at most, in wei.
    pub(super) blob_fee: u128,
}

impl Caps {
    /// Whether a signed transaction may be sent to this chain.
    pub(super) fn check(&self, terms: &Terms, expected: u64) -> Result<(), RefusedTransaction> {
        if terms.chain_id.is_none() && !self.unprotected {
            return Err(RefusedTransaction::Unprotected);
        }
        self.check_unsigned(terms, expected)
    }

    /// The same for one that the node signs: it names the chain if its sender does not.
    pub(super) fn check_unsigned(
        &self,
        terms: &Terms,
        expected: u64,
    ) -> Result<(), RefusedTransaction> {
        if let Some(actual) = terms.chain_id.filter(|actual| *actual != expected) {
            return Err(RefusedTransaction::OtherChain { expected, actual });
        }
        if let Some((gas, most)) = terms.gas.zip(self.gas).filter(|(gas, most)| gas > most) {
            return Err(RefusedTransaction::GasTooHigh { gas, most });
        }
        let (gas, fee) = (terms.gas.unwrap_or_default(), terms.fee_per_gas.unwrap_or_default());
        let total_fee = fee.saturating_mul(gas.into()).saturating_add(terms.blob_fee);
        for (wei, most, total) in
            [(fee, self.fee_per_gas, false), (total_fee, self.total_fee, true)]
        {
            if let Some(most) = most.filter(|most| wei > *most) {
                return Err(RefusedTransaction::FeeTooHigh { wei, most, total });
            }
        }
        Ok(())
    }
}
