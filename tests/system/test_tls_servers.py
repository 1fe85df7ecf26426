# SPDX-License-Identifier: ISC
"""TLS as clients of SMTP, IMAP and POP3 see it: STARTTLS and TLS from the first byte, injections, ends in the middle of things."""
import base64
import concurrent.futures
import contextlib
import imaplib
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, body_behind_trace, compose, wait_for
from programs import STARTTLS, TLS, curl, fetchmail, mbsync, needs, run, trusting

ONE = f"one@{DOMAIN}"
SECRET = PASSWORDS["one"]


def tls(instance, connection, **settings):
    return trusting(instance, **settings).wrap_socket(connection, server_hostname=f"mail.{DOMAIN}")


def connect(instance, port):
    return socket.create_connection((HOST, instance.base + port), timeout=TIMEOUT)


class Talk:
    """Lines over a socket that may become a TLS one."""

    def __init__(self, connection):
        self.socket, self.buffer = connection, b""

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(4096)
            if not more:
                line, self.buffer = self.buffer, b""
                return line
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def send(self, data):
        self.socket.sendall(data)

    def until(self, start):
        """Lines up to one that begins so."""
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(start):
            lines.append(self.line())
        assert lines[-1], f"end of file before {start}: {lines}"
        return lines

    def start_tls(self, instance):
        assert self.buffer == b"", "words in clear behind the last reply before TLS"
        self.socket = tls(instance, self.socket)


SAY = {  # greeting, the request, its answer, what may be said before and after, and its answer
    25: (b"220 ", b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n", b"NOOP\r\n", b"250 2.0.0 Ok\r\n"),
    143: (b"* OK", b"a STARTTLS\r\n", b"a OK Begin TLS negotiation now.\r\n", b"n NOOP\r\n", b"n OK NOOP completed.\r\n"),
    110: (b"+OK", b"STLS\r\n", b"+OK Begin TLS negotiation now.\r\n", b"CAPA\r\n", b"+OK\r\n"),
}
WRAPPED = {465: 25, 993: 143, 995: 110}


# --- all three ---


@pytest.mark.core
def test_mail_goes_and_comes_by_starttls_and_stls(instance):
    smtp = instance.smtp()
    assert smtp.ehlo()[0] == 250 and smtp.has_extn("starttls")
    smtp._host = f"mail.{DOMAIN}"
    smtp.starttls(context=trusting(instance))
    smtp.ehlo()
    assert not smtp.has_extn("starttls")
    data = compose("bystarttls", [ONE])
    smtp.sendmail("a@elsewhere.test", [ONE], data)
    smtp.quit()
    wait_for(instance.delivered_files, "delivery")
    imap = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    assert "STARTTLS" in imap.capabilities
    imap.host = f"mail.{DOMAIN}"
    imap.starttls(ssl_context=trusting(instance))
    assert "STARTTLS" not in imap.capabilities and "AUTH=PLAIN" in imap.capabilities
    imap.login(ONE, SECRET)
    imap.select()
    got = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
    imap.logout()
    assert body_behind_trace(got, data) == data
    assert re.search(rb"by mail\.example\.test \(Postern\) with ESMTPS id ", got)
    pop = poplib.POP3(HOST, instance.base + 110, timeout=TIMEOUT)
    assert "STLS" in pop.capa()
    pop.host = f"mail.{DOMAIN}"
    pop.stls(context=trusting(instance))
    assert "STLS" not in pop.capa()
    pop.user(ONE)
    pop.pass_(SECRET)
    assert b"\r\n".join(pop.retr(1)[1]) + b"\r\n" == got
    pop.quit()
    instance.wait_log(r"imap-login: Login: user=<one@example.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=\d+, TLS$")
    instance.wait_log(r"pop3-login: Login: user=<one@example.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=\d+, TLS$")


@pytest.mark.core
def test_mail_goes_and_comes_by_the_ports_of_tls(instance):
    with smtplib.SMTP_SSL(HOST, instance.base + 465, timeout=TIMEOUT, context=trusting(instance, check_hostname=False)) as smtp:
        smtp.login(ONE, SECRET)
        smtp.sendmail(ONE, [ONE], compose("byports", [ONE]))
        assert not smtp.has_extn("starttls")
    wait_for(instance.delivered_files, "delivery")
    imap = imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=trusting(instance, check_hostname=False), timeout=TIMEOUT)
    imap.login(ONE, SECRET)
    imap.select()
    assert b"byports" in imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
    imap.logout()
    pop = poplib.POP3_SSL(HOST, instance.base + 995, context=trusting(instance, check_hostname=False), timeout=TIMEOUT)
    pop.user(ONE)
    pop.pass_(SECRET)
    assert pop.stat()[0] == 1
    pop.quit()


@pytest.mark.parametrize("port", SAY)
def test_words_sent_with_starttls_are_never_heard(make_instance, port):
    """In one packet with the request, and in one with the first bytes of the handshake (then it is no handshake any more)."""
    instance = make_instance(settings={"smtpd_forbid_unauth_pipelining": "no"})
    instance.start()
    greeting, request, answer, word, reply = SAY[port]
    with contextlib.closing(connect(instance, port)) as raw:
        talk = Talk(raw)
        talk.until(greeting)
        talk.send(request + word * 3 + word[:2])
        assert talk.line() == answer
        talk.start_tls(instance)
        talk.send(word)
        assert talk.line() == reply
        if port != 110:
            # One answer to one word, and not even half a line from before.
            talk.send(word)
            assert talk.line() == reply
            talk.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                talk.line()
    with contextlib.closing(connect(instance, port)) as raw:
        talk = Talk(raw)
        talk.until(greeting)
        talk.send(request)
        assert talk.line() == answer
        talk.send(word)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk.start_tls(instance)


def test_smtp_clients_that_send_ahead_of_tls_are_turned_away(make_instance):
    instance = make_instance(settings={"smtpd_forbid_unauth_pipelining": "yes"})
    instance.start()
    with contextlib.closing(connect(instance, 25)) as raw:
        talk = Talk(raw)
        talk.until(b"220 ")
        talk.send(b"STARTTLS\r\nRSET\r\n")
        assert talk.line().startswith(b"554 5.5.0 ") and talk.line() == b""


@pytest.mark.parametrize("port", SAY)
def test_replies_in_clear_come_before_tls_and_none_after(shared_instance, port):
    """What the server answers to words before the request has gone in clear when the handshake begins; nothing of it is left over."""
    instance = shared_instance
    greeting, request, answer, word, reply = SAY[port]
    with contextlib.closing(connect(instance, port)) as raw:
        talk = Talk(raw)
        talk.until(greeting)
        talk.send(word)
        talk.until(b".\r\n" if port == 110 else reply)
        talk.send(request)
        assert talk.line() == answer
        talk.start_tls(instance)
        talk.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            talk.line()


@pytest.mark.parametrize("port", [*SAY, *WRAPPED])
def test_words_in_clear_within_tls_end_the_connection(shared_instance, port):
    instance = shared_instance
    greeting, request, answer, word, reply = SAY[WRAPPED.get(port, port)]
    raw = connect(instance, port)
    talk = Talk(raw)
    if port in SAY:
        talk.until(greeting)
        talk.send(request)
        talk.line()
    talk.start_tls(instance)
    if port in WRAPPED:
        talk.until(greeting)
    talk.send(word)
    talk.until(b".\r\n" if word == b"CAPA\r\n" else reply)
    clear = socket.socket(fileno=os.dup(talk.socket.fileno()))
    clear.settimeout(TIMEOUT)
    clear.sendall(word)
    with contextlib.suppress(ConnectionError):
        got = b"".join(iter(lambda: clear.recv(4096), b""))
        assert reply not in got
    clear.close()
    talk.socket.close()


@pytest.mark.parametrize("port", WRAPPED)
def test_no_greeting_without_a_handshake(shared_instance, port):
    with contextlib.closing(connect(shared_instance, port)) as raw:
        raw.sendall(b"EHLO client.example\r\n")
        with contextlib.suppress(ConnectionError):
            got = b"".join(iter(lambda: raw.recv(4096), b""))
            assert b"220" not in got and b"OK" not in got


# --- passwords ---


def test_from_afar_passwords_need_tls(make_instance):
    instance = make_instance(settings={"plaintext_auth_networks": "", "smtpd_sasl_auth_enable": "yes"})
    instance.start()
    imap = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    assert "LOGINDISABLED" in imap.capabilities and "AUTH=PLAIN" not in imap.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        imap.login(ONE, SECRET)
    imap.host = f"mail.{DOMAIN}"
    imap.starttls(ssl_context=trusting(instance))
    imap.login(ONE, SECRET)
    imap.logout()
    pop = poplib.POP3(HOST, instance.base + 110, timeout=TIMEOUT)
    assert "USER" not in pop.capa() and not {"PLAIN", "LOGIN"} & set(pop.capa().get("SASL", []))
    with pytest.raises(poplib.error_proto):
        pop.user(ONE)
    pop.host = f"mail.{DOMAIN}"
    pop.stls(context=trusting(instance))
    pop.user(ONE)
    pop.pass_(SECRET)
    pop.quit()
    with contextlib.closing(instance.smtp()) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN")[0] == 538
        smtp._host = f"mail.{DOMAIN}"
        smtp.starttls(context=trusting(instance))
        smtp.login(ONE, SECRET)
    # Neither the password nor the attempt is in the log as a failure of authd's: it was never asked.
    assert not re.search(r"service=(imap|pop3).*(wrong|failed|unknown)", instance.log())


def test_where_tls_must_be_smtp_does_nothing_before(shared_instance):
    smtp = smtplib.SMTP(HOST, shared_instance.base + 587, timeout=TIMEOUT)
    smtp.ehlo()
    assert smtp.docmd("MAIL FROM:<a@elsewhere.test>") == (530, b"5.7.0 Must issue a STARTTLS command first")
    assert smtp.docmd("RSET")[0] == 530 and smtp.docmd("NOOP")[0] == 250
    smtp._host = f"mail.{DOMAIN}"
    smtp.starttls(context=trusting(shared_instance))
    smtp.login(ONE, SECRET)
    smtp.sendmail(ONE, [ONE], compose("submitted", [ONE]))
    smtp.quit()


@pytest.mark.parametrize("port", [465, 587])
def test_the_ports_of_submission_want_a_login_of_everybody(shared_instance, port):
    """As they are when an instance is made; the client is in mynetworks."""
    context = trusting(shared_instance, check_hostname=False)
    if port == 465:
        smtp = smtplib.SMTP_SSL(HOST, shared_instance.base + port, timeout=TIMEOUT, context=context)
    else:
        smtp = smtplib.SMTP(HOST, shared_instance.base + port, timeout=TIMEOUT)
        smtp.starttls(context=context)
    for recipient in (ONE, "somebody@elsewhere.test"):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            smtp.sendmail("a@elsewhere.test", [recipient], compose("nobody", [recipient]))
        assert caught.value.recipients[recipient] == (530, b"5.7.0 Authentication required")
    smtp.login(ONE, SECRET)
    assert smtp.sendmail(ONE, [ONE], compose("somebody", [ONE])) == {}
    smtp.quit()


# --- ends in the middle ---


LOGIN = b"AUTH PLAIN %b\r\n" % base64.b64encode(f"\0{ONE}\0{SECRET}".encode())
CUT = {
    "data": (465, [b"EHLO x\r\n", LOGIN, b"MAIL FROM:<%b>\r\n" % ONE.encode(), b"RCPT TO:<%b>\r\n" % ONE.encode(), b"DATA\r\n",
                   b"Subject: cut\r\n\r\nhalf of it\r\n"], r"lost connection after DATA \(\d+ bytes\) from localhost\[127.0.0.1\]"),
    "bdat": (465, [b"EHLO x\r\n", LOGIN, b"MAIL FROM:<%b>\r\n" % ONE.encode(), b"RCPT TO:<%b>\r\n" % ONE.encode(),
                   b"BDAT 1000 LAST\r\nSubject: cut\r\n\r\nhalf"], r"lost connection after (BDAT \(\d+ bytes\)|RCPT) from localhost\[127.0.0.1\]"),
    "literal": (993, [b"a LOGIN %b %b\r\n" % (ONE.encode(), SECRET.encode()), b"b APPEND INBOX {1000+}\r\nSubject: cut\r\n\r\nhalf"],
                r"imap\(one@example.test\).*: .*[Dd]isconnected"),
    "idle": (993, [b"a LOGIN %b %b\r\n" % (ONE.encode(), SECRET.encode()), b"b SELECT INBOX\r\n", b"c IDLE\r\n"],
             r"imap\(one@example.test\).*: .*[Dd]isconnected"),
    "command": (995, [b"USER %b\r\n" % ONE.encode(), b"PASS %b\r\n" % SECRET.encode(), b"RETR"], r"pop3\(one@example.test\).*: .*[Dd]isconnected"),
}


@pytest.mark.parametrize("how", ["close_notify", "end of file", "reset"])
@pytest.mark.parametrize("where", CUT)
def test_tls_that_ends_in_the_middle_is_the_end_and_nothing_half_done(shared_instance, where, how):
    instance = shared_instance
    port, words, logged = CUT[where]
    wait_for(lambda: not instance.queue_files("incoming", "active", "deferred"), "other tests' mail to be delivered")
    before = len(instance.delivered_files())
    start = len(instance.log())
    raw = connect(instance, port)
    talk = Talk(tls(instance, raw))
    talk.line()
    for word in words:
        talk.send(word)
        if not word.startswith((b"BDAT", b"Subject", b"b APPEND", b"RETR")):
            talk.until(b"+" if port == 995 or b"IDLE" in word else word[:1] + b" OK" if port == 993 else {b"DATA\r\n": b"354 ", LOGIN: b"235 "}.get(word, b"250 "))
    connection = talk.socket
    if how == "close_notify":
        # And then words in clear, as if they belonged to it.
        with contextlib.suppress(OSError):
            connection.settimeout(0.1)
            connection.unwrap()
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as clear:
            clear.sendall(b"x" * 1000 + b"\r\n.\r\nQUIT\r\n")
    elif how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    else:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_WR)
    connection.close()
    instance.wait_log(logged, after=start)
    assert len(instance.delivered_files()) == before and not instance.queue_files("incoming", "active", "deferred")


# --- sleeping ---


def test_a_client_sleeps_and_wakes_under_tls(make_instance):
    instance = make_instance(settings={"imap_hibernate_timeout": "1s"})
    instance.start()
    talk = Talk(tls(instance, connect(instance, 993)))
    talk.until(b"* OK")
    talk.send(b"a LOGIN %b %b\r\nb SELECT INBOX\r\nc IDLE\r\n" % (ONE.encode(), SECRET.encode()))
    talk.until(b"+ ")

    def sessions():
        return [pid for pid in instance.processes("imapd-session") if pid not in instance.daemons("imapd-session")]

    for number in (1, 2):
        wait_for(lambda: not sessions(), "the client to sleep", 10)
        instance.send()
        talk.until(b"* %d EXISTS" % number)
    wait_for(lambda: not sessions(), "the client to sleep", 10)
    instance.reload()
    instance.send()
    talk.until(b"* 3 EXISTS")
    talk.send(b"DONE\r\nd LOGOUT\r\n")
    talk.until(b"d OK")
    # The end of a sleeper's TLS is noticed, too.
    talk = Talk(tls(instance, connect(instance, 993)))
    talk.until(b"* OK")
    talk.send(b"a LOGIN %b %b\r\nb SELECT INBOX\r\nc IDLE\r\n" % (ONE.encode(), SECRET.encode()))
    talk.until(b"+ ")
    wait_for(lambda: not sessions(), "the client to sleep", 10)
    talk.socket.close()
    wait_for(lambda: hibernated(instance) == 0, "the sleeper to be forgotten", 10)


def hibernated(instance):
    status = instance.postern("status", "--json").out
    return sum(int(n) for n in re.findall(r'"hibernated_now": *(\d+)', status))


# --- certificates of clients ---


@pytest.fixture
def client_certificates(tmp_path):
    def make(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    make("req", "-x509", *curve, "-subj", "/CN=Test CA", "-days", 2, "-keyout", tmp_path / "ca.key", "-out", tmp_path / "ca.pem")
    make("req", *curve, "-subj", "/CN=laptop", "-keyout", tmp_path / "good.key", "-out", tmp_path / "good.csr")
    make("x509", "-req", "-in", tmp_path / "good.csr", "-CA", tmp_path / "ca.pem", "-CAkey", tmp_path / "ca.key", "-CAcreateserial",
         "-days", 2, "-out", tmp_path / "good.pem")
    make("req", "-x509", *curve, "-subj", "/CN=stranger", "-days", 2, "-keyout", tmp_path / "own.key", "-out", tmp_path / "own.pem")
    return tmp_path


def fingerprint(path):
    out = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True).stdout
    return out.decode().strip().partition("=")[2]


def relay(instance, certificates=None, name=None):
    """The answer to a recipient elsewhere, of a client with that certificate."""
    context = trusting(instance)
    if name:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    with contextlib.closing(instance.smtp()) as smtp:
        smtp._host = f"mail.{DOMAIN}"
        smtp.starttls(context=context)
        smtp.mail("a@elsewhere.test")
        return smtp.rcpt("b@elsewhere.test")


def install(instance, path):
    place = instance.etc / path.name
    shutil.copy(path, place)
    place.chmod(0o644)
    return place


def test_certificates_of_clients_open_the_relay(make_instance, client_certificates):
    instance = make_instance()
    ca = install(instance, client_certificates / "ca.pem")
    known = fingerprint(client_certificates / "own.pem")
    lists = {"smtpd_tls_ask_ccert": "yes", "smtpd_tls_CAfile": str(ca), "mynetworks": "", "smtpd_tls_loglevel": "1",
             "smtpd_tls_received_header": "yes"}
    instance.configure(**lists, smtpd_relay_restrictions="permit_tls_all_clientcerts, reject_unauth_destination")
    instance.start()
    assert relay(instance)[0] == 554
    assert relay(instance, client_certificates, "own")[0] == 554
    assert relay(instance, client_certificates, "good")[0] == 250
    for kind in ("Trusted", "Untrusted", "Anonymous"):
        instance.wait_log(rf"smtpd\[\d+\]: {kind} TLS connection (established|reused) from localhost\[127.0.0.1\]"
                          r"( to mail.example.test)?: TLSv1.3 with cipher TLS_\w+ \(256/256 bits\)")
    instance.configure(relay_clientcerts=f"inline:{{ {{ {known} = laptop }} }}",
                       smtpd_relay_restrictions="permit_tls_clientcerts, reject_unauth_destination")
    instance.reload()
    assert relay(instance, client_certificates, "good")[0] == 554
    assert relay(instance, client_certificates, "own")[0] == 250
    instance.configure(smtpd_client_restrictions=f"check_ccert_access inline:{{ {{ {known} = REJECT lost laptop }} }}")
    instance.reload()
    answer = relay(instance, client_certificates, "own")
    assert answer[0] == 554 and b"Client certificate rejected: lost laptop" in answer[1]


def test_where_a_trusted_certificate_must_be_a_strangers_is_refused(make_instance, client_certificates):
    instance = make_instance()
    ca = install(instance, client_certificates / "ca.pem")
    instance.configure(smtpd_tls_CAfile=str(ca), smtpd_tls_req_ccert="yes")
    instance.start()

    def greeting(port, name, version):
        context = trusting(instance, maximum_version=version)
        if name:
            context.load_cert_chain(client_certificates / f"{name}.pem", client_certificates / f"{name}.key")
        with connect(instance, port) as connection:
            try:
                with context.wrap_socket(connection, server_hostname=f"mail.{DOMAIN}") as secured:
                    return secured.recv(200)
            except OSError:
                return b""

    for port in (465, 993, 995):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert greeting(port, "good", version), (port, instance.log_tail())
            assert greeting(port, "own", version) == b"", port
            assert greeting(port, None, version) == b"", port
    for daemon in ("smtpd", "imap-login", "pop3-login"):
        assert re.search(rf"{daemon}.*certificate verify failed: self-signed certificate", instance.log()), instance.log_tail()


def test_received_tells_of_tls_and_certificate(make_instance, client_certificates):
    instance = make_instance(settings={"smtpd_tls_received_header": "yes", "smtpd_tls_ask_ccert": "yes"})
    instance.configure(smtpd_tls_CAfile=str(install(instance, client_certificates / "ca.pem")))
    instance.start()
    context = trusting(instance)
    context.load_cert_chain(client_certificates / "good.pem", client_certificates / "good.key")
    with instance.smtp() as smtp:
        smtp._host = f"mail.{DOMAIN}"
        smtp.starttls(context=context)
        smtp.sendmail("a@elsewhere.test", [ONE], compose("traced", [ONE]))
    message = wait_for(lambda: instance.messages(), "delivery")[0]
    assert re.search(rb"\]\)\r\n\t\(using TLSv1.3 with cipher TLS_\w+ \(256/256 bits\)\)\r\n"
                     rb"\t\(Client CN \"[^\"]*laptop\", Issuer \"[^\"]*Test CA\" \(verified OK\)\)\r\n"
                     rb"\tby mail.example.test \(Postern\) with ESMTPS id ", message)


# --- configuration ---


def test_levels_that_cannot_be_are_told_by_check(make_instance):
    instance = make_instance(settings={"smtpd_tls_security_level": "sometimes"})
    said = instance.postern("check", check=False)
    assert said.returncode != 0 and "none may encrypt" in said.err + said.out
    instance.configure(smtpd_tls_security_level="may", smtpd_tls_cert_file="", smtpd_tls_key_file="")
    said = instance.postern("check", check=False)
    assert said.returncode != 0 and "nobody is served without TLS" in said.err + said.out
    master_cf = instance.etc / "master.cf"
    wrapped = re.compile(r"^(smtps|submission|imaps|pop3s) .*\n(  -o .*\n)*", re.M)
    master_cf.write_text(wrapped.sub("", master_cf.read_text()))
    said = instance.postern("check")
    assert "TLS is not offered" in said.err + said.out
    instance.start()
    assert not (smtp := instance.smtp()).ehlo()[1].count(b"STARTTLS")
    assert smtp.docmd("STARTTLS")[0] == 502
    assert "STARTTLS" not in instance.imap().capabilities
    assert "STLS" not in instance.pop3().capa()


def test_without_tlsd_clients_in_clear_are_served(make_instance):
    instance = make_instance()
    master_cf = instance.etc / "master.cf"
    master_cf.write_text(re.sub(r"^(tls|keys) .*\n", "", master_cf.read_text(), flags=re.M))
    instance.start()
    with instance.smtp() as smtp:
        smtp.ehlo()
        assert smtp.docmd("STARTTLS") == (454, b"4.7.0 TLS not available due to local problem")
        smtp.sendmail("a@elsewhere.test", [ONE], compose("inclear", [ONE]))
    wait_for(instance.delivered_files, "delivery")


def test_a_dead_tlsd_costs_its_connections_and_nothing_else(instance):
    talk = Talk(tls(instance, connect(instance, 993)))
    talk.until(b"* OK")
    instance.kill_daemon("tlsd")
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        assert talk.line() == b""
    for port in (465, 993, 995):
        # One that comes while the next tlsd is on its way may be lost, too.
        wait_for(lambda port=port: greeted(instance, port), f"a greeting on port {port}")


def test_who_stalls_in_the_handshake_of_submission_has_no_session(instance):
    """More of them than there are sessions."""
    stalled = [connect(instance, 465) for _ in range(120)]
    for client in stalled:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")
    wait_for(lambda: instance.log().count("smtps/smtpd") and instance.log().count("connect from localhost") >= 120, "all of them")
    assert len(instance.processes("smtpd-session")) < 20
    with smtplib.SMTP_SSL(HOST, instance.base + 465, timeout=TIMEOUT, context=trusting(instance, check_hostname=False)) as smtp:
        smtp.login(ONE, SECRET)
    assert "makes room" not in instance.log()
    stalled.pop().close()
    instance.wait_log(r"SSL_accept error from localhost\[127\.0\.0\.1\]: ")
    instance.wait_log(r"lost connection after CONNECT from localhost\[127\.0\.0\.1\]")
    for client in stalled:
        client.close()


def test_a_handshake_that_began_before_a_reload_is_finished(instance):
    slow, never = connect(instance, 465), connect(instance, 465)
    never.sendall(b"\x16")
    wait_for(lambda: instance.log().count("connect from localhost") == 2, "both clients")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reloaded = pool.submit(instance.reload)
        wait_for(lambda: len(instance.daemons("tlsd")) > 1, "the next generation")
        talk = Talk(tls(instance, slow))
        assert talk.line().startswith(b"220 ")
        talk.send(b"QUIT\r\n")
        assert talk.line().startswith(b"221 ")
        reloaded.result()
    # Who does not get on with it keeps nobody waiting.
    assert never.recv(1) == b""
    assert greeted(instance, 465).startswith(b"220 ")


def greeted(instance, port):
    try:
        return Talk(tls(instance, connect(instance, port))).line()
    except (ConnectionError, ssl.SSLError):
        return False


# --- the programs of others ---


@needs("curl")
def test_curl_speaks_tls_in_both_ways(instance, tmp_path):
    data = compose("curltls", [ONE])
    (tmp_path / "message").write_bytes(data)
    for port, how, login in ((25, STARTTLS, []), (465, TLS, ["-u", f"{ONE}:{SECRET}"])):
        run(*curl(instance, "smtp", port, how, "/client.example", "--mail-from", ONE, "--mail-rcpt", ONE, "--upload-file", tmp_path / "message",
                  *login))
    wait_for(lambda: len(instance.delivered_files()) == 2, "delivery")
    for protocol, port, how, path in (("imap", 143, STARTTLS, "/INBOX;UID=1"), ("imap", 993, TLS, "/INBOX;UID=2"),
                                      ("pop3", 110, STARTTLS, "/1"), ("pop3", 995, TLS, "/2")):
        assert body_behind_trace(run(*curl(instance, protocol, port, how, path, "-u", f"{ONE}:{SECRET}")), data) == data


@needs("mbsync")
def test_mbsync_over_imaps_and_starttls(instance, tmp_path):
    sent = instance.send()
    wait_for(instance.delivered_files, "delivery")
    for how, port in ((TLS, 993), (STARTTLS, 143)):
        folder = tmp_path / how
        folder.mkdir()
        run(*mbsync(instance, port, how, ONE, SECRET, "*", folder))
        assert any(sent.tag in p.read_text() for sub in ("new", "cur") for p in (folder / "near/INBOX" / sub).iterdir())


@needs("fetchmail")
def test_fetchmail_over_pop3s(instance, tmp_path):
    sent = instance.send()
    wait_for(instance.delivered_files, "delivery")
    command, environment = fetchmail(instance, "POP3", 995, TLS, ONE, SECRET, "password", tmp_path)
    run(*command, env=environment)
    assert sent.tag in (tmp_path / "got").read_text()


@needs("openssl")
@pytest.mark.parametrize("wish, taken", [(["-groups", "X25519"], True), (["-groups", "P-384"], True), (["-groups", "ffdhe2048"], False),
                                         (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"], True),
                                         (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA"], False)])
def test_costly_groups_and_old_ciphers_are_not_taken_from_users(shared_instance, wish, taken):
    for port in (465, 993, 995):
        done = subprocess.run(["openssl", "s_client", "-connect", f"{HOST}:{shared_instance.base + port}", *wish], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=TIMEOUT)
        assert (done.returncode == 0) == taken, done.stdout
