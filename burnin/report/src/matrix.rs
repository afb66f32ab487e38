//! Shapes of cooperative matrices, as a driver lists them: `result = a * b + c` with an m x k, a k x n and m x n matrices.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One combination of sizes and component types that a device multiplies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MatrixShape {
    /// Rows of `a` and of the result; of a flexible shape the step in which they may grow.
    pub m: u32,
    /// Columns of `b` and of the result, likewise.
    pub n: u32,
    /// Columns of `a`, rows of `b`, likewise.
    pub k: u32,
    /// Components of `a`.
    pub a: Component,
    /// Components of `b`.
    pub b: Component,
    /// Components of `c`.
    pub c: Component,
    /// Components of the result.
    pub result: Component,
    /// Who holds a matrix together.
    pub scope: MatrixScope,
    /// Must integer results saturate instead of wrapping?
    pub saturating: bool,
    /// Who lists it.
    pub source: MatrixSource,
    /// Invocations that a workgroup must have; absent where any number does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workgroup_invocations: Option<u32>,
}

impl fmt::Display for MatrixShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { m, n, k, a, b, c, result, scope, .. } = self;
        let flexible = if self.source == MatrixSource::Nv2Flexible { "+" } else { "" };
        write!(f, "{m}x{n}x{k}{flexible} {a}")?;
        if b != a {
            write!(f, "*{b}")?;
        }
        write!(f, "->{result}")?;
        if c != result {
            write!(f, " (c {c})")?;
        }
        let saturating = if self.saturating { ", saturating" } else { "" };
        write!(f, " {scope}{saturating}")
    }
}

/// The type of a matrix' components.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum Component {
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// The upper half of a single: 8 bits of exponent, 7 of mantissa.
    Bf16,
    /// 4 bits of exponent, 3 of mantissa.
    E4m3,
    /// 5 bits of exponent, 2 of mantissa.
    E5m2,
    /// Signed, 8 bits.
    S8,
    /// Signed, 16 bits.
    S16,
    /// Signed, 32 bits.
    S32,
    /// Signed, 64 bits.
    S64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Something this version does not know.
    Other(String),
}

impl Component {
    const NAMES: [(Self, &str); 14] = [
        (Self::F16, "f16"),
        (Self::F32, "f32"),
        (Self::F64, "f64"),
        (Self::Bf16, "bf16"),
        (Self::E4m3, "e4m3"),
        (Self::E5m2, "e5m2"),
        (Self::S8, "s8"),
        (Self::S16, "s16"),
        (Self::S32, "s32"),
        (Self::S64, "s64"),
        (Self::U8, "u8"),
        (Self::U16, "u16"),
        (Self::U32, "u32"),
        (Self::U64, "u64"),
    ];

    /// The word used in reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(raw) => raw,
            known => Self::NAMES.iter().find(|(one, _)| one == known).map_or("", |(_, name)| name),
        }
    }
}

impl From<String> for Component {
    fn from(text: String) -> Self {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text);
        known.map_or(Self::Other(text), |(component, _)| component)
    }
}

impl From<Component> for String {
    fn from(component: Component) -> Self {
        component.as_str().to_owned()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who holds a matrix together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum MatrixScope {
    /// The invocations of a subgroup.
    Subgroup,
    /// Those of a workgroup.
    Workgroup,
    /// Something this version does not know.
    Other(String),
}

impl MatrixScope {
    /// The word used in reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subgroup => "subgroup",
            Self::Workgroup => "workgroup",
            Self::Other(raw) => raw,
        }
    }
}

impl From<String> for MatrixScope {
    fn from(text: String) -> Self {
        match text.as_str() {
            "subgroup" => Self::Subgroup,
            "workgroup" => Self::Workgroup,
            _ => Self::Other(text),
        }
    }
}

impl From<MatrixScope> for String {
    fn from(scope: MatrixScope) -> Self {
        scope.as_str().to_owned()
    }
}

impl fmt::Display for MatrixScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who lists a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum MatrixSource {
    /// `VK_KHR_cooperative_matrix`: exactly these sizes.
    Khr,
    /// `VK_NV_cooperative_matrix2`: multiples of these sizes.
    Nv2Flexible,
    /// The reference kernels, which multiply any size; this one is shown.
    Reference,
    /// Something this version does not know.
    Other(String),
}

impl MatrixSource {
    /// The word used in reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Khr => "khr",
            Self::Nv2Flexible => "nv2-flexible",
            Self::Reference => "reference",
            Self::Other(raw) => raw,
        }
    }
}

impl From<String> for MatrixSource {
    fn from(text: String) -> Self {
        match text.as_str() {
            "khr" => Self::Khr,
            "nv2-flexible" => Self::Nv2Flexible,
            "reference" => Self::Reference,
            _ => Self::Other(text),
        }
    }
}

impl From<MatrixSource> for String {
    fn from(source: MatrixSource) -> Self {
        source.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_reads_back_as_itself_and_an_unknown_one_is_kept() {
        for text in Component::NAMES.map(|(_, name)| name).into_iter().chain(["e2m1"]) {
            let component = Component::from(text.to_owned());
            assert_eq!(component.as_str(), text);
            assert_eq!(matches!(component, Component::Other(_)), text == "e2m1");
        }
    }

    #[test]
    fn an_unknown_scope_or_source_is_kept() {
        for text in ["subgroup", "workgroup", "cluster"] {
            let scope = MatrixScope::from(text.to_owned());
            assert_eq!(scope.as_str(), text);
            assert_eq!(matches!(scope, MatrixScope::Other(_)), text == "cluster");
        }
        for text in ["khr", "nv2-flexible", "reference", "ext"] {
            let source = MatrixSource::from(text.to_owned());
            assert_eq!(source.as_str(), text);
            assert_eq!(matches!(source, MatrixSource::Other(_)), text == "ext");
        }
    }

    #[test]
    fn a_shape_is_shown_with_its_sizes_types_and_scope() {
        let mut shape = MatrixShape {
            m: 16,
            n: 8,
            k: 32,
            a: Component::F16,
            b: Component::F16,
            c: Component::F32,
            result: Component::F32,
            scope: MatrixScope::Subgroup,
            saturating: false,
            source: MatrixSource::Khr,
            workgroup_invocations: None,
        };
        assert_eq!(shape.to_string(), "16x8x32 f16->f32 subgroup");
        shape = MatrixShape {
            a: Component::U8,
            b: Component::S8,
            c: Component::S32,
            saturating: true,
            scope: MatrixScope::Workgroup,
            source: MatrixSource::Nv2Flexible,
            ..shape
        };
        assert_eq!(shape.to_string(), "16x8x32+ u8*s8->f32 (c s32) workgroup, saturating");
    }
}
