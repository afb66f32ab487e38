//! A compute device, as a backend shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bdf, Bytes, MatrixShape, PciId};

/// Names one device of one node: its PCI address where the driver tells it, else backend and position
/// (`vulkan-0`). Never a name or a UUID alone: identical drivers show identical ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a device is. A software device computes on the processor: it proves the tool, never a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// The processor.
    Cpu,
    /// Something this version does not know; it satisfies no plan.
    Other(String),
}

impl DeviceKind {
    /// The word used in plans and reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Cpu => "cpu",
            Self::Other(raw) => raw,
        }
    }
}

impl From<String> for DeviceKind {
    fn from(text: String) -> Self {
        match text.as_str() {
            "discrete" => Self::Discrete,
            "integrated" => Self::Integrated,
            "virtual" => Self::Virtual,
            "cpu" => Self::Cpu,
            _ => Self::Other(text),
        }
    }
}

impl From<DeviceKind> for String {
    fn from(kind: DeviceKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Through what a device is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Vulkan with our SPIR-V.
    Vulkan,
    /// wgpu with our WGSL: another shader compiler, another host stack.
    Portable,
    /// The reference kernels on the processor.
    Cpu,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vulkan => "vulkan",
            Self::Portable => "portable",
            Self::Cpu => "cpu",
        })
    }
}

/// What a backend says about a device before any kernel has run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceInfo {
    /// Its name in this report.
    pub id: DeviceId,
    /// Through what it is driven.
    pub backend: Backend,
    /// What it is.
    pub kind: DeviceKind,
    /// What its driver calls it.
    pub name: String,
    /// PCI vendor and device number, as the driver gives them (software devices have vendor numbers of Khronos).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<PciId>,
    /// Where it is on PCI, if the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Bdf>,
    /// The driver's UUID of the device, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Driver name and version, for example `llvmpipe Mesa 22.3.6`.
    pub driver: String,
    /// Vulkan version, for example `1.3.230`; absent where none is involved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Memory of the largest device-local heap.
    pub memory_bytes: Bytes,
    /// What of it a new program can have, if the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_budget_bytes: Option<Bytes>,
    /// Largest storage buffer that one binding can show to a kernel.
    pub binding_bytes_max: Bytes,
    /// Are device timestamps to be had?
    pub timestamps: bool,
    /// What it computes with beyond 32-bit words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    /// Compute units (streaming multiprocessors, compute units, Xe cores), if the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    /// Invocations of a subgroup, if the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subgroup_size: Option<u32>,
    /// The matrices that it multiplies, in the driver's order: preferred ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matrix_shapes: Vec<MatrixShape>,
}

/// What a device may offer beyond 32-bit words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum Feature {
    /// 16-bit floating-point arithmetic and storage.
    Float16,
    /// 64-bit floating-point arithmetic.
    Float64,
    /// 64-bit integer arithmetic.
    Int64,
    /// Dot products of packed 8-bit integers.
    DotProduct,
    /// Buffers reached by their addresses.
    Addresses,
    /// Cooperative matrices.
    Matrix,
    /// The number of the compute unit that an invocation runs on.
    UnitId,
    /// A clock that an invocation can read.
    ShaderClock,
    /// Something this version does not know.
    Other(String),
}

impl Feature {
    const NAMES: [(Self, &str); 8] = [
        (Self::Float16, "float16"),
        (Self::Float64, "float64"),
        (Self::Int64, "int64"),
        (Self::DotProduct, "dot-product"),
        (Self::Addresses, "addresses"),
        (Self::Matrix, "matrix"),
        (Self::UnitId, "unit-id"),
        (Self::ShaderClock, "shader-clock"),
    ];

    /// The word used in reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(raw) => raw,
            known => Self::NAMES.iter().find(|(one, _)| one == known).map_or("", |(_, name)| name),
        }
    }
}

impl From<String> for Feature {
    fn from(text: String) -> Self {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text);
        known.map_or(Self::Other(text), |(feature, _)| feature)
    }
}

impl From<Feature> for String {
    fn from(feature: Feature) -> Self {
        feature.as_str().to_owned()
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_reads_back_as_itself_and_an_unknown_one_is_kept() {
        for text in Feature::NAMES.map(|(_, name)| name).into_iter().chain(["tensor-memory"]) {
            let feature = Feature::from(text.to_owned());
            assert_eq!(feature.as_str(), text);
            assert_eq!(matches!(feature, Feature::Other(_)), text == "tensor-memory");
        }
    }
}
