//! The device's power sensor, listened to from within a check.

use report::{DeviceInfo, Range};

use crate::telemetry::{PATIENCE, Sampler};

/// What a device draws, or why that is not known.
pub(super) struct Sensor {
    sampler: Result<Sampler, String>,
    info: DeviceInfo,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    /// Watts.
    pub(super) watts: Range,
    /// What the board may draw at most, where the source tells.
    pub(super) limit_w: Option<f64>,
    /// Who says so.
    pub(super) source: String,
}

impl Drawn {
    /// The middle as a share of the board's limit.
    pub(super) fn of_limit(&self) -> Option<f64> {
        self.limit_w.filter(|limit| *limit > 0.0).map(|limit| self.watts.median.get() / limit)
    }
}

impl Sensor {
    /// Starts to listen.
    pub(super) fn start(info: &DeviceInfo) -> Self {
        let program = std::env::current_exe().map_err(|error| format!("finding the own program: {error}"));
        let sampler = program.and_then(|program| {
            let sampler = Sampler::start(&program, std::slice::from_ref(info), PATIENCE);
            sampler.silence().map(str::to_owned).map_or(Ok(sampler), Err)
        });
        Self { sampler, info: info.clone() }
    }

    /// What is drawn from now on counts.
    pub(super) fn begin(&mut self) {
        if let Ok(sampler) = &mut self.sampler {
            sampler.begin(&self.info.id);
        }
    }

    /// What was drawn since then.
    pub(super) fn drawn(&mut self) -> Result<Drawn, String> {
        let sampler = self.sampler.as_mut().map_err(|why| why.clone())?;
        let told = sampler.take(&self.info.id)?;
        let watts = told.power_w.ok_or_else(|| format!("{} tells no power", told.source))?;
        Ok(Drawn { watts, limit_w: told.power_limit_w.map(report::Quantity::get), source: told.source })
    }
}
