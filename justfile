# Every recipe takes a pipeline: `just sft llama3-8b`, or `just sft my/pipeline.toml`. The default is the demo.
set positional-arguments := true

asclepius := "cargo run --release --quiet --"

# list the recipes
default:
    @just --list

# the whole pipeline
run pipeline="demo":
    {{asclepius}} run "$1"

# the data half: ingest, notes, instruct, dataset
synth pipeline="demo":
    {{asclepius}} synth "$1"

# continued pre-training alone
pretrain pipeline="demo":
    {{asclepius}} pretrain "$1"

# instruction tuning alone
sft pipeline="demo":
    {{asclepius}} sft "$1"

# evaluation alone
eval pipeline="demo":
    {{asclepius}} eval "$1"

# the report alone
report pipeline="demo":
    {{asclepius}} report "$1"

# the models of a run behind an API and a page, on loopback
serve pipeline="demo":
    {{asclepius}} serve "$1"

# the page in headless Chromium, where there is one, with the models of the demo's run; pictures too: just page /tmp/pictures
page *screenshots:
    tools/page_check.py ${1:+--screenshots "$1"}

# the tests, as the README runs them
test:
    cargo test --release --workspace

# everything that is checked before a change lands
ci:
    bash .ci/run

# training and generation beside PyTorch, in turn, on this machine; `model`: SmolLM2-135M as a Hugging Face directory
bench model="":
    cargo build --release --workspace --examples
    "${ASCLEPIUS_ORACLE_PYTHON:-target/oracle-venv/bin/python}" bench/run.py ${1:+--model "$1"}

# the chat client against a mock endpoint: seconds, processor time, memory, goodput under faults
bench-calls *options:
    cargo build --release -p asclepius-llm --examples
    python3 bench/calls.py "$@"

# a run killed a thousand times at random moments
torture kills="1000":
    ASCLEPIUS_TORTURE_KILLS="$1" cargo test --release -p asclepius-cli --test end_to_end -- ledger:: --nocapture

# tokenise and pack beside datasets.map; needs a Python with datasets, transformers and pyarrow, see bench/README.md
bench-tokens tokenizer:
    cargo build --release --workspace --examples
    python bench/tokenise.py "$1" --out bench/results/tokenise.json

# hold this version to PyTorch: golden dumps made again, and random models of every family (just oracle 7 draws others)
oracle seed="0" models="24":
    bash tools/oracle/run.sh "$1" "$2"

# libFuzzer on what the corpus reads, one target or each in turn; needs nightly Rust and `cargo install cargo-fuzz`
fuzz target="" seconds="600":
    bash fuzz/run.sh "$1" "$2"

# the binary with CUDA, target/cuda/asclepius; needs neither a card nor CUDA
cuda-build:
    bash tools/cuda/build.sh

# every operation and ten training steps on a GPU beside the CPU's, with the binary of cuda-build
gpu device="cuda:0":
    bash tools/cuda/gpu.sh "$1"
