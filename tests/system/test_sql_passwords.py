# SPDX-License-Identifier: ISC
"""Passwords in mysql: and pgsql: tables: hashes of a real server, one that is slow or away, and whose tables they are."""
import base64
import concurrent.futures
import hashlib
import hmac
import imaplib
import poplib
import re
import smtplib
import ssl
import subprocess
import threading
import time

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, wait_for
from sql_servers import server_kind  # noqa: F401
from test_accounts import rcpt
from test_cells import ALLOWED, ATTEMPTS, attempts
from test_sasl import Scram
from test_sql_tables import Site, opened

PASSWORD = "it's a secret"
SALT = b"saltsalt"


def scram_keys(password, rounds=4096):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, rounds)
    keys = [hmac.new(salted, name, "sha256").digest() for name in (b"Client Key", b"Server Key")]
    stored = hashlib.sha256(keys[0]).digest()
    return "{SCRAM-SHA-256}" + ",".join([str(rounds), *(base64.b64encode(part).decode() for part in (SALT, stored, keys[1]))])


def ssha(password):
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + SALT).digest() + SALT).decode()


HASHES = {
    "yescrypt": "$y$j75$saltsaltsaltsalt$kjZLYJh0evm5HfbBezWGlQqshsThJ6Ruy7bGP4jA0W8",
    "sha512": "{SHA512-CRYPT}$6$rounds=1000$saltsalt$GBvbUauU4c6PDpj2FXm.S/NbqpQ5uUB/hr6.NZysPd32Ej6r0/HHzxz/VhIw9qOoztovdYKUo/peobRmYPkOV1",
    "bcrypt": "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu3z2/Qd55E4fm4ZutUlChCjN893dEi3O",
    "pbkdf2": "{PBKDF2}$1$saltsalt$1000$" + hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), SALT, 1000).hex(),
    "ssha": ssha(PASSWORD),
    "scram": scram_keys(PASSWORD),
}
ROWS = ("INSERT INTO domain VALUES ('sql.example', NULL, 1);\n" +
        "".join(f"INSERT INTO users VALUES ('{name}@sql.example', '{stored}', '', 0, 1);\n" for name, stored in HASHES.items()) +
        f"INSERT INTO users VALUES ('off@sql.example', '{ssha(PASSWORD)}', '', 0, 0);\n"
        "INSERT INTO users VALUES ('odd@sql.example', 'not a hash', '', 0, 1);\n")
QUERY = "query = SELECT password FROM users WHERE email='%s' AND enabled = 1"
OLDER_FORM = "table = users\nselect_field = password\nwhere_field = email\nadditional_conditions = AND enabled = 1"

GOOD, WRONG, TEMPORARY = "good", "wrong", "temporary"


def imap(instance, login, password):
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    try:
        client.login(login, password)
        assert client.select()[0] == "OK"
        return GOOD
    except imaplib.IMAP4.error as error:
        return {"[AUTHENTICATIONFAILED]": WRONG, "[UNAVAILABLE]": TEMPORARY}[str(error).split("'")[1].split()[0]]
    finally:
        client.shutdown()


def pop3(instance, login, password):
    client = poplib.POP3(HOST, instance.base + 110, timeout=TIMEOUT)
    try:
        client.user(login)
        client.pass_(password)
        return GOOD
    except poplib.error_proto as error:
        return {"[AUTH]": WRONG, "[SYS/TEMP]": TEMPORARY}[error.args[0].decode().split()[1]]
    finally:
        client.close()


def smtp(instance, login, password):
    with smtplib.SMTP(HOST, instance.base + 25, timeout=TIMEOUT) as client:
        try:
            client.login(login, password)
            return GOOD
        except smtplib.SMTPAuthenticationError as error:
            return {535: WRONG, 454: TEMPORARY}[error.smtp_code]


def all_ways(instance, login, password=PASSWORD):
    return {protocol(instance, login, password) for protocol in (imap, pop3, smtp)}


class Passwords(Site):
    def tables(self, hosts=None, timeout="10s", body=QUERY):
        super().tables(hosts, timeout)
        self.spec = self.server.cf(self.instance.etc / "passwords.cf", body, hosts, self.instance.user)
        self.instance.configure(auth_backends=f"credentials, proxy:{self.spec}", auth_failure_delay="0", smtpd_sasl_auth_enable="yes")


@pytest.fixture
def site(make_instance, server_kind):  # noqa: F811
    with opened(Passwords, make_instance, server_kind, ROWS) as site:
        yield site


@pytest.mark.core
def test_hashes_of_a_server_log_in(site):
    instance, server = site.instance, site.server
    instance.start()
    for name in HASHES:
        assert all_ways(instance, f"{name}@sql.example") == {GOOD}, (name, instance.log_tail())
        assert all_ways(instance, f"{name}@sql.example", "wrong") == {WRONG}
    assert imap(instance, "SSHA@SQL.example", PASSWORD) == GOOD
    for nobody in ("nobody@sql.example", "off@sql.example", "odd@sql.example", "x'or'1'='1@sql.example"):
        assert all_ways(instance, nobody) == {WRONG}, nobody
    assert pop3(instance, "x\\'or'1'='1@sql.example", PASSWORD) == WRONG
    # What the server's collation takes for the same name is another one, which no "user disable" would stop.
    for other in ("ssh\u00e1@sql.example", "\u00dfha@sql.example"):
        client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda _: f"\0{other}\0{PASSWORD}".encode())
        client.shutdown()
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    client.authenticate("SCRAM-SHA-256", Scram("scram@sql.example", PASSWORD))
    client.logout()
    assert imap(instance, f"one@{DOMAIN}", PASSWORDS["one"]) == GOOD
    # More at the same time than there are threads and connections.
    with concurrent.futures.ThreadPoolExecutor(24) as crowd:
        assert set(crowd.map(lambda name: smtp(instance, f"{name}@sql.example", PASSWORD), [*HASHES] * 8)) == {GOOD}
    # The hash is read each time: what it fitted is remembered, and not for longer than it is there.
    server.change(f"UPDATE users SET password = '{ssha('another')}' WHERE email = 'ssha@sql.example'")
    assert all_ways(instance, "ssha@sql.example", "another") == {GOOD}
    assert all_ways(instance, "ssha@sql.example") == {WRONG}
    server.change("UPDATE users SET enabled = 0 WHERE email = 'ssha@sql.example'")
    assert all_ways(instance, "ssha@sql.example", "another") == {WRONG}
    warnings = re.findall(r"(?:authd|proxymap)\[\d+\]: (?:warning|error): (.*)", instance.log())
    assert set(warnings) == {"what is stored for <odd@sql.example> fits no password: not a hash of the scheme {CRYPT}"}


def test_server_by_tcp_and_the_older_form_in_an_entry_of_its_own(site):
    """As `-o` of authd's entry: who asks knows of it, too."""
    instance, server = site.instance, site.server
    site.tables(f"inet:localhost:{server.port}", body=OLDER_FORM)
    instance.configure(auth_backends="credentials")
    path = instance.etc / "master.cf"
    text = path.read_text()
    assert text.count(" authd\n") == 1
    path.write_text(text.replace(" authd\n", f" authd\n  -o {{ auth_backends = {site.spec} }}\n"))
    instance.start()
    for name in HASHES:
        assert all_ways(instance, f"{name}@sql.example") == {GOOD}, (name, instance.log_tail())
    assert all_ways(instance, "nobody@sql.example") == all_ways(instance, "off@sql.example") == {WRONG}


def test_slow_or_dead_server_puts_logins_off_and_refuses_nobody(site):
    instance, server = site.instance, site.server
    site.tables(timeout="1s")
    instance.start()
    assert all_ways(instance, "ssha@sql.example") == {GOOD}
    server.pause()
    assert all_ways(instance, "ssha@sql.example", "wrong") == {TEMPORARY}
    # Who is not in that table does not notice, but for the moment until it is known to be slow.
    began = time.monotonic()
    assert all_ways(instance, f"one@{DOMAIN}", PASSWORDS["one"]) == {GOOD}
    assert time.monotonic() - began < 2
    server.resume()
    wait_for(lambda: imap(instance, "ssha@sql.example", PASSWORD) == GOOD, "the server that goes on")
    server.kill()
    wait_for(lambda: imap(instance, "ssha@sql.example", PASSWORD) == TEMPORARY, "no answer of a dead server")
    assert all_ways(instance, "nobody@sql.example") == {TEMPORARY}
    assert imap(instance, f"one@{DOMAIN}", PASSWORDS["one"]) == GOOD
    server.start()
    wait_for(lambda: imap(instance, "ssha@sql.example", PASSWORD) == GOOD, "the server that came back")
    assert all_ways(instance, "nobody@sql.example") == {WRONG}
    asking = instance.daemons("proxymap")
    instance.kill_daemon("proxymap")
    wait_for(lambda: imap(instance, "ssha@sql.example", PASSWORD) == GOOD, "the process that asks, once more")
    assert instance.daemons("proxymap") != asking


@pytest.mark.parametrize("what", ["reload", "stop"])
def test_login_that_waits_holds_up_no_reload_and_no_stop(site, what):
    instance, server = site.instance, site.server
    site.tables(timeout="2s")
    instance.start()
    assert imap(instance, "ssha@sql.example", PASSWORD) == GOOD
    server.pause()
    said = []
    before = instance.log().count("user=<ssha@sql.example>")

    def log_in():
        try:
            said.append(pop3(instance, "ssha@sql.example", PASSWORD))
        except (OSError, EOFError, poplib.error_proto):
            said.append("cut off")

    waiting = threading.Thread(target=log_in)
    waiting.start()
    began = time.monotonic()
    getattr(instance, what)()
    assert time.monotonic() - began < 15
    waiting.join(TIMEOUT)
    assert said and said[0] in ((TEMPORARY, "cut off") if what == "stop" else (TEMPORARY, GOOD)), said
    assert instance.log().count("user=<ssha@sql.example>") <= before + 1


def test_tables_of_passwords_are_nobody_elses(site):
    """What directoryd may name in a question, as here by its configuration, gets it no hash."""
    instance = site.instance
    instance.configure(smtpd_recipient_restrictions=f"check_recipient_access {site.spec}, permit")
    instance.start()
    assert rcpt(instance, "ssha@sql.example")[0] == 451
    instance.wait_log(r"proxymap\[\d+\]: warning: .*passwords\.cf: refused to directoryd")
    assert all_ways(instance, "ssha@sql.example") == {GOOD}
    # Who may ask may nothing more than before.
    allowed, count = attempts(instance, instance.daemons("authd")[0])
    assert count >= ATTEMPTS and allowed <= ALLOWED["authd"], allowed
    text = instance.postern("explain", "authd").out
    assert "It may ask to be connected to: introspect, proxymap\n" in text or "proxymap, introspect\n" in text
    assert "make a socket or connect anywhere" in text.partition("It may not:")[2]
    served = instance.postern("explain", "proxymap").out.partition("It may be connected to by: ")[2].split("\n")[0]
    assert set(served.split(", ")) == {"directoryd", "authd"}


def test_certificates_are_looked_up_at_a_server(site):
    """Fingerprints of auth_certificate_maps, for logins whose passwords are there, too."""
    instance, server = site.instance, site.server
    site.tables(timeout="1s")
    shown = subprocess.run(["openssl", "x509", "-in", server.keys / "client.crt", "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True)
    server.change(f"INSERT INTO alias VALUES ('{shown.stdout.strip().partition('=')[2]}', 'ssha@sql.example', 1)")
    maps = server.cf(instance.etc / "certificates.cf", "query = SELECT destination FROM alias WHERE source = '%s' AND enabled = 1", owner=instance.user)
    instance.configure(auth_mechanisms="plain, external", auth_certificate_maps=maps, imap_tls_ask_ccert="yes")
    instance.start()
    context = ssl._create_unverified_context()
    context.load_cert_chain(server.keys / "client.crt", server.keys / "client.key")

    def log_in():
        client = imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=context, timeout=TIMEOUT)
        try:
            client.authenticate("EXTERNAL", lambda _: b"")
            return GOOD
        except imaplib.IMAP4.error as error:
            return str(error)
        finally:
            client.shutdown()

    assert log_in() == GOOD, instance.log_tail()
    server.pause()
    assert "[UNAVAILABLE]" in log_in()
    server.resume()
    wait_for(lambda: log_in() == GOOD, "the server that goes on")
    server.change("UPDATE alias SET enabled = 0 WHERE destination = 'ssha@sql.example'")
    assert "[AUTHENTICATIONFAILED]" in log_in()
