//! What stands in the card's place in a build without CUDA: the same doors, closed. No `Card` can come to be.

use std::marker::PhantomData;

use candle_core::{CudaStorage, DType, Error, Result};

use super::flash::{FlashCall, FlashRoom, Way};
use super::{Argument, Grid, Matrix, Module, Product};

/// Nothing is in this build.
pub(crate) const HAS_FLASH_ATTENTION: bool = false;

/// None exists.
#[derive(Debug)]
pub(crate) enum Card {}

/// As little.
pub(crate) struct Memory<'a> {
    pub address: u64,
    of: PhantomData<&'a CudaStorage>,
}

/// As little.
pub(crate) struct Addresses<'a>(Memory<'a>);

impl Addresses<'_> {
    pub fn of(&self, _: usize) -> u64 {
        self.0.address
    }
}

impl Card {
    pub fn of(_: &CudaStorage) -> Result<Self> {
        Err(Error::NotCompiledWithCudaSupport)
    }

    pub fn memory<'a>(&'a self, _: &'a CudaStorage, _: usize) -> Result<Memory<'a>> {
        match *self {}
    }

    pub fn addresses<'a>(&'a self, _: &[(&'a CudaStorage, usize)]) -> Result<Addresses<'a>> {
        match *self {}
    }

    pub fn flash_attention(&self, _: Way, _: &FlashCall) -> Result<()> {
        match *self {}
    }

    pub fn flash_room(&self, _: Way, _: &FlashCall) -> Result<FlashRoom> {
        match *self {}
    }

    pub fn room(&self, _: DType, _: usize) -> Result<CudaStorage> {
        match *self {}
    }

    pub fn zero(&self, _: u64, _: usize) -> Result<()> {
        match *self {}
    }

    pub fn launch(&self, _: Module, _: &str, _: Grid, _: &[Argument]) -> Result<()> {
        match *self {}
    }
}

pub(crate) fn product(card: &Card, _: Matrix<'_>, _: Product<'_>) -> Result<()> {
    match *card {}
}
