//! A decoder's weights in another type.

use asclepius_ops::Parameter;
use candle_core::DType;

use crate::checkpoint::cast;
use crate::{Decoder, ModelError, Result};

impl Decoder {
    /// Turns every weight into a constant of type `dtype`; a quantised one stays so, and is decoded to `dtype` from here on.
    ///
    /// # Errors
    /// When adapters are attached, a weight does not fit f16, or there is no memory.
    pub fn convert(&mut self, dtype: DType) -> Result<()> {
        if self.lora().is_some() {
            return Err(ModelError::AlreadyAdapted);
        }
        if self.dtype() == dtype {
            return Ok(());
        }
        for parameter in self.parameters_mut() {
            *parameter = match parameter.nf4().is_some() {
                true => parameter.converted(dtype)?,
                false => Parameter::frozen(parameter.name(), &cast(parameter.name(), parameter.value(), dtype)?),
            };
        }
        Ok(())
    }
}
