#!/bin/sh
# SPDX-License-Identifier: ISC
# make quickstart: packages, build, an instance in ./instance, a real message sent by SMTP and read back over IMAP and POP3.
# Running it again is harmless.
set -eu

instance=$(pwd)/instance
base=${PORT_BASE:-10000}
bin=build/release/bin

step() {
	printf '%s\n' "== $1"
}

step "packages"
sh tests/packages.sh
step "build"
jobs=$(nproc)
make -j"$jobs" all
step "instance in $instance"
$bin/postern init "$instance" --domain example.test --user one:one-secret --user two:two-secret --port-base "$base"
if $bin/postern -c "$instance/etc" status >/dev/null 2>&1; then
	echo "It is running already."
else
	$bin/postern -c "$instance/etc" start
fi
step "a message, there and back"
python3 tests/quickstart.py "$base" "$instance/etc/tls/cert.pem"
cat <<END

Postern is running in $instance
  mail         $instance/mail/example.test/one   (Maildir; the log is $instance/log/postern.log)
  SMTP         127.0.0.1:$((base + 25)), with TLS $((base + 465)), for submission $((base + 587))
  IMAP         127.0.0.1:$((base + 143)), with TLS $((base + 993))   user one@example.test   password one-secret
  POP3         127.0.0.1:$((base + 110)), with TLS $((base + 995))   user two@example.test   password two-secret
  TLS          STARTTLS on the other ports, too; the certificate (signed by itself) is $instance/etc/tls/cert.pem
  try          mutt -f imap://one%40example.test:one-secret@127.0.0.1:$((base + 143))/INBOX
               curl --cacert $instance/etc/tls/cert.pem --resolve mail.example.test:$((base + 993)):127.0.0.1 \\
                 -u one@example.test:one-secret imaps://mail.example.test:$((base + 993))/INBOX -X 'STATUS INBOX (MESSAGES)'
  look         $bin/postern -c $instance/etc status
  stop         $bin/postern -c $instance/etc stop
END
