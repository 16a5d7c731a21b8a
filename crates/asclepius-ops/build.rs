//! Compiles the kernels of `kernels/` to PTX for the feature `cuda`; without it there is nothing to do.
//!
//! `NVCC` names the compiler (default `nvcc`), `CUDA_COMPUTE_CAP` the compute capability without its dot (default 80). The
//! driver translates PTX for whatever card of that capability or above it finds.

use std::path::PathBuf;
use std::process::Command;

const MODULES: [&str; 7] = ["activation", "adamw", "embedding", "nf4", "norm", "rope", "softmax"];

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=kernels");
    for variable in ["NVCC", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let variable = |name: &str| std::env::var(name).ok();
    if variable("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    let compiler = variable("NVCC").unwrap_or_else(|| "nvcc".to_owned());
    let capability = variable("CUDA_COMPUTE_CAP").unwrap_or_else(|| "80".to_owned());
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
    Ok(())
}
