//! NVIDIA: the management library, opened at run time.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::{Device, Nvml};
use report::telemetry::Reading;
use report::{Bdf, Quantity};

/// The name under which drivers install it; the one without a number comes with development packages only.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The library, or why it is not there.
#[derive(Debug)]
pub struct Library(Result<Nvml, String>);

impl Library {
    /// Opens it.
    pub fn open() -> Self {
        let opened = Nvml::builder().lib_path(LIBRARY.as_ref()).init();
        Self(opened.map_err(|error| format!("opening {LIBRARY}: {error}")))
    }

    /// The board at an address.
    pub fn board(&self, address: Bdf) -> Result<Board<'_>, String> {
        let nvml = self.0.as_ref().map_err(Clone::clone)?;
        let device = nvml.device_by_pci_bus_id(address.to_string());
        device.map(Board).map_err(|error| format!("NVML does not know {address}: {error}"))
    }
}

/// One board.
#[derive(Debug)]
pub struct Board<'a>(Device<'a>);

impl Board<'_> {
    /// What it tells now.
    pub fn read(&self) -> Reading {
        let mhz = |clock| self.0.clock_info(clock).ok().and_then(|mhz| Quantity::new(f64::from(mhz)).ok());
        let milliwatts = self.0.power_usage().ok();
        let celsius = self.0.temperature(TemperatureSensor::Gpu).ok();
        Reading {
            at_s: None,
            power_w: milliwatts.and_then(|mw| Quantity::new(f64::from(mw) / 1e3).ok()),
            power_limit_w: self
                .0
                .enforced_power_limit()
                .ok()
                .and_then(|mw| Quantity::new(f64::from(mw) / 1e3).ok()),
            clock_mhz: mhz(Clock::SM),
            memory_clock_mhz: mhz(Clock::Memory),
            temperature_c: celsius.and_then(|celsius| Quantity::new(f64::from(celsius)).ok()),
            throttle: self.0.current_throttle_reasons().ok().map(names),
        }
    }
}

/// The reasons, by the names of `nvidia-smi`. A set: each is looked at by itself, whatever else is there. Being idle is no
/// reason to hold back.
fn names(reasons: ThrottleReasons) -> Vec<String> {
    const NAMES: [(ThrottleReasons, &str); 8] = [
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "applications-clocks-setting"),
        (ThrottleReasons::SW_POWER_CAP, "sw-power-cap"),
        (ThrottleReasons::HW_SLOWDOWN, "hw-slowdown"),
        (ThrottleReasons::SYNC_BOOST, "sync-boost"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw-thermal-slowdown"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw-thermal-slowdown"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw-power-brake-slowdown"),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display-clock-setting"),
    ];
    let named = NAMES.iter().filter(|(reason, _)| reasons.contains(*reason));
    named.map(|(_, name)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_a_set_and_idling_is_none() {
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::SW_THERMAL_SLOWDOWN;
        assert_eq!(names(both), ["sw-power-cap", "sw-thermal-slowdown"]);
        assert_eq!(names(ThrottleReasons::GPU_IDLE | ThrottleReasons::SYNC_BOOST), ["sync-boost"]);
        assert_eq!(names(ThrottleReasons::empty()), Vec::<String>::new());
    }

    #[test]
    fn a_machine_without_the_library_says_so() {
        let library = Library(Err(format!("opening {LIBRARY}: not there")));
        let why = library.board("0000:3b:00.0".parse().unwrap()).unwrap_err();
        assert!(why.contains(LIBRARY), "{why}");
    }
}
