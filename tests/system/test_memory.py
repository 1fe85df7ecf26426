# SPDX-License-Identifier: ISC
"""What a user typed is in nobody's memory once it was answered: all that processes may write is read, freed memory and stacks with it."""
import base64
import contextlib
import imaplib
import os
import pathlib
import poplib
import re
import secrets
import smtplib
import ssl

import pytest

from conftest import SANITIZED
from postern import DOMAIN, HOST, TIMEOUT, Instance, Raw, wait_for

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="processes of the suite are not dumpable: only root reads their memory"),
              pytest.mark.skipif(SANITIZED, reason="terabytes of the address sanitizer's own, which also keeps what was freed")]

# Nobody waits for an answer here, and nobody is refused one.
SETTINGS = {"auth_failure_delay": "0", "auth_failure_account_limit": "0", "auth_failure_network_limit": "0", "smtpd_sasl_auth_enable": "yes"}
USER = f"one@{DOMAIN}"
PIECE = 8  # bytes that tell: memory that was given back has its first sixteen overwritten, and a copy may be cut anywhere


def writable(pid):
    """Every mapping that the process may write, as bytes."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            begin, end = (int(bound, 16) for bound in span.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError, OverflowError):
                    memory.seek(begin)
                    yield line, memory.read(end - begin)


def pieces(password):
    """What of a password, or of a form in which it is sent, must not be found."""
    exchange = f"\0{USER}\0{password}".encode()
    # Of PLAIN what stands behind the name.
    forms = [password.encode(), base64.b64encode(password.encode()), base64.b64encode(exchange)[-4 * len(password) // 3:]]
    return {form[at:at + PIECE] for form in forms for at in range(0, len(form) - PIECE, PIECE)}


def holders(instance, *wanted):
    """Who has any of it: process, mapping, and what."""
    found = []
    for pid, name in instance.processes().items():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line, content in writable(pid):
                found += [(os.path.basename(name), pid, line, piece) for piece in wanted if piece in content]
    return found


def assert_forgotten(instance, password):
    seen = []

    def gone():
        # Whoever answered may be about to put things in order.
        seen[:] = holders(instance, *pieces(password))
        return not seen

    with contextlib.suppress(AssertionError):
        wait_for(gone, "no trace of the password", timeout=10)
    assert not seen


@pytest.fixture(scope="module")
def instance(mode, binaries, ordinary_user):
    """One for all: each test has its own password."""
    made = Instance(binaries, ordinary_user if mode == "user" else None, settings=SETTINGS)
    made.start()
    yield made
    made.close()


@pytest.fixture
def password(instance):
    """A new one of `one`, which no process was told yet."""
    made = secrets.token_hex(20)
    instance.postern("user", "passwd", USER, input=f"{made}\n")
    return made


def smtp_auth(instance, mechanism, password, tls=False):
    client = smtplib.SMTP(HOST, instance.base + (587 if tls else 25), timeout=TIMEOUT)
    client.ehlo()
    if tls:
        client.starttls(context=ssl._create_unverified_context())
        client.ehlo()
    client.user, client.password = USER, password
    with contextlib.suppress(smtplib.SMTPAuthenticationError):
        client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()), initial_response_ok=mechanism == "PLAIN")
    return client.close


def imap_login(instance, _, password, tls=False):
    client = (imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=ssl._create_unverified_context(), timeout=TIMEOUT) if tls
              else imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT))
    with contextlib.suppress(imaplib.IMAP4.error):
        client.login(USER, password)
    return client.shutdown


def imap_authenticate(instance, mechanism, password, tls=False):
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    answers = {"PLAIN": [f"\0{USER}\0{password}"], "LOGIN": [USER, password]}[mechanism]
    with contextlib.suppress(imaplib.IMAP4.error):
        client.authenticate(mechanism, lambda _: answers.pop(0).encode())
    return client.shutdown


def pop3_user(instance, _, password, tls=False):
    client = (poplib.POP3_SSL(HOST, instance.base + 995, context=ssl._create_unverified_context(), timeout=TIMEOUT) if tls
              else poplib.POP3(HOST, instance.base + 110, timeout=TIMEOUT))
    client.user(USER)
    with contextlib.suppress(poplib.error_proto):
        client.pass_(password)
    return client.close


def pop3_auth(instance, mechanism, password, tls=False):
    client = Raw(instance.base + 110)
    client.line()
    answers = {"PLAIN": [f"\0{USER}\0{password}"], "LOGIN": [USER, password]}[mechanism]
    client.send(f"AUTH {mechanism}\r\n")
    while client.line().startswith(b"+ "):
        client.send(base64.b64encode(answers.pop(0).encode()) + b"\r\n")
    return client.close


WAYS = [(smtp_auth, "PLAIN", False), (smtp_auth, "LOGIN", False), (imap_login, "command", False), (imap_authenticate, "PLAIN", False),
        (imap_authenticate, "LOGIN", False), (pop3_user, "command", False), (pop3_auth, "PLAIN", False), (pop3_auth, "LOGIN", False),
        (smtp_auth, "PLAIN", True), (imap_login, "command", True), (pop3_user, "command", True)]


@pytest.mark.parametrize("way, mechanism, tls", WAYS, ids=[f"{way.__name__}-{name}{'-tls' if tls else ''}" for way, name, tls in WAYS])
def test_a_password_is_in_no_memory_once_it_was_answered(instance, password, way, mechanism, tls):
    before = len(instance.log())
    close = way(instance, mechanism, password, tls)
    instance.wait_log(rf"auth: user=<{USER}> .* ok$", after=before)
    assert_forgotten(instance, password)
    close()
    assert_forgotten(instance, password)
    # Once more: from what is remembered of the good one. And a wrong one.
    for typed in (password, secrets.token_hex(20)):
        close = way(instance, mechanism, typed, tls)
        assert_forgotten(instance, typed)
        close()
        assert_forgotten(instance, typed)
    assert re.findall(rf"auth: user=<{USER}> .* (ok|failed)$", instance.log()[before:], re.M) == ["ok", "ok", "failed"]


def test_an_application_password_and_one_beyond_ascii_are_forgotten_too(instance):
    app = instance.postern("user", "app", "add", USER, "phone").out.split()[-1]
    for typed in (app, app.replace("-", ""), secrets.token_hex(20) + "\u00e9"):
        client = Raw(instance.base + 143)
        client.line()
        client.send(f'a AUTHENTICATE PLAIN {base64.b64encode(f"{chr(0)}{USER}{chr(0)}{typed}".encode()).decode()}\r\n')
        answer = client.line()
        assert answer.startswith(b"a OK" if typed.replace("-", "") == app.replace("-", "") else b"a NO"), answer
        assert_forgotten(instance, typed)
        client.close()


@pytest.mark.parametrize("port, before, line", [
    (110, f"USER {USER}\r\n", "PASS {}"),
    (143, "", f'a LOGIN "{USER}" "{{}}"'),
    (25, "EHLO client.test\r\n", "AUTH PLAIN {}")])
def test_it_is_in_memory_while_its_line_has_no_end(instance, password, port, before, line):
    """Which shows, too, that this can find one. What comes in pieces and is moved about leaves nothing behind either."""
    log = len(instance.log())
    client = Raw(instance.base + port)
    client.line()
    client.send(before)
    if before:
        client.reply()
    text = password if port != 25 else base64.b64encode(f"\0{USER}\0{password}".encode()).decode()
    client.send(line.format(text))
    wait_for(lambda: holders(instance, *pieces(password)), "the password, as far as it was sent")
    client.send("\r\n")
    instance.wait_log(rf"auth: user=<{USER}> .* ok$", after=log)
    assert_forgotten(instance, password)
    client.close()


@pytest.mark.parametrize("port, line, answer", [
    (110, "PASS {}\r\n", b"-ERR USER first"),
    (110, "AUTH PLAIN {}!\r\n", b"-ERR Bad base64"),
    (143, "a LOGIN one {} more\r\n", b"a BAD"),
    (143, "a AUTHENTICATE PLAIN {}!\r\n", b"a BAD"),
    (25, "AUTH PLAIN {}!\r\n", b"501"),
    (25, "AUTH NONE {}\r\n", b"504"),
    (587, "AUTH PLAIN {}\r\n", b"530"),
    (25, "X{}\r\n", b"502"),
    (25, "AUTH PLAIN " + "{} " * 500 + "\r\n", b"500")], ids=range(9))
def test_a_line_that_is_none_is_forgotten_too(instance, port, line, answer):
    client = Raw(instance.base + port)
    client.line()
    if port in (25, 587):
        client.say("EHLO client.test")
    typed = secrets.token_hex(20)
    client.send(line.format(*[typed] * line.count("{}")))
    assert client.line().startswith(answer)
    assert_forgotten(instance, typed)
    client.close()


@pytest.mark.parametrize("ahead, shown", [("EHLO client.test\r\nAUTH PLAIN {}\r\n", "AUTH"),
                                          ("EHLO client.test\r\nNOOP\r\nauth LOGIN\r\n{}\r\n", r"NOOP\?\?auth")], ids=["plain", "login"])
def test_what_is_sent_ahead_of_its_turn_is_not_in_the_log(instance, ahead, shown):
    log = len(instance.log())
    client = Raw(instance.base + 25)
    client.line()
    typed = secrets.token_hex(20)
    client.send(ahead.format(typed))
    instance.wait_log(f"improper command pipelining after EHLO from .*: {shown}$", after=log)
    client.say("QUIT")
    client.close()
    assert typed not in instance.log()
    assert_forgotten(instance, typed)
