#!/usr/bin/env bash
# Holds asclepius to PyTorch: the golden dumps made again and compared with those committed, then random models of every
# family, drawn from a seed and computed by both sides.
#
#   tools/oracle/run.sh [SEED [MODELS]]       default 0 and 24
#   ASCLEPIUS_ORACLE_PYTHON   an interpreter that has what requirements.txt names (else target/oracle-venv is made)
#   CARGO_FLAGS               more for cargo, as in "-j 2"
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${ASCLEPIUS_ORACLE_PYTHON:-}
if [ -z "$python" ]; then
    python=target/oracle-venv/bin/python
    [ -x "$python" ] || python3 -m venv target/oracle-venv
    "$python" -m pip install --quiet --disable-pip-version-check --requirement tools/oracle/requirements.txt
fi
export PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

# shellcheck disable=SC2086 # flags are words
cargo build --release --quiet ${CARGO_FLAGS:-} --workspace --example score --example steps

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
failed=0
"$python" tools/oracle/golden.py "$fresh/golden" 2>"$fresh/log" || { cat "$fresh/log" >&2; exit 1; }
"$python" tools/oracle/dumps.py "$fresh/golden" data/golden || failed=1
"$python" tools/oracle/live.py --score target/release/examples/score --steps target/release/examples/steps \
    --seed "${1:-0}" --models "${2:-24}" || failed=1
exit "$failed"
