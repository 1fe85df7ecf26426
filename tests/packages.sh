#!/bin/sh
# SPDX-License-Identifier: ISC
# The Debian packages that building (default), testing (--test) or measuring (--bench) needs. As root the missing ones are
# installed; otherwise the one line to run is printed and the script fails.
set -eu

build="gcc make pkg-config libc6-dev libsqlite3-dev libdb-dev libsasl2-dev libsasl2-modules libpcre2-dev libseccomp-dev libidn2-dev libcrypt-dev libssl-dev libargon2-dev libidn-dev libjansson-dev"
build="$build libmariadb-dev libpq-dev python3 ca-certificates"
test="libcmocka-dev clang clang-format libclang-rt-14-dev python3-pytest python3-pytest-xdist python3-pytest-timeout curl openssl isync fetchmail mutt tmux swaks libnet-ssleay-perl libauthen-sasl-perl libdigest-hmac-perl gsasl testssl.sh sslscan mandoc mariadb-server-core postgresql-15 fail2ban"
bench="e2fsprogs postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl"

packages=$build
case "${1:-}" in
--test) packages="$build $test" ;;
--bench) packages="$build $bench" ;;
esac

missing=
for package in $packages; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "These packages are missing. Run this as root, then try again:"
	echo "  apt-get install -y --no-install-recommends$missing"
	exit 1
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# Measuring needs the servers of others, and a test the filters of fail2ban; none of them as running services of this machine.
if [ "${1:-}" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
if [ "${1:-}" = --bench ]; then
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
fi
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -20 "$log"
	echo "apt-get failed; the whole output is in $log"
	exit 1
fi
rm -f "$log"
