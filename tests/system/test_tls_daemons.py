# SPDX-License-Identifier: ISC
"""tlsd and keyd behind a real front: certificates that change, server names, clients' certificates, resumption, what is refused."""
import json
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from postern import HOST, wait_for


def make_certificate(folder, name, *, days=30, key="ec", names=(), issuer=None, ca=False):
    """NAME.pem (key and certificate) in `folder`, and its parts."""
    kinds = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"], "ed25519": ["ed25519"]}
    key_path, path = folder / f"{name}.key", folder / f"{name}.crt"
    line = ["openssl", "req", "-x509", "-newkey", *kinds[key], "-nodes", "-subj", f"/CN={name}", "-days", str(days),
            "-keyout", key_path, "-out", path]
    if names:
        line += ["-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names)]
    if not ca:
        line += ["-addext", "basicConstraints=critical,CA:FALSE"]
    if issuer:
        line += ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key"]
    if issuer:
        request = folder / f"{name}.csr"
        subprocess.run(["openssl", "req", "-new", "-newkey", *kinds[key], "-nodes", "-subj", f"/CN={name}", "-keyout", key_path,
                        "-out", request], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", folder / f"{issuer}.crt", "-CAkey",
                        folder / f"{issuer}.key", "-CAcreateserial", "-days", str(days), "-out", path], check=True, capture_output=True)
    else:
        subprocess.run(line, check=True, capture_output=True)
    both = folder / f"{name}.pem"
    both.write_bytes(key_path.read_bytes() + path.read_bytes())
    return both


def expire(folder, name):
    """NAME.pem whose certificate ended yesterday."""
    make_certificate(folder, name)
    subprocess.run(["openssl", "x509", "-in", folder / f"{name}.crt", "-key", folder / f"{name}.key", "-days", "-1",
                    "-out", folder / f"{name}.crt"], check=True, capture_output=True)
    both = folder / f"{name}.pem"
    both.write_bytes((folder / f"{name}.key").read_bytes() + (folder / f"{name}.crt").read_bytes())
    return both


def context(**settings):
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def starttls(instance, tls=None, name=None):
    client = smtplib.SMTP(HOST, instance.base + 25, timeout=30)
    client._host = name or HOST
    client.starttls(context=tls or context())
    return client


def subject(client):
    """Common name of the certificate the server showed."""
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=client.sock.getpeercert(binary_form=True),
                          capture_output=True, check=True).stdout.decode()
    return re.search(r"CN = (\S+)", text)[1]


@pytest.fixture
def keys(tmp_path):
    """Where certificates are made; use() puts them into the instance."""
    return tmp_path


def use(instance, keys, **settings):
    """Certificates below the instance's own folder, where whoever runs it may read them."""
    folder = instance.etc / "tls"
    for path in keys.iterdir():
        shutil.copy(path, folder / path.name)
        if instance.user:
            os.chown(folder / path.name, instance.user.pw_uid, instance.user.pw_gid)
    instance.configure(smtpd_tls_key_file="$smtpd_tls_cert_file", tls_reload_interval="1s", **settings)
    return folder


@pytest.mark.core
def test_a_new_instance_speaks_tls_with_a_certificate_of_its_own(instance):
    client = starttls(instance)
    assert client.sock.version() == "TLSv1.3"
    assert subject(client).endswith("example.test")
    client.ehlo()
    assert client.noop()[0] == 250
    old = starttls(instance, context(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert old.sock.cipher()[0].startswith("ECDHE-")


def test_versions_without_forward_secrecy_or_of_the_past_are_refused(instance):
    tls = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    tls.set_ciphers("AES256-GCM-SHA384:AES128-SHA")
    with pytest.raises((OSError, smtplib.SMTPServerDisconnected)):
        starttls(instance, tls)
    out = s_client(instance, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in out


@pytest.mark.core
def test_a_renewed_certificate_is_served_without_a_reload_and_connections_live_on(instance, keys):
    make_certificate(keys, "first")
    make_certificate(keys, "second")
    folder = use(instance, keys, smtpd_tls_cert_file="tls/first.pem")
    instance.reload()
    before = starttls(instance)
    assert subject(before) == "first"
    (folder / "second.pem").rename(folder / "first.pem")
    instance.wait_log("new certificate CN=second")
    wait_for(lambda: subject(starttls(instance)) == "second", "the new certificate")
    assert before.noop()[0] == 250
    assert before.sock.version()


def test_a_pair_that_does_not_fit_is_told_and_the_old_one_stays(instance, keys):
    make_certificate(keys, "good")
    make_certificate(keys, "other")
    expire(keys, "expired")
    folder = use(instance, keys, smtpd_tls_cert_file="tls/good.pem")
    instance.reload()
    mixed = (keys / "good.key").read_bytes() + (keys / "other.crt").read_bytes()
    for content, text in ((mixed, "does not match"), (b"nothing\n", "no private key"), ((keys / "expired.pem").read_bytes(), "has expired")):
        at = len(instance.log())
        (folder / "new").write_bytes(content)
        if instance.user:
            os.chown(folder / "new", instance.user.pw_uid, instance.user.pw_gid)
        (folder / "new").rename(folder / "good.pem")
        instance.wait_log(rf"good\.pem: .*{text}", after=at)
        assert subject(starttls(instance)) == "good"


def test_certificate_and_key_in_two_files_are_taken_up_together(instance, keys):
    make_certificate(keys, "a")
    make_certificate(keys, "b")
    folder = use(instance, keys, smtpd_tls_cert_file="tls/a.crt")
    instance.configure(smtpd_tls_key_file="tls/a.key")
    instance.reload()
    assert subject(starttls(instance)) == "a"
    at = len(instance.log())
    shutil.copy(keys / "b.crt", folder / "a.crt")
    instance.wait_log(r"a\.crt: .*does not match", after=at)
    assert subject(starttls(instance)) == "a"
    shutil.copy(keys / "b.key", folder / "a.key")
    instance.wait_log("new certificate CN=b", after=at)
    wait_for(lambda: subject(starttls(instance)) == "b", "the new certificate")


@pytest.mark.parametrize("wrong, text", [("missing.pem", "No such file"), ("broken.pem", "not PEM, or torn|no private key"),
                                         ("mixed.pem", "does not match"), ("expired.pem", "has expired"), ("locked.pem", "encrypted")])
def test_a_reload_with_a_certificate_that_is_no_good_is_refused(instance, keys, wrong, text):
    make_certificate(keys, "good")
    make_certificate(keys, "other")
    instance.reload()
    expire(keys, "expired")
    (keys / "broken.pem").write_bytes((keys / "good.pem").read_bytes()[:100])
    (keys / "mixed.pem").write_bytes((keys / "good.key").read_bytes() + (keys / "other.crt").read_bytes())
    locked = subprocess.run(["openssl", "pkcs8", "-topk8", "-in", keys / "good.key", "-passout", "pass:x"], capture_output=True, check=True).stdout
    (keys / "locked.pem").write_bytes(locked + (keys / "good.crt").read_bytes())
    use(instance, keys, smtpd_tls_cert_file=f"tls/{wrong}")
    done = instance.reload(check=False)
    assert done.returncode != 0
    assert re.search(rf"{wrong}.*({text})", done.out + done.err + instance.log())
    assert subject(starttls(instance)).endswith("example.test")


def test_check_and_reload_agree_about_expired_certificates(instance, keys):
    """One that was put there expired is an error; one that has expired there is served, with a warning."""
    folder = use(instance, keys, smtpd_tls_cert_file=f"tls/{expire(keys, 'old').name}")
    for command in ("check", "reload"):
        done = instance.postern(command, check=False)
        assert done.returncode == 78 and re.search(r"error: \S*old\.pem: the certificate has expired", done.err), done.err
    before = time.time() - 3 * 24 * 3600
    os.utime(folder / "old.pem", (before, before))
    assert re.search(r"warning: \S*old\.pem: the certificate has expired", instance.postern("check").err)
    at = len(instance.log())
    instance.reload()
    instance.wait_log(r"warning: \S*old\.pem: the certificate has expired", after=at)
    assert subject(starttls(instance)) == "old"


def test_a_suite_does_not_start_with_a_key_that_does_not_fit(instance, keys):
    make_certificate(keys, "good")
    make_certificate(keys, "other")
    instance.stop()
    (keys / "mixed.pem").write_bytes((keys / "good.key").read_bytes() + (keys / "other.crt").read_bytes())
    use(instance, keys, smtpd_tls_cert_file="tls/mixed.pem")
    done = instance.postern("start", check=False)
    assert done.returncode != 0
    assert "mixed.pem" in done.out + done.err and "does not match" in done.out + done.err
    expire(keys, "old")
    use(instance, keys, smtpd_tls_cert_file="tls/old.pem")
    instance.start()
    instance.wait_log(r"old\.pem: .*expired")
    assert subject(starttls(instance)) == "old"


def test_each_server_name_has_its_certificate(instance, keys):
    for name in ("standard", "one.example.org", "wild", "below"):
        make_certificate(keys, name, key="rsa" if name == "wild" else "ec")
    folder = use(instance, keys, smtpd_tls_cert_file="tls/standard.pem", tls_server_sni_maps="texthash:$config_directory/tls/names")
    (folder / "names").write_text("one.example.org tls/one.example.org.pem\n*.wild.example tls/wild.pem\n.below.example tls/below.pem\n")
    instance.reload()
    for asked, shown in (("one.example.org", "one.example.org"), ("ONE.example.org", "one.example.org"), ("a.wild.example", "wild"),
                         ("a.b.wild.example", "standard"), ("a.b.below.example", "below"), ("nobody.example.net", "standard"), (None, "standard")):
        assert subject(starttls(instance, name=asked)) == shown, asked


def test_the_pair_is_chosen_by_what_the_client_can_check(instance, keys):
    make_certificate(keys, "rsa", key="rsa")
    make_certificate(keys, "ec")
    use(instance, keys, smtpd_tls_chain_files="tls/ec.pem, tls/rsa.pem")
    instance.reload()
    assert subject(starttls(instance)) == "ec"
    tls = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    tls.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    assert subject(starttls(instance, tls)) == "rsa"


def s_client(instance, *arguments):
    line = ["openssl", "s_client", "-connect", f"{HOST}:{instance.base + 25}", "-starttls", "smtp", *map(str, arguments)]
    return subprocess.run(line, input=b"QUIT\r\n", capture_output=True, timeout=60).stdout.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed_even_after_a_reload_and_by_another_tlsd(instance, version):
    # A session's ticket comes behind the handshake in TLS 1.3: it is read with the first answer.
    tls = context()
    if version == "-tls1_2":
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
    first = starttls(instance, tls)
    first.ehlo()
    kept = first.sock.session
    first.close()
    for _ in range(2):
        plain = smtplib.SMTP(HOST, instance.base + 25, timeout=30)
        plain.docmd("STARTTLS")
        with tls.wrap_socket(plain.sock, session=kept) as again:
            assert again.session_reused
            again.sendall(b"NOOP\r\n")
            assert again.recv(100).startswith(b"250")
        instance.reload()


def test_no_early_data_and_no_renegotiation(instance):
    out = s_client(instance, "-tls1_3")
    assert "Max Early Data: 0" in out or "Early data was not sent" in out
    out = subprocess.run(["openssl", "s_client", "-connect", f"{HOST}:{instance.base + 25}", "-starttls", "smtp", "-tls1_2"],
                         input=b"R\n", capture_output=True, timeout=60)
    assert b"no renegotiation" in out.stderr or b"handshake failure" in out.stderr


def test_keyd_is_killed_and_handshakes_go_on(instance):
    old = instance.daemons("keyd")[0]
    assert starttls(instance).noop()[0] == 250
    os.kill(old, 9)
    wait_for(lambda: [pid for pid in instance.daemons("keyd") if pid != old], "another keyd")

    def works():
        try:
            return starttls(instance).noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False
    wait_for(works, "handshakes with the new keyd")


def test_a_client_that_says_nothing_has_no_place_for_ever(instance):
    instance.configure(smtpd_starttls_timeout="1s")
    instance.reload()
    with socket.create_connection((HOST, instance.base + 25)) as client:
        client.settimeout(30)
        client.recv(200)
        client.sendall(b"STARTTLS\r\n")
        assert client.recv(100).startswith(b"220")
        assert client.recv(100) == b""


def test_postern_tls_tells_what_is_there_and_whether_it_is_served(instance, keys):
    make_certificate(keys, "standard", key="rsa")
    make_certificate(keys, "one.example.org", names=["one.example.org", "www.one.example.org"], days=5)
    folder = use(instance, keys, smtpd_tls_cert_file="tls/standard.pem", tls_server_sni_maps="texthash:$config_directory/tls/names")
    (folder / "names").write_text("one.example.org tls/one.example.org.pem\n")
    # What is put there is not taken up before it was looked at.
    instance.configure(tls_reload_interval="1h")
    instance.reload()
    rows = [json.loads(line) for line in instance.postern("tls", "--json").out.splitlines()]
    rows = {row["server_name"]: row for row in rows if row["entry"] == "smtp"}
    assert rows[""]["subject"] == "CN=standard" and rows[""]["key"] == "RSA" and rows[""]["served"] is True
    one = rows["one.example.org"]
    assert one["names"] == ["one.example.org", "www.one.example.org"] and one["days_left"] in (4, 5) and one["served"] is True
    assert one["file"] == str(folder / "one.example.org.pem")
    assert "served" in instance.postern("tls").out
    expire(keys, "standard")
    shutil.copy(keys / "standard.pem", folder / "standard.pem")
    done = instance.postern("tls", check=False)
    assert done.returncode == 1
    assert "EXPIRED" in done.out and "NOT SERVED\n" in done.out and "served instead: CN=standard, RSA" in done.out
    # Another kind of key, of which the server knows nothing yet.
    make_certificate(keys, "other", key="ed25519")
    shutil.copy(keys / "other.pem", folder / "standard.pem")
    instead = [row["instead"] for row in map(json.loads, instance.postern("tls", "--json", check=False).out.splitlines()) if row["server_name"] == ""]
    assert instead and all((row["subject"], row["key"]) == ("CN=standard", "RSA") for row in instead), instead
    shutil.copy(keys / "standard.crt", folder / "standard.pem")
    done = instance.postern("tls", check=False)
    assert done.returncode == 1 and done.err.count("standard.pem: there is no private key") == 1
    assert "every name: UNUSABLE" in done.out and "served instead: CN=standard, RSA" in done.out
    row = json.loads(instance.postern("tls", "--json", check=False).out.splitlines()[0])
    assert "there is no private key" in row["error"] and row["served"] is False and row["instead"]["days_left"] > 5
    done = instance.postern("check", check=False)
    assert done.returncode != 0 and "standard.pem: there is no private key" in done.err


def test_several_tlsd_share_the_work_when_master_cf_says_so(instance):
    path = instance.etc / "master.cf"
    path.write_text(re.sub(r"(?m)^(tls\s.*\s)1(\s+tlsd)$", r"\g<1>2\2", path.read_text()))
    instance.stop()
    instance.start()
    clients = [starttls(instance) for _ in range(8)]
    assert all(client.noop()[0] == 250 for client in clients)
    pids = instance.daemons("tlsd")
    assert len(pids) == 2

    def sockets(pid):
        return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))
    assert all(sockets(pid) > 4 for pid in pids)
