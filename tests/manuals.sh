#!/bin/sh
# SPDX-License-Identifier: ISC
# Every program has a manual page, every page is clean, and main.cf(5) is what the table of parameters says.
set -eu

bin=build/release/bin
status=0
for page in docs/man/*.[158]; do
	mandoc -Tlint -Wwarning "$page" || status=1
done
for program in "$bin"/*; do
	name=$(basename "$program")
	case $name in
	*-session) name=${name%-session} ;;
	postern-*.so) name=$(echo "${name%.so}" | sed 's/^postern-//')_table ;; # clients of SQL servers
	esac
	ls docs/man/"$name".[158] >/dev/null 2>&1 || {
		echo "no manual page for $name"
		status=1
	}
done
"$bin"/postconf --manual | cmp -s - docs/man/main.cf.5 || {
	echo "docs/man/main.cf.5 is not what postconf --manual prints"
	status=1
}
exit $status
