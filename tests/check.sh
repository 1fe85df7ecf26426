#!/bin/sh
# SPDX-License-Identifier: ISC
# make check: packages, build, style and lint, unit tests, a short round of every fuzz target, system tests; one line at the end.
# --long: longer fuzzing and crash rounds, and everything once more under the sanitizers.
set -u

long=
fuzz_seconds=2
[ "${1:-}" = --long ] && long=1 fuzz_seconds=60
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

step "unit tests"
for test in build/release/tests/test_*; do
	case $test in *.d) continue ;; esac
	[ -x "$test" ] || continue
	name=$(basename "$test")
	timeout 300 "$test" >"$logs/$name.log" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$logs/$name.log")
	bad=$(grep -c '^\[  FAILED  \] [a-z]' "$logs/$name.log")
	skip=$(grep -c '^\[  SKIPPED \]' "$logs/$name.log")
	if [ $status -ne 0 ]; then
		[ "$bad" -eq 0 ] && bad=1
		printf 'FAILED: %s\n' "$name"
		grep -v '^\[       OK \]\|^\[ RUN ' "$logs/$name.log" | tail -40
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

step "fuzz targets, $fuzz_seconds s each"
for target in build/fuzz/tests/fuzz_*; do
	case $target in *.d) continue ;; esac
	[ -x "$target" ] || continue
	name=$(basename "$target")
	corpus=tests/fuzz/corpus/${name#fuzz_}
	mkdir -p "build/fuzz/corpus/$name"
	[ -d "$corpus" ] || corpus=
	# shellcheck disable=SC2086
	run "$name" timeout $((fuzz_seconds * 3 + 60)) "$target" -max_total_time=$fuzz_seconds -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$logs/$name-" "build/fuzz/corpus/$name" $corpus
done

# pytest NAME ARGUMENTS...: its counts join the others.
pytest_round() {
	name=$1
	shift
	timeout 1500 /usr/bin/python3 -m pytest -q -n "$((jobs * 2))" --dist loadgroup --timeout 240 -p no:cacheprovider "$@" >"$logs/$name.log" 2>&1
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
	for test in build/sanitize/tests/test_*; do
		case $test in *.d) continue ;; esac
		[ -x "$test" ] && run "sanitize-$(basename "$test")" timeout 900 "$test"
	done
	# Leaks cannot be looked for inside a cell: that needs ptrace.
	ASAN_OPTIONS=detect_leaks=0 POSTERN_BIN=build/sanitize/bin pytest_round sanitize-system tests/system
fi

step done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
