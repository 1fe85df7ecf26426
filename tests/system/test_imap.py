# SPDX-License-Identifier: ISC
"""IMAP as clients use it: before login, several sessions on one mailbox, IDLE and sleep, real clients."""
import base64
import imaplib
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from postern import DOMAIN, HOST, PASSWORDS, Raw, wait_for

IDLE_LIMIT = 0.1
GRACE = 3.0  # for machines that are busy with other tests: latencies are the best of a few


class Client:
    """One raw IMAP connection: tagged commands, everything heard kept."""

    def __init__(self, instance, user="one", login=True):
        self.raw = Raw(instance.base + 143)
        self.greeting = self.raw.line()
        self.count = 0
        if login:
            tag, lines = self.do(f"LOGIN {user}@{DOMAIN} {PASSWORDS[user]}")
            assert b" OK " in lines[-1], lines

    def do(self, command):
        """Send; all lines up to the tagged one."""
        self.count += 1
        tag = f"t{self.count}".encode()
        self.raw.send(tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return tag, self.until(tag + b" ")

    def ok(self, command):
        tag, lines = self.do(command)
        assert lines[-1].startswith(tag + b" OK"), lines
        return b"".join(lines)

    def until(self, start):
        lines = []
        while not lines or not lines[-1].startswith(start):
            line = self.raw.line()
            assert line, lines
            lines.append(line)
        return lines

    def idle(self):
        self.raw.send(b"i IDLE\r\n")
        return self.until(b"+ ")

    def done(self):
        self.raw.send(b"DONE\r\n")
        return b"".join(self.until(b"i "))

    def hear(self, pattern):
        """Lines until one matches."""
        lines = []
        while not lines or not re.search(pattern, lines[-1]):
            line = self.raw.line()
            assert line, lines
            lines.append(line)
        return b"".join(lines)


def append(client, text=b"Subject: x\r\n\r\ny\r\n", mailbox="INBOX"):
    client.ok(f"APPEND {mailbox} {{{len(text)}+}}\r\n".encode() + text)


def sessions(instance):
    """Session processes: children of the spawner."""
    return max(0, len(instance.processes("imapd-session")) - 1)


def test_capabilities_before_and_after_login(shared_instance):
    client = Client(shared_instance, login=False)
    assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 ") and b"AUTH=PLAIN AUTH=LOGIN" in client.greeting
    assert b"AUTH=PLAIN" in client.ok("CAPABILITY")
    client.ok('ID ("name" "test")')
    client.ok("NOOP")
    for command in ("SELECT INBOX", "FETCH 1 FLAGS", "IDLE", "ENABLE CONDSTORE"):
        tag, lines = client.do(command)
        assert lines[-1].startswith(tag + b" BAD"), lines
    tag, lines = client.do(f"LOGIN one@{DOMAIN} {PASSWORDS['one']}")
    for capability in (b"IMAP4rev1", b"IDLE", b"MOVE", b"CONDSTORE", b"LIST-STATUS", b"UIDPLUS", b"SPECIAL-USE"):
        assert capability in lines[-1]
    assert b"AUTH=" not in lines[-1]


def test_every_way_to_log_in(shared_instance):
    name, password = f"one@{DOMAIN}", PASSWORDS["one"]
    plain = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    for commands in (
        [f'LOGIN "{name}" "{password}"'],
        [f"LOGIN {{{len(name)}+}}\r\n{name} {{{len(password)}+}}\r\n{password}"],
        [f"AUTHENTICATE PLAIN {plain}"],
    ):
        client = Client(shared_instance, login=False)
        client.ok(commands[0])
        client.ok("SELECT INBOX")
    client = Client(shared_instance, login=False)
    client.raw.send("a AUTHENTICATE PLAIN\r\n")
    assert client.raw.line().startswith(b"+ ")
    client.raw.send(plain + "\r\n")
    assert client.raw.line().startswith(b"a OK")
    client = Client(shared_instance, login=False)
    client.raw.send("a AUTHENTICATE LOGIN\r\n")
    for answer in (name, password):
        assert client.raw.line().startswith(b"+ ")
        client.raw.send(base64.b64encode(answer.encode()) + b"\r\n")
    assert client.raw.line().startswith(b"a OK")


def test_synchronizing_literals_at_login_are_asked_for(shared_instance):
    client = Client(shared_instance, login=False)
    name, password = f"one@{DOMAIN}", PASSWORDS["one"]
    client.raw.send(f"a LOGIN {{{len(name)}}}\r\n")
    assert client.raw.line().startswith(b"+ ")
    client.raw.send(f"{name} {{{len(password)}}}\r\n")
    assert client.raw.line().startswith(b"+ ")
    client.raw.send(f"{password}\r\nb SELECT INBOX\r\n")
    assert client.raw.line().startswith(b"a OK")
    assert b"b OK" in b"".join(client.until(b"b "))


def test_commands_sent_behind_the_login_are_not_lost(shared_instance):
    client = Client(shared_instance, login=False)
    client.raw.send(f"a LOGIN one@{DOMAIN} {PASSWORDS['one']}\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\n")
    heard = b"".join(client.until(b"d "))
    assert [heard.count(t + b" OK") for t in (b"a", b"b", b"c", b"d")] == [1, 1, 1, 1]


def test_bad_passwords_are_slow_and_counted(shared_instance):
    client = Client(shared_instance, login=False)
    start = time.monotonic()
    tag, lines = client.do(f"LOGIN one@{DOMAIN} wrong")
    assert lines[-1].startswith(tag + b" NO [AUTHENTICATIONFAILED]")
    assert time.monotonic() - start > 1
    client.do(f"LOGIN nobody@{DOMAIN} wrong")
    tag, lines = client.do(f"LOGIN one@{DOMAIN} wrong")
    assert client.raw.line().startswith(b"* BYE")
    assert client.raw.line() == b""
    shared_instance.wait_log(r"imap-login: Disconnected: Auth failed \(auth failed, 3 attempts .*user=<one@example.test>, method=PLAIN, rip=127.0.0.1")


def test_bad_base64_of_one_client_does_not_touch_another(shared_instance):
    good, bad = (Client(shared_instance, login=False) for _ in range(2))
    for client in (good, bad):
        client.raw.send("a AUTHENTICATE PLAIN\r\n")
        assert client.raw.line().startswith(b"+ ")
    bad.raw.send("!!!!\r\n")
    assert bad.raw.line().startswith(b"a BAD")
    plain = base64.b64encode(f"\0one@{DOMAIN}\0{PASSWORDS['one']}".encode())
    good.raw.send(plain + b"\r\n")
    assert good.raw.line().startswith(b"a OK")
    bad.raw.send("b AUTHENTICATE PLAIN\r\n")
    assert bad.raw.line().startswith(b"+ ")
    bad.raw.send("*\r\n")
    assert bad.raw.line().startswith(b"b BAD")
    bad.ok("NOOP")


@pytest.mark.parametrize("rubbish", [
    b"a" * 100_000, b"a ID " + b"(" * 50_000, b"a LOGIN {9223372036854775808}\r\n", b"a LOGIN {9223372036854775808+}\r\nx",
    b"a LOGIN {4000+}\r\n" + b"x" * 4000 + b" {4000+}\r\n" + b"y" * 4000 + b" {4000+}\r\n" + b"z" * 4000, b"\0\0\0\r\n" * 30,
    b"a LOGIN \"" + b"\\" * 9000,
], ids=["long-line", "nesting", "huge-literal", "huge-literal-plus", "literals", "nul", "backslashes"])
def test_rubbish_before_login_meets_a_bound(shared_instance, rubbish):
    client = Client(shared_instance, login=False)
    try:
        client.raw.send(rubbish + b"\r\n")
        client.raw.socket.settimeout(10)
        while client.raw.line():
            pass
    except OSError:
        pass  # it was closed while we were still sending
    Client(shared_instance).ok("NOOP")


def test_half_a_command_and_silence_ends_before_login(make_instance):
    instance = make_instance(settings={"imap_login_timeout": "1s"})
    instance.start()
    client = Client(instance, login=False)
    client.raw.send("a LOG")
    assert client.raw.line().startswith(b"* BYE")
    instance.wait_log("imap-login: Disconnected: Inactivity")


def test_connections_of_one_client_are_limited(make_instance):
    instance = make_instance(settings={"imap_client_connection_count_limit": "2", "smtpd_client_event_limit_exceptions": ""})
    instance.start()
    held = [Client(instance), Client(instance)]
    third = Client(instance, login=False)
    assert third.greeting.startswith(b"* BYE [UNAVAILABLE]")
    held[0].ok("LOGOUT")
    wait_for(lambda: Client(instance, login=False).greeting.startswith(b"* OK"), "room for another connection")


def test_sessions_see_each_others_changes(instance):
    first, second = Client(instance), Client(instance)
    for client in (first, second):
        client.ok("SELECT INBOX")
    append(first)
    assert b"* 1 EXISTS" in second.ok("NOOP")
    first.ok("STORE 1 +FLAGS (\\Flagged $Mine)")
    heard = second.ok("NOOP")
    assert b"* 1 FETCH (FLAGS (" in heard and b"\\Flagged" in heard and b"$Mine" in heard
    append(first)
    second.ok("NOOP")
    first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    first.ok("EXPUNGE")
    # Not while a command that uses numbers runs: the number stays good until NOOP.
    assert b"EXPUNGE" not in second.ok("FETCH 2 UID")
    assert b"* 1 EXPUNGE" in second.ok("NOOP")
    assert b"* 1 FETCH (UID 2)" in second.ok("FETCH 1 UID")


def test_a_deleted_mailbox_ends_the_other_session(instance):
    first, second = Client(instance), Client(instance)
    first.ok("CREATE Box")
    second.ok("SELECT Box")
    first.ok("DELETE Box")
    tag, lines = second.do("NOOP")
    assert any(line.startswith(b"* BYE") for line in lines)


def test_files_put_into_the_maildir_by_others_appear(instance):
    client = Client(instance)
    client.ok("SELECT INBOX")
    folder = instance.maildir() / "new"
    path = folder / "1700000000.M1P1.elsewhere"
    path.write_bytes(b"Subject: foreign\n\nbody\n")
    info = folder.stat()
    os.chown(path, info.st_uid, info.st_gid)
    wait_for(lambda: b"* 1 EXISTS" in client.ok("NOOP"), "the message", 10, 0.2)
    assert b"Subject: foreign\r\n\r\nbody\r\n" in client.ok("FETCH 1 BODY[]")


@pytest.mark.core
def test_idle_tells_of_mail_within_a_tenth_of_a_second(instance):
    watcher = Client(instance)
    watcher.ok("SELECT INBOX")
    watcher.idle()
    best = GRACE
    for i in range(5):
        sent = instance.send()
        files = instance.delivered_files()
        wait_for(lambda: len(instance.delivered_files()) > i or len(files) > i, "delivery", pause=0.002)
        start = time.monotonic()
        watcher.hear(rb"^\* %d EXISTS" % (i + 1))
        best = min(best, time.monotonic() - start)
        assert sent
    assert best < IDLE_LIMIT
    assert b"i OK" in watcher.done()


@pytest.mark.core
def test_sleeping_clients_wake_to_what_changed(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    worker = Client(instance)
    for _ in range(4):
        append(worker)
    sleeper = Client(instance)
    sleeper.ok("SELECT INBOX")
    sleeper.idle()
    wait_for(lambda: sessions(instance) == 1, "the session to end", 10)
    worker.ok("SELECT INBOX")
    worker.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    sleeper.hear(rb"3 FETCH \(FLAGS \([^)]*\\Deleted")
    worker.ok("EXPUNGE")
    sleeper.hear(rb"^\* 2 EXPUNGE")
    wait_for(lambda: sessions(instance) == 1, "sleep again", 10)
    append(worker)
    sleeper.hear(rb"^\* 3 EXISTS")
    wait_for(lambda: sessions(instance) == 1, "sleep again", 10)
    # Input wakes it too, and what comes behind it is not lost.
    sleeper.raw.send("DONE\r\nn FETCH 1:* UID\r\n")
    heard = b"".join(sleeper.until(b"n "))
    assert b"i OK" in heard
    assert re.findall(rb"UID (\d+)\)", heard) == [b"2", b"4", b"5"]


def test_sleepers_get_keepalives_and_may_hang_up(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s", "imap_idle_notify_interval": "10s"})
    instance.start()
    client = Client(instance)
    client.ok("SELECT INBOX")
    client.idle()
    wait_for(lambda: sessions(instance) == 0, "the session to end", 10)
    assert client.raw.line() == b"* OK Still here\r\n"
    client.raw.close()
    front = next(iter(instance.processes("imapd")))
    wait_for(lambda: not [f for f in os.listdir(f"/proc/{front}/fd") if is_client(front, f, instance)], "the descriptor to be closed", 10)


def is_client(pid, fd, instance):
    """Whether a descriptor of the front is an accepted connection, told by the sockets of the kernel's table."""
    try:
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return False
    inode = link[len("socket:["):-1] if link.startswith("socket:[") else None
    port = f":{instance.base + 143:04X}"
    with open("/proc/net/tcp") as table:
        return any(row.split()[9] == inode and row.split()[3] != "0A" and row.split()[1].endswith(port) for row in table if ":" in row)


def test_sleepers_survive_a_reload_and_hear_of_new_mail(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    sleeper, awake = Client(instance), Client(instance)
    sleeper.ok("SELECT INBOX")
    sleeper.idle()
    awake.ok("SELECT INBOX")
    wait_for(lambda: sessions(instance) == 1, "one to sleep", 10)
    instance.reload()
    awake.ok("NOOP")
    newcomer = Client(instance)
    newcomer.ok("NOOP")
    instance.send()
    sleeper.hear(rb"^\* 1 EXISTS")
    assert b"* 1 EXISTS" in wait_for(lambda: (lambda h: h if b"EXISTS" in h else None)(awake.ok("NOOP")), "the mail", 10, 0.1)
    assert b"i OK" in sleeper.done()


def test_a_dead_spawner_costs_the_sleepers_their_connection_and_nothing_else(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    sleeper = Client(instance)
    sleeper.ok("SELECT INBOX")
    sleeper.idle()
    wait_for(lambda: sessions(instance) == 0, "the session to end", 10)
    instance.kill_daemon("imapd-session")
    assert sleeper.raw.line().startswith(b"* BYE")

    def again():
        client = Client(instance, login=False)
        tag, lines = client.do(f"LOGIN one@{DOMAIN} {PASSWORDS['one']}")
        return lines[-1].startswith(tag + b" OK")
    wait_for(again, "logins to work again", 20, 0.2)


def test_stop_says_goodbye(instance):
    client, idler = Client(instance), Client(instance)
    idler.idle()
    instance.stop()
    for one in (client, idler):
        assert one.raw.line().startswith(b"* BYE")


def test_plaintext_passwords_can_be_refused_but_from_loopback(make_instance):
    instance = make_instance(settings={"disable_plaintext_auth": "yes"})
    instance.start()
    Client(instance).ok("NOOP")


def test_imaplib_works_through_a_mailbox(instance):
    client = instance.imap()
    assert client.create("Archive/2026")[0] == "OK"
    text = b"Subject: one\r\n\r\nbody\r\n"
    for i in range(10):
        assert client.append("Archive/2026", "\\Seen" if i % 2 else None, imaplib.Time2Internaldate(time.time() - i * 86400), text)[0] == "OK"
    assert client.select('"Archive/2026"') == ("OK", [b"10"])
    assert client.search(None, "UNSEEN")[1] == [b"1 3 5 7 9"]
    assert client.fetch("1", "(RFC822)")[1][0][1] == text
    assert client.uid("COPY", "1:3", "INBOX")[0] == "OK"
    assert client.store("1:5", "+FLAGS", "\\Deleted")[0] == "OK"
    assert client.expunge()[1] == [b"1"] * 5
    assert client.status("INBOX", "(MESSAGES)")[1] == [b"INBOX (MESSAGES 3)"]
    assert client.rename("Archive/2026", "Old")[0] == "OK"
    assert client.logout()[0] == "BYE"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_fetches_a_message(instance):
    sent = instance.wait_message(instance.send())
    done = subprocess.run(["curl", "-s", "--max-time", "20", "--user", f"one@{DOMAIN}:{PASSWORDS['one']}",
                           f"imap://{HOST}:{instance.base + 143}/INBOX;UID=1"], capture_output=True, timeout=30)
    assert done.returncode == 0 and done.stdout == sent


@pytest.mark.skipif(not shutil.which("mbsync"), reason="no mbsync")
def test_mbsync_keeps_two_sides_equal(instance, tmp_path):
    client = Client(instance)
    client.ok("CREATE Work")
    for i in range(20):
        append(client, b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nbody\r\n" % (i, i), "INBOX" if i % 2 else "Work")
    (tmp_path / "rc").write_text(f"""
IMAPStore far
Host {HOST}
Port {instance.base + 143}
User one@{DOMAIN}
Pass {PASSWORDS['one']}
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    os.makedirs(tmp_path / "mail")

    def sync():
        done = subprocess.run(["mbsync", "-c", str(tmp_path / "rc"), "-a"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
    sync()
    near = lambda box: sorted(f for sub in ("cur", "new") for f in os.listdir(tmp_path / "mail" / box / sub))
    assert (len(near("INBOX")), len(near("Work"))) == (10, 10)
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    client.ok("EXPUNGE")
    os.unlink(tmp_path / "mail/Work" / ("cur" if os.listdir(tmp_path / "mail/Work/cur") else "new") / near("Work")[0])
    sync()
    assert (len(near("INBOX")), len(near("Work"))) == (9, 9)
    assert b"(MESSAGES 9)" in client.ok("STATUS Work (MESSAGES)")


def test_a_session_is_held_to_its_own_mailbox_folder(instance):
    """What the session process has open lies below its own folder; the other user's does not."""
    client = Client(instance)
    client.ok("SELECT INBOX")
    pids = instance.processes("imapd-session")
    spawner = min(pids)
    session = next(pid for pid in pids if pid != spawner)
    paths = [os.readlink(f"/proc/{session}/fd/{fd}") for fd in os.listdir(f"/proc/{session}/fd")]
    mail = [p for p in paths if "/mail/" in p]
    assert mail and all(p.startswith(str(instance.maildir("one"))) for p in mail), paths
    status = open(f"/proc/{session}/status").read()
    assert re.search(r"^Seccomp:\s*2", status, re.M) and re.search(r"^NoNewPrivs:\s*1", status, re.M)


def test_connect_and_close_leaves_nothing(shared_instance):
    front = next(iter(shared_instance.processes("imapd")))
    before = len(os.listdir(f"/proc/{front}/fd"))
    for _ in range(200):
        socket.create_connection((HOST, shared_instance.base + 143)).close()
    wait_for(lambda: len(os.listdir(f"/proc/{front}/fd")) <= before + 1, "descriptors to be closed", 10)


def by_hand(instance, text=b"Subject: by hand\n\nbody\n"):
    """A message as a program that knows nothing of us delivers it."""
    folder = instance.maildir()
    owner = folder.stat()
    name = f"{time.time_ns()}.M1P1.elsewhere"
    (folder / "tmp" / name).write_bytes(text)
    os.chown(folder / "tmp" / name, owner.st_uid, owner.st_gid)
    os.rename(folder / "tmp" / name, folder / "new" / name)
    return time.monotonic()


@pytest.mark.core
@pytest.mark.parametrize("hibernate", ["0", "1s"])
def test_who_waits_in_idle_hears_of_what_other_programs_do(make_instance, hibernate):
    instance = make_instance(settings={"imap_hibernate_timeout": hibernate})
    instance.start()
    watcher = Client(instance)
    append(watcher)
    watcher.ok("SELECT INBOX")
    watcher.idle()
    best = GRACE
    for number in (2, 3, 4):
        if hibernate != "0":
            wait_for(lambda: sessions(instance) == 0, "the session to end", 10)
        start = by_hand(instance)
        watcher.hear(rb"^\* %d EXISTS" % number)
        best = min(best, time.monotonic() - start)
    assert best < 1
    if hibernate != "0":
        wait_for(lambda: sessions(instance) == 0, "the session to end", 10)
    next(iter((instance.maildir() / "cur").glob("*,U=1:*"))).unlink()
    watcher.hear(rb"^\* 1 EXPUNGE")
    assert b"i OK" in watcher.done()


def test_our_own_deliveries_wake_a_sleeper_once(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    sleeper = Client(instance)
    sleeper.ok("SELECT INBOX")
    sleeper.idle()
    wait_for(lambda: sessions(instance) == 0, "the session to end", 10)
    for number in (1, 2, 3):
        instance.send()
        sleeper.hear(rb"^\* %d EXISTS" % number)
        wait_for(lambda: sessions(instance) == 0, "sleep again", 10)
    assert json.loads(instance.postern("status", "--json").out)["totals"]["wakes"] == 3
    sleeper.raw.send("DONE\r\n")
    assert b"i OK" in b"".join(sleeper.until(b"i "))


def test_watches_are_bounded(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "0", "imap_watch_limit": "1"})
    instance.start()
    clients = [Client(instance, user) for user in ("one", "two", "two")]
    for client in clients:
        client.ok("SELECT INBOX")
        client.idle()
    by_hand(instance)
    clients[0].hear(rb"^\* 1 EXISTS")
    instance.wait_log("noticed late: imap_watch_limit is reached")
    assert instance.log().count("noticed late") == 1
    # The place is free again, and the next one gets it.
    clients[0].done()
    clients[2].done()
    clients[2].idle()
    assert b"i OK" in clients[1].done()
