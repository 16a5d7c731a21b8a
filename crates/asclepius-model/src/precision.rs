//! A decoder's weights in another type.

use asclepius_ops::Parameter;
use candle_core::DType;

use crate::{Decoder, ModelError, Result};

impl Decoder {
    /// Turns every weight into a constant of type `dtype`.
    ///
    /// # Errors
    /// When adapters are attached, or there is no memory.
    pub fn convert(&mut self, dtype: DType) -> Result<()> {
        if self.lora().is_some() {
            return Err(ModelError::AlreadyAdapted);
        }
        if self.dtype() == dtype {
            return Ok(());
        }
        for parameter in self.parameters_mut() {
            *parameter = Parameter::frozen(parameter.name(), &parameter.value().to_dtype(dtype)?);
        }
        Ok(())
    }
}
