//! Compiles the kernels of `kernels/` to PTX for the feature `cuda`; without it there is nothing to do.
//!
//! `NVCC` names the compiler (default `nvcc`), `CUDA_COMPUTE_CAP` the compute capability without its dot (default 80). The
//! driver translates PTX for whatever card of that capability or above it finds.
//!
//! `ASCLEPIUS_FLASH_ATTENTION` names the directory of `libasclepius_flash.a`, FlashAttention's kernels as
//! `tools/cuda/flash.sh` compiles them; without it attention runs in plain products. The library wants the CUDA runtime,
//! whose static half `CUDA_HOME` has, so that nothing is linked that a machine may lack.

use std::path::PathBuf;
use std::process::Command;

const MODULES: [&str; 7] = ["activation", "adamw", "embedding", "nf4", "norm", "rope", "softmax"];

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=kernels");
    println!("cargo::rustc-check-cfg=cfg(flash_attention)");
    for variable in ["NVCC", "CUDA_COMPUTE_CAP", "CUDA_HOME", "ASCLEPIUS_FLASH_ATTENTION"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let variable = |name: &str| std::env::var(name).ok();
    if variable("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    let compiler = variable("NVCC").unwrap_or_else(|| "nvcc".to_owned());
    let capability = variable("CUDA_COMPUTE_CAP").unwrap_or_else(|| "80".to_owned());
    println!("cargo::rustc-env=ASCLEPIUS_COMPUTE_CAPABILITY={capability}");
    let out = PathBuf::from(variable("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for module in MODULES {
        let source = format!("kernels/{module}.cu");
        let status = Command::new(&compiler)
            .args(["-ptx", "-O3", "-std=c++17", "-arch", &format!("compute_{capability}"), "-o"])
            .arg(out.join(format!("{module}.ptx")))
            .arg(&source)
            .status()
            .map_err(|error| format!("{compiler}: {error}; set NVCC to NVIDIA's compiler"))?;
        if !status.success() {
            return Err(format!("{compiler} could not compile {source}: {status}"));
        }
    }
    if let Some(directory) = variable("ASCLEPIUS_FLASH_ATTENTION") {
        println!("cargo::rerun-if-changed={directory}/libasclepius_flash.a");
        println!("cargo::rustc-cfg=flash_attention");
        println!("cargo::rustc-link-search=native={directory}");
        println!("cargo::rustc-link-lib=static:-bundle=asclepius_flash");
        println!("cargo::rustc-link-search=native={}/lib", variable("CUDA_HOME").ok_or("CUDA_HOME is not set")?);
        println!("cargo::rustc-link-lib=static:-bundle=cudart_static");
        for library in ["stdc++", "dl", "rt", "pthread"] {
            println!("cargo::rustc-link-lib={library}");
        }
    }
    Ok(())
}
