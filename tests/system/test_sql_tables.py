# SPDX-License-Identifier: ISC
"""mysql: and pgsql: tables, and the import from them, against real servers. A server that is slow or away puts off what needs it, and nothing else."""
import contextlib
import json
import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from postern import DOMAIN, wait_for
from sql_servers import SCHEMA, TLS_USER, USER, one_line, server_kind  # noqa: F401
from test_accounts import rcpt
from test_cells import attempts

ROWS = f"""
INSERT INTO domain VALUES ('sql.example', NULL, 1);
INSERT INTO domain VALUES ('off.example', NULL, 0);
INSERT INTO users VALUES ('ann@sql.example', 'x', 'Ann', 5, 1);
INSERT INTO users VALUES ('o''brien@sql.example', 'x', 'O', 5, 1);
INSERT INTO alias VALUES ('info@sql.example', 'ann@sql.example', 1);
INSERT INTO alias VALUES ('info@sql.example', 'one@{DOMAIN}', 1);
INSERT INTO alias VALUES ('gone@sql.example', 'ann@sql.example', 0);
"""


class Site:
    """An instance whose second domain is in the server."""

    def __init__(self, instance, server):
        self.instance, self.server = instance, server

    def tables(self, hosts=None, timeout="10s"):
        etc, server = self.instance.etc, self.server
        self.instance.configure(
            virtual_mailbox_domains="proxy:" + server.cf(etc / "domains.cf", "query = SELECT domain FROM domain WHERE domain='%s' AND enabled = 1", hosts, self.instance.user),
            virtual_mailbox_maps=server.cf(etc / "mailboxes.cf", "table = users\nselect_field = email\nwhere_field = email\n"
                                           "additional_conditions = AND enabled = 1\nresult_format = %d/%u/\ndomain = sql.example", hosts, self.instance.user),
            virtual_alias_maps=server.cf(etc / "aliases.cf", "query = SELECT destination FROM alias WHERE source='%u@%d' AND enabled = 1"
                                         " ORDER BY destination\nexpansion_limit = 10\ndomain = sql.example", hosts, self.instance.user),
            sql_timeout=timeout)


@contextlib.contextmanager
def opened(kind, make_instance, server_kind, rows):  # noqa: F811
    """A Site of this kind beside a server with these rows, which ends with it."""
    instance = make_instance()
    server = server_kind(instance.base + 999, rows)
    try:
        site = kind(instance, server)
        site.tables()
        yield site
    finally:
        server.close()


@pytest.fixture
def site(make_instance, server_kind):  # noqa: F811
    with opened(Site, make_instance, server_kind, ROWS) as site:
        yield site


def answers(site):
    """Both kinds of recipients, and injection that fails."""
    instance = site.instance
    assert rcpt(instance, "Ann@SQL.example")[0] == 250, instance.log_tail()
    assert rcpt(instance, "o'brien@sql.example")[0] == 250
    # Each table has a connection of its own, which is made with its first question.
    wait_for(lambda: rcpt(instance, "info@sql.example")[0] == 250, "the table of aliases")
    assert rcpt(instance, "gone@sql.example")[0] == 550
    assert rcpt(instance, "nobody@sql.example")[0] == 550
    assert rcpt(instance, "x'or'1'='1@sql.example")[0] == 550
    assert rcpt(instance, "x\\'or@sql.example")[0] in (550, 501, 553)
    assert rcpt(instance, f"one@{DOMAIN}")[0] == 250


def answered(site):
    try:
        answers(site)
    except AssertionError:
        return False
    return True


@pytest.mark.core
def test_tables_of_a_server_are_asked(site):
    site.instance.start()
    answers(site)
    with site.instance.smtp() as client:
        client.sendmail("a@elsewhere.example", ["info@sql.example"], b"Subject: to both\r\n\r\nbody\r\n")
    wait_for(lambda: site.instance.delivered_files("one"), "the copy of one")
    folder = site.instance.path / "mail" / "sql.example" / "ann" / "new"
    wait_for(lambda: folder.exists() and list(folder.iterdir()), "the copy of ann")
    # Over TCP, by name, with a first server that is not there.
    site.tables(f"127.0.0.1:{site.instance.base + 998} inet:localhost:{site.server.port}")
    site.instance.reload()
    wait_for(lambda: rcpt(site.instance, "ann@sql.example")[0] == 250, "the answer over TCP")
    answers(site)
    for query, found in (("info@sql.example", f"ann@sql.example,one@{DOMAIN}"), ("gone@sql.example", "")):
        asked = site.instance.run("postmap", "-q", query, f"{site.server.type}:{site.instance.etc}/aliases.cf", check=False)
        assert asked.out.strip() == found and asked.returncode == (0 if found else 1)


def test_a_slow_or_dead_server_puts_off_what_needs_it_and_nothing_else(site):
    instance, server = site.instance, site.server
    site.tables(timeout="1s")
    instance.start()
    # On a busy machine a first connection may take longer than that.
    wait_for(lambda: answered(site), "the answers")
    asking = set(instance.processes("proxymap"))
    server.pause()
    with instance.smtp() as waiting, instance.smtp() as other:
        for client in (waiting, other):
            client.ehlo("client.example")
            client.mail("a@elsewhere.example")
        # Answers are remembered for a second; this one was never asked for.
        waiting.putcmd("rcpt", "TO:<never@sql.example>")
        began = time.monotonic()
        for _ in range(5):
            assert other.rcpt(f"one@{DOMAIN}")[0] == 250
        assert time.monotonic() - began < 1
        assert waiting.getreply()[0] // 100 == 4
    server.resume()
    wait_for(lambda: rcpt(instance, "ann@sql.example")[0] == 250, "the answer of the server that goes on")
    server.kill()
    # An answer is remembered for a second.
    wait_for(lambda: rcpt(instance, "ann@sql.example")[0] // 100 == 4, "no answer of a dead server")
    assert rcpt(instance, f"one@{DOMAIN}")[0] == 250
    assert server.type in instance.log() and "warning: " in instance.log()
    server.start()
    # Each connection leaves a server alone for some seconds that took long to find away.
    wait_for(lambda: answered(site), "the answers of the new server", 20)
    # Its files were looked at several times meanwhile, and are what they were.
    assert set(instance.processes("proxymap")) == asking and "has changed -- restarting" not in instance.log()


def test_the_process_that_asks_comes_back(site):
    instance = site.instance
    instance.start()
    answers(site)
    instance.kill_daemon("proxymap")
    wait_for(lambda: rcpt(instance, "ann@sql.example")[0] == 250, "the answer of the new process")


def test_what_cannot_be_asked_safely_is_refused(site):
    instance, server = site.instance, site.server
    for query in ("SELECT a FROM b WHERE c = '%s", "SELECT `%s` FROM b" if server.type == "mysql" else 'SELECT "%s" FROM b'):
        spec = server.cf(instance.etc / "bad.cf", f"query = {query}")
        asked = instance.run("postmap", "-q", "x", spec, check=False)
        assert asked.returncode != 0 and "open quote" in asked.err
    spec = server.cf(instance.etc / "bare.cf", "query = SELECT destination FROM alias WHERE source = %s AND enabled = 1 ORDER BY 1")
    assert instance.run("postmap", "-q", "info@sql.example", spec).out.strip() == f"ann@sql.example,one@{DOMAIN}"
    assert instance.run("postmap", "-q", "x' OR '1'='1", spec, check=False).returncode == 1
    spec = server.cf(instance.etc / "limit.cf", "query = SELECT destination FROM alias WHERE source = '%s'\nexpansion_limit = 1")
    assert instance.run("postmap", "-q", "info@sql.example", spec, check=False).returncode not in (0, 1)


ALIASES = "query = SELECT destination FROM alias WHERE source='%s' AND enabled = 1 ORDER BY 1"


@pytest.fixture
def reader(site):
    """Who proxymap is."""
    return pwd.getpwnam("postern-net") if os.geteuid() == 0 and not site.instance.user else site.instance.user or pwd.getpwuid(os.getuid())


def ask(instance, spec, key="info@sql.example"):
    return instance.run("postmap", "-q", key, spec, check=False)


def test_servers_are_known_by_their_certificates(site, reader):
    """By name, with a certificate of one's own; the process that asks reads what it must, and reaches nobody by a socket file."""
    instance, server = site.instance, site.server
    keys = server.key_for(reader, instance.etc)
    authority = instance.etc / "sql-authority.crt"
    shutil.copy(server.keys / "stranger.crt", authority)
    instance.configure(virtual_mailbox_domains="sql.example",
                       virtual_alias_maps=server.secure_cf(instance.etc / "tls.cf", ALIASES, *keys, authority=authority),
                       virtual_mailbox_maps=server.secure_cf(instance.etc / "mailboxes.cf", "query = SELECT email FROM users WHERE email='%s'", *keys, authority=authority))
    instance.start()
    assert rcpt(instance, "info@sql.example")[0] == 451
    instance.wait_log(r"proxymap\[\d+\]: warning: .*tls\.cf: .*(certificate|verif)")
    # The right authority, in place of the other: the file is read anew.
    fresh = authority.with_name("fresh")
    shutil.copy(server.keys / "authority.crt", fresh)
    fresh.rename(authority)
    wait_for(lambda: rcpt(instance, "info@sql.example")[0] == 250, "the answer of the server that is known now")
    assert rcpt(instance, "nobody@sql.example")[0] == 550
    allowed, count = attempts(instance, next(iter(instance.processes("proxymap"))))
    # A socket can be made, but connected to the server alone, which is none of the attempts.
    assert count and allowed <= {"socket-tcp", "socket-tcp6"}, allowed


def test_a_file_that_was_replaced_is_named_until_it_can_be_read(site, reader):
    """The client library is not even asked: what libpq would tell is what happened to be in memory."""
    instance, server = site.instance, site.server
    authority = instance.etc / "sql-authority.crt"
    shutil.copy(server.keys / "authority.crt", authority)
    instance.configure(virtual_mailbox_domains="sql.example",
                       virtual_alias_maps=server.secure_cf(instance.etc / "tls.cf", ALIASES, *server.key_for(reader, instance.etc), authority=authority))
    instance.start()

    def told():
        fresh = authority.with_name("fresh")
        shutil.copy(server.keys / "authority.crt", fresh)
        fresh.rename(authority)
        rcpt(instance, "info@sql.example")
        return re.search(r"proxymap\[\d+\]: warning: .*tls\.cf: (.*)", instance.log())
    assert wait_for(told, "a question before the file can be read again")[1] == f"{authority}: Permission denied"
    wait_for(lambda: rcpt(instance, "info@sql.example")[0] == 250, "the answer")


def test_servers_that_are_not_known_are_not_asked(site, reader):
    instance, server = site.instance, site.server
    etc, keys = instance.etc, server.key_for(reader, instance.etc)
    # A server of another name, one that nobody vouches for, and a user who must come by TLS and does not.
    assert ask(instance, server.secure_cf(etc / "good.cf", ALIASES, *keys)).returncode == 0
    for bad in (server.secure_cf(etc / "name.cf", ALIASES, *keys, host="127.0.0.1"),
                server.secure_cf(etc / "no-file.cf", ALIASES, *keys, authority=etc),
                server.secure_cf(etc / "stranger.cf", ALIASES, *keys, authority=server.keys / "stranger.crt"),
                server.cf(etc / "clear.cf", f"{ALIASES}\nuser = {TLS_USER}", f"127.0.0.1:{server.port}")):
        asked = ask(instance, bad)
        assert asked.returncode not in (0, 1), (bad, asked)
    # A folder of authorities, as OpenSSL has them.
    folder = etc / "authorities"
    folder.mkdir()
    hashed = subprocess.run(["openssl", "x509", "-in", server.keys / "authority.crt", "-noout", "-hash"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / f"{hashed}.0").symlink_to(server.keys / "authority.crt")
    if server.type == "mysql":
        spec = server.secure_cf(etc / "folder.cf", ALIASES, *keys)
        (etc / "folder.cf").write_text((etc / "folder.cf").read_text().replace(f"tls_CAfile = {server.keys}/authority.crt", f"tls_CApath = {folder}"))
        assert ask(instance, spec).returncode == 0
        (etc / "my.cnf").write_text(f"[tables]\nssl-ca={server.keys}/authority.crt\nssl-cert={keys[0]}\nssl-key={keys[1]}\n")
        options = f"{ALIASES}\nuser = {TLS_USER}\noption_file = {etc}/my.cnf"
        assert ask(instance, server.cf(etc / "options.cf", options, f"127.0.0.1:{server.port}")).returncode not in (0, 1)
        assert ask(instance, server.cf(etc / "options.cf", f"{options}\noption_group = tables", f"127.0.0.1:{server.port}")).returncode == 0
    # A server without TLS gets no question, though it knows the user.
    server.kill()
    server.start(tls=False)
    asked = ask(instance, server.secure_cf(etc / "none.cf", ALIASES, *keys, user=USER))
    assert asked.returncode not in (0, 1) and re.search("TLS|SSL", asked.err), asked.err


def test_faults_of_a_file_are_told_with_their_line(site):
    instance, server = site.instance, site.server
    line = {"mysql": "tls_CAfile = /nowhere", "pgsql": "hosts = postgresql://localhost/mail?sslrootcert=/nowhere"}[server.type]
    faults = {"tls_CAflie = /x": "there is no such parameter", line: "/nowhere: No such file",
              {"mysql": "tls_verify_cert = perhaps", "pgsql": "tls_verify_cert = yes"}[server.type]: "tls_verify_cert is",
              {"mysql": "tls_verify_cert = yes", "pgsql": "hosts = postgresql://a%2Cb/mail"}[server.type]:
                  {"mysql": "tls_verify_cert needs tls_CAfile or tls_CApath", "pgsql": "a URI names one server"}[server.type],
              {"mysql": "tls_cert_file = x.pem", "pgsql": "hosts = postgresql://one:secret@local%xx/"}[server.type]:
                  {"mysql": "not an absolute path", "pgsql": "not a URI that can be read"}[server.type]}
    for text, told in faults.items():
        path = instance.etc / "bad.cf"
        path.write_text(f"query = SELECT 1\n\n{text}\n")
        asked = ask(instance, f"{server.type}:{path}")
        assert asked.returncode != 0 and f"{path}:3: " in asked.err and told in asked.err, asked.err
        assert "secret" not in asked.err


def imported(instance, spec):
    """What an import from ROWS gives, twice."""
    told = instance.postern("import", "sql", spec, "--quota-unit", "1M", "--json", check=False)
    assert told.returncode == 65, told.out + told.err
    lines = [json.loads(line) for line in told.out.splitlines()]
    # The hash "x" is none; the domain of off.example is not enabled.
    assert [line["line"] for line in lines[:-1]] == [1, 2]
    assert lines[-1]["domain"]["added"] == 1 and lines[-1]["alias"]["added"] == 2 and lines[-1]["refused"] == 2
    again = json.loads(instance.postern("import", "sql", spec, "--json", check=False).out.splitlines()[-1])
    assert again["domain"]["unchanged"] == 1 and again["alias"]["unchanged"] == 2


def test_accounts_of_a_database_are_imported(make_instance, server_kind):  # noqa: F811
    instance = make_instance()
    server = server_kind(instance.base + 999, ROWS)
    try:
        imported(instance, server.cf(instance.etc / "import.cf", "query = SELECT 1", owner=instance.user))
    finally:
        server.close()
    lost = instance.postern("import", "sql", f"{server.type}:{instance.etc}/import.cf", check=False)
    assert lost.returncode == 66 and lost.err


@pytest.mark.parametrize("table", ["users", "user"])
def test_accounts_of_a_sqlite_database_are_imported(make_instance, table):
    instance = make_instance()
    with sqlite3.connect(instance.etc / "old.sqlite") as db:
        for statement in one_line(SCHEMA + ROWS):
            db.execute(statement.replace("users", table))
        db.execute(f"INSERT INTO {table} VALUES ('good@sql.example', '{{PLAIN}}pw', 'G', 3, 0)")
    (instance.etc / "old.cf").write_text(f"dbpath = {instance.etc}/old.sqlite\nquery = SELECT 1\n")
    imported(instance, f"sqlite:{instance.etc}/old.cf")
    shown = json.loads(instance.postern("user", "show", "good@sql.example", "--json").out)
    assert shown["quota"] == 3 << 20 and not shown["enabled"]


ELSEWHERE = {"smtp.example": "smtp:[192.0.2.1]", "relay.example": "relay:", "bare.example": "[192.0.2.2]:25", "hop.example": ":mx.example"}


@pytest.mark.parametrize("tables", ["guide", "postfixadmin"])
def test_domains_whose_mail_goes_elsewhere_are_not_imported(make_instance, tables):
    instance = make_instance()
    here = {"virtual.example": "virtual:", "bare-name.example": "maildrop", "dovecot.example": "Dovecot-LMTP:unix:x", "lmtp.example": "lmtp:unix:private/dovecot-lmtp",
            "none.example": None, "empty.example": "", "colon.example": ":"}
    with sqlite3.connect(instance.etc / "old.sqlite") as db:
        if tables == "guide":
            for statement in one_line(SCHEMA):
                db.execute(statement)
            add = "INSERT INTO domain (domain, transport, enabled) VALUES (?, ?, 1)"
            user, alias = "INSERT INTO users (email) VALUES (?)", "INSERT INTO alias (source, destination) VALUES (?, ?)"
        else:
            db.execute("CREATE TABLE domain (domain, transport, backupmx, active)")
            db.execute("CREATE TABLE mailbox (username, password, quota, active DEFAULT 1)")
            db.execute("CREATE TABLE alias (address, goto, active DEFAULT 1)")
            add = "INSERT INTO domain (domain, transport, backupmx, active) VALUES (?, ?, 0, 1)"
            db.execute("INSERT INTO domain VALUES ('backup.example', 'virtual', 1, 1), ('off.example', 'smtp:', 0, 0)")
            user, alias = "INSERT INTO mailbox (username) VALUES (?)", "INSERT INTO alias (address, goto) VALUES (?, ?)"
        for row in {**here, **ELSEWHERE}.items():
            db.execute(add, row)
        db.execute(user, ("ann@virtual.example",))
        db.execute(user, ("ann@smtp.example",))
        db.execute(alias, ("bob@relay.example", "ann@virtual.example"))
    (instance.etc / "old.cf").write_text(f"dbpath = {instance.etc}/old.sqlite\nquery = SELECT 1\n")
    done = instance.postern("import", "sql", f"sqlite:{instance.etc}/old.cf", "--json", "--add-domains", check=False)
    assert done.returncode == 65, done.out + done.err
    *refused, summary = [json.loads(line) for line in done.out.splitlines()]
    backup = tables == "postfixadmin"
    assert summary["domain"]["added"] == len(here) and summary["user"]["added"] == 1 and summary["refused"] == len(ELSEWHERE) + 2 + backup
    errors = [r["error"] for r in refused]
    for domain, transport in ELSEWHERE.items():
        assert any(f"add {domain} to relay_domains" in e and e.endswith(f"the line {domain} {transport}") for e in errors), errors
    assert not backup or any("add backup.example to relay_domains" in e for e in errors)
    assert "the mail of domain smtp.example goes elsewhere, as its row says" in errors
    listed = {json.loads(line)["domain"] for line in instance.postern("domain", "list", "--json").out.splitlines()}
    assert listed == {DOMAIN, *here}
