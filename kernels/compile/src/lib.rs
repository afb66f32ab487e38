//! Compiles the GLSL of `kernels` to SPIR-V.
//!
//! The SPIR-V is committed, so that a user's build needs no C++ compiler; `make shaders` writes it anew and a test of
//! this crate fails when it is not what the sources give. The manifest names, for each kernel, the digests of source and
//! result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use data_encoding::HEXLOWER;
use glslang::{
    Compiler, CompilerOptions, ShaderInput, ShaderMessage, ShaderSource, ShaderStage, SourceLanguage,
    SpirvVersion, Target, VulkanVersion,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One kernel to be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name of the result: `spirv/NAME.spv`.
    pub name: &'static str,
    /// The GLSL, below `src`.
    pub path: &'static str,
    /// Preprocessor symbols: one source, several element types.
    pub defines: &'static [(&'static str, &'static str)],
    /// For which Vulkan.
    pub target: Version,
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Vulkan 1.1, SPIR-V 1.3: every driver of this decade takes it.
    V1_1,
    /// Vulkan 1.3, SPIR-V 1.6: for kernels whose features such devices alone have.
    V1_3,
}

const fn plain(name: &'static str, path: &'static str) -> Source {
    Source { name, path, defines: &[], target: Version::V1_1 }
}

/// A matrix kernel for one pair of element types: name, and the types as `types.glsl` wants them.
macro_rules! matrix {
    ($name:literal, $path:literal, $a:literal, $per_a:literal, $c:literal, $per_c:literal, $stamp:literal $(, $more:literal)?) => {
        Source {
            name: concat!("matrix-", $name),
            path: concat!("matrix/", $path, ".comp"),
            defines: &[
                ("A", $a), ("PER_WORD_A", $per_a), ("C", $c), ("PER_WORD_C", $per_c), ("STAMP", $stamp),
                $(($more, "1"),)?
            ],
            target: Version::V1_3,
        }
    };
}

const WIDE: (&str, &str) = ("WIDE", "1");
const TABLE: (&str, &str) = ("TABLE", "1");

const fn memory(name: &'static str, defines: &'static [(&'static str, &'static str)]) -> Source {
    Source { defines, ..plain(name, "memory/memory.comp") }
}

/// Every kernel.
pub const SOURCES: &[Source] = &[
    plain("digest", "digest/digest.comp"),
    plain("fp32", "fp32/fp32.comp"),
    Source { defines: &[("UNITS", "1")], ..plain("digest-units", "digest/digest.comp") },
    Source { defines: &[("UNITS", "1")], ..plain("fp32-units", "fp32/fp32.comp") },
    Source { defines: &[("STAND_IN", "1")], ..plain("digest-stand-in", "digest/digest.comp") },
    Source { defines: &[("STAND_IN", "1")], ..plain("fp32-stand-in", "fp32/fp32.comp") },
    plain("fp16", "fp16/fp16.comp"),
    plain("fp64", "fp64/fp64.comp"),
    plain("int32", "int32/int32.comp"),
    plain("int64", "int64/int64.comp"),
    plain("dot", "dot/dot.comp"),
    plain("transcendental", "transcendental/transcendental.comp"),
    plain("chase", "chase/chase.comp"),
    plain("reread", "reread/reread.comp"),
    Source { defines: &[("SHARED", "1")], ..plain("reread-shared", "reread/reread.comp") },
    memory("memory", &[]),
    memory("memory_wide", &[WIDE]),
    memory("memory_table", &[TABLE]),
    memory("memory_table_wide", &[TABLE, WIDE]),
    matrix!("f16-f16", "rate", "float16_t", "2u", "float16_t", "2u", "0x1fu"),
    matrix!("f16-f32", "rate", "float16_t", "2u", "float", "1u", "0x1fffu"),
    matrix!("bf16-f32", "rate", "bfloat16_t", "2u", "float", "1u", "0x1fffu"),
    matrix!("e4m3-f32", "rate", "floate4m3_t", "4u", "float", "1u", "0x7fu"),
    matrix!("e5m2-f32", "rate", "floate5m2_t", "4u", "float", "1u", "0x7fu"),
    matrix!("s8-s32", "rate", "int8_t", "4u", "int", "1u", "0xffffffffu"),
    matrix!("u8-u32", "rate", "uint8_t", "4u", "uint", "1u", "0xffffffffu"),
    matrix!("whole-f16-f16", "rate", "float16_t", "2u", "float16_t", "2u", "0x1fu", "WHOLE"),
    matrix!("whole-f16-f32", "rate", "float16_t", "2u", "float", "1u", "0x1fffu", "WHOLE"),
    matrix!("whole-bf16-f32", "rate", "bfloat16_t", "2u", "float", "1u", "0x1fffu", "WHOLE"),
    matrix!("whole-e4m3-f32", "rate", "floate4m3_t", "4u", "float", "1u", "0x7fu", "WHOLE"),
    matrix!("whole-e5m2-f32", "rate", "floate5m2_t", "4u", "float", "1u", "0x7fu", "WHOLE"),
    matrix!("whole-s8-s32", "rate", "int8_t", "4u", "int", "1u", "0xffffffffu", "WHOLE"),
    matrix!("whole-u8-u32", "rate", "uint8_t", "4u", "uint", "1u", "0xffffffffu", "WHOLE"),
    matrix!("product-f16-f16", "product/product", "float16_t", "2u", "float16_t", "2u", "0x1fu"),
    matrix!("product-f16-f32", "product/product", "float16_t", "2u", "float", "1u", "0x1fffu"),
    matrix!("product-bf16-f32", "product/product", "bfloat16_t", "2u", "float", "1u", "0x1fffu"),
    matrix!("product-e4m3-f32", "product/product", "floate4m3_t", "4u", "float", "1u", "0x7fu"),
    matrix!("product-e5m2-f32", "product/product", "floate5m2_t", "4u", "float", "1u", "0x7fu"),
    matrix!("product-s8-s32", "product/product", "int8_t", "4u", "int", "1u", "0xffffffffu"),
    matrix!("product-u8-u32", "product/product", "uint8_t", "4u", "uint", "1u", "0xffffffffu"),
];

/// What the committed SPIR-V was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The compiler, as this crate pins it.
    pub compiler: String,
    /// The kernels, by name.
    pub kernels: BTreeMap<String, Entry>,
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of the defines and the GLSL with its includes.
    pub source_sha256: String,
    /// SHA-256 of the SPIR-V.
    pub spirv_sha256: String,
    /// Size of the SPIR-V.
    pub spirv_bytes: usize,
}

/// The folder of the `kernels` crate.
pub fn kernels_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The GLSL of a file, with each line `#include "FILE"` replaced by that file, which is looked for below `src`.
pub fn read(kernels: &Path, path: &str) -> Result<String> {
    let path = kernels.join("src").join(path);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut out = String::new();
    for line in text.lines() {
        match line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(included) => out.push_str(&read(kernels, included)?),
            None => out.extend([line, "\n"]),
        }
    }
    Ok(out)
}

/// Compiles one compute shader.
pub fn compile(source: &str, kernel: &Source) -> Result<Vec<u8>> {
    let name = kernel.name;
    let compiler = Compiler::acquire().ok_or_else(|| anyhow!("glslang did not start"))?;
    let options = CompilerOptions {
        source_language: SourceLanguage::GLSL,
        target: match kernel.target {
            Version::V1_1 => {
                Target::Vulkan { version: VulkanVersion::Vulkan1_1, spirv_version: SpirvVersion::SPIRV1_3 }
            }
            Version::V1_3 => {
                Target::Vulkan { version: VulkanVersion::Vulkan1_3, spirv_version: SpirvVersion::SPIRV1_6 }
            }
        },
        version_profile: None,
        messages: ShaderMessage::DEFAULT,
    };
    let source = ShaderSource::from(source);
    let defines: Vec<_> = kernel.defines.iter().map(|(name, value)| (*name, Some(*value))).collect();
    let input = ShaderInput::new(&source, ShaderStage::Compute, &options, Some(&defines), None)
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("reading kernel `{name}`"))?;
    let words = compiler
        .create_shader(input)
        .and_then(|shader| shader.compile())
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("compiling kernel `{name}`"))?;
    Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// Compiles every kernel below the folder; SPIR-V by name, and the manifest.
pub fn compile_all(kernels: &Path) -> Result<(BTreeMap<String, Vec<u8>>, Manifest)> {
    let mut spirv = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for kernel in SOURCES {
        let name = kernel.name;
        let source = read(kernels, kernel.path)?;
        let binary = compile(&source, kernel)?;
        let entry = Entry {
            source_sha256: HEXLOWER.encode(&Sha256::digest(format!("{:?}\n{source}", kernel.defines))),
            spirv_sha256: HEXLOWER.encode(&Sha256::digest(&binary)),
            spirv_bytes: binary.len(),
        };
        entries.insert(name.to_owned(), entry);
        spirv.insert(name.to_owned(), binary);
    }
    Ok((spirv, Manifest { compiler: "glslang crate 0.9.1".to_owned(), kernels: entries }))
}

/// What is committed but is not what the sources give; empty when all is well.
pub fn drift(kernels: &Path) -> Result<Vec<String>> {
    let (spirv, manifest) = compile_all(kernels)?;
    let mut differs = Vec::new();
    for (name, binary) in &spirv {
        let path = kernels.join(format!("spirv/{name}.spv"));
        if std::fs::read(&path).ok().as_ref() != Some(binary) {
            differs.push(format!("spirv/{name}.spv"));
        }
    }
    let committed = std::fs::read(kernels.join("spirv/manifest.json")).unwrap_or_default();
    if serde_json::from_slice::<Manifest>(&committed).ok() != Some(manifest) {
        differs.push("spirv/manifest.json".to_owned());
    }
    Ok(differs)
}

/// Compiles every kernel and writes SPIR-V and manifest.
pub fn write_all(kernels: &Path) -> Result<()> {
    let (spirv, manifest) = compile_all(kernels)?;
    for (name, binary) in spirv {
        let path = kernels.join(format!("spirv/{name}.spv"));
        std::fs::write(&path, binary).with_context(|| format!("writing {}", path.display()))?;
    }
    let path = kernels.join("spirv/manifest.json");
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_spirv_is_what_the_sources_give() {
        let differs = drift(&kernels_folder()).unwrap();
        assert!(
            differs.is_empty(),
            "{differs:?} differ from the sources: run `make shaders` and commit the result"
        );
    }

    #[test]
    fn a_changed_source_is_seen_as_drift() {
        let copy = tempfile::tempdir().unwrap();
        for kernel in SOURCES {
            let path = copy.path().join("src").join(kernel.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, read(&kernels_folder(), kernel.path).unwrap()).unwrap();
        }
        std::fs::create_dir(copy.path().join("spirv")).unwrap();
        write_all(copy.path()).unwrap();
        assert_eq!(drift(copy.path()).unwrap(), Vec::<String>::new());
        let path = copy.path().join("src/digest/digest.comp");
        let changed = std::fs::read_to_string(&path).unwrap().replace("0x6a09e667u", "0x6a09e668u");
        std::fs::write(&path, changed).unwrap();
        let expected = ["digest-stand-in.spv", "digest-units.spv", "digest.spv", "manifest.json"]
            .map(|file| format!("spirv/{file}"));
        let mut found = drift(copy.path()).unwrap();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    /// No device at hand may have what a kernel needs: then the specification's own validator is what looks at it. Those for
    /// Vulkan 1.3 are left out: Debian 12's validator does not know cooperative matrices; the validation layer of the
    /// newer Mesa looks at the ones that run there.
    #[test]
    fn the_validator_of_the_specification_accepts_every_kernel_that_it_knows() {
        let known: Vec<_> = SOURCES.iter().filter(|kernel| kernel.target == Version::V1_1).collect();
        assert!(known.len() > 10);
        for kernel in known {
            let path = kernels_folder().join(format!("spirv/{}.spv", kernel.name));
            let ended = std::process::Command::new("spirv-val")
                .args(["--target-env", "vulkan1.1"])
                .arg(&path)
                .output()
                .expect("running spirv-val (Debian: spirv-tools)");
            assert!(ended.status.success(), "{}: {}", kernel.name, String::from_utf8_lossy(&ended.stdout));
        }
    }

    #[test]
    fn a_source_that_does_not_compile_is_refused_by_name() {
        let error = format!(
            "{:#}",
            compile("#version 460\nvoid main() { undefined(); }", &plain("broken", "broken.comp"))
                .unwrap_err()
        );
        assert!(error.contains("compiling kernel `broken`") && error.contains("undefined"), "{error}");
    }
}
