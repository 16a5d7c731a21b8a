#!/usr/bin/env bash
# Runs one fuzz target, or each in turn, for SECONDS: run.sh [TARGET] [SECONDS]
# What is found below fuzz/artifacts/ becomes a test of crates/asclepius-corpus once it is mended.
set -euo pipefail
cd "$(dirname "$0")"
seconds="${2:-600}"
targets=("${1:-}")
[ -n "${targets[0]}" ] || mapfile -t targets < <(cargo +nightly fuzz list)
for target in "${targets[@]}"; do
    case "$target" in
        article | archive) dictionary=jats ;;
        licence) dictionary=licence ;;
        *) dictionary=table ;;
    esac
    mkdir -p "found/$target"
    # Safe code throughout: the address sanitizer would only cost half of the runs.
    cargo +nightly fuzz run --sanitizer none "$target" "found/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -dict="dictionaries/$dictionary.dict" \
        -max_len=32768 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
