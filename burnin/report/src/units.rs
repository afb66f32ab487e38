//! Work and time by compute unit, where a device tells on which unit a workgroup ran.

use serde::{Deserialize, Serialize};

/// What each compute unit did in a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnitHistogram {
    /// The units that were seen, by number.
    pub units: Vec<UnitLoad>,
}

/// What one compute unit (streaming multiprocessor) did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnitLoad {
    /// Its number, as the device counts.
    pub unit: u32,
    /// Workgroups of the last run of each dispatch that it ran.
    pub workgroups: u64,
    /// Words of them that were wrong.
    pub mismatches: u64,
    /// Median time of a workgroup of a measured window, in ticks of the device's clock.
    pub median_ticks: u64,
}
