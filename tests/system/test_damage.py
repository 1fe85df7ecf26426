# SPDX-License-Identifier: ISC
"""The index is cut, overwritten or removed under running sessions: messages and UIDs stay, whoever comes next gets in at once, and
whoever had it open is told."""
import os
import re
import time

import pytest

from postern import wait_for
from test_imap import Client, append

MESSAGES = 40


def cut(path):
    os.truncate(path, 0)


def cut_in_half(path):
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path):
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def overwrite_all(path):
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.write(bytes(size))


def remove(path):
    path.unlink()


DAMAGES = [cut, cut_in_half, overwrite, overwrite_all, remove]


def uids(client):
    return re.findall(rb"UID (\d+)", client.ok("UID FETCH 1:* (UID)"))


@pytest.fixture
def filled(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "0"})
    instance.start()
    client = Client(instance)
    for i in range(MESSAGES):
        append(client, f"Subject: number {i}\r\n\r\nbody\r\n".encode())
    client.ok("SELECT INBOX")
    client.ok("STORE 1:3 +FLAGS (\\Deleted)")
    client.ok("EXPUNGE")
    client.ok("FETCH 1:* (ENVELOPE)")
    client.ok("LOGOUT")
    # What is in the log would survive: the last session has put it into the file.
    wait_for(lambda: not (instance.maildir() / "postern.db-wal").exists(), "no session has the index open")
    return instance


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_below_an_idler_and_a_busy_session(filled, damage):
    database = filled.maildir() / "postern.db"
    idler, busy = Client(filled), Client(filled)
    idler.ok("SELECT INBOX")
    idler.idle()
    busy.ok("SELECT INBOX")
    before = uids(busy)
    assert len(before) == MESSAGES - 3
    damage(database)
    # One command may fail, and the session may end with it; what succeeds is right.
    failures = 0
    for command in (b"STORE 1 +FLAGS (\\Flagged)", b"FETCH 1:* (FLAGS ENVELOPE)", b"NOOP"):
        tag, lines = busy.do(command)
        if not lines[-1].startswith(tag + b" OK"):
            failures += 1
            assert lines[-1].startswith(tag + b" NO [UNAVAILABLE]"), lines
            assert busy.raw.line().startswith(b"* BYE ")
            break
    assert failures <= 1
    # Whoever comes now gets in at once, and finds all with its UIDs.
    start = time.monotonic()
    fresh = Client(filled)
    fresh.ok("SELECT INBOX")
    assert uids(fresh) == before
    assert time.monotonic() - start < 5
    fresh.ok("STORE 2 +FLAGS (\\Flagged)")
    append(fresh)
    # The idler hears of it, by BYE if its index is a ghost, and finds all when it comes back.
    heard = idler.hear(rb"^\* (BYE|\d+ EXISTS)")
    back = Client(filled)
    assert b"* %d EXISTS" % (MESSAGES - 2) in back.ok("SELECT INBOX"), heard
    assert uids(back)[:-1] == before and int(uids(back)[-1]) > int(before[-1])
    assert b"\\Flagged" in back.ok("FETCH 2 (FLAGS)")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_below_pop3(filled, damage):
    session = filled.pop3()
    before = session.uidl()[1]
    damage(filled.maildir() / "postern.db")
    session.close()
    session = wait_for(lambda: pop3_or_none(filled), "the lock of the session before")
    assert session.uidl()[1] == before
    session.dele(1)
    assert session.quit().startswith(b"+OK")
    assert f"{MESSAGES - 4} EXISTS".encode() in Client(filled).ok("SELECT INBOX")


def pop3_or_none(instance):
    import poplib
    try:
        return instance.pop3()
    except poplib.error_proto as refusal:
        assert b"IN-USE" in refusal.args[0], refusal
        return None


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_while_nobody_looks_costs_no_command(filled, damage):
    reference = Client(filled)
    reference.ok("SELECT INBOX")
    before = uids(reference)
    reference.ok("LOGOUT")
    wait_for(lambda: not (filled.maildir() / "postern.db-wal").exists(), "the index is closed")
    damage(filled.maildir() / "postern.db")
    client = Client(filled)
    client.ok("SELECT INBOX")
    assert uids(client) == before
    client.ok("STORE 1 +FLAGS (\\Seen)")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_session_without_a_mailbox_goes_on(filled, damage):
    client = Client(filled)
    damage(filled.maildir() / "postern.db")
    client.do("STATUS INBOX (MESSAGES)")
    assert b"MESSAGES %d" % (MESSAGES - 3) in client.ok("STATUS INBOX (MESSAGES)")
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Seen)")
