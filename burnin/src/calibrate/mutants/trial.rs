//! The worker's side: run mutants one after the other and say what became of each.

use std::time::Duration;

use kernels::Kernel;
use kernels::mix::mix32;

use super::hook::{hook_code, poisoned};
use super::mutate::{self, Mutation};
use super::spirv::Module;
use super::{Trials, Tried};
use crate::calibrate::anatomy::{Dissect, Region};
use crate::calibrate::checkers::{self, Checker, Rounds};
use crate::calibrate::document::Fate;
use crate::clock::MonotonicClock;
use crate::device::{self, Device, DeviceError, Dispatch, Elapsed};
use crate::session::{Session, TRANSFER_DEADLINE};

/// Rounds and canaries that a mutant must pass to survive.
const ROUNDS: u32 = 3;
const CANARIES: u32 = 2;
/// Rounds and canaries in which a mutant that is said to make no difference is run beside the kernel.
const ALIKE_ROUNDS: u32 = 8;

/// A device on which one kernel can be another.
struct Swap {
    inner: Box<dyn Device>,
    kernel: &'static Kernel,
    /// What runs in its place.
    mutant: Option<&'static Kernel>,
    /// Where the two are run side by side: what a dispatch is made of, and whether they ever left different bits behind.
    compared: Option<(Dissect, bool)>,
}

impl Swap {
    /// The words of all regions of a dispatch.
    fn data(&mut self, dispatch: &Dispatch<'_>, regions: &[Region]) -> Result<Vec<Vec<u32>>, DeviceError> {
        let read = |region: &Region| {
            let mut words = vec![0; region.words];
            let buffer = dispatch.buffers[region.buffer];
            self.inner.read_back(buffer, 0, &mut words, TRANSFER_DEADLINE).map(|()| words)
        };
        regions.iter().map(read).collect()
    }

    /// Runs the kernel twice and the mutant once from the same start. A word in which the kernel does not agree with itself,
    /// such as which of many records come first, says nothing.
    fn side_by_side(
        &mut self,
        dispatch: &Dispatch<'_>,
        mutant: &'static Kernel,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let Some((dissect, _)) = self.compared else { return self.inner.dispatch(dispatch, deadline) };
        // Records of many wrong words stand in any order, and canaries look at them: only what a round reads is compared.
        let mut regions = dissect(dispatch).regions;
        regions.retain(|region| region.before || region.after);
        let before = self.data(dispatch, &regions)?;
        let mut results = Vec::new();
        let mut elapsed = None;
        for kernel in [dispatch.kernel, dispatch.kernel, mutant] {
            for (region, words) in regions.iter().zip(&before) {
                self.inner.upload(dispatch.buffers[region.buffer], 0, words, TRANSFER_DEADLINE)?;
            }
            elapsed = Some(self.inner.dispatch(&Dispatch { kernel, ..*dispatch }, deadline)?);
            results.push(self.data(dispatch, &regions)?.concat());
        }
        let [once, again, mutated] = results.as_slice() else { panic!("three were run") };
        let differs = once.iter().zip(again).zip(mutated).any(|((a, b), c)| a == b && a != c);
        self.compared = Some((dissect, differs || self.compared.is_some_and(|(_, differs)| differs)));
        elapsed.ok_or(DeviceError::Lost { doing: "running a kernel" })
    }
}

impl Device for Swap {
    crate::forward_to_device!(inner: info, allocate, free, upload, read_back, transfer);

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        match self.mutant.filter(|_| dispatch.kernel.name == self.kernel.name) {
            Some(kernel) if self.compared.is_some() => self.side_by_side(dispatch, kernel, deadline),
            Some(kernel) => self.inner.dispatch(&Dispatch { kernel, ..*dispatch }, deadline),
            None => self.inner.dispatch(dispatch, deadline),
        }
    }
}

/// A kernel with other SPIR-V, for the rest of this process: a worker lives for a few hundred of them.
fn mutant(kernel: &'static Kernel, name: String, module: &Module) -> &'static Kernel {
    let (name, spirv): (&'static str, &'static [u8]) = (name.leak(), module.encode().leak());
    Box::leak(Box::new(Kernel { name, spirv, ..*kernel }))
}

/// The kernel on trial, with every checker that must notice.
struct Court {
    device: Swap,
    clock: MonotonicClock,
    planned: report::plan::PlannedCheck,
    checkers: Vec<(&'static dyn Checker, Box<dyn Rounds>)>,
}

impl Court {
    fn open(trials: &Trials, kernel: &'static Kernel) -> Result<Self, DeviceError> {
        let inner = device::open(trials.backend, &trials.device)?;
        let device = Swap { inner, kernel, mutant: None, compared: None };
        let (clock, planned) = (MonotonicClock::start(), crate::calibrate::planned());
        let mut this = Self { device, clock, planned, checkers: Vec::new() };
        for checker in checkers::all() {
            let able = checker.lacks(this.device.info()).is_none();
            if able && checker.kernels().iter().any(|mine| mine.name == kernel.name) {
                let rounds = this.with(|session| checker.prepare(session))?;
                this.checkers.push((checker, rounds));
            }
        }
        Ok(this)
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Session<'_>) -> T) -> T {
        let Self { device, clock, planned, .. } = self;
        act(&mut Session { device, clock, planned, host_available: None, progress: &mut |_| () })
    }

    /// Who notices something, and is it by a canary alone?
    fn noticed(&mut self, canaries: bool) -> Result<Option<(&'static str, bool)>, DeviceError> {
        let mut checkers = std::mem::take(&mut self.checkers);
        let noticed = self.with(|session| {
            for seed in 0..ROUNDS {
                for (checker, rounds) in &mut checkers {
                    if rounds.round(session, &mut |_| (), 0x5eed + seed)?.count > 0 {
                        return Ok(Some((checker.name(), false)));
                    }
                }
            }
            if canaries {
                for (checker, rounds) in &mut checkers {
                    if rounds.wide(session, 0x51de)?.count > 0 {
                        return Ok(Some((checker.name(), false)));
                    }
                }
            }
            for seed in 0..if canaries { CANARIES } else { 0 } {
                for (checker, rounds) in &mut checkers {
                    if rounds.canary(session, 0xca0 + seed)?.count > 0 {
                        return Ok(Some((checker.name(), true)));
                    }
                }
            }
            Ok(None)
        });
        self.checkers = checkers;
        noticed
    }

    /// What becomes of a mutant.
    fn judge(&mut self, mutant: &'static Kernel) -> Fate {
        self.device.mutant = Some(mutant);
        let noticed = self.noticed(true);
        self.device.mutant = None;
        match noticed {
            Ok(Some((checker, by_canary))) => Fate::Caught { checker: checker.to_owned(), by_canary },
            Ok(None) => Fate::Survived,
            Err(DeviceError::TimedOut { .. }) => Fate::Hung,
            Err(DeviceError::Lost { doing }) => Fate::Crashed(format!("device lost while {doing}")),
            Err(refused) => Fate::Refused(refused.to_string()),
        }
    }

    /// Does a mutant leave the same bits behind as the kernel, in all that is read, in every dispatch of many rounds and canaries?
    /// Then there is nothing that a checker could notice.
    fn alike(&mut self, mutant: &'static Kernel) -> Result<bool, DeviceError> {
        let mut checkers = std::mem::take(&mut self.checkers);
        self.device.mutant = Some(mutant);
        let mut alike = true;
        for (checker, rounds) in &mut checkers {
            self.device.compared = Some((checker.dissect(), false));
            self.with(|session| {
                for seed in 0..ALIKE_ROUNDS {
                    rounds.round(session, &mut |_| (), mix32(seed))?;
                    rounds.canary(session, mix32(!seed))?;
                }
                (0..2).try_for_each(|seed| rounds.wide(session, mix32(seed)).map(|_| ()))
            })?;
            alike &= self.device.compared.take().is_some_and(|(_, differs)| !differs);
        }
        self.device.mutant = None;
        self.checkers = checkers;
        Ok(alike)
    }

    /// Is the rule about hook code true of this kernel on this device? Poisoned, its real rounds must be right and its
    /// canaries wrong.
    fn rule_holds(&mut self, kernel: &'static Kernel, module: &Module) -> bool {
        let poisoned = mutant(kernel, format!("{}~poisoned", kernel.name), &poisoned(module));
        self.judge(poisoned) == Fate::Caught { checker: kernel.name.to_owned(), by_canary: true }
    }
}

/// Tries mutants until there are no more, or until the device is not sound any more.
pub fn run<E>(
    trials: &Trials,
    say: &mut dyn FnMut(Tried) -> Result<(), E>,
) -> Result<Result<(), DeviceError>, E> {
    let kernel = kernels::ALL.iter().find(|kernel| kernel.name == trials.kernel);
    let Some((kernel, module)) = kernel.and_then(|kernel| Some((kernel, Module::parse(kernel.spirv)?)))
    else {
        return Ok(Ok(()));
    };
    let mut court = match Court::open(trials, kernel) {
        Ok(court) => court,
        Err(error) => return Ok(Err(error)),
    };
    let hook = hook_code(&module);
    // Right as it is, or every mutant would be caught.
    let sound = matches!(court.noticed(true), Ok(None));
    let excuse = !hook.is_empty() && court.rule_holds(kernel, &module);
    let all = (0u32..).zip(mutate::all(&module));
    for (number, Mutation { at, module, .. }) in
        all.skip(trials.from as usize).step_by(trials.step.max(1) as usize)
    {
        say(Tried::Trying(number))?;
        let mutant = mutant(kernel, format!("{}~{number}", kernel.name), &module);
        let mut fate = if sound { court.judge(mutant) } else { Fate::Survived };
        if fate == Fate::Survived && excuse && hook.contains(&at) {
            fate = Fate::Equivalent("in code that only a planted fault runs".to_owned());
        }
        if fate == Fate::Survived && sound && matches!(court.alike(mutant), Ok(true)) {
            let same = "every dispatch of many rounds and canaries leaves the same bits in all that is read";
            fate = Fate::Equivalent(same.to_owned());
        }
        say(Tried::Fate(number, fate))?;
        // A mutant may have written where it should not: the device must still be right.
        if !matches!(court.noticed(false), Ok(None)) {
            break;
        }
    }
    Ok(Ok(()))
}
