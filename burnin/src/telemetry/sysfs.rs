//! AMD and Intel: the attributes of their kernel drivers (`Documentation/gpu/amdgpu/thermal.rst`,
//! `Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon`, `-xe-hwmon`).

use std::time::Duration;

use discover::Root;
use report::telemetry::Reading;
use report::{Bdf, Quantity};

use crate::clock::Clock;

/// One card.
pub struct Card {
    driver: Driver,
    /// Its folder below the root.
    folder: String,
    /// Its folder of sensors.
    sensors: String,
    clock: Box<dyn Clock>,
    /// Energy counter and when it was read: Intel tells energy, not power.
    energy: Option<(f64, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Amd,
    Intel,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card").field("driver", &self.driver).field("sensors", &self.sensors).finish()
    }
}

impl Card {
    /// The card at an address, with this kernel driver.
    pub fn open(
        root: &Root,
        address: Bdf,
        driver: &str,
        clock: impl Clock + 'static,
    ) -> Result<Self, String> {
        let driver = match driver {
            "amdgpu" => Driver::Amd,
            "i915" | "xe" => Driver::Intel,
            other => return Err(format!("of kernel driver `{other}` nothing is known to read")),
        };
        let folder = format!("sys/bus/pci/devices/{address}");
        let hwmon = format!("{folder}/hwmon");
        let names = root.names(&hwmon).map_err(|error| error.to_string())?;
        let first = names.first().ok_or_else(|| format!("`{hwmon}` is empty"))?;
        let sensors = format!("{hwmon}/{first}");
        Ok(Self { driver, folder, sensors, clock: Box::new(clock), energy: None })
    }

    /// Where its readings come from, for a report.
    pub fn source(&self) -> &'static str {
        match self.driver {
            Driver::Amd => "amdgpu",
            Driver::Intel => "intel hwmon",
        }
    }

    /// What it tells now.
    pub fn read(&mut self, root: &Root) -> Reading {
        match self.driver {
            Driver::Amd => self.read_amd(root),
            Driver::Intel => self.read_intel(root),
        }
    }

    fn number(&self, root: &Root, name: &str) -> Option<f64> {
        root.text(&format!("{}/{name}", self.sensors)).ok()?.parse().ok()
    }

    fn scaled(&self, root: &Root, name: &str, unit: f64) -> Option<Quantity> {
        Quantity::new(self.number(root, name)? / unit).ok()
    }

    /// The sensor whose label is the first of these that there is, else the first sensor; in degrees.
    fn temperature(&self, root: &Root, labels: &[&str]) -> Option<Quantity> {
        let label = |n: u32| root.text(&format!("{}/temp{n}_label", self.sensors)).ok();
        let found = labels.iter().find_map(|wanted| (1..=8).find(|n| label(*n).as_deref() == Some(*wanted)));
        self.scaled(root, &format!("temp{}_input", found.unwrap_or(1)), 1e3)
    }

    fn read_amd(&self, root: &Root) -> Reading {
        // Older parts tell an average, newer ones the present power; both in microwatts.
        let power = ["power1_average", "power1_input"].iter().find_map(|name| self.scaled(root, name, 1e6));
        let metrics = root.binary(&format!("{}/gpu_metrics", self.folder)).ok();
        Reading {
            at_s: None,
            power_w: power,
            power_limit_w: self.scaled(root, "power1_cap", 1e6),
            clock_mhz: self.scaled(root, "freq1_input", 1e6),
            memory_clock_mhz: self.scaled(root, "freq2_input", 1e6),
            temperature_c: self.temperature(root, &["junction", "edge"]),
            throttle: metrics.and_then(|metrics| amd_throttle(&metrics)),
        }
    }

    fn read_intel(&mut self, root: &Root) -> Reading {
        let frequency = [
            format!("{}/tile0/gt0/freq0/act_freq", self.folder),
            format!("{}/drm/card0/gt_act_freq_mhz", self.folder),
            format!("{}/drm/card1/gt_act_freq_mhz", self.folder),
        ];
        let mhz = frequency.iter().find_map(|path| root.text(path).ok()?.parse::<f64>().ok());
        Reading {
            at_s: None,
            power_w: self.power_by_energy(root),
            power_limit_w: self.scaled(root, "power1_max", 1e6),
            clock_mhz: mhz.and_then(|mhz| Quantity::new(mhz).ok()),
            memory_clock_mhz: None,
            temperature_c: self.temperature(root, &["pkg"]),
            throttle: self.intel_throttle(root),
        }
    }

    /// The counter is in microjoules; its first reading gives no power.
    fn power_by_energy(&mut self, root: &Root) -> Option<Quantity> {
        let joules =
            ["energy1_input", "energy2_input"].iter().find_map(|name| self.number(root, name))? / 1e6;
        let now = self.clock.now();
        let (before, since) = self.energy.replace((joules, now))?;
        let seconds = now.saturating_sub(since).as_secs_f64();
        // A counter that began anew gives no power either.
        Quantity::new((joules - before) / seconds).ok()
    }

    /// One attribute for each reason, `reason_thermal` and others, that holds 1.
    fn intel_throttle(&self, root: &Root) -> Option<Vec<String>> {
        let folder = format!("{}/tile0/gt0/freq0/throttle", self.folder);
        let names = root.names(&folder).ok()?;
        let reasons = names.iter().filter_map(|name| Some((name, name.strip_prefix("reason_")?)));
        let held = reasons.filter(|(name, _)| root.text(&format!("{folder}/{name}")).is_ok_and(|t| t == "1"));
        Some(held.map(|(_, reason)| reason.replace('_', "-")).collect())
    }
}

/// Reasons of `indep_throttle_status` in `struct gpu_metrics_v1_3` (`kgd_pp_interface.h`), by the names of
/// `amdgpu_smu.h`. Other versions of the structure do not have the field at this place; of them nothing is known.
fn amd_throttle(metrics: &[u8]) -> Option<Vec<String>> {
    const STATUS: std::ops::Range<usize> = 112..120;
    const BITS: [(u32, &str); 34] = [
        (0, "ppt0"),
        (1, "ppt1"),
        (2, "ppt2"),
        (3, "ppt3"),
        (4, "spl"),
        (5, "fppt"),
        (6, "sppt"),
        (7, "sppt-apu"),
        (16, "tdc-gfx"),
        (17, "tdc-soc"),
        (18, "tdc-mem"),
        (19, "tdc-vdd"),
        (20, "tdc-cvip"),
        (21, "edc-cpu"),
        (22, "edc-gfx"),
        (23, "apcc"),
        (32, "temp-gpu"),
        (33, "temp-core"),
        (34, "temp-mem"),
        (35, "temp-edge"),
        (36, "temp-hotspot"),
        (37, "temp-soc"),
        (38, "temp-vr-gfx"),
        (39, "temp-vr-soc"),
        (40, "temp-vr-mem0"),
        (41, "temp-vr-mem1"),
        (42, "temp-liquid0"),
        (43, "temp-liquid1"),
        (44, "vrhot0"),
        (45, "vrhot1"),
        (46, "prochot-cpu"),
        (47, "prochot-gfx"),
        (56, "ppm"),
        (57, "fit"),
    ];
    let [size_low, size_high, format, content] = *metrics.first_chunk()?;
    if (format, content) != (1, 3) || usize::from(u16::from_le_bytes([size_low, size_high])) < STATUS.end {
        return None;
    }
    let status = u64::from_le_bytes(metrics.get(STATUS)?.try_into().ok()?);
    // All ones: the part does not tell.
    (status != u64::MAX).then(|| {
        let held = BITS.iter().filter(|(bit, _)| status >> bit & 1 == 1);
        held.map(|(_, name)| (*name).to_owned()).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;

    const ADDRESS: &str = "0000:c3:00.0";

    /// Every look at it is half a second later.
    struct Ticking(Cell<u32>);

    impl Clock for Ticking {
        fn now(&self) -> Duration {
            self.0.set(self.0.get() + 1);
            Duration::from_millis(500) * self.0.get()
        }
    }

    fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join("sys/bus/pci/devices").join(ADDRESS).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let root = Root::at(folder.path());
        (folder, root)
    }

    fn open(root: &Root, driver: &str) -> Result<Card, String> {
        Card::open(root, ADDRESS.parse().unwrap(), driver, Ticking(Cell::new(0)))
    }

    /// 120 bytes of `gpu_metrics`, version 1.3.
    fn metrics(status: u64) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..4].copy_from_slice(&[120, 0, 1, 3]);
        bytes[112..].copy_from_slice(&status.to_le_bytes());
        bytes
    }

    #[test]
    fn an_amdgpu_card_tells_power_clocks_junction_temperature_and_reasons() {
        let metrics = metrics(1 | 1 << 36);
        let (_folder, root) = tree(&[
            ("hwmon/hwmon4/power1_average", b"245000000\n"),
            ("hwmon/hwmon4/freq1_input", b"1700000000\n"),
            ("hwmon/hwmon4/freq2_input", b"1600000000\n"),
            ("hwmon/hwmon4/temp1_label", b"edge\n"),
            ("hwmon/hwmon4/temp1_input", b"48000\n"),
            ("hwmon/hwmon4/temp2_label", b"junction\n"),
            ("hwmon/hwmon4/temp2_input", b"61000\n"),
            ("gpu_metrics", &metrics),
        ]);
        let mut card = open(&root, "amdgpu").unwrap();
        let reading = card.read(&root);
        let q = |value| Quantity::new(value).ok();
        assert_eq!((reading.power_w, reading.temperature_c), (q(245.0), q(61.0)));
        assert_eq!((reading.clock_mhz, reading.memory_clock_mhz), (q(1700.0), q(1600.0)));
        assert_eq!(reading.throttle, Some(vec!["ppt0".to_owned(), "temp-hotspot".to_owned()]));
        assert_eq!(card.source(), "amdgpu");
    }

    #[test]
    fn what_is_missing_or_malformed_is_absent_and_never_zero() {
        let (_folder, root) = tree(&[
            ("hwmon/hwmon4/power1_average", b"much\n"),
            ("hwmon/hwmon4/power1_input", b"31000000\n"),
            ("hwmon/hwmon4/temp1_input", b"-5000\n"),
            ("gpu_metrics", &[8, 0, 1, 3, 0, 0, 0, 0]),
        ]);
        let reading = open(&root, "amdgpu").unwrap().read(&root);
        assert_eq!(reading, Reading { power_w: Quantity::new(31.0).ok(), ..Reading::default() });
        let mut newer = metrics(1);
        newer[3] = 5;
        assert_eq!(amd_throttle(&newer), None);
        assert_eq!(amd_throttle(&metrics(u64::MAX)), None);
        assert_eq!(amd_throttle(&metrics(0)), Some(vec![]));
    }

    #[test]
    fn intel_tells_energy_and_the_second_reading_gives_the_power() {
        let (folder, root) = tree(&[
            ("hwmon/hwmon2/energy1_input", b"1000000\n"),
            ("tile0/gt0/freq0/act_freq", b"1550\n"),
            ("tile0/gt0/freq0/throttle/reason_pl1", b"1\n"),
            ("tile0/gt0/freq0/throttle/reason_thermal", b"0\n"),
            ("tile0/gt0/freq0/throttle/status", b"1\n"),
        ]);
        let mut card = open(&root, "xe").unwrap();
        let first = card.read(&root);
        assert_eq!((first.power_w, first.clock_mhz), (None, Quantity::new(1550.0).ok()));
        assert_eq!(first.throttle, Some(vec!["pl1".to_owned()]));
        let energy = Path::new("sys/bus/pci/devices").join(ADDRESS).join("hwmon/hwmon2/energy1_input");
        std::fs::write(folder.path().join(&energy), "151000000").unwrap();
        // 150 J in half a second.
        assert_eq!(card.read(&root).power_w, Quantity::new(300.0).ok());
        std::fs::write(folder.path().join(&energy), "0").unwrap();
        assert_eq!(card.read(&root).power_w, None);
    }

    #[test]
    fn a_card_without_sensors_or_of_another_driver_says_why() {
        let (_folder, root) = tree(&[("vendor", b"0x1002")]);
        assert!(open(&root, "amdgpu").unwrap_err().contains("hwmon"));
        assert!(open(&root, "nouveau").unwrap_err().contains("`nouveau`"));
    }
}
