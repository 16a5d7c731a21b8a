# shellcheck shell=bash
# Sourced by build.sh and check.sh, with `out` set: the copy of the working tree that is compiled with CUDA, and cudarc's.

workspace=$out/workspace
patch="patch.crates-io.cudarc.path=\"$out/cudarc\""

# The patch would rewrite Cargo.lock, so it is applied to a copy of the working tree; times are kept, so that a second
# build compiles only what changed.
sources() {
    rm -rf "$workspace"
    mkdir -p "$workspace"
    git ls-files -z --cached --others --exclude-standard -- Cargo.toml Cargo.lock rust-toolchain.toml clippy.toml \
        crates data pipelines tests docs README.md |
        tar --null --files-from=- --ignore-failed-read --create | tar --extract --directory "$workspace"
}

cudarc() {
    local version copy=$out/cudarc
    version=$(sed -n '/^name = "cudarc"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    cargo fetch --locked --quiet
    rm -rf "$copy"
    cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"cudarc-$version" "$copy"
    rm -f "$copy/.cargo-ok" "$copy/.cargo_vcs_info.json"
    sed -i 's/^dynamic-linking = \[\]/dynamic-linking = ["dynamic-loading"]/' "$copy/Cargo.toml"
    # Its build script refuses both features at once, and would emit the link flags of the one that candle names.
    sed -i -e 's/feature = "dynamic-linking"/feature = "linked-at-build-time"/' "$copy/build.rs"
    printf '\n[lints.rust]\nunexpected_cfgs = "allow"\n' >>"$copy/Cargo.toml"
    grep -q 'dynamic-linking = \["dynamic-loading"\]' "$copy/Cargo.toml" &&
        ! grep -q '"dynamic-linking"' "$copy/build.rs" ||
        { echo "cudarc $version is laid out otherwise than this script knows" >&2; return 1; }
}
