//! `kernels-compile`: writes the SPIR-V of all kernels, or with `--check` says what has drifted.

use std::process::ExitCode;

use anyhow::Result;
use kernels_compile::{drift, kernels_folder, write_all};

fn main() -> Result<ExitCode> {
    let kernels = kernels_folder();
    match std::env::args().nth(1).as_deref() {
        None => write_all(&kernels).map(|()| ExitCode::SUCCESS),
        Some("--check") => {
            let differs = drift(&kernels)?;
            for file in &differs {
                eprintln!("kernels/{file} is not what the sources give: run `make shaders`");
            }
            Ok(if differs.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some(other) => {
            eprintln!("unknown argument `{other}`: use no argument to write the SPIR-V, or `--check`");
            Ok(ExitCode::from(2))
        }
    }
}
