# SPDX-License-Identifier: ISC
"""Mail access: IDLE, several sessions on one mailbox, sleepers, the POP3 lock, mail that other programs bring."""
import concurrent.futures
import imaplib
import os
import poplib
import re
import socket
import time

import pytest

from postern import DOMAIN, HOST, PASSWORDS, compose, wait_for

pytestmark = pytest.mark.xdist_group("access")


class Idler:
    """A client in IDLE, line by line."""

    def __init__(self, instance, user="one", mailbox="INBOX"):
        self.socket = socket.create_connection((HOST, instance.base + 143), timeout=30)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.command(f"LOGIN {user}@{DOMAIN} {PASSWORDS[user]}")
        self.command(f"SELECT {mailbox}")
        self.socket.sendall(b"i IDLE\r\n")
        while not self.file.readline().startswith(b"+"):
            pass

    def command(self, text):
        self.socket.sendall(b"a " + text.encode() + b"\r\n")
        lines = []
        while not lines or not lines[-1].startswith(b"a "):
            lines.append(self.file.readline())
            assert lines[-1], lines
        assert lines[-1].startswith(b"a OK"), lines[-1]
        return lines

    def line(self):
        return self.file.readline()

    def until(self, pattern):
        while True:
            line = self.line()
            assert line, f"connection lost before {pattern!r}"
            if re.search(pattern, line):
                return line

    def done(self):
        self.socket.sendall(b"DONE\r\n")
        self.until(rb"^i OK")

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.mark.core
def test_idle_tells_of_new_mail_within_100_ms_of_delivery(instance):
    idler = Idler(instance)
    delays = []
    for _ in range(5):
        sent = instance.send(size=500)
        idler.until(rb"^\* \d+ EXISTS")
        told = time.time()
        # The log says when it was delivered only by the second: the file's own time is finer.
        delivered = max(p.stat().st_mtime for p in instance.delivered_files())
        delays.append(told - delivered)
        assert sent
    idler.done()
    idler.close()
    assert sorted(delays)[2] < 0.1, delays


def test_a_sleeper_costs_no_process_and_wakes_with_all_news(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    idlers = [Idler(instance) for _ in range(5)]
    wait_for(lambda: len(instance.processes("imapd-session")) == 1, "all sessions asleep")
    instance.send()
    for idler in idlers:
        idler.until(rb"^\* 1 EXISTS")
    idlers[0].done()
    assert any(b"MESSAGES 1" in line for line in idlers[0].command("STATUS INBOX (MESSAGES)"))
    idlers[0].command("STORE 1 +FLAGS (\\Flagged)")
    for idler in idlers[1:]:
        idler.until(rb"^\* 1 FETCH .*\\Flagged")
        idler.done()
        idler.command("NOOP")
        idler.close()
    idlers[0].close()


@pytest.mark.core
def test_sessions_on_one_mailbox_see_each_others_changes(instance):
    instance.send()
    instance.send()
    wait_for(lambda: len(instance.delivered_files()) == 2, "delivery")
    first, second = instance.imap(), instance.imap()
    for imap in (first, second):
        assert imap.select("INBOX")[1] == [b"2"]
    first.store("1", "+FLAGS", r"(\Seen $Work)")
    second.noop()
    assert b"$Work" in second.response("FETCH")[1][0] and b"\\Seen" in second.fetch("1", "(FLAGS)")[1][0]
    second.store("2", "+FLAGS", r"(\Deleted)")
    second.expunge()
    first.noop()
    assert first.response("EXPUNGE")[1] == [b"2"]
    first.append("INBOX", r"(\Draft)", None, b"Subject: appended\r\n\r\nx\r\n")
    second.noop()
    assert second.response("EXISTS")[1][-1] == b"2"
    first.logout()
    second.logout()


def test_messages_that_other_programs_bring_or_take_away_are_noticed(instance):
    sent = instance.send()
    wait_for(lambda: instance.delivered_files(), "delivery")
    imap = instance.imap()
    imap.select("INBOX")
    foreign = instance.maildir() / "tmp" / "1700000001.foreign.host"
    foreign.write_bytes(compose("foreigntag", [f"one@{DOMAIN}"]).replace(b"\r\n", b"\n"))
    info = (instance.maildir() / "cur").stat()
    os.chown(foreign, info.st_uid, info.st_gid)
    foreign.rename(instance.maildir() / "new" / foreign.name)
    imap.noop()
    number = imap.search(None, "SUBJECT", "foreigntag")[1][0]
    assert number == b"2"
    assert imap.fetch("2", "(RFC822.SIZE BODY[])")[1][0][1] == compose("foreigntag", [f"one@{DOMAIN}"])
    mine = next(p for p in instance.delivered_files() if sent.tag in p.read_text())
    mine.unlink()

    def gone():
        imap.noop()
        return imap.search(None, "ALL")[1][0] == b"1"

    wait_for(gone, "the removal", pause=0.2)
    imap.logout()


def test_pop3_has_one_session_a_mailbox_and_quit_removes(instance):
    for _ in range(3):
        instance.send()
    wait_for(lambda: len(instance.delivered_files()) == 3, "delivery")
    pop = instance.pop3()
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        instance.pop3()
    uids = [line.split()[1] for line in pop.uidl()[1]]
    assert len(set(uids)) == 3
    pop.dele(1)
    pop.dele(3)
    pop.rset()
    pop.dele(2)
    assert pop.stat()[0] == 2
    pop.quit()
    pop = instance.pop3()
    assert [line.split()[1] for line in pop.uidl()[1]] == [uids[0], uids[2]]
    pop.dele(1)
    pop.sock.close()
    pop.file.close()
    again = wait_for(lambda: _try_pop3(instance), "the lock of the lost session to go")
    assert again.stat()[0] == 2, "without QUIT nothing is removed"
    again.quit()


def _try_pop3(instance):
    try:
        return instance.pop3()
    except poplib.error_proto:
        return None


def test_wrong_passwords_are_refused_and_cost_time(shared_instance):
    instance = shared_instance
    imap = imaplib.IMAP4(HOST, instance.base + 143, timeout=30)
    begin = time.monotonic()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap.login(f"one@{DOMAIN}", "wrong")
    imap.login(f"one@{DOMAIN}", PASSWORDS["one"])
    assert time.monotonic() - begin > 0.5
    imap.logout()
    pop = poplib.POP3(HOST, instance.base + 110, timeout=30)
    pop.user(f"nobody@{DOMAIN}")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        pop.pass_("x")
    pop.close()


def test_two_users_at_once_never_see_each_others_mail(instance):
    for user in ("one", "two"):
        instance.send(to=user, subject=f"only for {user}")
        wait_for(lambda: instance.delivered_files(user), "delivery")

    def look(user):
        return all(b"only for " + user.encode() in m for _ in range(10) for m in instance.messages(user))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, ["one", "two"] * 8))


def test_folders_subscriptions_and_special_use(shared_instance):
    imap = shared_instance.imap("two")
    for name in ("Sent", "Arbeit &- Spiel", "Tief/drunter/drin", "&AOQA9gD8-"):
        assert imap.create(f'"{name}"')[0] == "OK"
        assert imap.subscribe(f'"{name}"')[0] == "OK"
    listed = b"\n".join(imap.list()[1])
    assert b"\\Sent" in listed and b"Tief/drunter/drin" in listed and b"&AOQA9gD8-" in listed
    assert imap.rename('"Tief"', '"Hoch"')[0] == "OK"
    assert b"Hoch/drunter/drin" in b"\n".join(imap.list()[1])
    assert imap.delete('"Sent"')[0] == "OK"
    assert b"Sent" in b"\n".join(imap.lsub()[1]), "a subscription outlives its mailbox"
    assert imap.create('"../escape"')[0] == "NO"
    imap.logout()


def test_a_pop3_client_may_be_back_at_once(instance):
    for _ in range(20):
        session = instance.pop3()
        assert session.quit().startswith(b"+OK")
