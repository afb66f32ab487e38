//! The faults that can be planted.

use std::fmt;

use serde::{Deserialize, Serialize};

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
