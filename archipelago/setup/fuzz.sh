#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: feeds every target of tests/fuzz for so long, two at a time, beginning with its seeds.
# What breaks one is left in target/fuzz/artifacts/TARGET; keep it as a seed once it is mended.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$REPO"

seconds=${1:-60}
shift || true
work=$TARGET/fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir tests/fuzz)

# No target and none of our crates has unsafe code, so that a sanitizer would watch the allocator alone; without one,
# the stable compiler will do.
cargo fuzz build --fuzz-dir tests/fuzz --target-dir "$work" --sanitizer none

feed() {
    local target=$1 log=$work/$1.log
    mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
    if "$(find "$work" -path "*/release/$target" -type f | head -n 1)" -max_total_time="$seconds" -max_len=65536 \
        -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$work/artifacts/$target/" \
        "$work/corpus/$target" "tests/fuzz/seeds/$target" >"$log" 2>&1; then
        note "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, none broke it"
    else
        tail -n 25 "$log" >&2
        return 1
    fi
}

failed=()
for ((at = 0; at < ${#targets[@]}; at += 2)); do
    pair=("${targets[@]:at:2}") jobs=()
    for target in "${pair[@]}"; do
        feed "$target" &
        jobs+=($!)
    done
    for index in "${!jobs[@]}"; do
        wait "${jobs[$index]}" || failed+=("${pair[$index]}")
    done
done
[ ${#failed[@]} = 0 ] || die "an input broke ${failed[*]}" "see $work/artifacts; it is a bug, also where the input is absurd"
