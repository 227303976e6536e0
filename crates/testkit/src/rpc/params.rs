//! Positional parameters.

use crate::ErrorObject;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The parameters of a request, each still as it was sent.
#[derive(Debug)]
pub(crate) struct Params<'a>(Vec<&'a RawValue>);

impl<'a> Params<'a> {
    /// No parameters are the same as an empty list.
    pub(crate) fn parse(params: Option<&'a RawValue>) -> Result<Self, ErrorObject> {
        let list = params.map(RawValue::get).filter(|params| *params != "null").unwrap_or("[]");
        serde_json::from_str(list)
            .map(Self)
            .map_err(|_| ErrorObject::invalid_params("non-array args"))
    }

    pub(crate) fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, ErrorObject> {
        self.optional(index)?.ok_or_else(|| {
            ErrorObject::invalid_params(format_args!("missing value for required argument {index}"))
        })
    }

    /// `None` if the list is too short or has a null there.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<Option<T>, ErrorObject> {
        let Some(value) = self.0.get(index) else { return Ok(None) };
        serde_json::from_str(value.get()).map_err(|error| {
            ErrorObject::invalid_params(format_args!("invalid argument {index}: {error}"))
        })
    }
}
