//! A device that counts how long it worked: the rest of a check's time is the host's.

use std::time::Duration;

use report::Bytes;

use super::{Buffer, Device, DeviceError, Dispatch, Elapsed, Transfer};
use crate::clock::Clock;

/// Counts the time of a device. A dispatch counts from submission to completion, so that compiling a kernel does not; a
/// transfer and a new buffer, which the device fills with zeros, count as long as the call.
pub struct Metered<'a> {
    inner: &'a mut dyn Device,
    clock: &'a dyn Clock,
    worked: Duration,
}

impl std::fmt::Debug for Metered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered")
            .field("device", &self.inner.info().id)
            .field("worked", &self.worked)
            .finish()
    }
}

impl<'a> Metered<'a> {
    /// Counts from zero.
    pub fn new(inner: &'a mut dyn Device, clock: &'a dyn Clock) -> Self {
        Self { inner, clock, worked: Duration::ZERO }
    }

    /// How long the device worked so far.
    pub fn worked(&self) -> Duration {
        self.worked
    }

    fn counted<T>(&mut self, work: impl FnOnce(&mut dyn Device) -> T) -> T {
        let start = self.clock.now();
        let done = work(self.inner);
        self.worked += self.clock.now().saturating_sub(start);
        done
    }
}

impl Device for Metered<'_> {
    crate::forward_to_device!(inner: info, free);

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        self.counted(|device| device.allocate(bytes))
    }

    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.counted(|device| device.upload(buffer, first, words, deadline))
    }

    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.counted(|device| device.read_back(buffer, first, words, deadline))
    }

    fn transfer(
        &mut self,
        buffer: Buffer,
        transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let elapsed = self.inner.transfer(buffer, transfer, repeat, deadline)?;
        self.worked += elapsed.host;
        Ok(elapsed)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        let elapsed = self.inner.dispatch(dispatch, deadline)?;
        self.worked += elapsed.host;
        Ok(elapsed)
    }

    fn dispatch_together(
        &mut self,
        dispatches: &[Dispatch<'_>],
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let elapsed = self.inner.dispatch_together(dispatches, deadline)?;
        self.worked += elapsed.host;
        Ok(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kernels::{SelfFault, digest};

    use super::*;
    use crate::device::cpu::Cpu;

    /// Every look at it is a second later.
    struct Ticking(Cell<u64>);

    impl Clock for Ticking {
        fn now(&self) -> Duration {
            self.0.set(self.0.get() + 1);
            Duration::from_secs(self.0.get())
        }
    }

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn transfers_count_as_long_as_the_call_and_dispatches_from_submission_to_completion() {
        let (mut cpu, clock) = (Cpu::new(), Ticking(Cell::new(0)));
        let mut device = Metered::new(&mut cpu, &clock);
        let buffers = [(); 2].map(|()| device.allocate(Bytes::mib(1)).unwrap());
        device.upload(buffers[0], 0, &[1], DEADLINE).unwrap();
        device.read_back(buffers[0], 0, &mut [0], DEADLINE).unwrap();
        assert_eq!(device.worked(), Duration::from_secs(4));
        let work = digest::Work { seed: 1, steps: 64, workgroups: 4 };
        let dispatch = Dispatch {
            kernel: &digest::KERNEL,
            buffers: &buffers,
            params: work.params(SelfFault::None),
            workgroups: 4,
            repeat: 1,
        };
        let elapsed = device.dispatch(&dispatch, DEADLINE).unwrap();
        assert_eq!(device.worked(), Duration::from_secs(4) + elapsed.host);
    }
}
