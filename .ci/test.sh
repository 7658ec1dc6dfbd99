#!/bin/bash
# make test: formatting, lints, tests, scenarios. A step that fails does not keep the next one from running; the last line
# sums up over everything, and the exit status is 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/adit/target}
export CARGO_TERM_COLOR=never
# shellcheck source=deploy/claim-target.sh
. deploy/claim-target.sh
# Nobody builds here again, and nobody debugs: what only serves that costs minutes on a new machine. The same binaries otherwise, but for
# optimisation across crates. The compiler of our own crates' tests is clippy's there, so that nothing is read twice and no dependency is
# compiled only to be looked at.
lint=(cargo clippy --quiet --locked --workspace --all-targets -- -D warnings)
tested=(env)
if [ "${CI:-}" = true ]; then
  export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_RELEASE_DEBUG=false
  export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
  tested=(env "RUSTC_WORKSPACE_WRAPPER=$PWD/.ci/rustc-clippy.sh")
  lint=("${tested[@]}" cargo test --quiet --locked --workspace --no-run)
fi

passed=0 failed=0 skipped=0
reasons=() # of what was skipped
failures=()
unsteady=() # what passed, but not at once
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each step says when it begins: SECONDS since the beginning.
say() { printf '\n== %s (%d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# step NAME COMMAND...: a step that is one test.
step() {
  local name=$1
  shift
  say "$name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
  fi
}

# counted NAME COUNTER COMMAND...: a step of many tests. COUNTER reads what it printed and prints lines
# "count PASSED FAILED SKIPPED", "failed WHAT", "skipped WHAT" and, of what held only at the second try, "unsteady WHAT". If the command fails and no test did, then the step
# itself did not work: that is one failure more.
counted() {
  local name=$1 counter=$2 code=0 kind rest p f s before=$failed
  shift 2
  say "$name"
  "$@" 2>&1 | tee "$work/out" || code=1
  while read -r kind rest; do
    case $kind in
      count)
        read -r p f s <<<"$rest"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        ;;
      failed) failures+=("$rest") ;;
      skipped) reasons+=("$rest") ;;
      unsteady) unsteady+=("$rest") ;;
    esac
  done < <("$counter" "$work/out")
  if [ "$code" -ne 0 ] && [ "$failed" -eq "$before" ]; then
    failed=$((failed + 1))
    failures+=("$name")
  fi
}

# cargo test prints, for each test program,
#   test session::opens ... ok
#   test session::closes ... FAILED
#   test session::waits ... ignored, needs a network
#   test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
# and names a program that died without a result: "error: test failed, to rerun pass `-p adit-control --lib`" and
# "process didn't exit successfully".
count_cargo() {
  awk '
    /^test result: / {
      for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") p += $i
        if ($(i + 1) == "failed;") f += $i
        if ($(i + 1) == "ignored;") s += $i
      }
    }
    /^test .* \.\.\. FAILED$/ { print "failed " $2 }
    /^test .* \.\.\. ignored/ {
      name = $2
      why = "the test gives no reason"
      if (match($0, / \.\.\. ignored, /)) why = substr($0, RSTART + RLENGTH)
      print "skipped " name ": " why
    }
    # A test that cannot run here says so and returns: it has not passed.
    /^SKIPPED [a-z0-9_:]+: / && !seen[$2]++ { p--; s++; sub(/^SKIPPED /, ""); print "skipped " $0 }
    # A program that dies prints no result. With exit status 101 it has one.
    /process didn.t exit successfully/ && !/\(exit status: 101\)/ {
      f++
      print "failed " $0
    }
    END { print "count " p + 0, f + 0, s + 0 }' "$1"
}

# The scenario runner prints "ok NAME (SECONDS)", "FAILED NAME: WHY", "skipped NAME: WHY", "unsteady NAME: WHY" and
# "N passed, N failed, N skipped".
count_scenarios() {
  awk '
    /^FAILED / { sub(/^FAILED /, ""); print "failed scenario " $0 }
    /^skipped / { sub(/^skipped /, ""); print "skipped scenario " $0 }
    /^unsteady / { sub(/^unsteady /, ""); print "unsteady scenario " $0 }
    /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { print "count " $1, $3, $5 }' "$1"
}

install_peers() {
  deploy/install-peers.sh && return 0
  echo "the packages could not be installed"
  return 1
}

build_release() { cargo build --release --locked --workspace --bins; }

# The README's first command; its last line is what scripts read. Afterwards none of its namespaces is left.
run_once() {
  local pid
  deploy/run.sh >"$work/once" &
  pid=$!
  wait "$pid" || return 1
  tail -1 "$work/once"
  tail -1 "$work/once" | jq -e '
    keys_unsorted == ["client", "sessions", "bytes_up", "bytes_down", "mbit_up", "mbit_down"] and
    (.client | startswith("strongSwan ")) and .sessions == 1 and
    .bytes_up > 10e6 and .bytes_down > 10e6 and .mbit_up > 1 and .mbit_down > 1' >/dev/null || return 1
  removed "$pid"
}

# The same on a terminal, with somebody who presses Ctrl-C once the session is shown.
run_live() {
  local keyboard script run='' code=0 i shown=no
  mkfifo "$work/keys"
  exec {keyboard}<>"$work/keys"
  # A shell without job control ignores SIGINT in what it starts in the background, and who inherits that cannot trap it.
  env --default-signal=INT script --quiet --return --flush --command 'stty rows 50 columns 120; exec deploy/run.sh' \
    "$work/screen" <"$work/keys" >/dev/null 2>&1 &
  script=$!
  for ((i = 0; i < 600; i++)); do
    kill -0 "$script" 2>/dev/null || break
    if grep -qsa 'client1@adit' "$work/screen"; then
      run=$(pgrep -P "$script")
      shown=yes
      break
    fi
    sleep 0.1
  done
  printf '\003' >&"$keyboard"
  wait "$script" || code=$?
  exec {keyboard}>&-
  [ "$shown" = yes ] && [ "$code" -eq 0 ] && removed "$run" && return
  echo "session shown: $shown, exit code $code, the last of the screen:"
  tail -c 2000 "$work/screen"
  return 1
}

# removed PID: no namespace of that run is left.
removed() { [ -z "$(ip netns list | grep "^adit-run-$1-")" ] || { echo "namespaces of run $1 are left"; return 1; }; }

run_scenarios() { "$CARGO_TARGET_DIR/release/adit-bench" scenario run --jobs 3 --again --keep-logs .logs/scenarios; }

# The cells of the stall matrix that decide: a box that keeps the order, a proxy, boxes that count at the end of a long line. Cells
# mostly wait.
run_stall() {
  local what stall=("$CARGO_TARGET_DIR/release/adit-bench" stall --jobs 4 --rate 200 --again --keep-logs .logs/stall) code=0
  : >"$work/stall"
  cells() { "${stall[@]}" --loss "$@" 2>&1 | tee -a "$work/stall"; }
  cells 0.5 --box in-order --leg client-box,headend-box --direction both --seconds 14 || code=1
  cells 2 --box in-order --leg client-box,headend-box --mode adaptive --direction up,down --seconds 12 || code=1
  cells 0.5 --box haproxy --leg client-box,headend-box --mode adaptive --direction both --seconds 12 || code=1
  # The control: where nobody repeats what the proxy waits for, it must die.
  cells 2 --box haproxy --leg client-box,headend-box --mode stateless --client legacy --direction both --seconds 10 || code=1
  cells 0 --box haproxy --mode adaptive --client legacy --direction down --seconds 12 || code=1
  cells 0 --box conntrack,synproxy --mode adaptive --direction up,down --seconds 10 || code=1
  while read -r what; do unsteady+=("cell $what"); done < <(sed -n 's/^unsteady //p' "$work/stall")
  return "$code"
}

[ -z "$(deploy/install-peers.sh --missing)" ] || step "Debian packages" install_peers
# It comes from the network while the processor builds; who needs it waits for it.
deploy/install-schemathesis.sh >"$work/schemathesis" 2>&1 &
schemathesis=$!
deploy/install-playwright.sh >"$work/playwright" 2>&1 &
playwright=$!
step "installation, and whose the build is" deploy/test.sh
step "formatting" cargo fmt --all --check
step "lints" "${lint[@]}"
counted "tests" count_cargo "${tested[@]}" cargo test --locked --workspace --no-fail-fast
failed_before=$failed
step "release build" build_release
# Without a build there is nothing to hold the scenarios against; an older binary would only deceive.
if [ "$failed" -eq "$failed_before" ]; then
  wait "$schemathesis" || cat "$work/schemathesis"
  wait "$playwright" || cat "$work/playwright"
  counted "scenarios" count_scenarios run_scenarios
  step "stall matrix" run_stall
  ONCE=1 step "make run ONCE=1" run_once
  step "make run, and Ctrl-C" run_live
fi

say "sum"
for reason in "${reasons[@]}"; do echo "skipped: $reason"; done
for what in "${unsteady[@]}"; do echo "passed only at the second try: $what"; done
for failure in "${failures[@]}"; do echo "FAILED: $failure"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
