#!/bin/sh
# SPDX-License-Identifier: ISC
# One test program of make check, run beside others: adds the line "passed failed skipped" to $LOGS/counts and shows what failed.
#   check_one.sh unit PROGRAM | check_one.sh fuzz PROGRAM SECONDS
set -u

kind=$1 program=$2
name=$(basename "$program")
[ "${program#*sanitize}" = "$program" ] || name=sanitize-$name
log=$LOGS/$name.log

unit() {
	timeout 900 "$program" >"$log" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$log")
	bad=$(grep -c '^\[  FAILED  \] [a-z]' "$log")
	skip=$(grep -c '^\[  SKIPPED \]' "$log")
	[ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	return $status
}

fuzz() {
	corpus=tests/fuzz/corpus/${name#fuzz_}
	mkdir -p "build/fuzz/corpus/$name"
	[ -d "$corpus" ] || corpus=
	ok=1 bad=0 skip=0
	# shellcheck disable=SC2086
	timeout $(($1 * 3 + 60)) "$program" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$LOGS/$name-" "build/fuzz/corpus/$name" $corpus >"$log" 2>&1 && return
	ok=0 bad=1
	return 1
}

shift 2
"$kind" "$@" || {
	printf 'FAILED: %s\n' "$name"
	grep -v '^\[       OK \]\|^\[ RUN ' "$log" | tail -40
}
echo "$ok $bad $skip" >>"$LOGS/counts"
