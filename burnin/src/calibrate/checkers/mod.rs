//! The checkers that are calibrated: each a small file, or for a chain kernel a row.

use std::fmt::Debug;

use kernels::Kernel;
use report::{DeviceInfo, Mismatches};

use super::anatomy::Dissect;
use super::class::Class;
use crate::device::DeviceError;
use crate::session::Session;

pub mod chain;
pub mod matrix;
pub mod memory;

/// A check as calibration sees it: the smallest round of work in which it would notice a fault.
pub trait Checker: Debug + Sync {
    /// Its name, as in plans where it is a check of its own.
    fn name(&self) -> &'static str;

    /// What a device lacks that it asks for.
    fn lacks(&self, _info: &DeviceInfo) -> Option<String> {
        None
    }

    /// The kernels whose every change it must notice.
    fn kernels(&self) -> Vec<&'static Kernel>;

    /// Must it notice every fault of this class?
    fn claims(&self, class: Class) -> bool;

    /// What its dispatches are made of.
    fn dissect(&self) -> Dissect;

    /// Allocates, and learns about the device what the check would.
    ///
    /// # Panics
    /// If the device lacks what it asks for.
    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError>;
}

/// What is done with the expected answers before they are compared.
pub type Touch<'a> = &'a mut dyn FnMut(&mut [u32]);

/// A checker on a device.
pub trait Rounds {
    /// Works on data that follow from the seed, compares, and says what was wrong. `golden` is handed the expected answers
    /// where the host holds them.
    fn round(
        &mut self,
        session: &mut Session<'_>,
        golden: Touch<'_>,
        seed: u32,
    ) -> Result<Mismatches, DeviceError>;

    /// A round of the size that the check itself has.
    fn wide(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        self.round(session, &mut |_| (), seed)
    }

    /// Plants the check's own faults and says what was not found just as it was planted.
    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError>;

    /// Operations a second whose results are compared, where the unit counts operations.
    fn rate(&mut self, _session: &mut Session<'_>) -> Result<Option<f64>, DeviceError> {
        Ok(None)
    }

    /// Gives the buffers back.
    fn free(self: Box<Self>, session: &mut Session<'_>);
}

/// Every checker, in the order of the matrix.
pub fn all() -> Vec<&'static dyn Checker> {
    let chains = chain::ALL.iter().map(|chain| chain as &dyn Checker);
    let matrices = matrix::ALL.iter().map(|matrix| matrix as &dyn Checker);
    let memory = memory::ALL.iter().map(|memory| memory as &dyn Checker);
    chains.chain(matrices).chain(memory).collect()
}

/// A place that a check did not report as it should.
fn unlike(expected: u64, found: u64) -> Mismatches {
    let low = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mut all = Mismatches::default();
    let (expected, found) = (low(expected), low(found));
    let mismatch = report::Mismatch { byte_address: 0, expected, found, workgroup: 0, pass: 0 };
    crate::mismatches::add(&mut all, mismatch);
    all
}
