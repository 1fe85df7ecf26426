# SPDX-License-Identifier: ISC
"""A disk below mail/ that is full to the last byte: a user still gets in, reads, and deletes; what cannot be done is said."""
import contextlib
import errno
import os
import shutil
import subprocess

import pytest

from postern import DOMAIN
from test_imap import Client, append

SIZE = 3 << 20
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@contextlib.contextmanager
def small_disk(instance):
    """A file system of its own for mail/, made before the start."""
    mail = instance.path / "mail"
    info = mail.stat()
    kept = instance.folder / "mail-before"
    shutil.copytree(mail, kept)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode={info.st_mode & 0o7777:o},uid={info.st_uid},gid={info.st_gid}",
                    "tmpfs", str(mail)], check=True)
    try:
        yield mail
    finally:
        instance.postern("abort", check=False)
        subprocess.run(["umount", "-l", str(mail)], check=True)


def fill(mail):
    with open(mail / "filler", "ab", buffering=0) as filler:
        for block in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"x" * block):
                    pass
        with pytest.raises(OSError) as full:
            filler.write(b"x")
        assert full.value.errno == errno.ENOSPC


@pytest.fixture
def full(make_instance):
    """An instance with ten messages of 60 KB on a disk that is full."""
    instance = make_instance()
    with small_disk(instance) as mail:
        instance.start()
        client = Client(instance)
        for i in range(10):
            append(client, f"Subject: number {i}\r\n\r\n".encode() + b"x" * 60000 + b"\r\n")
        client.raw.close()
        instance.postern("stop")
        instance.start()
        fill(mail)
        yield instance


def test_imap_reads_and_deletes_on_a_full_disk(full):
    client = Client(full)
    assert b"* 10 EXISTS" in client.ok("SELECT INBOX")
    assert b"number 3" in client.ok("FETCH 1:* (ENVELOPE BODYSTRUCTURE)")
    # More than any room held back: refused with a text, and the session lives on.
    large = b"Subject: large\r\n\r\n" + b"x" * 300_000
    tag, lines = client.do(b"APPEND INBOX {%d+}\r\n" % len(large) + large)
    assert lines[-1].startswith(tag + b" NO [UNAVAILABLE] ") and b"full" in lines[-1], lines
    client.ok("STORE 1:5 +FLAGS (\\Deleted)")
    heard = client.ok("EXPUNGE")
    assert heard.count(b" EXPUNGE\r\n") == 5
    assert b"* 5 EXISTS" in Client(full).ok("SELECT INBOX")
    # There is room again, for mail and for changes.
    append(client, b"Subject: back\r\n\r\n" + b"x" * 20000)
    assert b"(MESSAGES 6)" in client.ok("STATUS INBOX (MESSAGES)")


def test_pop3_deletes_on_a_full_disk(full):
    client = full.pop3()
    assert client.stat()[0] == 10
    for number in range(1, 11):
        client.dele(number)
    assert client.quit().startswith(b"+OK")
    assert full.delivered_files() == []
    client = full.pop3()
    assert client.stat() == (0, 0)
    client.quit()
