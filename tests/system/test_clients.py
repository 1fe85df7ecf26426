# SPDX-License-Identifier: ISC
"""Mail programs that people use: curl, mbsync, fetchmail, mutt in a terminal."""
import os
import subprocess

import pytest

from postern import DOMAIN, HOST, PASSWORDS, body_behind_trace, compose, wait_for
from programs import CLEAR, STARTTLS, TLS, fetchmail, mbsync, muttrc, needs, run

pytestmark = pytest.mark.xdist_group("clients")


@needs("curl")
def test_curl_sends_and_reads(instance, tmp_path):
    data = compose("curltag", [f"one@{DOMAIN}"])
    (tmp_path / "message").write_bytes(data)
    run("curl", "-sS", f"smtp://{HOST}:{instance.base + 25}", "--mail-from", "a@elsewhere.test", "--mail-rcpt", f"one@{DOMAIN}",
        "--upload-file", tmp_path / "message")
    login = f"one@{DOMAIN}:{PASSWORDS['one']}"
    wait_for(lambda: instance.delivered_files(), "delivery")
    got = run("curl", "-sS", "-u", login, f"imap://{HOST}:{instance.base + 143}/INBOX;UID=1")
    assert body_behind_trace(got, data) == data
    got = run("curl", "-sS", "-u", login, f"pop3://{HOST}:{instance.base + 110}/1")
    assert body_behind_trace(got, data) == data
    # The SASL way too, not only LOGIN and USER.
    got = run("curl", "-sS", "-u", login, "--login-options", "AUTH=PLAIN", f"imap://{HOST}:{instance.base + 143}/INBOX?SUBJECT%20curltag")
    assert b"SEARCH 1" in got


@needs("mbsync")
def test_mbsync_keeps_both_sides_equal(instance, tmp_path):
    sent = [instance.send() for _ in range(5)]
    wait_for(lambda: len(instance.delivered_files()) == 5, "delivery")
    near, command = tmp_path / "near", mbsync(instance, 143, CLEAR, f"one@{DOMAIN}", PASSWORDS["one"], "LOGIN", tmp_path)
    run(*command)
    here = [p for sub in ("new", "cur") for p in (near / "INBOX" / sub).iterdir()]
    assert len(here) == 5
    tags = {one.tag for one in sent}
    assert all(any(tag in p.read_text() for p in here) for tag in tags)
    # A message written here goes there, one deleted there goes here, flags travel.
    new = near / "INBOX/cur/1700000000.1_1.here:2,S"
    new.write_bytes(compose("fromhere", [f"one@{DOMAIN}"]).replace(b"\r\n", b"\n"))
    imap = instance.imap()
    imap.select("INBOX")
    imap.store("1", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    imap.store("1", "+FLAGS", r"(\Flagged)")
    run(*command)
    imap.noop()
    assert imap.search(None, "SUBJECT", "fromhere")[1][0].split()
    imap.logout()
    here = [p for sub in ("new", "cur") for p in (near / "INBOX" / sub).iterdir()]
    assert len(here) == 5 and sum("F" in p.name.rpartition(",")[2] for p in here) == 1


@needs("fetchmail")
def test_fetchmail_takes_mail_by_pop3_and_imap(instance, tmp_path):
    for protocol, port, user in (("POP3", 110, "one"), ("IMAP", 143, "two")):
        sent = instance.send(to=user)
        wait_for(lambda: instance.delivered_files(user), "delivery")
        command, environment = fetchmail(instance, protocol, port, CLEAR, f"{user}@{DOMAIN}", PASSWORDS[user], "password", tmp_path)
        run(*command, env=environment)
        assert sent.tag in (tmp_path / "got").read_text()
        wait_for(lambda: not instance.messages(user), "fetchmail deletes what it has")


@needs("mutt")
@needs("tmux")
@pytest.mark.parametrize("port, how", [(143, CLEAR), (143, STARTTLS), (993, TLS)])
def test_mutt_in_a_terminal_reads_and_deletes(instance, tmp_path, port, how):
    sent = instance.send(subject="Grüße an mutt")
    wait_for(lambda: instance.delivered_files(), "delivery")
    (tmp_path / "muttrc").write_text(
        muttrc(instance, how) +
        f'set folder="imap{"s" if how == TLS else ""}://one%40{DOMAIN}@{HOST}:{instance.base + port}/"\nset spoolfile="+INBOX"\nset imap_pass="{PASSWORDS["one"]}"\n'
        'set header_cache=""\nset delete=yes\nset mail_check=1\nset charset="utf-8"\n'
        'set quit=yes\nset wait_key=no\nset pager_index_lines=0\n')
    server = f"postern-{os.getpid()}"

    def tmux(*arguments):
        return subprocess.run(["tmux", "-L", server, *arguments], capture_output=True, timeout=20).stdout.decode(errors="replace")

    tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", f"env LC_ALL=C.UTF-8 mutt -n -F {tmp_path}/muttrc")
    try:
        def screen():
            return tmux("capture-pane", "-p")

        wait_for(lambda: "Grüße an mutt" in screen() or print(screen()), "the index", 5, 1)
        tmux("send-keys", "Enter")
        wait_for(lambda: sent.tag in screen(), "the message", 20)
        tmux("send-keys", "i")
        wait_for(lambda: "Msgs:1" in screen() or "Msgs: 1" in screen(), "the index again", 20)
        tmux("send-keys", "d")
        tmux("send-keys", "$")
        wait_for(lambda: not instance.messages(), "deletion", 20)
        tmux("send-keys", "q")
    finally:
        tmux("kill-server")
