//! What a limit is a limit of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Unit;

/// A rate that has a physical peak. The names are those of measurements and of limits in plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// 32-bit floating-point multiply-adds.
    Fp32,
    /// 16-bit floating-point multiply-adds on vectors of two.
    Fp16,
    /// 64-bit floating-point multiply-adds.
    Fp64,
    /// 32-bit integer multiply-adds, or a chain in which each of them has as many simple operations beside it.
    Int32,
    /// 64-bit integer multiply-adds.
    Int64,
    /// Dot products of four 8-bit integers each, added to 32 bits.
    DotInt8,
    /// Matrix multiply of 64-bit floats.
    MatrixFp64,
    /// Matrix multiply of 16-bit floats, added in 32 bits.
    MatrixFp16,
    /// Matrix multiply of 16-bit floats, added in 16 bits: twice as fast on GeForce.
    MatrixFp16AddFp16,
    /// Matrix multiply of bfloat16, added in 32 bits.
    MatrixBf16,
    /// Matrix multiply of 8-bit floats, added in 32 bits.
    MatrixFp8,
    /// Matrix multiply of 8-bit integers, added in 32 bits.
    MatrixInt8,
    /// Bytes read from device memory.
    Read,
    /// Bytes written to device memory.
    Write,
    /// Bytes copied within device memory; read and written bytes both count.
    Copy,
    /// Bytes from the host to the device.
    H2d,
    /// Bytes from the device to the host.
    D2h,
    /// Bytes to peers over links of their own, all links together, one direction.
    Peer,
}

/// What bounds a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Units, operations per clock, clock.
    Compute,
    /// Memory clock and width of the bus.
    Memory,
    /// The link to the host.
    Host,
    /// The links to peers.
    Peer,
}

/// A text that names no metric with a physical peak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no physical peak: the metrics that have one are {known}", known = Metric::names())]
pub struct UnknownMetric(pub String);

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 18] = [
        Self::Fp32,
        Self::Fp16,
        Self::Fp64,
        Self::Int32,
        Self::Int64,
        Self::DotInt8,
        Self::MatrixFp64,
        Self::MatrixFp16,
        Self::MatrixFp16AddFp16,
        Self::MatrixBf16,
        Self::MatrixFp8,
        Self::MatrixInt8,
        Self::Read,
        Self::Write,
        Self::Copy,
        Self::H2d,
        Self::D2h,
        Self::Peer,
    ];

    /// Its name in measurements, plans and data files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Fp64 => "fp64",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::DotInt8 => "dot-int8",
            Self::MatrixFp64 => "matrix-fp64",
            Self::MatrixFp16 => "matrix-fp16",
            Self::MatrixFp16AddFp16 => "matrix-fp16-add-fp16",
            Self::MatrixBf16 => "matrix-bf16",
            Self::MatrixFp8 => "matrix-fp8",
            Self::MatrixInt8 => "matrix-int8",
            Self::Read => "read",
            Self::Write => "write",
            Self::Copy => "copy",
            Self::H2d => "h2d",
            Self::D2h => "d2h",
            Self::Peer => "peer",
        }
    }

    /// Of what it is a rate.
    pub fn unit(self) -> Unit {
        match self {
            Self::Int32 | Self::Int64 | Self::DotInt8 | Self::MatrixInt8 => Unit::OpsPerS,
            _ if self.bound() == Bound::Compute => Unit::FlopPerS,
            _ => Unit::BytesPerS,
        }
    }

    /// What bounds it.
    pub fn bound(self) -> Bound {
        match self {
            Self::Read | Self::Write | Self::Copy => Bound::Memory,
            Self::H2d | Self::D2h => Bound::Host,
            Self::Peer => Bound::Peer,
            _ => Bound::Compute,
        }
    }

    fn names() -> String {
        Self::ALL.map(|metric| format!("`{metric}`")).join(", ")
    }
}

impl TryFrom<String> for Metric {
    type Error = UnknownMetric;
    fn try_from(text: String) -> Result<Self, UnknownMetric> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text).ok_or(UnknownMetric(text))
    }
}

impl TryFrom<&str> for Metric {
    type Error = UnknownMetric;
    fn try_from(text: &str) -> Result<Self, UnknownMetric> {
        Self::try_from(text.to_owned())
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.as_str().to_owned()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_and_is_found_by_it() {
        for metric in Metric::ALL {
            assert_eq!(Metric::try_from(metric.as_str()), Ok(metric));
        }
    }

    #[test]
    fn a_metric_without_a_physical_peak_is_refused_with_those_that_have_one() {
        let message = Metric::try_from("latency").unwrap_err().to_string();
        assert!(
            message.starts_with("`latency` has no physical peak: the metrics that have one are `fp32`, ")
        );
    }
}
