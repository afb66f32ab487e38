//! Peaks as formulas whose inputs are kept, so that a report can print how a figure came about.

use std::fmt;

use crate::{Quantity, Unit};

/// Transfers per memory clock: all memory of GPUs moves data on both edges. The clock is half the data rate per pin, as
/// NVML shows it (GDDR6X with four levels included: 10,501 MHz for 21 Gbit/s).
const TRANSFERS_PER_CLOCK: f64 = 2.0;

/// Line code of PCIe 3 to 5: 128 bits of data in 130 (PCI Express Base Specification 3.0 and later, 4.2.2).
const PCIE_LINE_CODE: f64 = 128.0 / 130.0;

/// How a peak is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// units x operations per clock x clock.
    Compute {
        /// What a unit is called, for example `SM`.
        unit: String,
        /// How many there are.
        units: Quantity,
        /// Operations of one unit in one clock; a multiply-add is two.
        per_clock: Quantity,
        /// Floating-point or integer operations.
        operation: Unit,
        /// Clock in Hz.
        clock_hz: Quantity,
    },
    /// memory clock x bus width x 2.
    Memory {
        /// Clock in Hz, half the data rate of a pin.
        clock_hz: Quantity,
        /// Width of the bus in bits.
        bus_bits: Quantity,
    },
    /// GT/s x lanes x 128/130 / 8, one direction.
    Pcie {
        /// Transfers per second and lane.
        transfers_per_s: Quantity,
        /// How many lanes.
        lanes: u8,
    },
    /// links x rate, one direction.
    Links {
        /// How many links.
        links: u8,
        /// Bytes per second of one link in one direction.
        link_bytes_per_s: Quantity,
    },
}

impl Formula {
    /// A PCIe link of a generation with 128/130 line code (3 to 5) and so many lanes; `None` for any other generation.
    pub fn pcie(generation: u8, lanes: u8) -> Option<Self> {
        let transfers_per_s = match generation {
            3 => 8e9,
            4 => 16e9,
            5 => 32e9,
            _ => return None,
        };
        Some(Self::Pcie { transfers_per_s: Quantity::new(transfers_per_s).ok()?, lanes })
    }

    /// The peak per second; infinite if the inputs are beyond all measure.
    pub fn per_s(&self) -> f64 {
        match self {
            Self::Compute { units, per_clock, clock_hz, .. } => {
                units.get() * per_clock.get() * clock_hz.get()
            }
            Self::Memory { clock_hz, bus_bits } => {
                clock_hz.get() * bus_bits.get() / 8.0 * TRANSFERS_PER_CLOCK
            }
            Self::Pcie { transfers_per_s, lanes } => {
                transfers_per_s.get() * f64::from(*lanes) * PCIE_LINE_CODE / 8.0
            }
            Self::Links { links, link_bytes_per_s } => f64::from(*links) * link_bytes_per_s.get(),
        }
    }
}

impl fmt::Display for Formula {
    /// The inputs, for example `132 SM x 256 FLOP/clk x 1.980 GHz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let giga = |quantity: &Quantity| quantity.get() / 1e9;
        match self {
            Self::Compute { unit, units, per_clock, operation, clock_hz } => {
                let name = if *operation == Unit::FlopPerS { "FLOP" } else { "OP" };
                let (units, per_clock) = (units.get(), per_clock.get());
                write!(f, "{units} {unit} x {per_clock} {name}/clk x {:.3} GHz", giga(clock_hz))
            }
            Self::Memory { clock_hz, bus_bits } => {
                write!(f, "{:.3} GHz x {} B x 2", giga(clock_hz), bus_bits.get() / 8.0)
            }
            Self::Pcie { transfers_per_s, lanes } => {
                write!(f, "{} GT/s x {lanes} x 128/130 / 8", giga(transfers_per_s))
            }
            Self::Links { links, link_bytes_per_s } => {
                write!(f, "{links} links x {} GB/s", giga(link_bytes_per_s))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(value: f64) -> Quantity {
        Quantity::new(value).unwrap()
    }

    #[test]
    fn a_peak_prints_the_inputs_that_it_was_computed_from() {
        let fp32 = Formula::Compute {
            unit: "SM".into(),
            units: quantity(132.0),
            per_clock: quantity(256.0),
            operation: Unit::FlopPerS,
            clock_hz: quantity(1.98e9),
        };
        assert_eq!(fp32.to_string(), "132 SM x 256 FLOP/clk x 1.980 GHz");
        assert!((fp32.per_s() / 66.9e12 - 1.0).abs() < 1e-3);

        let memory = Formula::Memory { clock_hz: quantity(3.201e9), bus_bits: quantity(6144.0) };
        assert_eq!(memory.to_string(), "3.201 GHz x 768 B x 2");
        assert!((memory.per_s() / 4.917e12 - 1.0).abs() < 1e-3);

        let links = Formula::Links { links: 18, link_bytes_per_s: quantity(25e9) };
        assert_eq!((links.to_string().as_str(), links.per_s()), ("18 links x 25 GB/s", 450e9));
    }

    #[test]
    fn a_pcie_link_loses_its_line_code_and_unknown_generations_have_no_peak() {
        let link = Formula::pcie(5, 16).unwrap();
        assert_eq!(link.to_string(), "32 GT/s x 16 x 128/130 / 8");
        assert!((link.per_s() / 63.0e9 - 1.0).abs() < 1e-3);
        assert_eq!([0, 1, 2, 6].map(|generation| Formula::pcie(generation, 16)), [None, None, None, None]);
    }
}
