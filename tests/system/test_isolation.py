# SPDX-License-Identifier: ISC
"""
The table of attempts of docs/isolation.md, run from inside the sessions and fronts of a running instance by ptrace: system calls with the
process's own rights, descriptors, root folder and filters, as code that took it over could make them. Two users share one uid.
"""
import contextlib
import os
import pathlib
import sys

import pytest

from conftest import BUILT, ROOT
from postern import DOMAIN, wait_for

sys.path.append(str(ROOT / "tests/isolation"))
import table  # noqa: E402

TOOL = BUILT.parent / "tests/attempts"
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="attaching to processes that are not dumpable needs root"),
              pytest.mark.skipif(os.uname().machine != "x86_64", reason="tests/isolation/inject.c knows x86_64")]
# There may be no TLS key in the instance; a process that has no mailbox has nothing to move.
MAY_BE_ABSENT = {"key-read", "key-memory"}
NEED_A_MAILBOX = {"own-list", "own-read", "own-rename", "other-link", "other-rename", "other-symlink"}
# Landlock does not look at stat(2): without a root folder of its own a session sees size and times of what it can name.
WORKS_WITHOUT_ROOT_FOLDER = {"other-stat", "queue-stat"}


@pytest.fixture
def world(instance):
    """The instance with mail for both users and a message that waits in the queue."""
    instance.send(to=["one", "two"])
    wait_for(lambda: instance.delivered_files("one") and instance.delivered_files("two"), "both mailboxes")
    instance.configure(default_transport="nosuch:")
    instance.reload()
    instance.run("sendmail", "-i", "-f", f"one@{DOMAIN}", "far@elsewhere.test", input="Subject: waits\n\nbody\n")
    wait_for(lambda: table.first_file(instance.path / "queue/deferred"), f"a message that waits\n{instance.log_tail()}")
    return instance


def sessions(instance, spawner):
    return set(instance.processes(spawner)) - set(instance.daemons(spawner))


def session_of(instance, spawner, connect):
    """A client and the process that serves it."""
    before = sessions(instance, spawner)
    client = connect()
    return client, wait_for(lambda: sessions(instance, spawner) - before, f"a session of {spawner}").pop()


def refused(results, absent=frozenset(), known=frozenset()):
    """Everything was refused, and every attempt had something to try."""
    told = {name: how for name, (how, _) in results.items()}
    assert len(told) >= 70, told
    works = {name: results[name][1] for name in told if told[name] == table.WORKS}
    missing = {name for name in told if told[name] == table.ABSENT}
    assert set(works) <= known, works
    assert missing <= MAY_BE_ABSENT | absent, missing


@pytest.mark.core
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_taken_over_session_reaches_its_own_mailbox_and_nothing_else(world, protocol):
    spawner = f"{protocol}d-session"
    client, mine = session_of(world, spawner, lambda: getattr(world, protocol)("one"))
    other_client, other = session_of(world, spawner, lambda: getattr(world, protocol)("two"))
    uid = [pathlib.Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split("\n")[0] for pid in (mine, other)]
    assert uid[0] == uid[1], "the two users share one uid: it is not the uid that keeps them apart"
    if protocol == "imap":
        client.select("INBOX")
    results = table.run(TOOL, mine, table.postern(world, "one", "two", other))
    assert results["own-list"][0] == results["own-read"][0] == table.OWN, "what must work shows that the others were real"
    own_root = os.readlink(f"/proc/{mine}/root") == str(world.maildir("one"))
    assert own_root or world.user, "started as root every session has a root folder of its own"
    refused(results, known=set() if own_root else WORKS_WITHOUT_ROOT_FOLDER)
    # It was only borrowed: it goes on serving.
    for each in (client, other_client):
        assert each.noop()[0] in ("OK", b"+OK") or each.stat()[0] == 1
        with contextlib.suppress(Exception):
            each.close()


@pytest.mark.core
@pytest.mark.parametrize("process", ["smtpd-session", "smtpd", "imapd", "pop3d", "tlsd"])
def test_a_taken_over_process_before_login_reaches_nothing(world, process):
    clients = [world.smtp(), world.imap("two")]
    other = wait_for(lambda: sessions(world, "imapd-session"), "an IMAP session").pop()
    pid = sorted(sessions(world, process) or world.daemons(process))[0]
    # tlsd makes pairs of sockets: the other end of each TLS connection.
    known = {"socketpair"} if process == "tlsd" else set()
    refused(table.run(TOOL, pid, table.postern(world, session=other)), NEED_A_MAILBOX, known)
    assert clients[0].noop()[0] == 250 and clients[1].noop()[0] == "OK"
    assert world.smtp().noop()[0] == 250, "the process goes on serving"
