# `just` lists what there is; every recipe is a few plain commands.

set shell := ["bash", "-euo", "pipefail", "-c"]

[private]
default:
    @just --list --unsorted

# types only, without git: seconds
[group('inner loop')]
check:
    cargo check --no-default-features

# every feature alone, and all; with tests and examples
[group('inner loop')]
check-all:
    cargo check --no-default-features --all-targets
    cargo check --all-features --all-targets

# unit tests of one room, or of all: `just quick manifest`
[group('inner loop')]
quick filter="":
    cargo test --lib -- {{ filter }}

# everything that this machine can run; with a filter, what its name contains
[group('inner loop')]
test filter="":
    cargo test -- {{ filter }}

# tests that talk to a server, on older and newer Prefects and on PostgreSQL: `just servers 3.4.25 -- lock::`
[group('inner loop')]
servers *args:
    tests/servers.sh {{ args }}

# the linters of workflows and of the action, out of PyPI
[group('inner loop')]
workflows:
    tests/workflows.sh

# fuzz a reader, or all: `just fuzz flow 30`, see fuzz/run.sh
[group('inner loop')]
fuzz *args:
    fuzz/run.sh {{ args }}

# look at changed snapshots one by one (needs cargo-insta)
[group('inner loop')]
review:
    cargo insta review

# a real Prefect server on a free port with a temporary database, until Ctrl-C
[group('try it')]
server:
    @cargo run --quiet --example server

# the whole story on a copy of examples/hello, against a throw-away server
[group('try it')]
demo:
    cargo build --quiet
    cargo run --quiet --example server -- bash examples/demo.sh

# the book of the code, private rooms too
[group('before a commit')]
doc:
    cargo doc --no-deps --document-private-items --open

# what CI runs: format, lints, docs, licences (if cargo-deny is there), tests
[group('before a commit')]
ci:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi
    .ci/run
