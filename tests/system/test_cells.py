# SPDX-License-Identifier: ISC
"""Inside each real running process: everything it must not do is refused. Needs the build with test hooks."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from postern import DOMAIN, wait_for

# What each process may do of the attempts; all others must be refused. A session of "one" may use the mailbox of "one".
EVERYBODY = set()
MAIL = {"list-mail", "list-mailbox-one", "list-mailbox-two", "read-index-two", "write-mailbox-two"}
ALLOWED = {
    "smtpd": set(),
    "smtpd-session": {"fork"},
    "cleanup": {"list-queue-incoming", "write-queue-incoming", "write-queue-hold"},
    "pickup": {"list-maildrop"},
    "qmgr": {"list-queue-incoming", "write-queue-incoming", "write-queue-hold", "list-queue-active", "list-queue-deferred"},
    "showq": {"list-queue-incoming", "list-queue-active", "list-queue-deferred"},
    "virtual": MAIL,
    "bounce": set(),
    "tlsd": set(),
    "keyd": set(),
    "directoryd": {"read-accounts"},
    # No table of a SQL server, nobody to connect to.
    "proxymap": set(),
    "authd": {"read-credentials"},
    # There is no command.
    "introspect": set(),
    "imapd": set(),
    "imapd-session": MAIL | {"fork", "watch"},
    "pop3d": set(),
    "pop3d-session": MAIL | {"fork"},
    "session of smtp": set(),
    # Its mailbox is its root folder, and /tmp is that of the Maildir; by its old name, where there are no root folders of sessions.
    "session of one": {"list-own-mailbox", "list-mailbox-one", "list-root", "write-tmp"},
}
ATTEMPTS = 46


def attempts(instance, pid):
    """Signal the process and read its report."""
    at = len(instance.log())
    os.kill(pid, signal.SIGUSR1)
    instance.wait_log(rf"\[{pid}\]: escape: done", after=at)
    found = re.findall(rf"\[{pid}\]: escape: (\S+) (allowed|refused)", instance.log()[at:])
    return {name for name, how in found if how == "allowed"}, len(found)


def sessions(instance, spawner):
    return [pid for pid in instance.processes(spawner) if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1]
            != str(instance.master_pid())]


@pytest.mark.core
def test_no_process_gets_out_of_its_cell(instance):
    instance.send(to=["one", "two"])
    wait_for(lambda: instance.delivered_files("one") and instance.delivered_files("two"), "both mailboxes")
    daemons = {name: pid for pid, name in instance.processes().items()
               if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1] == str(instance.master_pid())}
    assert len(daemons) == 18, daemons
    for name, pid in daemons.items():
        allowed, count = attempts(instance, pid)
        assert count >= ATTEMPTS, (name, count)
        assert allowed <= ALLOWED[name], f"{name} could {sorted(allowed - ALLOWED[name])}"


@pytest.mark.core
@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_a_session_reaches_its_own_mailbox_and_nothing_else(instance, protocol):
    instance.send(to=["one", "two"])
    wait_for(lambda: instance.delivered_files("one") and instance.delivered_files("two"), "both mailboxes")
    client = getattr(instance, protocol)()
    spawner = {"imap": "imapd-session", "pop3": "pop3d-session", "smtp": "smtpd-session"}[protocol]
    pids = wait_for(lambda: sessions(instance, spawner), "a session")
    if protocol == "imap":
        client.select("INBOX")
    allowed, count = attempts(instance, pids[0])
    assert count >= ATTEMPTS
    assert allowed <= ALLOWED["session of smtp" if protocol == "smtp" else "session of one"], sorted(allowed)
    if protocol != "smtp":
        assert "list-own-mailbox" in allowed, "the attempt that must work shows that the others were real"


def test_master_refuses_introductions_that_cells_do_not_name(instance):
    pid = next(iter(instance.processes("showq")))
    attempts(instance, pid)
    for service in ("cleanup", "authd", "virtual", "directoryd", "imapd-session"):
        instance.wait_log(rf"warning: refused: showq\[{pid}\] may not talk to {service}\b")


@pytest.mark.parametrize("what", ["landlock", "seccomp"])
def test_a_kernel_without_confinement_stops_the_start(make_instance, what):
    instance = make_instance(environment={"POSTERN_WITHOUT": what})
    started = instance.postern("start", check=False)
    assert started.returncode != 0
    assert re.search(rf"error: cannot start: cell: {what}", instance.log(), re.I)
    assert not instance.running()


@pytest.mark.parametrize("what", ["landlock", "seccomp"])
def test_best_effort_starts_and_warns(make_instance, what):
    instance = make_instance(environment={"POSTERN_WITHOUT": what}, settings={"sandbox": "best-effort"})
    instance.start()
    instance.wait_log(rf"(?i)warning: {what}")
    instance.wait_message(instance.send())


def test_processes_have_the_uid_of_their_class(instance):
    classes = {"smtpd": "net", "cleanup": "queue", "qmgr": "queue", "directoryd": "directory", "authd": "auth", "virtual": "vmail",
               "imapd": "net", "imapd-session": "vmail"}
    client = instance.imap()
    for pid, name in instance.processes().items():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        if name.endswith("master"):
            continue
        uid = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", status, re.M).groups()
        assert len(set(uid)) == 1 and uid[0] != "0", (name, uid)
        if name in classes:
            owner = subprocess.run(["getent", "passwd", uid[0]], capture_output=True, text=True).stdout
            assert owner.startswith(f"postern-{classes[name]}:"), (name, owner)
        # Those that give each session a root folder keep CAP_SYS_CHROOT; the sessions have nothing.
        capabilities = 1 << 18 if name in ("imapd-session", "pop3d-session") and pid in instance.daemons(name) else 0
        assert int(re.search(r"^CapPrm:\s+([0-9a-f]+)$", status, re.M).group(1), 16) == capabilities, name
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M), name
        assert re.search(r"^Seccomp:\s+2$", status, re.M), name
    assert client.noop()[0] == "OK"


def test_cleanup_may_have_files_synced_at_a_time(instance):
    """File and folder of one message are two. Refused in its cell, they would be synced one after the other, and nobody would notice."""
    instance.wait_message(instance.send())
    assert all("/[aio]" in pathlib.Path(f"/proc/{pid}/maps").read_text() for pid in instance.daemons("cleanup"))


def test_virtual_delivers_what_waits_together_and_may_have_it_synced_at_a_time(instance):
    """One message alone needs no such call: a file is synced, then its folder. Delivered one by one, or refused in its cell, nobody would notice."""
    instance.wait_message(instance.send())
    agents = instance.daemons("virtual")
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(3):
        instance.send(to=["one", "two"])
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: len(instance.delivered_files("one")) == 4 and len(instance.delivered_files("two")) == 3, "all of them")
    assert any("/[aio]" in pathlib.Path(f"/proc/{pid}/maps").read_text() for pid in agents)


@pytest.mark.core
def test_a_session_has_a_limit_of_no_processes(instance):
    """Its seccomp program is its forking parent's, which knows fork: the limit is what refuses it."""
    client = instance.imap()
    sessions = [pid for name in ("imapd-session", "smtpd-session") for pid in instance.processes(name) if pid not in instance.daemons(name)]
    assert len(sessions) >= 2
    for pid in sessions:
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max processes\s+0\s+0\s", limits, re.M), limits
    assert client.noop()[0] == "OK"


@pytest.mark.core
def test_who_runs_a_command_reaches_programs_and_the_network_only(instance):
    instance.configure(auth_oauth_introspection_command="/bin/cat")
    before = instance.daemons("introspect")
    instance.reload()
    pid = wait_for(lambda: [p for p in instance.daemons("introspect") if p not in before], "the one with a command")[0]
    allowed, count = attempts(instance, pid)
    assert count >= ATTEMPTS
    assert {"exec", "fork", "socket-tcp"} <= allowed
    assert allowed <= {"exec", "fork", "socket-tcp", "socket-tcp6", "socket-udp", "socket-unix", "connect-public", "read-passwd",
                       "signal-all"}, sorted(allowed)


def test_explain_says_what_the_cell_says(shared_instance):
    text = shared_instance.postern("explain", "smtpd").out
    assert "Files: none at all." in text and "smtpd-session" in text
    text = shared_instance.postern("explain", "cleanup").out
    assert "$queue_directory/incoming" in text
    assert shared_instance.postern("explain", "nonsense", check=False).returncode != 0
