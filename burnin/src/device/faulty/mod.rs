//! Faults planted in a device, to see that the checks find them: the drill behind `burnin run --plant`.

use std::time::Duration;

use report::{Bytes, DeviceKind};

use super::{Buffer, Device, DeviceError, Dispatch, Elapsed};

mod fault;

pub use fault::Fault;

/// The bit that [`Fault::FlippedBit`] flips, and the word of the buffer in which it does.
pub const FLIPPED: (u32, u32) = (10_007, 1 << 21);
/// The bits that [`Fault::WrongWord`] flips in word [`FLIPPED`]`.0 % 64` of the results.
pub const WRONG_BITS: u32 = 0x0000_8100;
/// Which chain dispatch is hit, counted from 0: late enough that the canonical one is over.
const HIT: u32 = 3;
/// Which comparison of memory is hit: the first that is not of a canary.
const HIT_MEMORY: u32 = 0;
/// How much slower, and for how many dispatches: as many as count as sustained, and fewer than half of the windows.
const SLOW: (u32, u32) = (20, 3);
/// Which FP32 dispatch is the first slow one, on a software device and on others: after calibration, the search for a
/// shape and warm-up (a second on a GPU), within the windows.
const SLOW_FROM: [u32; 2] = [24, 40];

/// A device with a fault.
#[derive(Debug)]
pub struct Faulty<D> {
    inner: D,
    fault: Fault,
    /// Dispatches so far, by the kernel's name, canaries left out.
    seen: std::collections::HashMap<&'static str, u32>,
    /// Did a check plant a fault of its own in memory just before?
    canary: bool,
    /// A tile of earlier results.
    stale: Option<Vec<u32>>,
    fired: u32,
}

/// Words of a tile: one workgroup's.
const TILE: usize = kernels::WORKGROUP_SIZE as usize;

impl<D: Device> Faulty<D> {
    /// Plants the fault.
    pub fn new(inner: D, fault: Fault) -> Self {
        Self { inner, fault, seen: std::collections::HashMap::new(), canary: false, stale: None, fired: 0 }
    }

    /// How often the fault was put in: a drill whose fault did not arrive proves nothing.
    pub fn fired(&self) -> u32 {
        self.fired
    }

    /// How many dispatches of this kind there were before; canaries, which carry a planted fault already, do not count.
    fn count(&mut self, dispatch: &Dispatch<'_>) -> Option<u32> {
        let name = check_of(dispatch.kernel);
        let planted = match name {
            "digest" | "fp32" => dispatch.params[4] != 0,
            "memory" => {
                let compares = matches!(dispatch.params[0], 1 | 2);
                self.serves_canary(dispatch.params[0]) || !compares
            }
            _ => false,
        };
        if planted {
            return None;
        }
        let seen = self.seen.entry(name).or_default();
        *seen += 1;
        Some(*seen - 1)
    }

    /// Writes, flips, and the comparison that should find a flip: hit there, the fault would be a stray of the canary.
    fn serves_canary(&mut self, op: u32) -> bool {
        // As `kernels::memory` puts them into the first parameter.
        const WRITE: u32 = 0;
        const FLIP: u32 = 5;
        let after_flip = std::mem::replace(&mut self.canary, op == FLIP);
        op == WRITE || op == FLIP || after_flip
    }

    fn is_slow(&self, seen: u32) -> bool {
        let first = SLOW_FROM[usize::from(self.info().kind != DeviceKind::Cpu)];
        (first..first + SLOW.1).contains(&seen)
    }

    /// Flips bits of one word.
    fn flip(&mut self, buffer: Buffer, word: u32, mask: u32) -> Result<(), DeviceError> {
        let mut value = [0];
        self.inner.read_back(buffer, u64::from(word), &mut value, DEADLINE)?;
        self.fired += 1;
        self.inner.upload(buffer, u64::from(word), &[value[0] ^ mask], DEADLINE)
    }

    /// The dispatch, and the same work 19 times more on buffers of its own: right answers, both clocks agree, and slow.
    fn slow_down(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        self.fired += 1;
        let right = self.inner.dispatch(dispatch, deadline)?;
        // Of a chain kernel: the first parameter is how many invocations its workgroup has.
        let lanes = u64::from(dispatch.workgroups) * u64::from(dispatch.params[0]);
        // Each as large as the largest of them.
        let mut buffers = Vec::new();
        for _ in dispatch.buffers {
            buffers.push(self.inner.allocate(Bytes((lanes + 1) * 4))?);
        }
        let extra = Dispatch { buffers: &buffers, repeat: dispatch.repeat * (SLOW.0 - 1), ..*dispatch };
        let more = self.inner.dispatch(&extra, deadline * SLOW.0);
        for buffer in buffers {
            self.inner.free(buffer);
        }
        let more = more?;
        let device = right.device.zip(more.device).map(|(right, more)| right + more);
        Ok(Elapsed { device, host: right.host + more.host })
    }
}

/// The kernel's name, whether or not it also says on which compute unit it ran; the forms of the memory kernel are one.
fn check_of(kernel: &kernels::Kernel) -> &'static str {
    if kernel.name.starts_with("memory") {
        return "memory";
    }
    let name = kernel.name.strip_suffix("-stand-in").unwrap_or(kernel.name);
    name.strip_suffix("-units").unwrap_or(name)
}

const DEADLINE: Duration = Duration::from_secs(10);

impl<D: Device> Device for Faulty<D> {
    crate::forward_to_device!(inner: info, allocate, free, upload, read_back, transfer);

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        let Some(seen) = self.count(dispatch) else { return self.inner.dispatch(dispatch, deadline) };
        let hit = seen == HIT;
        match (self.fault, check_of(dispatch.kernel)) {
            (Fault::FlippedBit, "memory") if seen == HIT_MEMORY => {
                self.flip(dispatch.buffers[1], FLIPPED.0, FLIPPED.1)?;
                self.inner.dispatch(dispatch, deadline)
            }
            (Fault::WrongWord, "digest") if hit => {
                let elapsed = self.inner.dispatch(dispatch, deadline)?;
                self.flip(dispatch.buffers[0], FLIPPED.0 % 64, WRONG_BITS)?;
                Ok(elapsed)
            }
            (Fault::StuckLane, "digest") if seen >= HIT => {
                let mut stuck = *dispatch;
                let [kind, workgroup, lane, mask] = [2, 0, 13, 1 << 7];
                stuck.params[4..8].copy_from_slice(&[kind, workgroup, lane, mask]);
                self.fired += 1;
                self.inner.dispatch(&stuck, deadline)
            }
            (Fault::StaleTile, "fp32") => {
                let mut tile = vec![0; TILE];
                let elapsed = self.inner.dispatch(dispatch, deadline)?;
                if let Some(stale) = self.stale.take().filter(|_| hit) {
                    self.fired += 1;
                    self.inner.upload(dispatch.buffers[0], 0, &stale, deadline)?;
                } else {
                    self.inner.read_back(dispatch.buffers[0], 0, &mut tile, deadline)?;
                    self.stale = Some(tile);
                }
                Ok(elapsed)
            }
            (Fault::SlowKernel, "fp32") if self.is_slow(seen) => self.slow_down(dispatch, deadline),
            (Fault::Hang, "fp32") if hit => loop {
                // What a driver that waits in the kernel looks like from outside: it ignores every deadline.
                std::thread::park();
            },
            (Fault::LostDevice, "fp32") if hit => {
                self.fired += 1;
                Err(DeviceError::Lost { doing: "running a kernel" })
            }
            (Fault::CrashedWorker, "fp32") if hit => std::process::abort(),
            _ => self.inner.dispatch(dispatch, deadline),
        }
    }
}

#[cfg(test)]
mod tests;
