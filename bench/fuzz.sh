#!/bin/bash
# make fuzz                          names the targets
# make fuzz TARGET=name MINUTES=5    runs one under libFuzzer, guided by coverage
# make fuzz ALL=1 MINUTES=30         runs each, as many at a time as there are processors and when nothing else wants them; said again, it
#                                    goes on with those that have not had so much yet
# make fuzz TARGET=name MERGE=1      moves what reaches something new into the committed corpus, and drops what does not
#
# Minutes are the processor's. A target is a test with a `check!` in it; its corpus lies in `__fuzz__` beside it, and `cargo test` replays it. What breaks the
# target lands in `crashes` there, so `cargo test` fails until it is mended. Debug assertions and overflow checks are on.
# No sanitizer: it would need a nightly compiler, and only dataplane/src/io has unsafe code.
set -euo pipefail
cd "$(dirname "$0")/.."

# All targets: file and test.
targets() {
  grep -lE '\bcheck!\(' -r --include='*.rs' --exclude-dir=target . | sort | xargs awk '
    /#\[test\]/ { marked = 1 }
    marked && match($0, /fn [a-z0-9_]+\(/) { name = substr($0, RSTART + 3, RLENGTH - 4); marked = 0 }
    /[^a-z_]check!\(/ { print substr(FILENAME, 3), name }'
}

TARGET=${TARGET:-} MINUTES=${MINUTES:-5} MERGE=${MERGE:-} ALL=${ALL:-}
if [ -z "$TARGET$ALL" ]; then
  targets | awk '{ print $2 "\t(" $1 ")" }'
  exit
fi
{ command -v jq && command -v g++; } >/dev/null || apt-get install --yes --no-install-recommends jq g++ >&2

# Programs without a target are built along and never run: what they lack of libFuzzer may stay unresolved.
coverage="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module -Clink-arg=-Wl,--unresolved-symbols=ignore-all"
for what in level=4 inline-8bit-counters pc-table trace-compares; do
  coverage+=" -Cllvm-args=-sanitizer-coverage-$what"
done
# Naming the host keeps the flags away from build scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/adit/target}/fuzz
# shellcheck source=../deploy/claim-target.sh
. deploy/claim-target.sh

# build WHAT...: messages of cargo's about these test programs.
build() {
  RUSTFLAGS="$coverage" BOLERO_FUZZER=libfuzzer cargo test --no-run --workspace "$@" --target "$host" --profile fuzz \
    --message-format json-render-diagnostics
}

if [ -n "$ALL" ]; then
  build --lib --tests >/dev/null
  # Whoever breaks stops none of the others.
  targets | awk '{ print $2 }' | ALL='' RESUME=1 xargs -P "$(nproc)" -I NAME chrt --idle 0 env TARGET=NAME "$PWD/bench/fuzz.sh"
  exit
fi

read -r file name < <(targets | awk -v name="$TARGET" '$2 == name') || {
  echo "no target '$TARGET'; make fuzz names them" >&2
  exit 2
}
case $file in
  */src/*) program=(--lib) ;;
  # A folder of tests is one program.
  */tests/*/*) program=(--test "$(basename "$(dirname "$file")")") ;;
  *) program=(--test "$(basename "$file" .rs)") ;;
esac

built=$(build "${program[@]}" |
  jq -r 'select(.profile.test and .executable and (.manifest_path | endswith("/'"${file%%/*}"'/Cargo.toml"))) | .executable')

# The names of tests in a library say where they stand.
test=$("$built" --list | sed -n "s/^\(\(.*::\)\?$name\): test$/\1/p")
folder=$(CARGO_BOLERO_SELECT=one "$built" "$test" --exact --nocapture | grep -a __bolero_target | jq -r .work_dir)
found=$CARGO_TARGET_DIR/found/$(basename "$folder")
mkdir -p "$found" "$folder/corpus"

# libFuzzer OPTION...
fuzz() {
  # Bash has what it starts in the background ignore SIGINT.
  exec env --default-signal=INT BOLERO_TEST_NAME="$test" BOLERO_LIBTEST_HARNESS=1 \
    BOLERO_LIBFUZZER_ARGS="-rss_limit_mb=2048 -timeout=60 $*" "$built" "$test" --exact --nocapture --quiet --test-threads 1
}

# Seconds of the processor that this process has had; nothing if it has ended.
seconds() { awk -v hertz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) / hertz) }' "/proc/$1/stat" 2>/dev/null; }

if [ -n "$MERGE" ]; then
  least=$(mktemp -d)
  (fuzz -merge=1 "$least" "$folder/corpus" "$found")
  rm -rf "$folder/corpus" "$found"
  chmod 755 "$least"
  mv "$least" "$folder/corpus"
else
  spent=$CARGO_TARGET_DIR/spent/$name before=0
  mkdir -p "$folder/crashes" "${spent%/*}"
  [ -z "${RESUME:-}" ] || before=$(cat "$spent" 2>/dev/null || echo 0)
  left=$((MINUTES * 60 - before))
  [ "$left" -gt 0 ] || exit 0
  fuzz -print_final_stats=1 -artifact_prefix="$folder/crashes/" "$found" "$folder/corpus" &
  pid=$! had=0
  while now=$(seconds "$pid") && [ -n "$now" ]; do
    had=$now
    # libFuzzer sums up when it is interrupted.
    [ "$had" -lt "$left" ] || kill -INT "$pid" || true
    sleep 1
  done
  code=0
  wait "$pid" || code=$?
  echo $((before + had)) >"$spent"
  rmdir --ignore-fail-on-non-empty "$folder/crashes"
  # 72: interrupted.
  [ "$code" -eq 0 ] || [ "$code" -eq 72 ]
fi
