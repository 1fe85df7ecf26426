#!/bin/sh
# SPDX-License-Identifier: ISC
# make check: packages, build, style and lint, unit tests, a short round of every fuzz target, system tests; one line at the end.
# --long: longer fuzzing and crash rounds, and everything once more under the sanitizers.
set -u

long=
fuzz_seconds=2 pytest_seconds=1500
[ "${1:-}" = --long ] && long=1 fuzz_seconds=60 pytest_seconds=3600
jobs=$(nproc)
passed=0 failed=0 skipped=0
logs=build/check
mkdir -p "$logs"
started=$(date +%s)

step() {
	printf '== %s (%d s)\n' "$1" $(($(date +%s) - started))
}

# run NAME COMMAND...: one check, its output shown when it fails.
run() {
	name=$1
	shift
	if "$@" >"$logs/$name.log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n' "$name"
		tail -40 "$logs/$name.log"
	fi
}

step packages
sh tests/packages.sh --test || exit 1

step build
make -j"$jobs" all unit >"$logs/build.log" 2>&1 || {
	tail -40 "$logs/build.log"
	echo "the build failed"
	exit 1
}
make -j"$jobs" TEST_HOOKS=1 all attempts >"$logs/build-test.log" 2>&1 || {
	tail -40 "$logs/build-test.log"
	echo "the build with test hooks failed"
	exit 1
}
make -j"$jobs" fuzz >"$logs/build-fuzz.log" 2>&1 || {
	tail -40 "$logs/build-fuzz.log"
	echo "the build of the fuzz targets failed"
	exit 1
}

step "style and lint"
run lint python3 tests/lint.py
run manuals sh tests/manuals.sh

# side_by_side KIND SECONDS PROGRAM...: as many at once as there are cores. One that ended without a word has failed.
side_by_side() {
	kind=$1 seconds=$2 begun=0
	shift 2
	for program in "$@"; do
		shift
		case $program in *.d) continue ;; esac
		[ -x "$program" ] || continue
		set -- "$@" "$program"
		begun=$((begun + 1))
	done
	: >"$logs/counts"
	printf '%s\n' "$@" | LOGS=$logs xargs -P "$jobs" -I '{}' sh tests/check_one.sh "$kind" '{}' "$seconds"
	while read -r ok bad skip; do
		passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip)) begun=$((begun - 1))
	done <"$logs/counts"
	[ "$begun" -eq 0 ] || {
		printf 'FAILED: %d of the %s programs ended without a result\n' "$begun" "$kind"
		failed=$((failed + begun))
	}
}

step "unit tests"
side_by_side unit 0 build/release/tests/test_*

step "fuzz targets, $fuzz_seconds s each"
side_by_side fuzz "$fuzz_seconds" build/fuzz/tests/fuzz_*

# pytest NAME ARGUMENTS...: its counts join the others.
pytest_round() {
	name=$1
	shift
	timeout "$pytest_seconds" /usr/bin/python3 -m pytest -q -n "$((jobs * 3))" --dist loadgroup --timeout 240 -p no:cacheprovider "$@" >"$logs/$name.log" 2>&1
	status=$?
	summary=$(tail -1 "$logs/$name.log")
	count() { echo "$summary" | sed -n "s/.*[^0-9]\([0-9][0-9]*\) $1.*/\1/p;s/^\([0-9][0-9]*\) $1.*/\1/p" | head -1; }
	ok=$(count passed) bad=$(count failed) errors=$(count error) skip=$(count skipped)
	passed=$((passed + ${ok:-0})) failed=$((failed + ${bad:-0} + ${errors:-0})) skipped=$((skipped + ${skip:-0}))
	if [ $status -ne 0 ]; then
		[ $((${bad:-0} + ${errors:-0})) -eq 0 ] && failed=$((failed + 1))
		printf 'FAILED: %s\n' "$name"
		tail -80 "$logs/$name.log"
	fi
}

step "system tests"
pytest_round system tests/system ${long:+--long}

if [ -n "$long" ]; then
	step "everything under the sanitizers"
	make -j"$jobs" SANITIZE=1 all unit attempts >"$logs/build-sanitize.log" 2>&1 || failed=$((failed + 1))
	side_by_side unit 0 build/sanitize/tests/test_*
	# Leaks cannot be looked for inside a cell: that needs ptrace.
	ASAN_OPTIONS=detect_leaks=0 POSTERN_BIN=build/sanitize/bin pytest_round sanitize-system tests/system
fi

step done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
