# SPDX-License-Identifier: ISC
"""Accounts of other mail systems are brought over: all of them, once, and what cannot be is told with its line."""
import imaplib
import json
import subprocess

import pytest

from postern import DOMAIN, HOST, TIMEOUT

# None of these tests asks how long a refused login takes.
INSTANCE_SETTINGS = {"auth_failure_delay": "0"}

PASSWORDS = {"crypt": "sesame one", "ssha": "sesame two", "plain": "sesame three"}


def hashed(password):
    return subprocess.run(["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True).stdout.strip()


def login(instance, user, password):
    with imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT) as client:
        try:
            client.login(user, password)
        except imaplib.IMAP4.error as refused:
            assert b"AUTHENTICATIONFAILED" in refused.args[0]
            return False
        return True


def run(instance, *arguments, status=0):
    done = instance.postern("import", *arguments, "--json", check=False)
    assert done.returncode == status, done.out + done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    return lines[:-1], lines[-1]


@pytest.fixture
def dovecot_file(instance):
    file = instance.etc / "users"
    file.write_text(f"""# made by hand
crypt@import.example:{{SHA512-CRYPT}}{hashed(PASSWORDS["crypt"])}:5000:5000::/var/vmail/crypt::userdb_quota_rule=*:storage=2G
ssha@import.example:{{SSHA}}Qm9ndXNCb2d1c0JvZ3VzQm9ndXNTYWx0:5000:5000::/var/vmail/x::userdb_mail=maildir:~/Maildir
plain:{{PLAIN}}{PASSWORDS["plain"]}::::::userdb_quota_rule=*:bytes=1000000 nologin
bad/name@import.example:{{PLAIN}}x::::::
nets@import.example:{{PLAIN}}x::::::allow_nets=10.0.0.0/8
strange@import.example:{{ROT13}}x::::::
:{{PLAIN}}x::::::
""")
    return file


@pytest.mark.core
def test_a_dovecot_passwd_file(instance, dovecot_file):
    arguments = ("dovecot", dovecot_file, "--domain", "import.example")
    refused, summary = run(instance, *arguments, status=65)
    assert summary["user"]["added"] == 0 and {r["line"] for r in refused} == {2, 3, 4, 5, 6, 7, 8}
    assert all(r["file"] == str(dovecot_file) for r in refused)
    arguments += ("--add-domains",)
    told, summary = run(instance, *arguments, "--dry-run", status=65)
    assert summary["user"] == {"added": 3, "changed": 0, "unchanged": 0, "kept": 0} and summary["refused"] == 4
    assert {t["user"] for t in told if t.get("action") == "added"} == {f"{u}@import.example" for u in ("crypt", "ssha")} | {"plain@import.example"}
    assert "no such domain: import.example" in instance.postern("user", "list", "import.example", check=False).err
    refused, summary = run(instance, *arguments, status=65)
    assert {r["line"] for r in refused} == {5, 6, 7, 8}
    assert summary["domain"]["added"] == 1 and summary["user"]["added"] == 3
    assert login(instance, "crypt@import.example", PASSWORDS["crypt"])
    assert not login(instance, "plain@import.example", PASSWORDS["plain"])
    instance.postern("user", "enable", "plain@import.example")
    assert login(instance, "plain@import.example", PASSWORDS["plain"])
    shown = json.loads(instance.postern("user", "show", "crypt@import.example", "--json").out)
    assert shown["quota"] == 2 << 30
    # Again: nothing to do, and what was changed since is kept unless told.
    refused, summary = run(instance, *arguments, status=65)
    user = summary["user"]  # a password that was used may be stored anew since, and differ
    assert user["added"] == user["changed"] == 0 and user["unchanged"] + user["kept"] == 3
    instance.postern("user", "passwd", "crypt@import.example", input="mine\n")
    run(instance, *arguments, status=65)
    assert login(instance, "crypt@import.example", "mine")
    refused, summary = run(instance, *arguments, "--update", status=65)
    assert login(instance, "crypt@import.example", PASSWORDS["crypt"])
    assert not login(instance, "plain@import.example", PASSWORDS["plain"])


@pytest.mark.parametrize("kind", ["texthash", "hash", "text"])
def test_postfix_virtual_tables(instance, kind):
    etc = instance.etc
    (etc / "vdomains").write_text("import.example OK\nother.example\n  OK\n")
    (etc / "vmailbox").write_text("# mailboxes\nann@import.example import.example/ann/\nbob@other.example x/bob\n"
                                  "@import.example import.example/all/\n")
    (etc / "valias").write_text("info@import.example ann@import.example,\n  bob@other.example, far@elsewhere.test\n"
                                f"@other.example bob@other.example\nalias.example anything\nx@alias.example one@{DOMAIN}\n"
                                "run@import.example |/bin/command\n@import.example @other.example\n"
                                "ghost@unknown.example ann@import.example\n")
    names = [etc / name for name in ("vdomains", "vmailbox", "valias")]
    if kind == "hash":
        for name in names:
            instance.run("postmap", f"hash:{name}")
    tables = [str(name) if kind == "text" else f"{kind}:{name}" for name in names]
    arguments = ("postfix", "--domains", tables[0], "--mailboxes", tables[1], "--aliases", tables[2])
    refused, summary = run(instance, *arguments, status=65)
    assert summary["domain"]["added"] == 3 and summary["user"]["added"] == 2 and summary["alias"]["added"] == 3
    if kind != "hash":
        assert sorted((r["file"], r["line"]) for r in refused) == [(str(names[2]), 6), (str(names[2]), 7), (str(names[2]), 8),
                                                                  (str(names[1]), 4)]
    assert len(refused) == summary["refused"] == 4
    listed = [json.loads(line) for line in instance.postern("alias", "list", "import.example", "--json").out.splitlines()]
    assert [a["destination"] for a in listed] == ["ann@import.example", "bob@other.example", "far@elsewhere.test"]
    refused, summary = run(instance, *arguments, status=65)
    assert summary["domain"]["unchanged"] == 3 and summary["user"]["unchanged"] == 2 and summary["alias"]["unchanged"] == 3


def test_users_of_a_unix_system(instance):
    passwd, shadow = instance.etc / "passwd", instance.etc / "shadow"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\n"
                      "bob:x:1001:1001::/home/bob:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\nbroken\n")
    shadow.write_text(f"root:{hashed('toor')}:1:0:99999:7:::\nann:{hashed('unix')}:1:0:99999:7:::\nbob:!{hashed('locked')}:1:0:99999:7:::\n")
    refused, summary = run(instance, "system", "--passwd", passwd, "--shadow", shadow, "--domain", DOMAIN, status=65)
    assert [r["line"] for r in refused] == [5] and summary["user"]["added"] == 2
    assert login(instance, f"ann@{DOMAIN}", "unix")
    assert not login(instance, f"bob@{DOMAIN}", "locked")
    assert instance.postern("user", "show", f"root@{DOMAIN}", check=False).returncode == 65


def test_what_cannot_be_read_changes_nothing(instance):
    assert instance.postern("import", "dovecot", instance.etc / "nowhere", check=False).returncode == 66
    assert instance.postern("import", "postfix", "--aliases", "pcre:/x", check=False).returncode == 66
    assert instance.postern("import", "postfix", check=False).returncode == 64
    assert instance.postern("import", "frobnicate", check=False).returncode == 64
