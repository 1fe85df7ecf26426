# SPDX-License-Identifier: ISC
"""Programs and libraries of others log in: each client, by every way in that it knows, with every mechanism that it knows."""
import hashlib
import imaplib
import os
import poplib
import smtplib

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, compose
from programs import CLEAR, NAME, STARTTLS, TLS, WAYS, SClient, certificate, curl, ended, fetchmail, mbsync, muttrc, needs, plain, trusting
from test_sasl import Scram

pytestmark = pytest.mark.xdist_group("client table")

# Mechanisms with a challenge of the old kind need a password that is stored as it is.
OLD = ("CRAM-MD5", "DIGEST-MD5")
# Letters that SASLprep (RFC 4013) makes others of, and what it makes of them.
UNPREPARED, PREPARED = "\ufb01sh\u00aacafe\u0301", "fishacaf\u00e9"
USERS = {True: (f"tom@{DOMAIN}", "tom-secret"), False: (f"one@{DOMAIN}", PASSWORDS["one"])}
TWO = f"two@{DOMAIN}"


@pytest.fixture(scope="module")
def everything_on(shared_instance):
    """All mechanisms, at every port, and failures that cost no time."""
    instance = shared_instance
    passwd = instance.etc / "passwd"
    passwd.write_text("".join(f"{name}@{DOMAIN}:{{PLAIN}}{password}\n" for name, password in
                              (("tom", "tom-secret"), ("una", UNPREPARED))))
    for name in ("tom", "una"):
        instance.postern("user", "add", f"{name}@{DOMAIN}", "--no-password")
    instance.configure(auth_mechanisms="plain, login, scram-sha-1, scram-sha-256, cram-md5, digest-md5", auth_allow_plain_scheme="yes",
                       auth_backends=f"credentials, passwd-file:{passwd}", auth_failure_delay="0s", smtpd_sasl_auth_enable="yes",
                       smtpd_tls_loglevel="1")
    instance.reload()
    return instance


class Login:
    """What one client is to do."""

    def __init__(self, instance, protocol, port, how, mechanism, password, folder):
        self.instance, self.protocol, self.port, self.how, self.mechanism = instance, protocol, port, how, mechanism
        self.user, right = USERS[mechanism in OLD]
        self.password, self.folder = password or right, folder

    @property
    def way(self):
        return self.instance, self.protocol, self.port, self.how


# --- libraries: True when the login was good ---


def by_smtplib(login):
    instance, _, port, how = login.way
    if how == TLS:
        client = smtplib.SMTP_SSL(HOST, instance.base + port, timeout=TIMEOUT, context=trusting(instance, check_hostname=False))
    else:
        client = smtplib.SMTP(HOST, instance.base + port, timeout=TIMEOUT)
    with client:
        if how == STARTTLS:
            client._host = NAME
            client.starttls(context=trusting(instance))
        client.ehlo()
        client.user, client.password = login.user, login.password
        try:
            if login.mechanism.startswith("SCRAM"):
                scram = Scram(login.user, login.password, digest(login.mechanism))
                client.auth(login.mechanism, lambda challenge=None: scram(challenge).decode())
            else:
                client.auth(login.mechanism, getattr(client, f"auth_{login.mechanism.lower().replace('-', '_')}"))
        except smtplib.SMTPAuthenticationError:
            return False
        return client.sendmail(login.user, [TWO], compose("bysmtplib", [TWO])) == {}


def digest(mechanism):
    return "sha256" if "256" in mechanism else "sha1"


def by_imaplib(login):
    instance, _, port, how = login.way
    if how == TLS:
        client = imaplib.IMAP4_SSL(HOST, instance.base + port, ssl_context=trusting(instance, check_hostname=False), timeout=TIMEOUT)
    else:
        client = imaplib.IMAP4(HOST, instance.base + port, timeout=TIMEOUT)
    if how == STARTTLS:
        client.host = NAME
        client.starttls(ssl_context=trusting(instance))
    try:
        if login.mechanism == "password":
            client.login(login.user, login.password)
        elif login.mechanism == "CRAM-MD5":
            client.login_cram_md5(login.user, login.password)
        elif login.mechanism == "PLAIN":
            client.authenticate("PLAIN", lambda _: f"\0{login.user}\0{login.password}".encode())
        elif login.mechanism == "LOGIN":
            words = iter([login.user.encode(), login.password.encode()])
            client.authenticate("LOGIN", lambda _: next(words))
        else:
            client.authenticate(login.mechanism, scram_for(client.sock, login))
    except imaplib.IMAP4.error:
        client.shutdown()
        return False
    assert client.select()[0] == "OK"
    client.logout()
    return True


def scram_for(connection, login):
    if not login.mechanism.endswith("-PLUS"):
        return Scram(login.user, login.password, digest(login.mechanism))
    end_point = hashlib.sha256(connection.getpeercert(binary_form=True)).digest()
    return Scram(login.user, login.password, digest(login.mechanism), b"p=tls-server-end-point,,", end_point)


def by_poplib(login):
    instance, _, port, how = login.way
    if how == TLS:
        client = poplib.POP3_SSL(HOST, instance.base + port, context=trusting(instance, check_hostname=False), timeout=TIMEOUT)
    else:
        client = poplib.POP3(HOST, instance.base + port, timeout=TIMEOUT)
    if how == STARTTLS:
        client.host = NAME
        client.stls(context=trusting(instance))
    try:
        client.user(login.user)
        client.pass_(login.password)
    except poplib.error_proto:
        client.close()
        return False
    client.stat()
    client.quit()
    return True


# --- programs ---


def by_swaks(login):
    instance, _, port, how = login.way
    protection = {CLEAR: [], STARTTLS: ["--tls"], TLS: ["--tls-on-connect"]}[how]
    if protection:
        protection += ["--tls-verify", "--tls-ca-path", certificate(instance)]
    done = ended("swaks", "--server", HOST, "--port", instance.base + port, *protection, "--auth", login.mechanism, "--auth-user", login.user,
                 "--auth-password", login.password, "--from", login.user, "--to", TWO, "--timeout", TIMEOUT)
    assert done.returncode in (0, 28), done.stdout.decode()
    return done.returncode == 0


def by_curl(login):
    arguments = ["-u", f"{login.user}:{login.password}"]
    if login.mechanism != "password":
        arguments += ["--login-options", f"AUTH={login.mechanism}"]
    if login.protocol == "smtp":
        arguments += ["--mail-from", login.user, "--mail-rcpt", TWO, "--upload-file", "-"]
    done = ended(*curl(*login.way, "/", *arguments), input=compose("bycurl", [TWO]))
    assert done.returncode in (0, 67), done.stderr.decode()
    return done.returncode == 0


WORDS = {"smtp": ("EHLO client.example", "250 ", "AUTH PLAIN %s", r"\d\d\d ", "235"),
         "imap": ("a NOOP", "a OK", "b AUTHENTICATE PLAIN %s", "b ", "b OK"),
         "pop3": ("CAPA", r"\.\r", "AUTH PLAIN %s", r"[+-]", "+OK")}


def by_openssl(login):
    first, answer, second, outcome, good = WORDS[login.protocol]
    client = SClient(*login.way)
    try:
        assert client.say(first, answer), "no answer"
        return client.say(second % plain(login.user, login.password), outcome).startswith(good)
    finally:
        client.close()


def by_mbsync(login):
    instance, _, port, how = login.way
    done = ended(*mbsync(instance, port, how, login.user, login.password, login.mechanism, login.folder))
    return done.returncode == 0


def by_fetchmail(login):
    command, environment = fetchmail(*login.way, login.user, login.password, login.mechanism.lower(), login.folder)
    done = ended(*command, env=environment)
    # 1: no mail was there; 3: not let in.
    assert done.returncode in (0, 1, 3), done.stdout.decode() + done.stderr.decode()
    return done.returncode != 3


def by_mutt(login):
    """It sends: by SMTP, or to a program that takes everything while the copy is stored by IMAP."""
    instance, protocol, port, how = login.way
    url = f"{protocol}{'s' if how == TLS else ''}://{login.user.replace('@', '%40')}:{login.password}@{HOST}:{instance.base + port}/"
    rc = login.folder / "muttrc"
    rc.write_text(muttrc(instance, how) + f"set from={login.user} envelope_from=yes {protocol}_authenticators={login.mechanism.lower()}\n" + (
        f"set smtp_url={url} copy=no\n" if protocol == "smtp" else f"set sendmail=/bin/true copy=yes record={url}Sent imap_pass={login.password}\nset confirmappend=no confirmcreate=no\n"))
    done = ended("mutt", "-n", "-F", rc, "-s", "by mutt", TWO, input=b"x\n")
    return done.returncode == 0 and b"failed" not in done.stderr


def by_gsasl(login):
    """It looks for the address that it connects to in the certificate, so it is told to take any; channel bindings it does have."""
    instance, protocol, port, how = login.way
    protection = ["--starttls", "--x509-ca-file", ""] if how == STARTTLS else ["--no-starttls"]
    if login.mechanism in SCRAMS:
        protection.append("--no-cb")
    if login.mechanism in COMMON:
        protection += ["-z", "", "--realm", ""]
    done = ended("gsasl", f"--connect={HOST}:{instance.base + port}", f"--{protocol}", "--hostname", NAME, *protection, "--mechanism", login.mechanism,
                 "-a", login.user, "-p", login.password)
    return done.returncode == 0


SCRAMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
COMMON = ["PLAIN", "LOGIN", "CRAM-MD5"]
# Client, the program it needs, which ways it knows, its mechanisms by protocol; "password" is IMAP's LOGIN and POP3's USER and PASS.
CLIENTS = [
    (by_smtplib, None, (CLEAR, STARTTLS, TLS), {"smtp": COMMON + SCRAMS}),
    (by_imaplib, None, (CLEAR, STARTTLS, TLS), {"imap": ["password", *COMMON, *SCRAMS]}),
    (by_poplib, None, (CLEAR, STARTTLS, TLS), {"pop3": ["password"]}),
    (by_swaks, "swaks", (CLEAR, STARTTLS, TLS), {"smtp": [*COMMON, "DIGEST-MD5"]}),
    (by_curl, "curl", (CLEAR, STARTTLS, TLS), {"smtp": [*COMMON, "DIGEST-MD5"], "imap": [*COMMON, "DIGEST-MD5"],
                                               "pop3": [*COMMON, "DIGEST-MD5"]}),
    (by_openssl, "openssl", (STARTTLS, TLS), {"smtp": ["PLAIN"], "imap": ["PLAIN"], "pop3": ["PLAIN"]}),
    (by_mbsync, "mbsync", (CLEAR, STARTTLS, TLS), {"imap": [*COMMON, "DIGEST-MD5", *SCRAMS]}),
    (by_fetchmail, "fetchmail", (CLEAR, STARTTLS, TLS), {"imap": ["password", "CRAM-MD5"], "pop3": ["password"]}),
    (by_mutt, "mutt", (CLEAR, STARTTLS, TLS), {"smtp": [*COMMON, *SCRAMS], "imap": ["PLAIN", *SCRAMS]}),
    (by_gsasl, "gsasl", (CLEAR, STARTTLS), {"smtp": [*COMMON, "DIGEST-MD5", *SCRAMS], "imap": [*COMMON, "DIGEST-MD5", *SCRAMS]}),
]
# Over TLS the end of the connection can be bound to the login.
PLUS = {client: ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"] for client in (by_imaplib, by_gsasl)}
# What they call LOGIN is IMAP's command, where a password is a password.
COMMANDS = {(by_mbsync, "LOGIN"), *((client, "password") for client, *_ in CLIENTS)}
TABLE = [pytest.param(client, protocol, port, how, mechanisms[protocol] + (PLUS.get(client, []) if how != CLEAR else []),
                      id=f"{client.__name__[3:]}-{port}-{how}", marks=[needs(program)] if program else [])
         for client, program, ways, mechanisms in CLIENTS for protocol, port, how in WAYS if how in ways and protocol in mechanisms]


@pytest.mark.parametrize("client, protocol, port, how, mechanisms", TABLE)
def test_a_client_logs_in(everything_on, tmp_path, client, protocol, port, how, mechanisms):
    instance = everything_on
    for mechanism in mechanisms:
        begun = len(instance.log())
        login = Login(instance, protocol, port, how, mechanism, None, tmp_path)
        assert client(login), f"{mechanism}\n{instance.log()[begun:]}"
        said = "PLAIN" if (client, mechanism) in COMMANDS else mechanism
        instance.wait_log(rf"auth: user=<{login.user}> service={protocol} mech={said} rip=127\.0\.0\.1 ok$", after=begun)
        assert (" TLS connection " in instance.log()[begun:]) == (how != CLEAR), mechanism
    begun = len(instance.log())
    assert not client(Login(instance, protocol, port, how, mechanisms[0], "wrong", tmp_path))
    instance.wait_log(rf"auth: user=<[^>]*> service={protocol} mech=\S+ rip=127\.0\.0\.1 failed", after=begun)


@pytest.mark.parametrize("client, mechanism", [
    (by_imaplib, "CRAM-MD5"), pytest.param(by_gsasl, "CRAM-MD5", marks=needs("gsasl")), pytest.param(by_gsasl, "DIGEST-MD5", marks=needs("gsasl")),
    pytest.param(by_mbsync, "CRAM-MD5", marks=needs("mbsync")), pytest.param(by_mbsync, "DIGEST-MD5", marks=needs("mbsync"))])
def test_a_password_fits_whether_the_client_prepares_it_or_not(everything_on, tmp_path, client, mechanism):
    """Neither RFC says whether it has to. GNU SASL does for CRAM-MD5 alone, libsasl2 and Python do not."""
    for password in (UNPREPARED, PREPARED, "fish"):
        login = Login(everything_on, "imap", 143, CLEAR, mechanism, password, tmp_path)
        login.user = f"una@{DOMAIN}"
        assert client(login) == (password != "fish"), password
