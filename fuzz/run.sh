#!/usr/bin/env bash
# Fuzzes one reader, or all of them: fuzz/run.sh [TARGET|all] [MINUTES]; fuzz/run.sh grow [TARGET] [MINUTES]
#
# TARGET is yaml, prefect_yaml, templates or flow; MINUTES (10) hold for each. Needs what the project needs and a C++
# compiler, nothing nightly: the coverage comes from flags that stable rustc knows, and the code has no `unsafe` that a
# sanitizer would watch. The corpus in fuzz/corpus starts with the project's fixtures and is kept; what fails is kept in
# fuzz/artifacts: `fuzz/run.sh TARGET FILE` runs it again.
set -euo pipefail
if [ -f "${2:-}" ]; then set -- "$1" "$(realpath "$2")"; fi
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly MEMORY_KIB=$((4 << 20)) # of address space, in which a flow's stack counts in full
readonly RSS_MIB=1024
readonly SECONDS_EACH=30 # of the clock, on a machine that may be busy with other things
readonly MOST_BYTES=32768
readonly TRIPLE=$(rustc -vV | sed -n 's/^host: //p')

flags="--cfg fuzzing -Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
# A target of its own name, or build scripts and macros would be instrumented as well.
RUSTFLAGS="$flags" cargo build --quiet --release --locked --target "$TRIPLE" --bins
readonly BIN="target/$TRIPLE/release"
[ -d corpus ] || "$BIN/tool" seeds .. corpus

fuzz() { # TARGET MINUTES
    mkdir -p "artifacts/$1" "corpus/$1"
    (
        ulimit -v "$MEMORY_KIB"
        exec nice -n 19 "$BIN/$1" "corpus/$1" -dict="dict/$1.dict" -artifact_prefix="artifacts/$1/" \
            -max_total_time=$(($2 * 60)) -timeout="$SECONDS_EACH" -rss_limit_mb="$RSS_MIB" -max_len="$MOST_BYTES" \
            -print_final_stats=1
    )
}

what=${1:-all}
case $what in
all) for target in yaml prefect_yaml templates flow; do fuzz "$target" "${2:-10}"; done ;;
grow)
    targets=${2:-yaml prefect_yaml templates flow}
    for target in $targets; do nice -n 19 "$BIN/tool" grow "$target" "corpus/$target" "${3:-10}"; done
    ;;
*)
    if [ -f "${2:-}" ]; then
        shift
        ulimit -v "$MEMORY_KIB"
        exec "$BIN/$what" "$@" -timeout="$SECONDS_EACH"
    fi
    fuzz "$what" "${2:-10}"
    ;;
esac
