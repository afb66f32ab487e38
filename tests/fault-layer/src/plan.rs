//! What is to go wrong, and when: the text in `ASSAY_FAULT`.
//!
//! ```text
//! KIND[:KEY=VALUE[,KEY=VALUE]...][;KIND...]       flip-memory:bit=3,after=10;lost:device=2,after=50
//! ```
//!
//! Every kind takes `device=N` (the Nth device as the loader lists them, from 0; without it, every device), and those that
//! happen at a moment take `after=N` (so many chances pass unharmed) and `times=N` (so many are used; `all` for no end).

use std::collections::BTreeMap;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// After a submission, one bit of the largest buffer is turned over, each time in another word.
    FlipMemory {
        /// Which bit of the word, 0 to 31.
        bit: u32,
        /// Where in the buffer, as a share of its size.
        place: f64,
    },
    /// After every submission, one bit of the largest buffer reads as one.
    StuckMemory {
        /// Which bit of the word, 0 to 31.
        bit: u32,
        /// Where in the buffer, as a share of its size.
        place: f64,
    },
    /// After a submission with a copy, one bit of what it copied is turned over, where it arrived.
    FlipCopy {
        /// Which bit of the word, 0 to 31.
        bit: u32,
        /// Where in what was copied, as a share of its size.
        place: f64,
    },
    /// A dispatch is left out.
    DropDispatch,
    /// A dispatch takes longer: so much memory is filled after it, in the same command buffer.
    SlowDispatch {
        /// How much is filled, MiB.
        mib: u64,
    },
    /// A copy takes longer, in the same way.
    SlowCopy {
        /// How much is filled, MiB.
        mib: u64,
    },
    /// The host waits before a submission.
    DelaySubmit {
        /// How long, milliseconds.
        ms: u64,
    },
    /// From a submission on, no fence and no semaphore is signalled any more.
    Hang,
    /// A submission never comes back.
    Stuck,
    /// A submission loses the device, for good.
    Lost,
    /// An allocation is refused.
    OutOfMemory,
    /// A submission ends the process.
    Crash,
    /// Every heap is said to have this size.
    MemorySize {
        /// The size, bytes.
        bytes: u64,
    },
    /// The device is said to lie at this address: `DDDD:BB:DD.F`.
    PciAddress {
        /// Domain, bus, device, function.
        address: [u32; 4],
    },
    /// An extension of the device is not told.
    HideExtension {
        /// Its name.
        name: String,
    },
    /// The device is not listed.
    HideDevice,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// The kind as it was written.
    pub name: String,
    /// Which device; `None` for every one.
    pub device: Option<u32>,
    /// Chances that pass unharmed.
    pub after: u64,
    /// Chances that are used after those.
    pub times: u64,
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no such kind.
    #[error("there is no fault `{0}`")]
    Kind(String),
    /// A part is no `key=value`.
    #[error("`{part}` of `{fault}` is not KEY=VALUE")]
    Part {
        /// The fault.
        fault: String,
        /// The part.
        part: String,
    },
    /// The fault has no such key, or has it twice.
    #[error("`{fault}` takes no `{key}` (once more)")]
    Key {
        /// The fault.
        fault: String,
        /// The key.
        key: String,
    },
    /// A key that the fault needs is missing.
    #[error("`{fault}` needs `{key}`")]
    Missing {
        /// The fault.
        fault: String,
        /// The key.
        key: &'static str,
    },
    /// A value is no such thing.
    #[error("`{key}={value}` of `{fault}`: not {wanted}")]
    Value {
        /// The fault.
        fault: String,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// Reads a plan. An empty text is the plan in which nothing goes wrong.
///
/// # Errors
/// If a part of it is no fault: a plan is taken whole or not at all.
pub fn parse(text: &str) -> Result<Vec<Fault>, PlanError> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(fault).collect()
}

fn fault(text: &str) -> Result<Fault, PlanError> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut keys = Keys::read(name, rest)?;
    let kind = kind(name, &mut keys)?;
    let fault = Fault {
        // What is stuck stays so, and a slow device is slow all the time; the rest happens once where no number is given.
        times: match keys.take("times") {
            None => {
                if lasts(&kind) {
                    u64::MAX
                } else {
                    1
                }
            }
            Some("all") => u64::MAX,
            Some(value) => keys.number("times", value)?,
        },
        device: keys.optional("device")?,
        after: keys.optional("after")?.unwrap_or(0),
        name: name.to_owned(),
        kind,
    };
    keys.end()?;
    Ok(fault)
}

fn lasts(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::StuckMemory { .. }
            | Kind::SlowDispatch { .. }
            | Kind::SlowCopy { .. }
            | Kind::DelaySubmit { .. }
    )
}

fn kind(name: &str, keys: &mut Keys<'_>) -> Result<Kind, PlanError> {
    Ok(match name {
        "flip-memory" => Kind::FlipMemory { bit: keys.bit()?, place: keys.place()? },
        "stuck-memory" => Kind::StuckMemory { bit: keys.bit()?, place: keys.place()? },
        "flip-copy" => Kind::FlipCopy { bit: keys.bit()?, place: keys.place()? },
        "drop-dispatch" => Kind::DropDispatch,
        "slow-dispatch" => Kind::SlowDispatch { mib: keys.needed("mib")? },
        "slow-copy" => Kind::SlowCopy { mib: keys.needed("mib")? },
        "delay-submit" => Kind::DelaySubmit { ms: keys.needed("ms")? },
        "hang" => Kind::Hang,
        "stuck" => Kind::Stuck,
        "lost" => Kind::Lost,
        "out-of-memory" => Kind::OutOfMemory,
        "crash" => Kind::Crash,
        "memory-size" => Kind::MemorySize { bytes: keys.needed("bytes")? },
        "pci-address" => Kind::PciAddress { address: keys.address()? },
        "hide-extension" => {
            Kind::HideExtension { name: keys.take("name").ok_or_else(|| keys.missing("name"))?.to_owned() }
        }
        "hide-device" => Kind::HideDevice,
        other => return Err(PlanError::Kind(other.to_owned())),
    })
}

/// The keys of one fault, taken one by one: what is left at the end is a mistake.
struct Keys<'a> {
    fault: &'a str,
    left: BTreeMap<&'a str, &'a str>,
}

impl<'a> Keys<'a> {
    fn read(fault: &'a str, text: &'a str) -> Result<Self, PlanError> {
        let mut left = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| PlanError::Part { fault: fault.to_owned(), part: part.to_owned() })?;
            if left.insert(key, value).is_some() {
                return Err(PlanError::Key { fault: fault.to_owned(), key: key.to_owned() });
            }
        }
        Ok(Self { fault, left })
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        self.left.remove(key)
    }

    fn missing(&self, key: &'static str) -> PlanError {
        PlanError::Missing { fault: self.fault.to_owned(), key }
    }

    fn wrong(&self, key: &'static str, value: &str, wanted: &'static str) -> PlanError {
        PlanError::Value { fault: self.fault.to_owned(), key, value: value.to_owned(), wanted }
    }

    fn number<N: std::str::FromStr>(&self, key: &'static str, value: &str) -> Result<N, PlanError> {
        value.parse().map_err(|_| self.wrong(key, value, "a whole number that fits"))
    }

    fn optional<N: std::str::FromStr>(&mut self, key: &'static str) -> Result<Option<N>, PlanError> {
        self.take(key).map(|value| self.number(key, value)).transpose()
    }

    fn needed<N: std::str::FromStr>(&mut self, key: &'static str) -> Result<N, PlanError> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    fn bit(&mut self) -> Result<u32, PlanError> {
        let bit = self.optional("bit")?.unwrap_or(0);
        if bit < 32 { Ok(bit) } else { Err(self.wrong("bit", &bit.to_string(), "a bit of a word, 0 to 31")) }
    }

    fn place(&mut self) -> Result<f64, PlanError> {
        let Some(value) = self.take("place") else { return Ok(0.5) };
        let wrong = || self.wrong("place", value, "a share, from 0 to below 1");
        let place: f64 = value.parse().map_err(|_| wrong())?;
        if (0.0..1.0).contains(&place) { Ok(place) } else { Err(wrong()) }
    }

    fn address(&mut self) -> Result<[u32; 4], PlanError> {
        let value = self.take("address").ok_or_else(|| self.missing("address"))?;
        let parts: Option<Vec<u32>> =
            value.split([':', '.']).map(|part| u32::from_str_radix(part, 16).ok()).collect();
        parts
            .and_then(|parts| parts.try_into().ok())
            .ok_or_else(|| self.wrong("address", value, "an address such as 0000:3b:00.0"))
    }

    fn end(&self) -> Result<(), PlanError> {
        match self.left.keys().next() {
            Some(key) => Err(PlanError::Key { fault: self.fault.to_owned(), key: (*key).to_owned() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_with_its_defaults() {
        let plan = parse("flip-memory:bit=3,after=10; lost:device=2 ;stuck-memory").unwrap();
        assert_eq!(plan[0].kind, Kind::FlipMemory { bit: 3, place: 0.5 });
        assert_eq!((plan[0].after, plan[0].times, plan[0].device), (10, 1, None));
        assert_eq!((&plan[1].kind, plan[1].device), (&Kind::Lost, Some(2)));
        assert_eq!(plan[2].times, u64::MAX);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn an_address_and_an_end_without_end_are_read() {
        let plan = parse("pci-address:address=0000:3b:00.1;drop-dispatch:times=all").unwrap();
        assert_eq!(plan[0].kind, Kind::PciAddress { address: [0, 0x3b, 0, 1] });
        assert_eq!(plan[1].times, u64::MAX);
    }

    #[test]
    fn what_is_no_plan_is_refused_by_name() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("flip"), "there is no fault `flip`");
        assert_eq!(error("lost:afer=3"), "`lost` takes no `afer` (once more)");
        assert_eq!(error("lost:after=3,after=4"), "`lost` takes no `after` (once more)");
        assert_eq!(error("lost:after"), "`after` of `lost` is not KEY=VALUE");
        assert_eq!(error("lost:after=x"), "`after=x` of `lost`: not a whole number that fits");
        assert_eq!(error("slow-copy"), "`slow-copy` needs `mib`");
        assert_eq!(error("flip-copy:bit=32"), "`bit=32` of `flip-copy`: not a bit of a word, 0 to 31");
        assert_eq!(error("flip-copy:place=1"), "`place=1` of `flip-copy`: not a share, from 0 to below 1");
        assert_eq!(
            error("pci-address:address=3b:00.1"),
            "`address=3b:00.1` of `pci-address`: not an address such as 0000:3b:00.0"
        );
        assert_eq!(error("lost;hang;x"), "there is no fault `x`");
    }
}
