# shellcheck shell=bash
# Sourced by build.sh and check.sh, with `out` set: the copies that are compiled with CUDA, of the working tree and of two
# of candle's crates.

workspace=$out/workspace
patch=(--config "patch.crates-io.cudarc.path=\"$out/cudarc\"" --config "patch.crates-io.candle-kernels.path=\"$out/candle-kernels\"")

# The patch would rewrite Cargo.lock, so it is applied to a copy of the working tree; times are kept, so that a second
# build compiles only what changed.
sources() {
    rm -rf "$workspace"
    mkdir -p "$workspace"
    git ls-files -z --cached --others --exclude-standard -- Cargo.toml Cargo.lock rust-toolchain.toml clippy.toml \
        crates data pipelines tests docs README.md |
        tar --null --files-from=- --ignore-failed-read --create | tar --extract --directory "$workspace"
}

# A crate's source as Cargo.lock names it: copied to $copy, its version in $version.
copy_of() {
    copy=$out/$1
    version=$(sed -n "/^name = \"$1\"\$/{n;s/version = \"\(.*\)\"/\1/p}" Cargo.lock)
    cargo fetch --locked --quiet
    rm -rf "$copy"
    cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$1-$version" "$copy"
    rm -f "$copy/.cargo-ok" "$copy/.cargo_vcs_info.json"
}

# cudarc opens the libraries at run time; candle asks it to link them.
cudarc() {
    local version copy
    copy_of cudarc
    sed -i 's/^dynamic-linking = \[\]/dynamic-linking = ["dynamic-loading"]/' "$copy/Cargo.toml"
    # Its build script refuses both features at once, and would emit the link flags of the one that candle names.
    sed -i -e 's/feature = "dynamic-linking"/feature = "linked-at-build-time"/' "$copy/build.rs"
    printf '\n[lints.rust]\nunexpected_cfgs = "allow"\n' >>"$copy/Cargo.toml"
    grep -q 'dynamic-linking = \["dynamic-loading"\]' "$copy/Cargo.toml" &&
        ! grep -q '"dynamic-linking"' "$copy/build.rs" ||
        { echo "cudarc $version is laid out otherwise than this script knows" >&2; return 1; }
}

# candle's kernels without those for GGUF weights and mixtures of experts, which nothing here calls on a card: they are a
# third of the binary and nine tenths of its compiling, and the only ones that want the CUDA runtime. candle names them all
# the same, so each is there and says what it lacks. The others, five megabytes of PTX as text, lie in the binary deflated
# and are inflated when a card first asks for them.
kernels() {
    local version copy
    copy_of candle-kernels
    sed -i -e '/"src\/\(moe\|mmq_gguf\)\//d' -e 's/"src\/mmvq_gguf.cu"/"src\/absent.cu"/' -e '/rustc-link-lib=dylib=cudart/d' \
        -e 's/"mmvq_gguf.cu"/"absent.cu", &/' -e 's/let mut moe_sources/let moe_sources/' \
        -e 's/bindings\.write(&ptx_path)?;/& deflate(\&out_dir, \&ptx_path);/' "$copy/build.rs"
    rm -r "$copy/src/moe" "$copy/src/mmq_gguf" "$copy/src/mmvq_gguf.cu"
    echo '// No kernel for GGUF weights in this build.' >"$copy/src/quantized.cu"
    cat >>"$copy/build.rs" <<'RUST'

fn deflate(out_dir: &std::path::Path, list: &std::path::Path) {
    let named = std::fs::read_to_string(list).expect("the list of kernels");
    let named = named.replace("&str = include_str!", "&[u8] = include_bytes!").replace(".ptx\"", ".ptx.deflated\"");
    std::fs::write(list, named).expect("the list of kernels");
    for file in std::fs::read_dir(out_dir).expect("the output directory") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "ptx") {
            let deflated = miniz_oxide::deflate::compress_to_vec(&std::fs::read(&path).expect("a kernel"), 10);
            std::fs::write(path.with_extension("ptx.deflated"), deflated).expect("a kernel");
        }
    }
}
RUST
    sed -i -e 's/^    ptx: &.static str,/    ptx: \&'"'"'static [u8],/' -e 's/pub fn ptx(&self) -> &.static str/pub fn ptx(\&self) -> String/' \
        -e 's/^        self\.ptx$/        let text = miniz_oxide::inflate::decompress_to_vec(self.ptx).expect("deflated here");\n        String::from_utf8(text).expect("PTX is text")/' \
        "$copy/src/lib.rs"
    printf '\n[%s.miniz_oxide]\nversion = "0.9"\n' dependencies build-dependencies >>"$copy/Cargo.toml"
    {
        printf '#include <cstdio>\n#include <cstdlib>\n'
        sed -n 's/.*pub fn \([a-z0-9_A-Z]*\)(.*/\1/p' "$copy/src/ffi.rs" | while read -r name; do
            printf 'extern "C" void %s() { std::fputs("this build has no kernel %s\\n", stderr); std::abort(); }\n' "$name" "$name"
        done
    } >"$copy/src/absent.cu"
    grep -q '"src/absent.cu"' "$copy/build.rs" && [ "$(grep -c abort "$copy/src/absent.cu")" -ge 40 ] &&
        ! grep -qE 'mmq_gguf/|cudart' "$copy/build.rs" && grep -q '; deflate(' "$copy/build.rs" &&
        grep -q 'inflate::' "$copy/src/lib.rs" && grep -q 'ptx: &.static \[u8\]' "$copy/src/lib.rs" ||
        { echo "candle-kernels $version is laid out otherwise than this script knows" >&2; return 1; }
}
