//! Faults planted in a device, to see that the checks find them: the drill behind `burnin run --plant`.

use std::fmt;
use std::time::Duration;

use kernels::pattern;
use report::{Bytes, DeviceKind};
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
/// Which chain dispatch is hit, counted from 0: late enough that the canonical one is over.
const HIT: u32 = 3;
/// Which comparison of memory is hit: the first that is not of a canary.
const HIT_MEMORY: u32 = 0;
/// How much slower, and for how many dispatches.
const SLOW: (u32, u32) = (20, 4);
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
            "pattern" => self.serves_canary(dispatch.params[0], [0, 3]),
            "memory" => {
                let compares = matches!(dispatch.params[0], 1 | 2);
                self.serves_canary(dispatch.params[0], [0, 5]) || !compares
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
    fn serves_canary(&mut self, op: u32, [write, flip]: [u32; 2]) -> bool {
        let after_flip = std::mem::replace(&mut self.canary, op == flip);
        op == write || op == flip || after_flip
    }

    fn is_slow(&self, seen: u32) -> bool {
        let first = SLOW_FROM[usize::from(self.info().kind != DeviceKind::Cpu)];
        (first..first + SLOW.1).contains(&seen)
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
            (Fault::FlippedBit, "pattern") if seen == HIT_MEMORY => {
                self.flip(dispatch.buffers[0], dispatch.buffers[1], FLIPPED.0, FLIPPED.1)?;
                self.inner.dispatch(dispatch, deadline)
            }
            (Fault::FlippedBit, "memory") if seen == HIT_MEMORY => {
                let (word, mask) = (u64::from(FLIPPED.0), FLIPPED.1);
                let mut value = [0];
                self.inner.read_back(dispatch.buffers[1], word, &mut value, deadline)?;
                self.fired += 1;
                self.inner.upload(dispatch.buffers[1], word, &[value[0] ^ mask], deadline)?;
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
mod tests {
    use kernels::{SelfFault, digest, fp32};

    use super::*;
    use crate::device::cpu::Cpu;

    fn faulty(fault: Fault) -> (Faulty<Cpu>, [Buffer; 2]) {
        let mut device = Faulty::new(Cpu::new(), fault);
        let buffers = [(); 2].map(|()| device.allocate(Bytes::mib(1)).unwrap());
        (device, buffers)
    }

    fn digest_work(seed: u32, fault: SelfFault) -> (&'static kernels::Kernel, kernels::Params) {
        (&digest::KERNEL, digest::Work { seed, steps: 16, workgroups: 4 }.params(fault))
    }

    fn fp32_work(seed: u32, fault: SelfFault) -> (&'static kernels::Kernel, kernels::Params) {
        (&fp32::KERNEL, fp32::Work { seed, steps: 16, workgroups: 4 }.params(fault))
    }

    /// The lanes that a dispatch of four workgroups gives.
    fn lanes(
        device: &mut dyn Device,
        buffers: [Buffer; 2],
        (kernel, params): (&'static kernels::Kernel, kernels::Params),
    ) -> Result<Vec<u32>, DeviceError> {
        let dispatch = Dispatch { kernel, buffers: &buffers, params, workgroups: 4, repeat: 1 };
        device.dispatch(&dispatch, DEADLINE)?;
        let mut words = vec![0; 4 * TILE];
        device.read_back(buffers[0], 0, &mut words, DEADLINE)?;
        Ok(words)
    }

    /// What a device without a fault gives.
    fn right(work: (&'static kernels::Kernel, kernels::Params)) -> Vec<u32> {
        let mut cpu = Cpu::new();
        let buffers = [(); 2].map(|()| cpu.allocate(Bytes::mib(1)).unwrap());
        lanes(&mut cpu, buffers, work).unwrap()
    }

    /// Lanes that are wrong after so many dispatches, with their wrong bits.
    fn wrong(
        device: &mut dyn Device,
        buffers: [Buffer; 2],
        work: (&'static kernels::Kernel, kernels::Params),
    ) -> Vec<(usize, u32)> {
        let (found, right) = (lanes(device, buffers, work).unwrap(), right(work));
        let pairs = found.iter().zip(&right).map(|(found, right)| found ^ right);
        pairs.enumerate().filter(|(_, bits)| *bits != 0).collect()
    }

    #[test]
    fn a_wrong_word_is_wrong_once_and_at_its_place() {
        let (mut device, buffers) = faulty(Fault::WrongWord);
        for seed in 0..6 {
            let expected = if seed == HIT { vec![(23, WRONG_BITS)] } else { vec![] };
            assert_eq!(wrong(&mut device, buffers, digest_work(seed, SelfFault::None)), expected, "{seed}");
        }
        assert_eq!(device.fired(), 1);
    }

    #[test]
    fn a_stuck_lane_stays_stuck() {
        let (mut device, buffers) = faulty(Fault::StuckLane);
        for seed in 0..6 {
            let wrong = wrong(&mut device, buffers, digest_work(seed, SelfFault::None));
            assert_eq!(wrong.is_empty(), seed < HIT, "{seed}");
            assert!(wrong.iter().all(|(lane, _)| lane % 32 == 13), "{wrong:?}");
        }
        assert_eq!(device.fired(), 3);
    }

    #[test]
    fn a_stale_tile_is_that_of_the_dispatch_before() {
        let (mut device, buffers) = faulty(Fault::StaleTile);
        for seed in 0..6 {
            let found = lanes(&mut device, buffers, fp32_work(seed, SelfFault::None)).unwrap();
            let source = if seed == HIT { seed - 1 } else { seed };
            assert_eq!(found[..TILE], right(fp32_work(source, SelfFault::None))[..TILE], "{seed}");
            assert_eq!(found[TILE..], right(fp32_work(seed, SelfFault::None))[TILE..], "{seed}");
        }
        assert_eq!(device.fired(), 1);
    }

    #[test]
    fn a_slow_kernel_gives_right_answers_and_takes_its_time() {
        let (mut device, buffers) = faulty(Fault::SlowKernel);
        for seed in 0..SLOW_FROM[0] + SLOW.1 + 2 {
            assert_eq!(wrong(&mut device, buffers, fp32_work(seed, SelfFault::None)), []);
        }
        assert_eq!(device.fired(), SLOW.1);
    }

    #[test]
    fn a_lost_device_is_lost_in_the_middle() {
        let (mut device, buffers) = faulty(Fault::LostDevice);
        for seed in 0..HIT {
            assert_eq!(wrong(&mut device, buffers, fp32_work(seed, SelfFault::None)), []);
        }
        let lost = lanes(&mut device, buffers, fp32_work(HIT, SelfFault::None));
        assert!(matches!(lost, Err(DeviceError::Lost { .. })));
        assert_eq!(device.fired(), 1);
    }

    #[test]
    fn a_canary_of_a_chain_does_not_count_as_a_dispatch() {
        let (mut device, buffers) = faulty(Fault::WrongWord);
        for seed in 0..9 {
            let planted = SelfFault::Flip { workgroup: 0, lane: 0, mask: 1 };
            assert_eq!(wrong(&mut device, buffers, digest_work(seed, planted)), []);
        }
        assert_eq!(device.fired(), 0);
    }

    #[test]
    fn a_bit_flips_in_the_first_comparison_that_is_not_of_a_canary() {
        const QUADS: u32 = 4096;
        let (mut device, buffers) = faulty(Fault::FlippedBit);
        let pattern = pattern::Pattern::own_address(5);
        let mut act = |op, fired: u32| {
            let work = pattern::Work { op, pattern, base_word: 0, quads: QUADS };
            device.upload(buffers[1], 0, &[0; pattern::ERROR_WORDS], DEADLINE).unwrap();
            let (params, workgroups) = (work.params(), work.workgroups());
            let dispatch =
                Dispatch { kernel: &pattern::KERNEL, buffers: &buffers, params, workgroups, repeat: 1 };
            device.dispatch(&dispatch, DEADLINE).unwrap();
            let mut words = [0; pattern::ERROR_WORDS];
            device.read_back(buffers[1], 0, &mut words, DEADLINE).unwrap();
            assert_eq!(device.fired(), fired, "{op:?}");
            let errors = pattern::Errors::from_words(&words);
            errors.records.first().map(|record| (record.word, record.expected ^ record.found))
        };
        let canary = pattern::Op::Flip { word: 3, mask: 1 };
        assert_eq!(act(pattern::Op::Write, 0), None);
        for _ in 0..2 {
            act(canary, 0);
            assert_eq!(act(pattern::Op::Verify, 0), Some((3, 1)));
            act(canary, 0);
        }
        assert_eq!(act(pattern::Op::Write, 0), None);
        assert_eq!(act(pattern::Op::Verify, 1), Some(FLIPPED));
        // It stays as it is until it is written again.
        assert_eq!(act(pattern::Op::Verify, 1), Some(FLIPPED));
        assert_eq!(act(pattern::Op::Write, 1), None);
        assert_eq!(act(pattern::Op::Verify, 1), None);
    }

    #[test]
    fn a_bit_flips_once_whatever_form_of_sweep_compares_first() {
        use kernels::memory::{BOUND, ERROR_WORDS, Errors, Op, Order, Span, TABLE, Values, Work};
        let (mut device, buffers) = faulty(Fault::FlippedBit);
        let mut sweep = |kernel, op| {
            let span = Span { first: 0, tiles: 2, base: 0, chunk_tiles: 2, region_tiles: 1 };
            let work = Work { op, values: Values::random(1), order: Order::Forward, tiles_each: 1, span };
            device.upload(buffers[0], 0, &[0; ERROR_WORDS], DEADLINE).unwrap();
            let (params, workgroups) = (work.params(), work.workgroups());
            let dispatch = Dispatch { kernel, buffers: &buffers, params, workgroups, repeat: 1 };
            device.dispatch(&dispatch, DEADLINE).unwrap();
            let mut words = [0; ERROR_WORDS];
            device.read_back(buffers[0], 0, &mut words, DEADLINE).unwrap();
            let found = Errors::from_words(&words);
            (
                found.records.first().map(|record| (record.word, record.expected ^ record.found)),
                device.fired(),
            )
        };
        assert_eq!(sweep(&BOUND, Op::Write), (None, 0));
        // A canary of the check itself, and the look for it.
        assert_eq!(sweep(&BOUND, Op::Flip { word: 3, mask: 1 }), (None, 0));
        assert_eq!(sweep(&BOUND, Op::Verify), (Some((3, 1)), 0));
        assert_eq!(sweep(&BOUND, Op::Write), (None, 0));
        assert_eq!(sweep(&TABLE, Op::Verify), (Some(FLIPPED), 1));
        assert_eq!(sweep(&BOUND, Op::Write), (None, 1));
        assert_eq!(sweep(&BOUND, Op::VerifyInvert), (None, 1));
    }
}
