//! Faults planted in a device, to see that the checks find them: the drill behind `burnin run --plant`.

use std::fmt;
use std::time::Duration;

use kernels::pattern;
use report::{Bytes, DeviceInfo};
use serde::{Deserialize, Serialize};

use super::{Buffer, Device, DeviceError, Dispatch, Elapsed};

/// A fault to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// One bit of device memory changes after it was written.
    FlippedBit,
    /// One word of a digest is wrong.
    WrongWord,
    /// One lane of every 32 has a bit stuck at 1.
    StuckLane,
    /// A tile of results is the one of an earlier dispatch.
    StaleTile,
    /// A kernel takes 20 times as long for a while.
    SlowKernel,
    /// A dispatch never returns.
    Hang,
    /// The driver says that the device is lost.
    LostDevice,
    /// The worker process dies.
    CrashedWorker,
    /// The device is not there any more when it is opened.
    MissingDevice,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::FlippedBit,
        Self::WrongWord,
        Self::StuckLane,
        Self::StaleTile,
        Self::SlowKernel,
        Self::Hang,
        Self::LostDevice,
        Self::CrashedWorker,
        Self::MissingDevice,
    ];

    /// Its name on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlippedBit => "flipped-bit",
            Self::WrongWord => "wrong-word",
            Self::StuckLane => "stuck-lane",
            Self::StaleTile => "stale-tile",
            Self::SlowKernel => "slow-kernel",
            Self::Hang => "hang",
            Self::LostDevice => "lost-device",
            Self::CrashedWorker => "crashed-worker",
            Self::MissingDevice => "missing-device",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The bit that [`Fault::FlippedBit`] flips, and the word of the buffer in which it does.
pub const FLIPPED: (u32, u32) = (10_007, 1 << 21);
/// The bits that [`Fault::WrongWord`] flips in word [`FLIPPED`]`.0 % 64` of the results.
pub const WRONG_BITS: u32 = 0x0000_8100;
/// Which dispatch of its kind is hit, counted from 0: late enough that calibration and canaries are over.
const HIT: u32 = 3;
/// How much slower, and for how many dispatches.
const SLOW: (u32, u32) = (20, 4);
/// Which FP32 dispatch is the first slow one: after calibration, within the windows.
const SLOW_FROM: u32 = 8;

/// A device with a fault.
#[derive(Debug)]
pub struct Faulty<D> {
    inner: D,
    fault: Fault,
    /// Dispatches so far, by the kernel's name, canaries left out.
    seen: std::collections::HashMap<&'static str, u32>,
    /// A tile of earlier results.
    stale: Option<Vec<u32>>,
    fired: u32,
}

/// Words of a tile: one workgroup's.
const TILE: usize = kernels::WORKGROUP_SIZE as usize;

impl<D: Device> Faulty<D> {
    /// Plants the fault.
    pub fn new(inner: D, fault: Fault) -> Self {
        Self { inner, fault, seen: std::collections::HashMap::new(), stale: None, fired: 0 }
    }

    /// How often the fault was put in: a drill whose fault did not arrive proves nothing.
    pub fn fired(&self) -> u32 {
        self.fired
    }

    /// How many dispatches of this kind there were before; canaries, which carry a planted fault already, do not count.
    fn count(&mut self, dispatch: &Dispatch<'_>) -> Option<u32> {
        let name = dispatch.kernel.name;
        let planted = match name {
            "digest" | "fp32" => dispatch.params[2] != 0,
            "pattern" => dispatch.params[0] == 0 || dispatch.params[0] == 3,
            _ => false,
        };
        if planted {
            return None;
        }
        let seen = self.seen.entry(name).or_default();
        *seen += 1;
        Some(*seen - 1)
    }

    fn flip(&mut self, buffer: Buffer, errors: Buffer, word: u32, mask: u32) -> Result<(), DeviceError> {
        let work = pattern::Work {
            op: pattern::Op::Flip { word, mask },
            pattern: pattern::Pattern::uniform(0),
            base_word: 0,
            quads: 0,
        };
        let dispatch = Dispatch {
            kernel: &pattern::KERNEL,
            buffers: &[buffer, errors],
            params: work.params(),
            workgroups: work.workgroups(),
            repeat: 1,
        };
        self.fired += 1;
        self.inner.dispatch(&dispatch, DEADLINE).map(|_| ())
    }
}

impl<D: Device> Faulty<D> {
    /// The dispatch, and the same work 19 times more on buffers of its own: right answers, both clocks agree, and slow.
    fn slow_down(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        self.fired += 1;
        let right = self.inner.dispatch(dispatch, deadline)?;
        let lanes = u64::from(dispatch.workgroups) * u64::from(kernels::WORKGROUP_SIZE);
        let buffers = [self.inner.allocate(Bytes(lanes * 4))?, self.inner.allocate(Bytes((lanes + 1) * 4))?];
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

const DEADLINE: Duration = Duration::from_secs(10);

impl<D: Device> Device for Faulty<D> {
    fn info(&self) -> &DeviceInfo {
        self.inner.info()
    }

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        self.inner.allocate(bytes)
    }

    fn free(&mut self, buffer: Buffer) {
        self.inner.free(buffer);
    }

    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.inner.upload(buffer, first, words, deadline)
    }

    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.inner.read_back(buffer, first, words, deadline)
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        let Some(seen) = self.count(dispatch) else { return self.inner.dispatch(dispatch, deadline) };
        let hit = seen == HIT;
        match (self.fault, dispatch.kernel.name) {
            (Fault::FlippedBit, "pattern") if hit => {
                self.flip(dispatch.buffers[0], dispatch.buffers[1], FLIPPED.0, FLIPPED.1)?;
                self.inner.dispatch(dispatch, deadline)
            }
            (Fault::WrongWord, "digest") if hit => {
                let elapsed = self.inner.dispatch(dispatch, deadline)?;
                self.flip(dispatch.buffers[0], dispatch.buffers[1], FLIPPED.0 % 64, WRONG_BITS)?;
                Ok(elapsed)
            }
            (Fault::StuckLane, "digest") if seen >= HIT => {
                let mut stuck = *dispatch;
                let [kind, workgroup, lane, mask] = [2, 0, 13, 1 << 7];
                stuck.params[2..6].copy_from_slice(&[kind, workgroup, lane, mask]);
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
            (Fault::SlowKernel, "fp32") if (SLOW_FROM..SLOW_FROM + SLOW.1).contains(&seen) => {
                self.slow_down(dispatch, deadline)
            }
            (Fault::Hang, "fp32") if hit => loop {
                // What a driver that waits in the kernel looks like from outside: it ignores every deadline.
                std::thread::park();
            },
            (Fault::LostDevice, "fp32") if hit => Err(DeviceError::Lost { doing: "running a kernel" }),
            (Fault::CrashedWorker, "fp32") if hit => std::process::abort(),
            _ => self.inner.dispatch(dispatch, deadline),
        }
    }
}
