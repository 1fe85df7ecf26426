# SPDX-License-Identifier: ISC
"""Sessions of users, listed and ended: postern who, postern kick, and what becomes of them when a user has to go."""
import imaplib
import json
import os
import pathlib
import poplib
import re
import smtplib
import socket
import ssl
import subprocess

import pytest

from conftest import BUILT
from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, wait_for

TOOL = BUILT.parent / "tests/attempts"
SUBMISSION = 31  # above the port base
ONE, TWO = f"one@{DOMAIN}", f"two@{DOMAIN}"
BYE = b"* BYE Disconnected by the administrator.\r\n"


def submission(instance):
    """Where users log in by SMTP; without TLS, which loopback can do without."""
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + SUBMISSION} inet n - y - - smtpd\n"
                        "  -o smtpd_tls_auth_only=no\n  -o smtpd_sasl_auth_enable=yes\n"
                        "  -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n")


@pytest.fixture
def serving(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    submission(instance)
    instance.start()
    return instance


def smtp(instance, user="one"):
    client = smtplib.SMTP(HOST, instance.base + SUBMISSION, timeout=TIMEOUT)
    client.login(f"{user}@{DOMAIN}", PASSWORDS[user])
    return client


def session_with_client(instance, client):
    """The SMTP session process that has this client's connection."""
    port = client.sock.getsockname()[1]
    inodes = {fields[9] for fields in (line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
              if int(fields[2].rpartition(":")[2], 16) == port}
    sessions = set(instance.processes("smtpd-session")) - set(instance.daemons("smtpd-session"))

    def holds(pid):
        links = [os.readlink(path) for path in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        return any(re.fullmatch(r"socket:\[(\d+)\]", link) and link[8:-1] in inodes for link in links)

    return next(pid for pid in sessions if holds(pid))


def idle(instance, user="one"):
    """An IMAP client in IDLE; its connection as a file."""
    client = instance.imap(user)
    client.select("INBOX")
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    return client


def rows(instance, *users):
    return [json.loads(line) for line in instance.postern("who", *users, "--json").out.splitlines()]


def asleep(instance, user=ONE):
    return [row for row in rows(instance, user) if row["state"] == "asleep"]


def ended(instance, *arguments, **options):
    """How many sessions a command says that it ended."""
    return json.loads(instance.postern(*arguments, "--json", **options).out.splitlines()[-1])["sessions_ended"]


@pytest.mark.core
def test_who_tells_of_each_session(serving):
    sleeper, pop, submitter, other = idle(serving), serving.pop3(), smtp(serving), serving.imap("two")
    wait_for(lambda: asleep(serving), "the client to sleep", 10)
    found = {(row["user"], row["service"], row["state"]) for row in rows(serving)}
    assert found == {(ONE, "imap", "asleep"), (ONE, "pop3", "awake"), (ONE, "smtp", "awake"), (TWO, "imap", "awake")}
    assert all(row["address"] == "127.0.0.1" and row["since"].endswith("Z") for row in rows(serving))
    assert {row["user"] for row in rows(serving, "TWO@" + DOMAIN)} == {TWO}
    text = serving.postern("who").out.splitlines()
    assert len(text) == 5 and text[0].startswith("user ") and any("asleep" in line for line in text)
    submitter.quit()
    wait_for(lambda: not [row for row in rows(serving, ONE) if row["service"] == "smtp"], "the login to be forgotten")
    for client in (sleeper, other):
        client.shutdown()
    pop.quit()


@pytest.mark.core
def test_kick_ends_all_sessions_of_a_user_and_no_others(serving):
    sleeper = idle(serving)
    wait_for(lambda: asleep(serving), "the client to sleep", 10)
    awake, quiet, pop, submitter = idle(serving), serving.imap(), serving.pop3(), smtp(serving)
    others = serving.imap("two"), serving.pop3("two"), smtp(serving, "two")
    assert ended(serving, "kick", ONE) == 5
    assert sleeper.readline() == BYE and sleeper.readline() == b""
    assert awake.readline() == BYE and awake.readline() == b""
    assert quiet.readline() == BYE and quiet.readline() == b""
    assert pop.file.readline() == b"-ERR [AUTH] Disconnected by the administrator\r\n" and pop.file.readline() == b""
    assert submitter.getreply()[0] == 421
    with pytest.raises(smtplib.SMTPServerDisconnected):
        submitter.getreply()
    assert others[0].noop()[0] == "OK" and others[1].noop().startswith(b"+OK") and others[2].noop()[0] == 250
    assert {row["user"] for row in rows(serving)} == {TWO}
    assert ended(serving, "kick", ONE) == 0
    # He may come back.
    assert serving.imap().noop()[0] == "OK"
    assert smtp(serving).noop()[0] == 250


def test_mail_on_its_way_in_is_lost_cleanly(serving):
    submitter = smtp(serving)
    submitter.mail(ONE)
    submitter.rcpt(TWO)
    submitter.putcmd("data")
    assert submitter.getreply()[0] == 354
    submitter.send(b"Subject: half\r\n\r\nnever ends\r\n")
    pop = serving.pop3()
    assert ended(serving, "kick", ONE) == 2
    assert submitter.getreply()[0] == 421
    wait_for(lambda: not serving.queue_files("incoming", "active"), "the unfinished message to go")
    assert not serving.delivered_files("two")
    pop.close()


def test_what_pop3_was_to_delete_stays(serving):
    serving.wait_message(serving.send())
    pop = serving.pop3()
    pop.dele(1)
    assert ended(serving, "kick", ONE) == 1
    assert pop.file.readline().startswith(b"-ERR")
    assert len(serving.messages()) == 1


def test_a_session_ends_with_its_user(serving):
    """An SMTP session process outlives clients, but not one who logged in: what it was told of him goes with it."""
    submitter = smtp(serving)
    session = rows(serving, ONE)[0]["pid"]
    submitter.quit()
    wait_for(lambda: not rows(serving, ONE), "the login to be forgotten")
    assert session not in serving.processes("smtpd-session")
    assert ended(serving, "kick", ONE) == 0
    second = smtp(serving, "two")
    assert second.noop()[0] == 250


@pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine != "x86_64", reason="making calls in a process that is not dumpable needs root and x86_64")
def test_a_taken_over_session_cannot_hide_who_is_there(serving):
    """It keeps quiet about the login and hears no signal: authd tells of the login, and the spawner kills."""
    submitter = smtplib.SMTP(HOST, serving.base + SUBMISSION, timeout=TIMEOUT)
    submitter.ehlo()
    submitter.user, submitter.password = ONE, "wrong"
    with pytest.raises(smtplib.SMTPAuthenticationError):
        submitter.auth("PLAIN", submitter.auth_plain)
    serving.wait_log(r"SASL PLAIN authentication failed")
    session = session_with_client(serving, submitter)
    subprocess.run([str(TOOL), "--rebel", str(session)], check=True)
    submitter.password = PASSWORDS["one"]
    assert submitter.auth("PLAIN", submitter.auth_plain)[0] == 235
    assert [(row["pid"], row["service"]) for row in rows(serving, ONE)] == [(session, "smtp")]
    assert submitter.noop()[0] == 250
    assert ended(serving, "kick", ONE) == 1
    assert session not in serving.processes("smtpd-session") and not rows(serving, ONE)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        submitter.noop()
    assert smtp(serving).noop()[0] == 250


def test_sessions_over_tls_end_as_well(serving):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    imap = imaplib.IMAP4_SSL(HOST, serving.base + 993, ssl_context=context, timeout=TIMEOUT)
    imap.login(ONE, PASSWORDS["one"])
    pop = poplib.POP3_SSL(HOST, serving.base + 995, context=context, timeout=TIMEOUT)
    pop.user(ONE)
    pop.pass_(PASSWORDS["one"])
    submitter = smtplib.SMTP_SSL(HOST, serving.base + 465, context=context, timeout=TIMEOUT)
    submitter.login(ONE, PASSWORDS["one"])
    assert ended(serving, "kick", ONE) == 3
    assert imap.readline() == BYE
    assert pop.file.readline().startswith(b"-ERR [AUTH]")
    assert submitter.getreply()[0] == 421


def test_disable_tells_of_sessions_and_ends_them_when_asked(serving):
    client = serving.imap()
    done = serving.postern("user", "disable", ONE)
    assert "1 session is still open" in done.err
    assert client.noop()[0] == "OK"
    done = serving.postern("user", "disable", ONE, "--kick")
    assert "1 session ended" in done.out
    assert client.readline() == BYE
    with pytest.raises(imaplib.IMAP4.error):
        serving.imap()
    assert serving.postern("user", "enable", ONE, "--kick", check=False).returncode == 64


def test_a_new_password_ends_sessions_when_asked(serving):
    client = serving.imap()
    assert json.loads(serving.postern("user", "passwd", ONE, "--json", input="other-secret\n").out)["sessions_open"] == 1
    assert client.noop()[0] == "OK"
    assert ended(serving, "user", "passwd", ONE, "--kick", input="new-secret\n") == 1
    assert client.readline() == BYE
    again = imaplib.IMAP4(HOST, serving.base + 143, timeout=TIMEOUT)
    assert again.login(ONE, "new-secret")[0] == "OK"
    assert again.noop()[0] == "OK"


def app_password(instance, name):
    return instance.postern("user", "app", "add", ONE, name).out.strip()


def imap_with(instance, password):
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    client.login(ONE, password)
    return client


def test_a_revoked_application_password_tells_of_its_sessions_and_ends_them_when_asked(serving):
    own, phone, tablet = (imap_with(serving, password) for password in
                          (PASSWORDS["one"], app_password(serving, "phone"), app_password(serving, "tablet")))
    assert serving.postern("user", "app", "add", ONE, "x", "--kick", check=False).returncode == 64
    assert "1 session is still open" in serving.postern("user", "app", "delete", ONE, "phone").err
    assert phone.noop()[0] == "OK"
    assert serving.postern("user", "app", "delete", ONE, "phone", "--kick", check=False).returncode == 65
    assert phone.noop()[0] == "OK"
    assert "1 session ended" in serving.postern("user", "app", "delete", ONE, "tablet", "--kick").out
    assert tablet.readline() == BYE
    assert phone.noop()[0] == "OK" and own.noop()[0] == "OK"
    # Whose password is gone can still be told apart.
    assert ended(serving, "kick", ONE, "--app", "phone") == 1
    assert phone.readline() == BYE and own.noop()[0] == "OK"


@pytest.mark.core
def test_sessions_of_an_application_password_end_by_every_protocol(serving):
    """Also of who sleeps, and of who slept and was woken; never those of the user's own password."""
    password = app_password(serving, "phone")
    sleeper, slept = imap_with(serving, password), imap_with(serving, password)
    for client in (sleeper, slept):
        client.select("INBOX")
        client.send(b"i IDLE\r\n")
        assert client.readline().startswith(b"+ ")
    wait_for(lambda: len(asleep(serving)) == 2, "the clients to sleep", 10)
    slept.send(b"DONE\r\n")
    assert slept.readline().startswith(b"i OK")
    pop = poplib.POP3(HOST, serving.base + 110, timeout=TIMEOUT)
    pop.user(ONE)
    pop.pass_(password)
    submitter = smtplib.SMTP(HOST, serving.base + SUBMISSION, timeout=TIMEOUT)
    submitter.login(ONE, password)
    own = serving.imap(), smtp(serving)
    found = sorted((row["service"], row["app"]) for row in rows(serving, ONE))
    assert found == [("imap", ""), ("imap", "phone"), ("imap", "phone"), ("pop3", "phone"),
                     ("smtp", ""), ("smtp", "phone")]
    assert len(rows(serving, ONE, "--app", "phone")) == 4
    assert serving.postern("who").out.count("app=<phone>") == 4
    assert "4 sessions ended" in serving.postern("user", "app", "delete", ONE, "phone", "--kick").out
    assert sleeper.readline() == BYE and slept.readline() == BYE
    assert pop.file.readline().startswith(b"-ERR [AUTH]")
    assert submitter.getreply()[0] == 421
    assert own[0].noop()[0] == "OK" and own[1].noop()[0] == 250
    assert [row["app"] for row in rows(serving, ONE)] == ["", ""]


@pytest.mark.core
def test_who_sleeps_in_a_shared_mailbox_stays_who_he_is(make_instance):
    """Logins that have one mailbox path: listed, ended and bounded each by itself, whoever came first or last."""
    shared = f"shared@{DOMAIN}"
    instance = make_instance(settings={
        "imap_hibernate_timeout": "1s", "virtual_mailbox_maps": f"inline:{{ {shared} = {DOMAIN}/two/ }}",
        "virtual_mailbox_limit": "3000", "auth_allow_plain_scheme": "yes"})
    passwd = instance.etc / "passwd"
    passwd.write_text(f"{shared}:{{PLAIN}}{PASSWORDS['one']}\n")
    instance.configure(auth_backends=f"credentials, passwd-file:{passwd}")
    instance.postern("user", "quota", TWO, "1M")
    instance.start()

    def sleeping(login, password):
        client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
        client.login(login, password)
        client.select("INBOX")
        client.send(b"i IDLE\r\n")
        assert client.readline().startswith(b"+ ")
        wait_for(lambda: asleep(instance, login), f"the client of {login} to sleep", 10)
        return client

    def woken(client):
        client.send(b"DONE\r\n")
        assert client.readline().startswith(b"i OK")

    def present():
        return sorted((row["user"], row["state"]) for row in rows(instance))

    owner = instance.imap("two")
    sleeper, other = sleeping(shared, PASSWORDS["one"]), sleeping(TWO, PASSWORDS["two"])
    assert present() == [(shared, "asleep"), (TWO, "asleep"), (TWO, "awake")]
    # The latest login is the owner's, whose quota is larger.
    woken(sleeper)
    assert present() == [(shared, "awake"), (TWO, "asleep"), (TWO, "awake")]
    status, reply = sleeper.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 6000)
    assert status == "NO" and b"[OVERQUOTA]" in reply[0]
    woken(other)
    assert other.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 6000)[0] == "OK"
    # All of them are told of it, nobody ends with another.
    again = sleeping(shared, PASSWORDS["one"])
    assert ended(instance, "kick", TWO) == 2
    assert owner.readline() == BYE and other.readline() == BYE
    assert sleeper.noop()[0] == "OK" and sleeper.response("EXISTS")[1][-1] == b"1"
    assert {row["user"] for row in rows(instance)} == {shared}
    assert ended(instance, "kick", shared) == 2
    assert again.readline() == BYE and sleeper.readline() == BYE
    assert not rows(instance)


def test_deleted_and_renamed_users_are_out(serving):
    sleeper = idle(serving)
    wait_for(lambda: asleep(serving), "the client to sleep", 10)
    submitter, other = smtp(serving), serving.imap("two")
    assert ended(serving, "user", "delete", ONE, "--purge-mail", "--yes") == 2
    assert sleeper.readline() == BYE
    assert submitter.getreply()[0] == 421
    assert not serving.maildir().exists()
    assert ended(serving, "user", "rename", TWO, f"three@{DOMAIN}") == 1
    assert other.readline() == BYE


def test_sessions_of_the_former_configuration_are_reached(serving):
    sleeper, awake, submitter = idle(serving), serving.imap(), smtp(serving)
    wait_for(lambda: asleep(serving), "the client to sleep", 10)
    serving.reload()
    newcomer = serving.imap()
    assert ended(serving, "kick", ONE) == 4
    assert newcomer.readline() == BYE
    assert sleeper.readline() == BYE and awake.readline() == BYE
    assert submitter.getreply()[0] == 421


def test_a_session_that_does_not_listen_is_ended_all_the_same(serving):
    """Its client does not read, so that it cannot take leave."""
    serving.wait_message(serving.send(size=8_000_000))
    wait_for(lambda: not rows(serving, ONE), "the session that looked for the message to be over")
    raw = serving.raw(143)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.line()
    raw.send(f"a LOGIN {ONE} {PASSWORDS['one']}\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n")
    wait_for(lambda: rows(serving, ONE), "the session")
    assert ended(serving, "kick", ONE) == 1
    assert not rows(serving, ONE)


@pytest.mark.core
def test_only_the_owner_gives_orders(serving, ordinary_user):
    client = serving.imap()
    control = serving.path / "run/control"
    assert control.stat().st_mode & 0o777 == 0o600
    if not serving.user:
        done = serving.postern("kick", ONE, check=False, as_user=ordinary_user)
        assert done.returncode != 0
    assert client.noop()[0] == "OK"


def test_orders_need_a_running_system(make_instance):
    instance = make_instance()
    assert instance.postern("who", check=False).returncode == 1
    assert instance.postern("kick", ONE, check=False).returncode == 1
    assert instance.postern("kick", check=False).returncode == 64
    assert ended(instance, "user", "disable", ONE, "--kick") == 0
