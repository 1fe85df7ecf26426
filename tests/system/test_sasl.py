# SPDX-License-Identifier: ISC
"""SASL mechanisms and back ends of a running instance, with clients of other makers and with one written here from the RFCs."""
import base64
import contextlib
import hashlib
import hmac
import imaplib
import json
import os
import re
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import unicodedata

import pytest

from postern import DOMAIN, HOST, TIMEOUT, wait_for

# None of these tests asks how long a refused login takes.
INSTANCE_SETTINGS = {"auth_failure_delay": "0"}


def imap(instance):
    return imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)


class Scram:
    """RFC 5802, the client: its responses, one after another; checks what the server proves."""

    def __init__(self, user, password, name="sha256", header=b"n,,", binding=b""):
        self.user, self.password, self.name, self.step = user, password.encode(), name, 0
        self.header, self.binding = header, binding

    def __call__(self, challenge):
        self.step += 1
        if self.step == 1:
            self.bare = f"n={self.user},r=fyko+d2lbbFgONRv9qkxdawL".encode()
            return self.header + self.bare
        if self.step == 2:
            fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
            salted = hashlib.pbkdf2_hmac(self.name, self.password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
            without = b"c=" + base64.b64encode(self.header + self.binding) + b",r=" + fields[b"r"]
            message = b",".join((self.bare, challenge, without))
            key = self.mac(salted, b"Client Key")
            proof = bytes(a ^ b for a, b in zip(key, self.mac(hashlib.new(self.name, key).digest(), message)))
            self.server = self.mac(self.mac(salted, b"Server Key"), message)
            return without + b",p=" + base64.b64encode(proof)
        assert challenge == b"v=" + base64.b64encode(self.server)
        return b""

    def mac(self, key, text):
        return hmac.new(key, text, self.name).digest()


@pytest.mark.core
@pytest.mark.parametrize("mechanism, name", [("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")])
def test_scram_over_imap(instance, mechanism, name):
    client = imap(instance)
    assert f"AUTH={mechanism}" in client.capabilities and f"AUTH={mechanism}-PLUS" not in client.capabilities
    scram = Scram(f"one@{DOMAIN}", "one-secret", name)
    client.authenticate(mechanism, scram)
    assert scram.step == 3
    client.select()
    client.logout()
    for user, password in ((f"one@{DOMAIN}", "wrong"), (f"nobody@{DOMAIN}", "one-secret")):
        refused = imap(instance)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            refused.authenticate(mechanism, Scram(user, password, name))
        refused.shutdown()
    assert f"auth: user=<one@{DOMAIN}> service=imap mech={mechanism} rip=127.0.0.1 failed" in instance.log()


def imaps(instance, **options):
    context = ssl._create_unverified_context()
    for name, value in options.items():
        setattr(context, name, value)
    return imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=context, timeout=TIMEOUT)


def test_scram_binds_to_the_tls_connection(instance):
    user = (f"one@{DOMAIN}", "one-secret")
    client = imaps(instance)
    assert "AUTH=SCRAM-SHA-256-PLUS" in client.capabilities
    certificate = hashlib.sha256(client.sock.getpeercert(binary_form=True)).digest()
    client.authenticate("SCRAM-SHA-256-PLUS", Scram(*user, header=b"p=tls-server-end-point,,", binding=certificate))
    client.logout()
    client = imaps(instance, maximum_version=ssl.TLSVersion.TLSv1_2)
    unique = client.sock.get_channel_binding("tls-unique")
    client.authenticate("SCRAM-SHA-1-PLUS", Scram(*user, "sha1", header=b"p=tls-unique,,", binding=unique))
    client.logout()
    # Another certificate is seen where somebody stands in between; and who was told that there is no -PLUS says so.
    for header, binding, mechanism in ((b"p=tls-server-end-point,,", b"x" * 32, "SCRAM-SHA-256-PLUS"), (b"y,,", b"", "SCRAM-SHA-256")):
        client = imaps(instance)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate(mechanism, Scram(*user, header=header, binding=binding))
        client.shutdown()
    assert "failed (the channel bindings differ)" in instance.log()
    assert "failed (the client was told that there are no channel bindings)" in instance.log()


def test_the_certificate_of_a_client_is_his_login(instance, tmp_path):
    """EXTERNAL: by fingerprint, without an authority."""
    key, certificate = tmp_path / "client.key", tmp_path / "client.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=laptop", "-days", "2",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    shown = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True)
    maps = instance.etc / "certificates"
    maps.write_text(f"{shown.stdout.strip().partition('=')[2]} one@{DOMAIN}\n")
    instance.configure(auth_mechanisms="plain, external", auth_certificate_maps=f"texthash:{maps}", imap_tls_ask_ccert="yes", smtpd_tls_ask_ccert="yes")
    instance.reload()
    context = ssl._create_unverified_context()
    context.load_cert_chain(certificate, key)
    for asked, good in ((b"", True), (f"one@{DOMAIN}".encode(), True), (f"two@{DOMAIN}".encode(), False)):
        client = imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=context, timeout=TIMEOUT)
        assert "AUTH=EXTERNAL" in client.capabilities
        if good:
            client.authenticate("EXTERNAL", lambda _: asked)
            client.logout()
            continue
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("EXTERNAL", lambda _: asked)
        client.shutdown()
    client = imaps(instance)
    assert "AUTH=EXTERNAL" not in client.capabilities
    client.shutdown()


def test_a_common_name_is_one_name_and_never_looked_into(instance, tmp_path):
    """EXTERNAL: certificates of an authority, which looks at names, not at how they could be written down."""
    def make(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority, key = instance.etc / "clients.pem", tmp_path / "ca.key"
    make("req", "-x509", *curve, "-subj", "/CN=Test CA", "-days", 2, "-keyout", key, "-out", authority)
    authority.chmod(0o644)
    instance.configure(auth_mechanisms="plain, external", auth_certificate_maps="", smtpd_tls_CAfile=authority, imap_tls_ask_ccert="yes")
    instance.reload()
    for name, good in ((f"one@{DOMAIN}", True), (f"evil CN=one@{DOMAIN}", False), (f"CN=one@{DOMAIN}", False), (f"x, CN=one@{DOMAIN}", False)):
        make("req", *curve, "-subj", "/CN=" + name.replace("=", "\\="), "-keyout", tmp_path / "client.key", "-out", tmp_path / "client.csr")
        make("x509", "-req", "-in", tmp_path / "client.csr", "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", 2,
             "-out", tmp_path / "client.pem")
        context = ssl._create_unverified_context()
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        client = imaplib.IMAP4_SSL(HOST, instance.base + 993, ssl_context=context, timeout=TIMEOUT)
        if good:
            client.authenticate("EXTERNAL", lambda _: b"")
            client.logout()
            continue
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("EXTERNAL", lambda _: b"")
        client.shutdown()


def make_of_openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_client_of_authority(instance, folder):
    """An authority that the instance trusts with its clients' names, and one()'s certificate of it in a context."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = instance.etc / "clients.pem"
    make_of_openssl("req", "-x509", *curve, "-subj", "/CN=Test CA", "-days", 2, "-keyout", folder / "ca.key", "-out", authority)
    authority.chmod(0o644)
    make_of_openssl("req", *curve, "-subj", f"/CN=one@{DOMAIN}", "-keyout", folder / "client.key", "-out", folder / "client.csr")
    make_of_openssl("x509", "-req", "-in", folder / "client.csr", "-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 2,
                    "-out", folder / "client.pem")
    context = ssl._create_unverified_context()
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return authority, context


def external(instance, context, session=None):
    """Was the session resumed, did EXTERNAL log in, and the session as it is now (in TLS 1.3 with the newest ticket)."""
    with socket.create_connection((HOST, instance.base + 993), TIMEOUT) as plain, context.wrap_socket(plain, session=session) as client:
        lines = client.makefile("rwb")
        lines.readline()
        lines.write(b"a AUTHENTICATE EXTERNAL =\r\n")
        lines.flush()
        answer = lines.readline()
        while answer.startswith(b"*"):
            answer = lines.readline()
        return client.session_reused, answer.startswith(b"a OK"), client.session


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_an_authority_that_was_withdrawn_is_not_trusted_in_resumed_sessions(instance, tmp_path, version):
    authority, context = make_client_of_authority(instance, tmp_path)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    instance.configure(auth_mechanisms="plain, external", auth_certificate_maps="", smtpd_tls_CAfile=authority, imap_tls_ask_ccert="yes")
    instance.reload()
    resumed, good, session = external(instance, context)
    assert good and not resumed
    instance.reload()
    resumed, good, session = external(instance, context, session)
    assert good and resumed
    make_of_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Test CA", "-days", 2,
                    "-keyout", tmp_path / "other.key", "-out", authority)
    instance.reload()
    assert external(instance, context)[:2] == (False, False)
    assert external(instance, context, session)[:2] == (False, False)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_with_a_certificate_does_not_outlive_its_time_by_new_tickets(instance, tmp_path, version):
    authority, context = make_client_of_authority(instance, tmp_path)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    instance.configure(auth_mechanisms="plain, external", auth_certificate_maps="", smtpd_tls_CAfile=authority, imap_tls_ask_ccert="yes",
                       smtpd_tls_session_cache_timeout="3s")
    instance.reload()
    _, good, session = external(instance, context)
    assert good

    def has_ended():
        nonlocal session
        resumed, good, session = external(instance, context, session)
        assert good  # by its certificate, when it is asked for again
        return not resumed
    wait_for(has_ended, "the end of a session that is taken up again and again", pause=0.2)


def test_curl_chooses_scram_or_what_it_is_told(instance):
    listed = subprocess.run(["curl", "-V"], capture_output=True, text=True, check=True).stdout
    url = f"imap://{HOST}:{instance.base + 143}/"
    options = ["PLAIN", "LOGIN"] + (["SCRAM-SHA-256", "SCRAM-SHA-1"] if "gsasl" in listed.lower() else [])
    for option in options:
        for password, status in (("one-secret", 0), ("wrong", 67)):
            done = subprocess.run(["curl", "-sS", "-u", f"one@{DOMAIN}:{password}", "--login-options", f"AUTH={option}", url],
                                  capture_output=True, text=True, timeout=TIMEOUT)
            assert done.returncode == status, (option, done)


def test_a_typed_password_brings_an_old_hash_up_to_date(instance):
    hashed = subprocess.run(["openssl", "passwd", "-6", "from elsewhere"], capture_output=True, text=True, check=True).stdout.strip()
    instance.postern("user", "passwd", f"one@{DOMAIN}", "--hash", hashed)
    client = imap(instance)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("SCRAM-SHA-256", Scram(f"one@{DOMAIN}", "from elsewhere"))
    assert "failed (no SCRAM keys are stored for it)" in instance.log()
    client.login(f"one@{DOMAIN}", "from elsewhere")
    client.logout()
    client = imap(instance)
    client.authenticate("SCRAM-SHA-256", Scram(f"one@{DOMAIN}", "from elsewhere"))
    client.logout()


def first_answer(client, user):
    """Iterations and salt that SCRAM-SHA-256 shows to whoever gives that name; the exchange is broken off."""
    client.send(b"x AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(f"n,,n={user},r=nonce".encode()) + b"\r\n")
    fields = dict(part.split(b"=", 1) for part in base64.b64decode(client.readline()[2:]).split(b","))
    client.send(b"*\r\n")
    assert client.readline().startswith(b"x BAD")
    return int(fields[b"i"]), base64.b64decode(fields[b"s"])


def first_answers(instance, names):
    answers = {}
    for at in range(0, len(names), 15):
        # After some that break off a client is turned away.
        client = imap(instance)
        answers.update((name, first_answer(client, name)) for name in names[at:at + 15])
        client.shutdown()
    return answers


def other_answers(instance, names, before):
    """Those that come instead of `before`; each name is asked twice, since the first time may be in the middle of the change."""
    def look():
        now = first_answers(instance, names)
        return now != before and now == first_answers(instance, names) and now
    return wait_for(look, "other answers to names that nobody has", pause=0.2)


def test_the_first_answer_of_scram_does_not_tell_who_is_there(instance):
    names = [f"nobody{i}@{DOMAIN}" for i in range(60)]

    def ask():
        return first_answers(instance, names)

    before = ask()
    assert {(iterations, len(salt)) for iterations, salt in before.values()} == {(16384, 16)}
    salt = base64.b64encode(b"a salt from elsewhere").decode()
    hashed = f"{{SCRAM-SHA-256}}4096,{salt},{base64.b64encode(bytes(32)).decode()},{base64.b64encode(bytes(32)).decode()}"
    instance.postern("user", "add", "-", input="".join(f"imported{i}@{DOMAIN} hash={hashed}\n" for i in range(4)))
    client = imap(instance)
    assert first_answer(client, f"imported1@{DOMAIN}") == (4096, b"a salt from elsewhere")
    client.shutdown()
    # It is known within a second or two.
    found = other_answers(instance, names, before)
    assert found == ask()
    forms = {name: (iterations, len(salt)) for name, (iterations, salt) in found.items()}
    assert set(forms.values()) == {(16384, 16), (4096, 21)}
    # Four of six logins.
    assert 25 <= list(forms.values()).count((4096, 21)) <= 55
    for name, (iterations, salt) in found.items():
        assert (iterations, salt) == before[name] or salt[:16] != before[name][1]
    assert len({salt for _, salt in found.values()}) == len(names)


def scram_sha_256_keys(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    return f"{{SCRAM-SHA-256}}{iterations}," + ",".join(base64.b64encode(part).decode()
                                                       for part in (salt, hashlib.sha256(client).digest(), server))


def test_the_first_answer_of_scram_does_not_tell_who_is_in_a_table(instance):
    """A table cannot be listed: it is learned from those who log in, and from nobody who only tries. It outlives a start."""
    base, table = (f"{instance.path}/etc/{name}" for name in ("users.db", "users.cf"))
    with sqlite3.connect(base) as db:
        db.execute("CREATE TABLE users (name TEXT, password TEXT)")
        for user in ("one", "two"):
            keys = scram_sha_256_keys("from a table", b"a salt from elsewhere", 4096)
            db.execute("INSERT INTO users VALUES (?, ?)", (f"{user}@{DOMAIN}", keys))
    with open(table, "w") as file:
        file.write(f"dbpath = {base}\nquery = SELECT password FROM users WHERE name = '%s'\n")
    instance.configure(auth_backends=f"sqlite:{table}")
    instance.reload()
    names = [f"nobody{i}@{DOMAIN}" for i in range(40)]
    before = first_answers(instance, names)
    assert {(iterations, len(salt)) for iterations, salt in before.values()} == {(16384, 16)}
    # Whoever tries names, and passwords, changes nothing.
    client = imap(instance)
    assert first_answer(client, f"one@{DOMAIN}") == (4096, b"a salt from elsewhere")
    client.shutdown()
    assert "AUTHENTICATIONFAILED" in login(instance, f"two@{DOMAIN}", "wrong")
    assert first_answers(instance, names) == before
    client = imap(instance)
    client.authenticate("SCRAM-SHA-256", Scram(f"one@{DOMAIN}", "from a table"))
    client.shutdown()
    learned = other_answers(instance, names, before)
    assert {(iterations, len(salt)) for iterations, salt in learned.values()} == {(4096, 21)}
    assert login(instance, f"two@{DOMAIN}", "from a table") is True
    instance.stop()
    assert (instance.path / "data/auth/scram-sample").stat().st_mode & 0o777 == 0o600
    instance.start()
    assert first_answers(instance, names) == learned


def submission(instance):
    client = smtplib.SMTP(HOST, instance.base + 31, local_hostname="client.example", timeout=TIMEOUT)
    client.ehlo()
    return client


def cram_md5(instance, user, password):
    with submission(instance) as client:
        client.user, client.password = user, password
        try:
            return client.auth("CRAM-MD5", client.auth_cram_md5)[0]
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code


def test_submission_offers_and_takes_what_is_configured(make_instance):
    instance = make_instance(settings={**INSTANCE_SETTINGS, "smtpd_sasl_auth_enable": "yes"})
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + 31} inet n - y - - smtpd\n")
    instance.start()
    with submission(instance) as client:
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
        scram = Scram(f"one@{DOMAIN}", "one-secret")
        assert client.auth("SCRAM-SHA-256", lambda challenge=None: scram(challenge).decode()) == (235, b"2.7.0 Authentication successful")
    passwd = instance.etc / "passwd"
    passwd.write_text(f"tom@{DOMAIN}:{{PLAIN}}sesame\n")
    instance.configure(auth_mechanisms="plain, login, cram-md5, scram-sha-1", auth_allow_plain_scheme="yes",
                       smtpd_sasl_security_options="noanonymous, noplaintext", smtpd_sasl_tls_security_options="noanonymous, noplaintext",
                       auth_backends=f"credentials, passwd-file:{passwd}")
    instance.reload()
    with submission(instance) as client:
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-1", "CRAM-MD5"]
        assert client.docmd("AUTH", "PLAIN")[0] == 504
    assert cram_md5(instance, f"tom@{DOMAIN}", "sesame") == 235
    assert cram_md5(instance, f"tom@{DOMAIN}", "Sesame") == 535
    assert cram_md5(instance, f"one@{DOMAIN}", "one-secret") == 535  # nothing that is as good as the password is stored


def login(instance, user, password):
    client = imap(instance)
    try:
        client.login(user, password)
    except imaplib.IMAP4.error as no:
        return str(no)
    finally:
        client.shutdown()
    return True


def test_a_changed_passwd_file_counts_and_sql_is_asked(instance):
    passwd, base, table = (f"{instance.path}/etc/{name}" for name in ("passwd", "users.db", "users.cf"))
    with open(passwd, "w") as file:
        file.write(f"one@{DOMAIN}:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    db = sqlite3.connect(base)
    db.execute("CREATE TABLE users (name TEXT, password TEXT)")
    db.execute("INSERT INTO users VALUES (?, ?)", (f"two@{DOMAIN}", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="))
    db.commit()
    db.close()
    with open(table, "w") as file:
        file.write(f"dbpath = {base}\nquery = SELECT password FROM users WHERE name = '%s'\n")
    instance.configure(auth_backends=f"passwd-file:{passwd}, sqlite:{table}")
    instance.reload()
    wait_for(lambda: login(instance, f"one@{DOMAIN}", "password") is True, "login by the file")
    assert login(instance, f"two@{DOMAIN}", "password") is True
    assert "AUTHENTICATIONFAILED" in login(instance, f"two@{DOMAIN}", "two-secret")
    with contextlib.closing(sqlite3.connect(base)) as db:
        db.execute("UPDATE users SET password = '{OTP}x'")
        db.commit()
    assert "AUTHENTICATIONFAILED" in login(instance, f"two@{DOMAIN}", "two-secret")
    instance.wait_log(rf"what is stored for <two@{DOMAIN}> fits no password: no such password scheme")
    with open(passwd + ".new", "w") as file:
        file.write(f"one@{DOMAIN}:{{SHA1.HEX}}{hashlib.sha1(b'other').hexdigest()}\n")
    os.rename(passwd + ".new", passwd)
    wait_for(lambda: login(instance, f"one@{DOMAIN}", "other") is True, "the changed file")
    assert "AUTHENTICATIONFAILED" in login(instance, f"one@{DOMAIN}", "password")


def switch(link, target):
    """As `ln -sfn`, which leaves no moment without one."""
    os.symlink(target, f"{link}.new")
    os.rename(f"{link}.new", link)


def restarts(instance, of):
    return instance.log().count(f"{of} has changed -- restarting")


def test_a_switched_link_to_the_passwd_file_counts(instance):
    passwd = f"{instance.etc}/passwd"
    for number, password in ((1, b"first"), (2, b"second"), (3, b"third")):
        os.mkdir(f"{instance.etc}/release{number}")
        with open(f"{instance.etc}/release{number}/passwd", "w") as file:
            file.write(f"one@{DOMAIN}:{{SHA1.HEX}}{hashlib.sha1(password).hexdigest()}\n")
    # The file's own name is a link, and the folder's that it leads to.
    os.symlink("release1", f"{instance.etc}/current")
    os.symlink("current/passwd", passwd)
    instance.configure(auth_backends=f"passwd-file:{passwd}")
    instance.reload()
    wait_for(lambda: login(instance, f"one@{DOMAIN}", "first") is True, "login by the file")
    switch(f"{instance.etc}/current", "release2")
    wait_for(lambda: login(instance, f"one@{DOMAIN}", "second") is True, "the folder's other link")
    assert "AUTHENTICATIONFAILED" in login(instance, f"one@{DOMAIN}", "first")
    switch(passwd, "release3/passwd")
    wait_for(lambda: login(instance, f"one@{DOMAIN}", "third") is True, "the file's other link")
    assert restarts(instance, f"passwd-file:{passwd}") == 2


def test_a_reload_with_a_mechanism_that_is_none_is_refused(instance):
    instance.configure(auth_mechanisms="plain, gssapi")
    refused = instance.reload(check=False)
    assert refused.returncode != 0 and "auth_mechanisms: no such mechanism: gssapi" in refused.out + refused.err
    assert login(instance, f"one@{DOMAIN}", "one-secret") is True


def plain(instance, user, password):
    """AUTHENTICATE PLAIN with bytes as they are."""
    client = imap(instance)
    try:
        return client.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode())[0] == "OK"
    except imaplib.IMAP4.error as no:
        return str(no)
    finally:
        client.shutdown()


@pytest.mark.core
def test_names_and_passwords_are_the_same_however_they_were_typed(instance):
    """RFC 4013: "é" as one character, as imaplib's user types it on one system, and as two, on another."""
    user, password = f"ren\u00e9@{DOMAIN}", "caf\u00e9 \u2168"
    forms = [unicodedata.normalize(form, password) for form in ("NFC", "NFD", "NFKC")]
    assert len(set(forms)) == 3
    for typed in forms:
        instance.postern("user", "passwd", user, input=typed + "\n") if typed != forms[0] else \
            instance.postern("user", "add", user, input=typed + "\n")
        for form in forms:
            assert plain(instance, user, form) is True
        assert plain(instance, unicodedata.normalize("NFD", user), forms[1]) is True
        assert "AUTHENTICATIONFAILED" in plain(instance, user, "cafe IX")
        client = imap(instance)
        # A client of RFC 5802 prepares what was typed.
        scram = Scram(user, forms[2], "sha256")
        client.authenticate("SCRAM-SHA-256", scram)
        assert scram.step == 3
        client.shutdown()
    # What was made of the bytes as they were typed, by another system, is good for who types them.
    old = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=forms[1].encode(), capture_output=True, check=True).stdout.decode().strip()
    instance.postern("user", "passwd", user, "--hash", old)
    assert "AUTHENTICATIONFAILED" in plain(instance, user, forms[0])
    assert plain(instance, user, forms[1]) is True
    wait_for(lambda: plain(instance, user, forms[0]) is True, "its form is the prepared one from now on")
    done = instance.postern("user", "passwd", user, input="bell\x07\n", check=False)
    assert done.returncode != 0 and "control character" in done.err


class Saslauthd:
    """Says OK to one pair, in the protocol of saslauthd."""

    def __init__(self, path):
        self.asked = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(5)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.socket.accept()
            with client, client.makefile("rwb") as stream:
                question = [stream.read(int.from_bytes(stream.read(2), "big")).decode() for _ in range(4)]
                self.asked.append(question)
                answer = b"OK" if question[:2] == ["tom", "sesame"] else b"NO"
                stream.write(len(answer).to_bytes(2, "big") + answer)


@pytest.mark.core
def test_saslauthd_is_asked_through_master(instance):
    path = f"{instance.path}/run/mux"
    instance.postern("user", "add", f"tom@{DOMAIN}", "--no-password")
    instance.configure(auth_backends="credentials, saslauthd", auth_saslauthd_path=path)
    instance.reload()
    wait_for(lambda: "UNAVAILABLE" in str(login(instance, f"tom@{DOMAIN}", "sesame")), "saslauthd is away: try again later")
    assert login(instance, f"one@{DOMAIN}", "one-secret") is True
    daemon = Saslauthd(path)
    assert login(instance, f"tom@{DOMAIN}", "sesame") is True
    assert daemon.asked == [["tom", "sesame", "imap", ""]]
    assert "AUTHENTICATIONFAILED" in login(instance, f"tom@{DOMAIN}", "wrong")


def token(key, claims):
    """A JWT with ES256: the signature of the openssl command as two numbers."""
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = encode(b'{"alg":"ES256","kid":"test"}') + b"." + encode(json.dumps(claims).encode())
    der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, capture_output=True, check=True).stdout
    r_end = 4 + der[3]
    r, s = der[4:r_end], der[r_end + 2:]
    return (text + b"." + encode(r.lstrip(b"\0").rjust(32, b"\0") + s.lstrip(b"\0").rjust(32, b"\0"))).decode()


def make_keys(instance, name):
    """A new key to sign with, and the file of keys that tells of it."""
    key, keys = f"{instance.etc}/{name}.key", f"{instance.etc}/{name}.json"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    point = subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout[-64:]
    x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (point[:32], point[32:]))
    with open(keys, "w") as file:
        json.dump({"keys": [{"kty": "EC", "crv": "P-256", "kid": "test", "x": x, "y": y}]}, file)
    return key, keys


def test_a_switched_link_to_the_keys_of_tokens_counts(instance):
    link = f"{instance.etc}/keys.json"
    (first, _), (second, _) = make_keys(instance, "first"), make_keys(instance, "second")
    os.symlink("first.json", link)
    instance.configure(auth_mechanisms="plain, oauthbearer", auth_oauth_keys=link, auth_oauth_audience="mail")
    instance.reload()

    def opens(key):
        client = imap(instance)
        bearer = token(key, {"email": f"one@{DOMAIN}", "aud": "mail", "exp": int(time.time()) + 60})
        try:
            client.authenticate("OAUTHBEARER", lambda challenge: f"n,,\1auth=Bearer {bearer}\1\1".encode() if not challenge else b"\1")
        except imaplib.IMAP4.error:
            return False
        finally:
            client.shutdown()
        return True

    wait_for(lambda: opens(first), "login by the first key")
    assert not opens(second)
    switch(link, "second.json")
    wait_for(lambda: opens(second), "login by the other keys")
    assert not opens(first)
    assert restarts(instance, "auth_oauth_keys") == 1


def test_tokens_open_the_mailbox_of_their_owner_only(instance):
    key, keys = make_keys(instance, "token")
    instance.configure(auth_mechanisms="plain, oauthbearer, xoauth2", auth_oauth_keys=keys, auth_oauth_audience="mail")
    instance.reload()
    wait_for(lambda: "AUTH=OAUTHBEARER" in imap(instance).capabilities, "OAUTHBEARER on offer")
    good = token(key, {"email": f"one@{DOMAIN}", "aud": ["mail", "web"], "exp": int(time.time()) + 60})
    url = f"imap://{HOST}:{instance.base + 143}/"

    def curl(option, user, bearer):
        done = subprocess.run(["curl", "-sS", "-u", f"{user}:", "--oauth2-bearer", bearer, "--login-options", f"AUTH={option}", url],
                              capture_output=True, text=True, timeout=TIMEOUT)
        return done.returncode

    def xoauth2(option, user, bearer):
        client = imap(instance)
        try:
            client.authenticate(option, lambda challenge: f"user={user}\1auth=Bearer {bearer}\1\1".encode() if not challenge else b"")
        except imaplib.IMAP4.error:
            return 1
        finally:
            client.shutdown()
        return 0
    for option, log_in in (("OAUTHBEARER", curl), ("XOAUTH2", xoauth2)):
        assert log_in(option, f"one@{DOMAIN}", good) == 0
        assert log_in(option, f"two@{DOMAIN}", good) != 0
        for claims in ({"exp": 1}, {"aud": "other"}, {"email": f"nobody@{DOMAIN}"}):
            bad = {"email": f"one@{DOMAIN}", "aud": "mail", "exp": int(time.time()) + 60, **claims}
            assert log_in(option, bad["email"], token(key, bad)) != 0
    log = instance.log()
    assert re.search(r"mech=OAUTHBEARER rip=\S+ failed \(the token is of another login\)", log)
    assert re.search(r"mech=XOAUTH2 rip=\S+ failed \(the token has expired, or never does\)", log)
