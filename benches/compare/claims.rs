//! What is compared: our metric, the rows of a peer that mean the same, and the ratio that must hold.

use crate::peers::Row;

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Our check and metric.
    pub(crate) ours: (&'static str, &'static str),
    /// The peer.
    pub(crate) peer: &'static str,
    /// Its rows: the best of them counts. A row matches if its name ends so.
    pub(crate) rows: &'static [&'static str],
    /// Ours over theirs must be at least this; `None` for a figure that is only shown.
    pub(crate) at_least: Option<f64>,
    /// What a reader must know to read the ratio.
    pub(crate) note: &'static str,
}

const fn claim(
    ours: (&'static str, &'static str),
    peer: &'static str,
    rows: &'static [&'static str],
    at_least: f64,
) -> Claim {
    Claim { ours, peer, rows, at_least: Some(at_least), note: "" }
}

const fn shown(
    ours: (&'static str, &'static str),
    peer: &'static str,
    rows: &'static [&'static str],
    note: &'static str,
) -> Claim {
    Claim { ours, peer, rows, at_least: None, note }
}

const SINGLE: &[&str] = &["compute: float", "compute: float2", "compute: float4"];
const DOUBLE: &[&str] = &["compute: double", "compute: double2", "compute: double4"];
const FOLDED: &str = "the peer multiplies constants and compares no answer: a compiler may leave work out";

/// Every comparison.
pub(crate) const ALL: [Claim; 17] = [
    claim(("fp32", "fp32"), "vkpeak", &["fp32-scalar", "fp32-vec4"], 1.5),
    claim(("fp32", "fp32"), "clpeak", SINGLE, 1.5),
    claim(("fp64", "fp64"), "clpeak", DOUBLE, 1.5),
    shown(("fp64", "fp64"), "vkpeak", &["fp64-vec4"], ""),
    shown(("fp16", "fp16"), "clpeak", &["fp16xfp16+fp16: half", ": half2", ": half4"], ""),
    shown(("int32", "int32-mad"), "clpeak", &["int32: int", "int32: int2", "int32: int4"], ""),
    shown(("int32", "int32-mad"), "vkpeak", &["int32-vec4"], ""),
    shown(("dot", "dot"), "clpeak", &[": int8_dp", ": int8_dp2", ": int8_dp4"], ""),
    claim(("stream", "write"), "memtest_vulkan", &["written"], 2.5),
    // Our read compares every word with its value, as theirs does.
    claim(("stream", "read"), "memtest_vulkan", &["checked"], 2.5),
    shown(("stream", "read"), "clpeak", &["bandwidth: float", "bandwidth: float2", "bandwidth: float4"], ""),
    claim(("transfer", "host-to-device"), "clpeak", &["bandwidth: h2d"], 1.0),
    claim(("transfer", "device-to-host"), "clpeak", &["bandwidth: d2h"], 1.0),
    shown(("matrix", "matrix-f16-f32"), "clpeak", &[": coopmat_fp16"], FOLDED),
    shown(("matrix", "matrix-s8-s32"), "clpeak", &[": coopmat_int8"], FOLDED),
    shown(("matrix", "matrix-f16-f16"), "vkpeak", &["fp16-matrix"], FOLDED),
    shown(
        ("matrix", "matrix-f16-f16"),
        "vk_cooperative_matrix_perf",
        &["float16_t -> float16_t"],
        "a whole product",
    ),
];

impl Claim {
    /// The peer's best figure among its rows.
    pub(crate) fn theirs(&self, rows: &[Row]) -> Option<f64> {
        let meant = |row: &&Row| self.rows.iter().any(|name| row.name.ends_with(name));
        rows.iter().filter(meant).map(|row| row.per_s).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_rows_that_are_meant_counts() {
        let row = |name: &str, per_s| Row { name: name.to_owned(), per_s };
        let rows = [
            row("Single-precision compute: float", 2.0),
            row("Single-precision compute: float4", 3.0),
            row("Global memory bandwidth: float4", 9.0),
        ];
        assert_eq!(claim(("fp32", "fp32"), "clpeak", SINGLE, 1.5).theirs(&rows), Some(3.0));
        assert_eq!(claim(("fp64", "fp64"), "clpeak", DOUBLE, 1.5).theirs(&rows), None);
    }

    #[test]
    fn every_claim_is_about_a_peer_that_is_known() {
        for claim in &ALL {
            assert!(crate::peers::ALL.iter().any(|peer| peer.name == claim.peer), "{}", claim.peer);
        }
    }

    #[test]
    fn vkpeak_is_asked_for_every_row_that_is_claimed() {
        let vkpeak = crate::peers::ALL.iter().find(|peer| peer.name == "vkpeak").unwrap();
        let asked: Vec<_> = vkpeak.arguments[1].split(',').collect();
        for row in ALL.iter().filter(|claim| claim.peer == "vkpeak").flat_map(|claim| claim.rows) {
            assert!(asked.contains(row), "{row}");
        }
    }
}
