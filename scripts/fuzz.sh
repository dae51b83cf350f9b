#!/usr/bin/env bash
# Fuzzing of every parser of foreign bytes: builds, then runs each target for a while.
#
#   scripts/fuzz.sh                             every target, 60 seconds each
#   scripts/fuzz.sh --seconds 600 zip settings  these two, ten minutes each
#   scripts/fuzz.sh --runs 2000                 every target, so many inputs from a fixed seed: the same each time, for CI
#   scripts/fuzz.sh --list                      the names
#   scripts/fuzz.sh --minimize zip FILE         the smallest input that still fails
#
# Needs Rust (stable will do: coverage is LLVM's own pass, and the parsers have no unsafe code for a sanitizer to watch) and a
# C++ compiler for libFuzzer. New inputs are kept in fuzz/found/TARGET and are read again next time; an input that fails
# is kept in fuzz/artifacts/TARGET: fix it, then move it to fuzz/corpus/TARGET under the name of what it guards, where
# `cargo test -p fuzz-targets` replays it for ever. Ends with 'N passed, N failed, N skipped'.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
exec </dev/null

seconds=60 limit=() minimize="" targets=()
mapfile -t known < <(find corpus -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --runs) limit=(-runs="$2" -seed=1); shift ;;
    --list) printf '%s\n' "${known[@]}"; exit 0 ;;
    --minimize) minimize=$3; targets=("$2"); shift 2 ;;
    -*) sed -n '2,15s/^# \{0,1\}//p' ../scripts/fuzz.sh >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [ -d "corpus/$target" ] || { echo "no such target: $target; there are: ${known[*]}" >&2; exit 2; }
done
if ! command -v c++ >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends g++ >/dev/null
  else
    echo "SKIPPED: fuzzing needs a C++ compiler (Debian: g++)"
    echo "0 passed, 0 failed, ${#targets[@]} skipped"
    exit 0
  fi
fi

# With --target, build scripts and macros are not instrumented.
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares"
began=$SECONDS
cargo build --quiet --locked --release --target "$triple"
echo "built in $((SECONDS - began)) s"
program=target/$triple/release/skill-fuzz

if [ -n "$minimize" ]; then
  FUZZ_TARGET=${targets[0]} exec "$program" -minimize_crash=1 -max_total_time="$seconds" "$minimize"
fi
failed=()
for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "found/$target"
  seeds=("found/$target" "corpus/$target")
  [ "$target" = root ] && seeds+=(../tests/fixtures/roots)
  log=$(mktemp)
  code=0
  FUZZ_TARGET=$target "$program" "${limit[@]:--max_total_time=$seconds}" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -use_value_profile=1 \
    -print_final_stats=1 -artifact_prefix="artifacts/$target/" "${seeds[@]}" >"$log" 2>&1 || code=$?
  printf '%-18s %s\n' "$target" "$(awk '/^stat::number_of_executed_units/ {runs=$2} / cov: / {for (i=1;i<NF;i++) if ($i=="cov:") cov=$(i+1)} END {print runs+0 " runs, " cov+0 " edges"}' "$log")"
  if [ "$code" != 0 ]; then
    grep -E 'panicked|^SUMMARY|^==.*ERROR|Test unit written' -A1 "$log" | tail -n 20
    failed+=("$target")
  fi
  rm -f "$log"
done
for target in "${failed[@]:+${failed[@]}}"; do echo "failed: $target (inputs in fuzz/artifacts/$target)"; done
echo "$((${#targets[@]} - ${#failed[@]})) passed, ${#failed[@]} failed, 0 skipped"
[ ${#failed[@]} = 0 ]
