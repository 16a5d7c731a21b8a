#!/usr/bin/env bash
# Makes data/ci-tiny anew: what each stage of the ci-tiny pipeline hands to the next, from data/ci-tiny/case-reports.
# Run from the project's root after a change of file layout, prompts or the extractive teacher.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The same pipeline without its shortcuts, so that every stage takes what the one before it made.
grep -v -e '^input = ' -e '^base = ' pipelines/ci-tiny.toml >"$work/whole.toml"
cargo run --release --quiet -- run "$work/whole.toml" --set "workdir=\"$work\"" --set name=made --from ingest
for stage in corpus notes instructions dataset; do
    rm -rf "data/ci-tiny/$stage"
    mkdir -p "data/ci-tiny/$stage"
    cp "$work/made/$stage"/*.parquet "data/ci-tiny/$stage/"
done
rm -rf data/ci-tiny/base
cp -r "$work/made/pretrain/final" data/ci-tiny/base
