//! Other programs: how each is started for the first device, how long it may take, and what its output says.
//!
//! Only what these programs print is known here. Whoever compares builds them; the tree holds none of their code.

use std::time::Duration;

/// One figure of a peer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Row {
    /// What the peer calls it.
    pub(crate) name: String,
    /// In operations or bytes per second.
    pub(crate) per_s: f64,
}

/// How a peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Itself,
    /// It goes on for ever: it is interrupted after its time, as a person would.
    Interrupted,
}

/// A program to compare with.
pub(crate) struct Peer {
    /// Name of the executable.
    pub(crate) name: &'static str,
    /// Its arguments.
    pub(crate) arguments: &'static [&'static str],
    /// How it ends.
    pub(crate) ending: Ending,
    /// After this it is ended.
    pub(crate) time: Duration,
    /// Its figures.
    pub(crate) read: fn(&str) -> Vec<Row>,
}

/// Every peer that is known.
pub(crate) const ALL: [Peer; 4] = [
    Peer {
        name: "clpeak",
        arguments: &[
            "--vulkan",
            "--vk-device",
            "0",
            "--single-precision-compute",
            "--double-precision-compute",
            "--half-precision-compute",
            "--integer-compute",
            "--int8-dot-product-compute",
            "--global-memory-bandwidth",
            "--transfer-bandwidth",
            "--coopmat",
        ],
        ending: Ending::Itself,
        time: Duration::from_secs(600),
        read: clpeak,
    },
    Peer {
        name: "vkpeak",
        arguments: &[
            "0",
            "fp32-scalar,fp32-vec4,fp64-vec4,int32-vec4,fp16-vec4,fp16-matrix,int8-dotprod,copy-h2d,copy-d2h",
        ],
        ending: Ending::Itself,
        time: Duration::from_secs(900),
        read: vkpeak,
    },
    Peer {
        name: "memtest_vulkan",
        // The first device, and how much of its memory: what the smallest software device has.
        arguments: &["-1", "536870912"],
        ending: Ending::Interrupted,
        time: Duration::from_secs(30),
        read: memtest_vulkan,
    },
    Peer {
        name: "vk_cooperative_matrix_perf",
        arguments: &["--device", "0", "--shmem", "--dim=256"],
        ending: Ending::Interrupted,
        time: Duration::from_secs(240),
        read: matrix_perf,
    },
];

/// A heading with the unit in parentheses, then lines `name : figure`.
fn clpeak(output: &str) -> Vec<Row> {
    let mut heading = ("", 0.0);
    let mut rows = Vec::new();
    for line in output.lines() {
        let line = line.trim();
        if let Some((title, unit)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" ("))
            && let Some(scale) = scale(unit)
        {
            heading = (title, scale);
        } else if let Some((name, figure)) = line.split_once(':')
            && let Ok(figure) = figure.trim().parse::<f64>()
        {
            rows.push(Row { name: format!("{}: {}", heading.0, name.trim()), per_s: figure * heading.1 });
        }
    }
    rows.retain(|row| row.per_s > 0.0);
    rows
}

/// Lines `name = figure unit`; 0 stands for what is not supported.
fn vkpeak(output: &str) -> Vec<Row> {
    let row = |line: &str| {
        let (name, figure) = line.split_once('=')?;
        let (figure, unit) = figure.trim().split_once(' ')?;
        let per_s = figure.parse::<f64>().ok()? * scale(unit.trim())?;
        (per_s > 0.0).then(|| Row { name: name.trim().to_owned(), per_s })
    };
    output.lines().filter_map(row).collect()
}

/// A line for each interval: amount and rate written, amount and rate checked; the best of each counts. Its GB are 2^30.
fn memtest_vulkan(output: &str) -> Vec<Row> {
    let rate = |line: &str, word: &str| -> Option<f64> {
        let mut words = line.split_once(word)?.1.split_whitespace();
        let (_, rate) = (words.next()?, words.next()?);
        rate.strip_suffix("GB/s")?.parse::<f64>().ok().map(|rate| rate * GIB)
    };
    let best = |word: &str| output.lines().filter_map(|line| rate(line, word)).reduce(f64::max);
    [("written", best("written:")), ("checked", best("checked:"))]
        .into_iter()
        .filter_map(|(name, per_s)| per_s.map(|per_s| Row { name: name.to_owned(), per_s }))
        .collect()
}

/// A line names the types, those after it a tile and its rate; the best tile of each pair of types counts.
fn matrix_perf(output: &str) -> Vec<Row> {
    let mut types = String::new();
    let mut rows: Vec<Row> = Vec::new();
    for line in output.lines() {
        let word = |key: &str| {
            line.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default()
        };
        if line.starts_with("cooperativeMatrixProps") {
            types = format!("{} -> {}", word(" A = "), word(" C = "));
        } else if let Some(figure) = line.trim().strip_suffix(" TFlops")
            && let Some(Ok(figure)) = figure.split_whitespace().next_back().map(str::parse::<f64>)
        {
            match rows.iter_mut().find(|row| row.name == types) {
                Some(row) => row.per_s = row.per_s.max(figure * 1e12),
                None => rows.push(Row { name: types.clone(), per_s: figure * 1e12 }),
            }
        }
    }
    rows
}

/// Bytes of a GiB.
const GIB: f64 = 1_073_741_824.0;

fn scale(unit: &str) -> Option<f64> {
    match unit {
        "GFLOPS" | "GOPS" | "GIOPS" | "GBPS" => Some(1e9),
        "TFLOPS" | "TOPS" => Some(1e12),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, per_s: f64) -> Row {
        Row { name: name.to_owned(), per_s }
    }

    #[test]
    fn clpeak_is_read_by_heading_and_what_it_skipped_is_left_out() {
        let output = "Backend: Vulkan\n  Device 0: x\n    Driver version   : 0.0.1\n\n    Single-precision compute (GFLOPS)\n      \
                      float    : 18.43\n      float4   : 67.77\n\n    Cooperative-matrix int8xint8+int32 8x8x8 (TOPS)\n      \
                      coopmat_int8 : 0.12\n    Cooperative-matrix bf16 (TFLOPS)\n      coopmat_bf16 : [unsupported] none! Skipped\n";
        let expected = [
            row("Single-precision compute: float", 18.43 * 1e9),
            row("Single-precision compute: float4", 67.77 * 1e9),
            row("Cooperative-matrix int8xint8+int32 8x8x8: coopmat_int8", 0.12 * 1e12),
        ];
        assert_eq!(clpeak(output), expected);
    }

    #[test]
    fn vkpeak_is_read_and_a_zero_is_no_figure() {
        let output = "device       = llvmpipe\nfp32-vec4    = 48.48 GFLOPS\nfp16-matrix  = 0.00 GFLOPS\ncopy-h2d     = 9.49 GBPS\n";
        assert_eq!(vkpeak(output), [row("fp32-vec4", 48.48 * 1e9), row("copy-h2d", 9.49 * 1e9)]);
    }

    #[test]
    fn memtest_vulkan_gives_its_best_interval() {
        let output = "Standard 5-minute test\n NO ERRORS  written:    0.2GB    0.7GB/s   checked:    0.5GB    0.2GB/s     00:00:03.195\n \
                      NO ERRORS  written:    0.5GB    0.8GB/s   checked:    1.0GB    0.2GB/s     00:00:12.837\n";
        assert_eq!(memtest_vulkan(output), [row("written", 0.8 * GIB), row("checked", 0.2 * GIB)]);
    }

    #[test]
    fn the_best_tile_of_each_pair_of_types_counts() {
        let output = "cooperativeMatrixProps = 8x8x8   A = float16_t B = float16_t C = float D = float scope = subgroup\n\
                      TILE_M=128 TILE_N=128, TILE_K=32 BColMajor=0 workgroupSize=64   0.000705 TFlops\n\
                      TILE_M=128 TILE_N=128, TILE_K=32 BColMajor=1 workgroupSize=64   0.000578 TFlops\n";
        assert_eq!(matrix_perf(output), [row("float16_t -> float", 0.000_705 * 1e12)]);
    }

    #[test]
    fn what_is_no_output_of_a_peer_gives_no_figure() {
        for peer in &ALL {
            assert_eq!((peer.read)("no Vulkan device found\n: : =\n(GFLOPS)\nx : y\n"), [], "{}", peer.name);
        }
    }
}
