//! Every check of a device, by its name in plans: the one list that workers, benches and calibration go by.

use kernels::Feature;
use report::judge::ReasonCode;
use report::{CheckResult, Outcome};

use crate::chains::{Recipe, Tile};
use crate::device::{DeviceError, offers};
use crate::session::Session;
use crate::{bench, stress};

/// A check of a device.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name in plans.
    pub name: &'static str,
    /// What it asks of a device; where that is not offered, the check is skipped and says so.
    pub needs: &'static [Feature],
    /// Runs it and gives its evidence.
    pub run: fn(&mut Session<'_>) -> Result<CheckResult, DeviceError>,
}

/// Every check that is about a device.
pub const ALL: &[Check] = &[
    Check { name: "digest", needs: kernels::digest::KERNEL.needs, run: stress::digest::run },
    Check { name: "fp32", needs: kernels::fp32::KERNEL.needs, run: bench::fp32::run },
    Check { name: "fp16", needs: kernels::fp16::KERNEL.needs, run: bench::fp16::run },
    Check { name: "fp64", needs: kernels::fp64::KERNEL.needs, run: bench::fp64::run },
    Check { name: "int32", needs: kernels::int32::KERNEL.needs, run: bench::int32::run },
    Check { name: "int64", needs: kernels::int64::KERNEL.needs, run: bench::int64::run },
    Check { name: "dot", needs: kernels::dot::KERNEL.needs, run: bench::dot::run },
    Check {
        name: "transcendental",
        needs: kernels::transcendental::KERNEL.needs,
        run: bench::transcendental::run,
    },
    Check { name: "matrix", needs: &[Feature::Matrix], run: bench::matrix::run },
    Check { name: "matrix-product", needs: &[Feature::Matrix], run: bench::matrix::product::run },
    Check { name: "memory-own-address", needs: &[], run: stress::memory::own_address },
    Check { name: "memory-moving-inversions", needs: &[], run: stress::memory::moving_inversions },
    Check { name: "memory-walking-bits", needs: &[], run: stress::memory::walking_bits },
    Check { name: "memory-modulo-20", needs: &[], run: stress::memory::modulo_20 },
    Check { name: "memory-march", needs: &[], run: stress::memory::march },
    Check { name: "memory-random", needs: &[], run: stress::memory::random },
    Check { name: "memory-retention", needs: &[], run: stress::memory::retention },
    Check { name: "memory-neighbour", needs: &[], run: stress::memory::neighbour },
    Check { name: "stream", needs: &[], run: bench::stream::run },
    Check { name: "latency", needs: kernels::digest::KERNEL.needs, run: bench::latency::run },
    Check { name: "latency-memory", needs: kernels::chase::KERNEL.needs, run: bench::latency_memory::run },
    Check { name: "cache", needs: kernels::reread::MEMORY.needs, run: bench::cache::run },
    Check { name: "transfer", needs: &[], run: bench::transfer::run },
    Check { name: "power", needs: kernels::fp32::KERNEL.needs, run: stress::power::run },
];

/// The checks of chain kernels, whose tiles can be run again one by one.
pub const CHAINS: [(&str, &Recipe); 8] = [
    ("digest", &stress::digest::RECIPE),
    ("fp32", &bench::fp32::RECIPE),
    ("fp16", &bench::fp16::RECIPE),
    ("fp64", &bench::fp64::RECIPE),
    ("int32", &bench::int32::RECIPE),
    ("int64", &bench::int64::RECIPE),
    ("dot", &bench::dot::RECIPE),
    ("transcendental", &bench::transcendental::RECIPE),
];

/// The recipe of a tile's check, if the tile can be run; else what is wrong with it, for people.
pub fn recipe(tile: &Tile) -> Result<&'static Recipe, String> {
    let Some((_, recipe)) = CHAINS.into_iter().find(|(name, _)| *name == tile.check) else {
        let known = CHAINS.map(|(name, _)| format!("`{name}`")).join(", ");
        return Err(format!("check `{}` has no tiles to run again: those that do are {known}", tile.check));
    };
    tile.refusal(recipe).map_or(Ok(recipe), Err)
}

/// The check of that name.
pub fn find(name: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.name == name)
}

impl Check {
    /// Runs the check where the device offers what it needs; else the result is `skip`, with what is missing.
    pub fn run_on(&self, session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
        let missing: Vec<_> =
            self.needs.iter().filter(|need| !offers(session.device.info(), **need)).collect();
        if missing.is_empty() {
            return (self.run)(session);
        }
        let detail = format!("the device does not offer {missing:?}, so this unit was not tried");
        let reason = Some(ReasonCode::Unsupported.because(detail));
        Ok(CheckResult { outcome: Outcome::Skip, reason, ..session.result() })
    }
}
