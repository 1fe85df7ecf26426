#!/bin/sh
# SPDX-License-Identifier: ISC
# make bench: Postern beside Postfix, Dovecot and the floor, in one run on this machine. Needs root (the others do).
set -eu
[ "$(id -u)" -eq 0 ] || {
	echo "make bench starts Postfix and Dovecot as they are meant to run: as root"
	exit 1
}
sh tests/packages.sh --bench
mkdir -p build/bench
gcc -O2 -D_GNU_SOURCE -o build/bench/floor bench/floor.c
gcc -O2 -D_GNU_SOURCE -o build/bench/clients bench/clients.c -lssl -lcrypto
make build/release/bench/directory
exec python3 bench/bench.py "$@"
