//! Anatomy of memory errors: which bits, which way, where, how far apart, in which pass; and how fast each region is.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Quantity};

/// What wrong words of memory have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Anatomy {
    /// Wrong words, counted by the device.
    pub words: u64,
    /// So many of them were recorded with their place; bits, period and what further looks saw are of these.
    pub recorded: u64,
    /// By number of the bit, those that were wrong at all.
    pub bits: Vec<BitErrors>,
    /// Wrong words by region of the memory under test, counted by the device.
    pub regions: Vec<u64>,
    /// Size of a region.
    pub region_bytes: Bytes,
    /// The largest power of two from 32 bytes to 2 MiB that divides every distance between the recorded places, where
    /// there are three at least: the stride of a channel, a bank, a lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_bytes: Option<Bytes>,
    /// By pass, those that found any.
    pub passes: Vec<PassErrors>,
    /// Of the recorded words: three further looks saw the same wrong value, so it is what is stored, or what a cache keeps.
    pub stored: u64,
    /// All further looks saw the right value: it was lost or bent on its way.
    pub transport: u64,
    /// Further looks did not agree with each other.
    pub unsteady: u64,
}

/// Errors of one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BitErrors {
    /// Which bit, 0 to 31.
    pub bit: u32,
    /// Was 1 and should be 0.
    pub set: u64,
    /// Was 0 and should be 1.
    pub cleared: u64,
}

/// Errors that one pass found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PassErrors {
    /// Which pass of the check, as in [`crate::Mismatch`].
    pub pass: u32,
    /// What it did.
    pub what: String,
    /// Wrong words.
    pub words: u64,
}

/// One rate for each region of the memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RegionRates {
    /// Of what, as in [`crate::Measurement`].
    pub metric: String,
    /// Size of a region; the last may be smaller.
    pub region_bytes: Bytes,
    /// Best of a few sweeps of that region alone, in bytes per second; [`Self::REGIONS_MAX`] at most.
    pub bytes_per_s: Vec<Quantity>,
}

impl RegionRates {
    /// How many regions there are at most.
    pub const REGIONS_MAX: usize = 64;

    /// Least rate of a region as a share of the greatest; absent where there is none.
    pub fn evenness(&self) -> Option<f64> {
        let rates = || self.bytes_per_s.iter().map(|rate| rate.get());
        let (least, greatest) = (rates().reduce(f64::min)?, rates().reduce(f64::max)?);
        (greatest > 0.0).then(|| least / greatest)
    }
}

impl Anatomy {
    /// Regions that have errors, among all.
    pub fn regions_hit(&self) -> usize {
        self.regions.iter().filter(|words| **words > 0).count()
    }

    /// For people: one line.
    pub fn summary(&self) -> String {
        let bits: Vec<_> = self.bits.iter().take(8).map(BitErrors::show).collect();
        let more =
            if self.bits.len() > 8 { format!(" and {} more", self.bits.len() - 8) } else { String::new() };
        let period =
            self.period_bytes.map_or_else(String::new, |bytes| format!("; {bytes} apart or multiples"));
        let passes: Vec<_> = self
            .passes
            .iter()
            .take(4)
            .map(|pass| format!("{} in pass {} ({})", pass.words, pass.pass, pass.what))
            .collect();
        format!(
            "{} wrong word{}, {} looked at: bits {}{more}; {} of {} regions of {}{period}; {} stored, {} in transport, {} unsteady; {}",
            self.words,
            if self.words == 1 { "" } else { "s" },
            self.recorded,
            bits.join(" "),
            self.regions_hit(),
            self.regions.len(),
            self.region_bytes,
            self.stored,
            self.transport,
            self.unsteady,
            passes.join(", "),
        )
    }
}

impl BitErrors {
    fn show(&self) -> String {
        format!("{} ({} to 1, {} to 0)", self.bit, self.set, self.cleared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_bits_places_and_whether_it_is_stored() {
        let anatomy = Anatomy {
            words: 900,
            recorded: 512,
            bits: vec![BitErrors { bit: 21, set: 512, cleared: 0 }],
            regions: [vec![900], vec![0; 63]].concat(),
            region_bytes: Bytes::mib(4),
            period_bytes: Some(Bytes(4096)),
            passes: vec![PassErrors { pass: 2, what: "verify".into(), words: 900 }],
            stored: 512,
            transport: 0,
            unsteady: 0,
        };
        assert_eq!(
            anatomy.summary(),
            "900 wrong words, 512 looked at: bits 21 (512 to 1, 0 to 0); 1 of 64 regions of 4.00 MiB; 4.00 KiB apart or \
             multiples; 512 stored, 0 in transport, 0 unsteady; 900 in pass 2 (verify)"
        );
        let copy: Anatomy = serde_json::from_str(&serde_json::to_string(&anatomy).unwrap()).unwrap();
        assert_eq!(copy, anatomy);
    }

    #[test]
    fn evenness_is_the_slowest_region_over_the_fastest() {
        let rates = |all: &[f64]| RegionRates {
            metric: "read".into(),
            region_bytes: Bytes::mib(1),
            bytes_per_s: all.iter().map(|rate| Quantity::new(*rate).unwrap()).collect(),
        };
        assert_eq!(rates(&[4e9, 2e9, 3e9]).evenness(), Some(0.5));
        assert_eq!(rates(&[]).evenness(), None);
        assert_eq!(rates(&[0.0]).evenness(), None);
    }
}
