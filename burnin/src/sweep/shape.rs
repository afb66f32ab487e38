//! Which form of the memory kernel, and how many tiles a workgroup takes.

use std::fmt;

use kernels::Kernel;
use kernels::memory::{BOUND, BOUND_WIDE, LANES, TABLE, TABLE_WIDE, Work};
use report::{Backend, DeviceInfo, DeviceKind};

use crate::device::offers;

/// A form of the memory kernel and how it is launched.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Does a workgroup take tile after tile, or one?
    pub persistent: bool,
}

const SHAPES: [Shape; 6] = [
    Shape { kernel: &TABLE, persistent: true },
    Shape { kernel: &TABLE_WIDE, persistent: true },
    Shape { kernel: &TABLE, persistent: false },
    Shape { kernel: &TABLE_WIDE, persistent: false },
    Shape { kernel: &BOUND, persistent: false },
    Shape { kernel: &BOUND_WIDE, persistent: false },
];

impl Shape {
    /// Those that the device can run.
    pub fn all(info: &DeviceInfo) -> impl Iterator<Item = Self> {
        let runs = |kernel: &Kernel| {
            let known = info.backend != Backend::Portable || kernel.wgsl.is_some();
            known && kernel.needs.iter().all(|need| offers(info, *need))
        };
        SHAPES.into_iter().filter(move |shape| runs(shape.kernel))
    }

    /// The one to start with. A processor that plays the device has no use for loops and narrow loads (figures in
    /// `bench::stream`, which tries all of them); a GPU is fed best by workgroups that stay.
    pub fn usual(info: &DeviceInfo) -> Self {
        let software = info.kind == DeviceKind::Cpu && info.backend == Backend::Vulkan;
        let mut all = Self::all(info);
        let wish = if software {
            all.find(|shape| !shape.kernel.table && shape.kernel.wgsl.is_none())
        } else {
            None
        };
        let [.., bound, _] = SHAPES;
        wish.or_else(|| Self::all(info).next()).unwrap_or(bound)
    }

    /// How many tiles a workgroup takes of so many: as many as leave workgroups enough to fill the device.
    pub fn tiles_each(&self, tiles: u32, units: Option<u32>) -> u32 {
        if !self.persistent {
            return 1;
        }
        let enough = units.unwrap_or(0).saturating_mul(16).max(Work::WORKGROUPS_LEAST);
        // Powers of two: each is compiled on its own.
        let each = (tiles / enough).max(1);
        1 << each.ilog2()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = if self.kernel.table { "by address" } else { "bound" };
        let wide = self.kernel.name == BOUND_WIDE.name || self.kernel.name == TABLE_WIDE.name;
        let bytes = if wide { 32 } else { 16 };
        let grid = if self.persistent { "persistent workgroups" } else { "a workgroup for each 64 KiB" };
        write!(f, "{reach}, {bytes} bytes a lane, {LANES} lanes, {grid}")
    }
}
