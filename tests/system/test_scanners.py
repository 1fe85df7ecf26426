# SPDX-License-Identifier: ISC
"""What scanners of TLS find at every port of a default configuration: nothing."""
import json
import re
import subprocess

import pytest

from postern import DOMAIN, HOST
from programs import NAME, STARTTLS, WAYS, needs

PORTS = [pytest.param(protocol, port, how, id=f"{port}") for protocol, port, how in WAYS if how != "clear"]

EXCUSED = {
    "engine_problem": "of the scanner's own openssl, which has no GOST",
    "sessionresumption_ticket": "on a busy machine the scanner's openssl may end before TLS 1.3's ticket has come; test_tls_daemons resumes sessions",
    "DNS_CAArecord": "the domain of the tests is in no DNS",
    "OCSP_stapling": "certificates name no OCSP server any more; there is a list of those that were revoked",
}
BETWEEN_SERVERS = {
    "cipherlist_AVERAGE": "a server that knows nothing better than CBC would send in clear",
    "LUCKY13": "likewise; OpenSSL checks padding in constant time, and encrypts first where the other side can",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with ca.pem, and key.pem and cert.pem as an authority of today would make them."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "extensions").write_text(
        f"subjectAltName=DNS:{NAME}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        f"crlDistributionPoints=URI:http://crl.{DOMAIN}/ca.crl\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-subj", "/O=Test/CN=Test CA", "-days", 90, "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *curve, "-subj", f"/CN={NAME}", "-keyout", "key.pem", "-out", "request.pem")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", f"0x{16 * '5a'}", "-days", 80,
            "-extfile", "extensions", "-out", "leaf.pem")
    (folder / "cert.pem").write_bytes((folder / "leaf.pem").read_bytes() + (folder / "ca.pem").read_bytes())
    return folder


@pytest.fixture
def scanned(make_instance, authority):
    # The scanner comes some hundred times, and much of what it says is wrong on purpose.
    instance = make_instance(settings={"smtpd_client_connection_count_limit": "0", "imap_client_connection_count_limit": "0",
                                       "pop3_client_connection_count_limit": "0"})
    for name in ("key.pem", "cert.pem"):
        (instance.etc / "tls" / name).write_bytes((authority / name).read_bytes())
    instance.start()
    return instance


@pytest.mark.long
@needs("testssl")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("protocol, port, how", PORTS)
def test_testssl_finds_nothing(scanned, authority, tmp_path, protocol, port, how):
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", HOST, "--add-ca", authority / "ca.pem",
                    "--jsonfile", tmp_path / "found.json", *(["--starttls", protocol] if how == STARTTLS else []), f"{NAME}:{scanned.base + port}"],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=880)
    findings = json.loads((tmp_path / "found.json").read_text())
    assert any(one["id"] == "TLS1_3" and one["severity"] == "OK" for one in findings), findings
    excused = {**EXCUSED, **(BETWEEN_SERVERS if port == 25 else {})}
    bad = [(one["severity"], one["id"], one["finding"]) for one in findings
           if one["severity"] not in ("OK", "INFO", "DEBUG") and one["id"] not in excused]
    assert not bad
    assert findings[-1]["id"] == "scanTime", "it did not come to its end"


@pytest.mark.long
@needs("sslscan")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol, port, how", PORTS)
def test_sslscan_finds_nothing_old(scanned, protocol, port, how):
    """Another's view of protocols, renegotiation, compression, Heartbleed and ciphers."""
    done = subprocess.run(["sslscan", "--no-colour", *([f"--starttls-{protocol}"] if how == STARTTLS else []), f"{HOST}:{scanned.base + port}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert re.search(rf"^{re.escape(old)} +disabled$", said, re.M), said
    for good in ("TLSv1.2   enabled", "TLSv1.3   enabled", "Server supports TLS Fallback SCSV", "Session renegotiation not supported"):
        assert good in said, said
    assert "vulnerable to heartbleed" not in said.replace("not vulnerable to heartbleed", "") and "ffdhe" not in said
    accepted = [line.split() for line in said.splitlines() if line.startswith(("Preferred", "Accepted"))]
    assert accepted and all("ECDHE" in line[4] or line[1] == "TLSv1.3" for line in accepted), accepted
