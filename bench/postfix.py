# SPDX-License-Identifier: ISC
"""master.cf of a Postfix that takes mail by SMTP and delivers it into virtual mailboxes: for the measurements and for tests/isolation."""


def master_cf(address, chroot):
    """`chroot`: y as in Debian's /etc/postfix/master.cf, where proxymap, qmgr, virtual and postlogd are outside; n for none."""
    return f"""
{address} inet n - {chroot} - - smtpd
pickup unix n - {chroot} 60 1 pickup
cleanup unix n - {chroot} - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - {chroot} - - trivial-rewrite
bounce unix - - {chroot} - 0 bounce
defer unix - - {chroot} - 0 bounce
trace unix - - {chroot} - 0 bounce
proxymap unix - - n - - proxymap
showq unix n - {chroot} - - showq
error unix - - {chroot} - - error
retry unix - - {chroot} - - error
virtual unix - n n - - virtual
lmtp unix - - {chroot} - - lmtp
anvil unix - - {chroot} - 1 anvil
scache unix - - {chroot} - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
