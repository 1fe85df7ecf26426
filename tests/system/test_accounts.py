# SPDX-License-Identifier: ISC
"""Domains, users, aliases, passwords and lookup tables of a running instance: what changes counts at once, and errors are never final."""
import concurrent.futures
import fcntl
import imaplib
import json
import os
import poplib
import re
import signal
import smtplib
import socket
import sqlite3
import subprocess
import termios

import pytest

from postern import DOMAIN, HOST, TIMEOUT, wait_for

# None of these tests asks how long a refused login takes.
INSTANCE_SETTINGS = {"auth_failure_delay": "0"}


def login(instance, user, password):
    """True or False; an answer that is neither is an error."""
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    try:
        client.login(user, password)
    except imaplib.IMAP4.error as refused:
        assert b"AUTHENTICATIONFAILED" in refused.args[0], refused
        return False
    finally:
        client.shutdown()
    return True


def rcpt(instance, recipient, sender="a@elsewhere.example"):
    """The reply to RCPT in a session of its own."""
    with instance.smtp() as client:
        client.ehlo("client.example")
        client.mail(sender)
        return client.rcpt(recipient)


def settled(instance, recipient, sender="a@elsewhere.example"):
    """As above, asked again while the answer is "try later"."""
    return wait_for(lambda: next((r for r in [rcpt(instance, recipient, sender)] if r[0] // 100 != 4), None), recipient)


@pytest.mark.core
def test_a_new_user_gets_mail_and_logs_in_at_once_and_a_deleted_one_does_not(instance):
    address = f"three@{DOMAIN}"
    assert rcpt(instance, address)[0] == 550
    assert not login(instance, address, "pw")
    instance.postern("user", "add", address, "--quota", "5M", input="pw\n")
    assert rcpt(instance, address)[0] == 250
    assert login(instance, address, "pw")
    shown = json.loads(instance.postern("user", "show", address, "--json").out)
    del shown["last_login"]
    assert shown == {"address": address, "mailbox": f"{DOMAIN}/three", "quota": 5 << 20, "enabled": True, "app_passwords": []}
    instance.postern("user", "delete", "--yes", address)
    assert rcpt(instance, address)[0] == 550
    assert not login(instance, address, "pw")


@pytest.mark.core
def test_a_changed_password_and_a_disabled_login_count_at_once(instance):
    address = f"one@{DOMAIN}"
    assert login(instance, address, "one-secret")
    instance.postern("user", "passwd", address, input="changed\n")
    assert not login(instance, address, "one-secret")
    assert login(instance, address, "changed")
    instance.postern("user", "disable", address)
    assert not login(instance, address, "changed")
    assert rcpt(instance, address)[0] == 250  # mail still comes in
    instance.postern("user", "enable", address)
    assert login(instance, address, "changed")


HASH = "$6$abcdefgh$" + "a" * 86


@pytest.mark.core
def test_thousands_of_users_come_from_a_list_and_bad_lines_are_told(instance):
    """Good lines are done, the others told with their number; what was listed can be read back in."""
    hashed = subprocess.run(["openssl", "passwd", "-6", "listed"], capture_output=True, text=True, check=True).stdout.strip()
    lines = [f"list{i}@{DOMAIN} hash={hashed} quota=1M" for i in range(3000)]
    lines[10] = f"x y@{DOMAIN} hash={hashed}"
    lines[20] = f"list20@unknown.example hash={hashed}"
    lines[30] = f"list30@{DOMAIN}"
    lines[40] = f"list40@{DOMAIN} password=plain"
    lines[50] = json.dumps({"address": f"list50@{DOMAIN}", "password": "with blanks in it", "enabled": False})
    lines[60] = f"list60@{DOMAIN} hash=nonsense"
    done = instance.postern("user", "add", "-", "--json", input="\n".join(lines) + "\n", check=False)
    assert done.returncode == 65
    told = [json.loads(line) for line in done.out.splitlines()]
    assert {t["line"] for t in told[:-1]} == {11, 21, 31, 61}
    assert told[-1] == {"added": 2996, "refused": 4}
    assert login(instance, f"list7@{DOMAIN}", "listed")
    assert login(instance, f"list40@{DOMAIN}", "plain")
    assert not login(instance, f"list50@{DOMAIN}", "with blanks in it")
    instance.postern("user", "enable", f"list50@{DOMAIN}")
    assert login(instance, f"list50@{DOMAIN}", "with blanks in it")
    listed = instance.postern("user", "list", "--json").out
    mine = [line for line in listed.splitlines() if '"list' in line]
    assert len(mine) == 2996
    gone = instance.postern("user", "delete", "--yes", "-", input="\n".join(mine))
    assert gone.out == "2996 deleted, 0 refused\n"
    assert not login(instance, f"list40@{DOMAIN}", "plain")
    assert rcpt(instance, f"list40@{DOMAIN}")[0] == 550


def test_objects_of_a_list_hold_what_they_say_and_nothing_else(instance):
    """null is no password, what is no text is none either, and a member that nobody knows is a mistake."""
    address = f"object@{DOMAIN}"
    for members, error in (({"password": None}, "no password"), ({"password": True}, '"password" has to be a text'),
                           ({"password": ["p1", "p2"]}, '"password" has to be a text'), ({"hash": 1}, '"hash" has to be a text'),
                           ({"pasword": "x"}, '"pasword" is not known'), ({"address": [address, address]}, '"address" has to be a text')):
        done = instance.postern("user", "add", "-", "--json", input=json.dumps({"address": address, **members}) + "\n", check=False)
        refused, summary = map(json.loads, done.out.splitlines())
        assert done.returncode == 65 and error in refused["error"] and refused["line"] == 1
        assert summary == {"added": 0, "refused": 1}
    done = instance.postern("domain", "add", "-", input='{"domain": null}\n{"domain": ["a.example", "b.example"]}\n', check=False)
    assert done.returncode == 65 and done.out == "0 added, 2 refused\n"
    lines = "\n".join([f"none1@{DOMAIN} --no-password", json.dumps({"address": f"none2@{DOMAIN}", "no_password": True}),
                       f"none3@{DOMAIN} no_password=true", f"none4@{DOMAIN} pasword=x", f"none5@{DOMAIN} password=with blanks"])
    done = instance.postern("user", "add", "-", input=lines + "\n", check=False)
    assert done.returncode == 65 and done.out == "3 added, 2 refused\n"
    assert '"pasword" is not known' in done.err and "more words than this takes" in done.err
    assert instance.postern("user", "passwd", f"one@{DOMAIN}", "--no-password", check=False).returncode == 64
    assert not login(instance, f"none1@{DOMAIN}", "null")


def test_listed_users_who_have_logged_in_are_read_back(make_instance):
    instance = make_instance(settings={**INSTANCE_SETTINGS, "auth_last_login_interval": "1s"})
    instance.start()
    assert login(instance, f"one@{DOMAIN}", "one-secret")
    instance.postern("user", "app", "add", f"one@{DOMAIN}", "phone")

    def list_users():
        listed = instance.postern("user", "list", "--json").out
        return listed if any(json.loads(line)["last_login"] for line in listed.splitlines()) else None

    listed = wait_for(list_users, "the login to be written down")
    assert instance.postern("user", "disable", "-", input=listed).out.endswith(" disabled, 0 refused\n")
    assert instance.postern("user", "enable", "-", input=instance.postern("user", "show", f"one@{DOMAIN}", "--json").out).out == "1 enabled, 0 refused\n"
    domains = instance.postern("domain", "list", "--json").out
    done = instance.postern("domain", "delete", "--yes", "-", input=domains, check=False)
    assert "still has mailboxes" in done.err and done.out == "0 deleted, 1 refused\n"


def test_all_or_nothing(instance):
    lines = f"both1@{DOMAIN} hash={HASH}\nboth1@{DOMAIN} hash={HASH}\n"
    done = instance.postern("user", "add", "-", "--all-or-nothing", input=lines, check=False)
    assert done.returncode == 65 and "line 2: mailbox both1" in done.err and done.out.startswith("0 added")
    assert rcpt(instance, f"both1@{DOMAIN}")[0] == 550


def test_domains_and_aliases_come_from_lists_too(instance):
    instance.postern("domain", "add", "-", input='one.example\n{"domain": "two.example"}\n')
    instance.postern("alias", "add", "-", input=f'a@one.example one@{DOMAIN} two@{DOMAIN}\n'
                                                f'{{"address": "@two.example", "destination": "one@{DOMAIN}"}}\n')
    assert rcpt(instance, "a@one.example")[0] == 250 and rcpt(instance, "anybody@two.example")[0] == 250
    refused = instance.postern("domain", "delete", "--yes", "-", input="one.example\n", check=False)
    assert refused.returncode == 65 and "still has" in refused.err
    aliases = instance.postern("alias", "list", "--json").out
    assert instance.postern("alias", "delete", "--yes", "-", input=aliases).out == "3 deleted, 0 refused\n"
    assert instance.postern("domain", "delete", "--yes", "one.example", "two.example", "--json").out == '{"deleted": 1, "refused": 0}\n'
    assert [json.loads(d)["domain"] for d in instance.postern("domain", "list", "--json").out.splitlines()] == [DOMAIN]


@pytest.mark.core
def test_a_renamed_user_keeps_mail_and_password(instance):
    sent = instance.send(to="one")
    instance.wait_message(sent)
    instance.postern("user", "rename", f"one@{DOMAIN}", f"uno@{DOMAIN}", "--keep-address")
    assert not login(instance, f"one@{DOMAIN}", "one-secret")
    box = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    box.login(f"uno@{DOMAIN}", "one-secret")
    assert box.select() == ("OK", [b"1"])
    with instance.smtp() as client:
        client.sendmail("a@elsewhere.example", [f"one@{DOMAIN}"], b"Subject: to the old address\r\n\r\nbody\r\n")
    wait_for(lambda: box.select()[1] == [b"2"], "mail for the old address")
    box.logout()
    # Whoever gets the old address as his own does not get the old mail.
    instance.postern("alias", "delete", "--yes", f"one@{DOMAIN}")
    instance.postern("user", "add", f"one@{DOMAIN}", input="another\n")
    box = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    box.login(f"one@{DOMAIN}", "another")
    assert box.select() == ("OK", [b"0"])
    box.logout()


def test_aliases_follow_a_renamed_user_and_those_of_a_deleted_one_are_told(make_instance):
    instance = make_instance(settings={**INSTANCE_SETTINGS, "recipient_delimiter": "+"})
    instance.start()
    for destination in (f"One@{DOMAIN}", f"two@{DOMAIN}"):
        instance.postern("alias", "add", f"team@{DOMAIN}", destination)
    instance.postern("alias", "add", f"work@{DOMAIN}", f"one+work@{DOMAIN}")
    instance.postern("alias", "add", f"one@{DOMAIN}", f"one@{DOMAIN}", "copy@elsewhere.example")
    assert instance.postern("user", "rename", f"one@{DOMAIN}", f"uno@{DOMAIN}", "--keep-address").out == "3 aliases lead to the new address\n"
    with instance.smtp() as client:
        client.sendmail("a@elsewhere.example", [f"team@{DOMAIN}"], b"Subject: follow\r\n\r\n")
        client.sendmail("a@elsewhere.example", [f"work@{DOMAIN}"], b"Subject: extension\r\n\r\n")
    instance.wait_log(rf"to=<uno@{DOMAIN}>, orig_to=<team@{DOMAIN}>, .*status=sent")
    instance.wait_log(rf"to=<uno\+work@{DOMAIN}>, orig_to=<work@{DOMAIN}>, .*status=sent")
    done = json.loads(instance.postern("user", "rename", f"uno@{DOMAIN}", f"one@{DOMAIN}", "--json").out)
    assert done == {"renamed": 1, "refused": 0, "sessions_ended": 0, "aliases_changed": 3}
    done = instance.postern("user", "delete", "--yes", f"two@{DOMAIN}")
    assert f"alias team@{DOMAIN} leads to two@{DOMAIN}, which is no mailbox any more" in done.err
    done = json.loads(instance.postern("user", "delete", "--yes", "--json", f"one@{DOMAIN}").out)
    # The rest of them leads to the alias, which has somebody else.
    assert done["aliases_dangling"] == [{"address": f"one@{DOMAIN}", "destination": f"one@{DOMAIN}"}]
    lines = "".join(json.dumps(alias) + "\n" for alias in done["aliases_dangling"])
    assert instance.postern("alias", "delete", "--yes", "-", input=lines).out == "1 deleted, 0 refused\n"


@pytest.mark.core
def test_mail_of_a_deleted_user_is_kept_unless_told(instance, tmp_path):
    folder = instance.path / "mail" / DOMAIN / "one"
    instance.wait_message(instance.send(to="one"))
    instance.postern("user", "delete", "--yes", f"one@{DOMAIN}")
    assert list((folder / "new").iterdir()) + list((folder / "cur").iterdir())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("not mail")
    (folder / "link").symlink_to(outside)
    instance.postern("user", "delete", "--yes", f"one@{DOMAIN}", "--purge-mail")
    assert not folder.exists() and (outside / "file").exists()
    instance.wait_message(instance.send(to="two"), user="two")
    instance.postern("user", "delete", "--yes", f"two@{DOMAIN}", "--purge-mail")
    assert not (folder.parent / "two").exists()
    assert instance.postern("user", "delete", "--yes", f"two@{DOMAIN}", "--purge-mail", check=False).returncode == 65


def on_a_terminal(instance, answer, *arguments, **redirected):
    """Exit status of a command with a controlling terminal, and what was shown there; the answer comes when something is asked."""
    terminal, other = os.openpty()
    child = subprocess.Popen([str(instance.bin / "postern"), "-c", str(instance.etc), *arguments], start_new_session=True, pass_fds=(other,),
                             preexec_fn=lambda: fcntl.ioctl(other, termios.TIOCSCTTY, 0),
                             **{"stdin": other, "stdout": other, "stderr": other, **redirected})
    os.close(other)
    output = b""
    try:
        while chunk := os.read(terminal, 4096):
            if b"? [y/N] " in chunk:
                os.write(terminal, answer)
            output += chunk
    except OSError:
        pass  # its end
    os.close(terminal)
    return child.wait(TIMEOUT), output


@pytest.mark.parametrize("elsewhere", [(), ("stderr",), ("stdin",), ("stdin", "stdout", "stderr")])
def test_deleting_asks_on_the_terminal_wherever_the_streams_lead(instance, elsewhere):
    streams = {name: subprocess.DEVNULL for name in elsewhere}
    status, output = on_a_terminal(instance, b"n\n", "user", "delete", f"one@{DOMAIN}", **streams)
    assert status == 65 and b"delete user one@" in output
    assert login(instance, f"one@{DOMAIN}", "one-secret")
    status, output = on_a_terminal(instance, b"y\n", "user", "delete", f"one@{DOMAIN}", **streams)
    assert status == 0
    assert not login(instance, f"one@{DOMAIN}", "one-secret")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_shows_again_what_is_typed_when_the_password_prompt_is_left(instance, sent):
    terminal, other = os.openpty()
    output = b""

    def shows():
        return bool(termios.tcgetattr(other)[3] & termios.ECHO)

    def asked(times):
        nonlocal output
        while output.count(b"Password: ") < times:
            output += os.read(terminal, 4096)
        wait_for(lambda: not shows(), "a terminal that shows nothing")

    child = subprocess.Popen([str(instance.bin / "postern"), "-c", str(instance.etc), "user", "passwd", f"one@{DOMAIN}"], start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(other, termios.TIOCSCTTY, 0), stdin=other, stdout=other, stderr=other)
    asked(1)
    os.write(terminal, b"\x1a")  # has no effect, as nobody could continue it: it asks anew
    asked(2)
    os.write(terminal, {signal.SIGINT: b"half\x03", signal.SIGQUIT: b"half\x1c"}.get(sent, b"half"))
    if sent in (signal.SIGTERM, signal.SIGHUP):
        child.send_signal(sent)
    assert child.wait(TIMEOUT) == -sent
    assert shows() and b"half" not in output
    os.close(terminal)
    os.close(other)
    assert login(instance, f"one@{DOMAIN}", "one-secret")


def test_deleting_without_a_terminal_wants_yes(instance):
    address = f"one@{DOMAIN}"
    instance.postern("alias", "add", f"info@{DOMAIN}", address)
    for arguments in (["user", "delete", address], ["user", "delete", "-"], ["alias", "delete", f"info@{DOMAIN}"], ["domain", "delete", DOMAIN]):
        done = instance.postern(*arguments, check=False, input=f"{address}\n", start_new_session=True)
        assert done.returncode == 64 and "--yes" in done.err
    assert login(instance, address, "one-secret") and rcpt(instance, f"info@{DOMAIN}")[0] == 250
    # A list is asked for as a whole.
    with subprocess.Popen(["echo", address], stdout=subprocess.PIPE) as lines:
        status, output = on_a_terminal(instance, b"n\n", "user", "delete", "-", stdin=lines.stdout)
    assert status == 65 and b"delete 1 of user by the list? " in output
    assert login(instance, address, "one-secret")
    # Lines that are refused are not among those that would be deleted; when it is all of them there is nothing to ask.
    with subprocess.Popen(["printf", f"{address}\\nx y\\n{{\\n"], stdout=subprocess.PIPE) as lines:
        status, output = on_a_terminal(instance, b"n\n", "user", "delete", "-", stdin=lines.stdout)
    assert status == 65 and b"delete 1 of user by the list? " in output
    with subprocess.Popen(["printf", "x y\\n{\\n"], stdout=subprocess.PIPE) as lines:
        status, output = on_a_terminal(instance, b"n\n", "user", "delete", "-", stdin=lines.stdout)
    assert status == 65 and b"[y/N]" not in output and b"0 deleted, 2 refused" in output
    # What is asked about is all that would be done.
    status, output = on_a_terminal(instance, b"n\n", "alias", "delete", f"info@{DOMAIN}", address)
    assert status == 65 and f"delete alias info@{DOMAIN} {address}? ".encode() in output


@pytest.mark.core
def test_a_command_that_was_killed_leaves_both_databases_alike(make_instance):
    """Whenever it dies, the mailboxes and the logins are the same ones after the next start."""
    instance = make_instance()
    for round in range(8):
        lines = "".join(f"kill{round}x{i}@{DOMAIN} hash={HASH}\n" for i in range(2000))
        command = subprocess.Popen([str(instance.bin / "postern"), "-c", str(instance.etc), "user", "add", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, user=instance.user.pw_uid if instance.user else None, text=True)
        try:
            command.communicate(lines, timeout=0.02 + round * 0.02)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
    instance.start()
    instance.stop()
    with sqlite3.connect(instance.path / "data" / "directory" / "accounts.db") as accounts:
        mailboxes = {row[0] for row in accounts.execute("SELECT address FROM mailboxes")}
    with sqlite3.connect(instance.path / "data" / "auth" / "credentials.db") as credentials:
        logins = {row[0] for row in credentials.execute("SELECT login FROM credentials WHERE enabled")}
        assert credentials.execute("SELECT count(*) FROM staged").fetchone() == (0,)
    assert mailboxes == logins


def test_login_names_without_domain_get_the_realm(instance):
    assert login(instance, "One", "one-secret")
    assert not login(instance, "one@example.net", "one-secret")


def test_a_crowd_of_logins_is_not_mixed_up(instance):
    attempts = [("one", "one-secret", True), ("two", "two-secret", True), ("one", "two-secret", False), ("two", "one-secret", False)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        tries = [(pool.submit(login, instance, f"{u}@{DOMAIN}", p), good) for u, p, good in attempts * 8]
        for attempt, good in tries:
            assert attempt.result() == good


def test_sasl_plain_and_login_over_imap_and_pop3(instance):
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    client.authenticate("PLAIN", lambda _: f"\0one@{DOMAIN}\0one-secret".encode())
    client.logout()
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    answers = iter([f"two@{DOMAIN}".encode(), b"two-secret"])
    client.authenticate("LOGIN", lambda _: next(answers))
    client.logout()
    pop = poplib.POP3(HOST, instance.base + 110, timeout=TIMEOUT)
    pop.user(f"one@{DOMAIN}")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop.pass_("wrong")
    pop.close()
    assert f"auth: user=<one@{DOMAIN}> service=pop3 mech=PLAIN rip=127.0.0.1 failed" in instance.log()


def test_a_hash_of_another_system_is_taken_over(instance):
    hashed = subprocess.run(["openssl", "passwd", "-6", "from elsewhere"], capture_output=True, text=True, check=True).stdout.strip()
    instance.postern("user", "passwd", f"one@{DOMAIN}", "--hash", hashed)
    assert login(instance, f"one@{DOMAIN}", "from elsewhere")
    refused = instance.postern("user", "passwd", f"one@{DOMAIN}", "--hash", "plain text", check=False)
    assert refused.returncode == 65


@pytest.mark.core
def test_aliases_work_at_once_and_postmaster_always(instance):
    assert rcpt(instance, "postmaster")[0] == 250
    assert rcpt(instance, f"Postmaster@{DOMAIN}")[0] == 250
    assert rcpt(instance, f"info@{DOMAIN}")[0] == 550
    instance.postern("alias", "add", f"info@{DOMAIN}", f"one@{DOMAIN}", f"two@{DOMAIN}")
    assert rcpt(instance, f"info@{DOMAIN}")[0] == 250
    with instance.smtp() as client:
        client.sendmail("a@elsewhere.example", [f"info@{DOMAIN}"], b"Subject: to both\r\n\r\nbody\r\n")
    for user in ("one", "two"):
        box = instance.imap(user)
        wait_for(lambda: box.select()[1] == [b"1"], f"mail for {user}")
        box.logout()
    instance.postern("alias", "delete", "--yes", f"info@{DOMAIN}")
    assert rcpt(instance, f"info@{DOMAIN}")[0] == 550


def test_commands_refuse_what_is_wrong(instance):
    for arguments, status in (
        (["user", "add", f"../../x@{DOMAIN}"], 65),
        (["user", "add", "a@unknown.example"], 65),
        (["user", "add", f"one@{DOMAIN}"], 65),
        (["user", "quota", f"one@{DOMAIN}", "much"], 65),
        (["user", "delete", "--yes", f"nobody@{DOMAIN}"], 65),
        (["domain", "add", "not a domain"], 65),
        (["domain", "delete", "--yes", DOMAIN], 65),
        (["alias", "add", f"x@{DOMAIN}", "no-address"], 65),
        (["domain"], 64),
    ):
        done = instance.postern(*arguments, check=False, input="pw\n")
        assert done.returncode == status, (arguments, done.err)
        assert done.err


def test_commands_tell_what_is_wrong(instance):
    one = f"one@{DOMAIN}"
    for arguments, status, text in (
        (["user", "frob"], 64, "no such action: frob (there are add, list, "),
        (["user", "show"], 64, "show needs more words"),
        (["user", "show", one, one], 64, "show takes fewer words"),
        (["user", "show", "-"], 64, "show takes no list"),
        (["user", "show", one, "--jsn"], 64, "no such option: --jsn"),
        (["user", "add", one, "--quota"], 64, "--quota: no value"),
        (["user", "show", one, "--kick"], 64, "--kick is not for show"),
        (["user", "passwd", one, "--no-password"], 64, "--no-password is not for passwd"),
        (["user", "quota", one, "-5"], 65, "a quota is a number of bytes, as 500M or 2G: -5"),
        (["user", "list", "nosuch.example"], 65, "no such domain: nosuch.example"),
        (["alias", "list", "nosuch.example"], 65, "no such domain: nosuch.example"),
        (["kick", f"nobody@{DOMAIN}"], 65, f"no such mailbox: nobody@{DOMAIN}"),
    ):
        done = instance.postern(*arguments, check=False, input="pw\n")
        assert done.returncode == status and text in done.err and done.err.count("\n") == 1, (arguments, done.err)
    assert instance.postern("kick", one).out == "0 sessions ended\n"
    assert json.loads(instance.postern("user", "list", DOMAIN.upper(), "--json").out.splitlines()[0])["address"] == one
    # What is skipped is a warning, and what ends the command is not.
    done = instance.postern("user", "enable", "-", input=f"{one}\nnobody@{DOMAIN}\n", check=False)
    assert done.returncode == 65 and f"user: warning: line 2: no such mailbox: nobody@{DOMAIN}\n" in done.err


def test_a_changed_table_is_noticed_without_reload(make_instance):
    instance = make_instance()
    table = instance.etc / "virtual"
    table.write_text(f"first@{DOMAIN} one@{DOMAIN}\n")
    instance.run("postmap", f"hash:{table}")
    instance.configure(virtual_alias_maps=f"hash:{table}")
    instance.start()
    assert rcpt(instance, f"first@{DOMAIN}")[0] == 250
    assert rcpt(instance, f"second@{DOMAIN}")[0] == 550
    table.write_text(f"second@{DOMAIN} one@{DOMAIN}\n")
    before = len(instance.log())
    instance.run("postmap", f"hash:{table}")
    instance.wait_log(r"has changed -- restarting", after=before)
    assert settled(instance, f"second@{DOMAIN}")[0] == 250
    assert settled(instance, f"first@{DOMAIN}")[0] == 550


@pytest.mark.core
def test_a_switched_link_to_a_table_is_noticed_without_reload(make_instance):
    instance = make_instance()
    for name in ("first", "second"):
        (instance.etc / name).mkdir()
        (instance.etc / name / "virtual").write_text(f"{name}@{DOMAIN} one@{DOMAIN}\n")
    current = instance.etc / "current"
    current.symlink_to("first")
    instance.configure(virtual_alias_maps=f"texthash:{current}/virtual")
    instance.start()
    assert rcpt(instance, f"first@{DOMAIN}")[0] == 250
    assert rcpt(instance, f"second@{DOMAIN}")[0] == 550
    (instance.etc / "new").symlink_to("second")
    (instance.etc / "new").rename(current)
    instance.wait_log(r"has changed -- restarting")
    assert settled(instance, f"second@{DOMAIN}")[0] == 250
    assert settled(instance, f"first@{DOMAIN}")[0] == 550
    assert instance.log().count("has changed -- restarting") == 1


def test_sqlite_table_sees_new_rows(make_instance):
    instance = make_instance()
    data, cf = instance.etc / "aliases.sqlite", instance.etc / "aliases.cf"
    with sqlite3.connect(data) as db:
        db.execute("CREATE TABLE aliases (address TEXT PRIMARY KEY, goto TEXT)")
    os.chmod(data, 0o644)
    cf.write_text(f"dbpath = {data}\nquery = SELECT goto FROM aliases WHERE address = '%s'\n")
    instance.configure(virtual_alias_maps=f"sqlite:{cf}")
    instance.start()
    assert rcpt(instance, f"row@{DOMAIN}")[0] == 550
    with sqlite3.connect(data) as db:
        db.execute("INSERT INTO aliases VALUES (?, ?)", (f"row@{DOMAIN}", f"one@{DOMAIN}"))
    wait_for(lambda: rcpt(instance, f"row@{DOMAIN}")[0] == 250, "the new row", 5)
    assert rcpt(instance, f"x' OR '1'='1@{DOMAIN}")[0] in (550, 553, 501)


@pytest.mark.parametrize("parameter", ["virtual_alias_maps", "virtual_mailbox_domains", "transport_maps"])
def test_a_table_that_fails_makes_nobody_unknown(make_instance, parameter):
    instance = make_instance()
    instance.configure(**{parameter: "fail:"})
    instance.start()
    if parameter == "transport_maps":
        with instance.smtp() as client:
            client.sendmail("a@elsewhere.example", [f"one@{DOMAIN}"], b"Subject: later\r\n\r\n")
        instance.wait_log(r"status=deferred")
        assert "status=bounced" not in instance.log()
    else:
        recipient = f"nobody@{DOMAIN}" if parameter == "virtual_alias_maps" else "x@elsewhere.example"
        assert rcpt(instance, recipient)[0] // 100 == 4


@pytest.mark.parametrize("daemon", ["directoryd", "authd"])
def test_service_comes_back_after_a_crash(instance, daemon):
    (pid,) = instance.processes(daemon)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: set(instance.processes(daemon)) - {pid}, "a new one")
    assert settled(instance, f"one@{DOMAIN}")[0] == 250
    wait_for(lambda: _logs_in(instance), "a login")


def _logs_in(instance):
    try:
        return login(instance, f"one@{DOMAIN}", "one-secret")
    except AssertionError:
        return False  # "temporarily unavailable" is a fair answer meanwhile


def test_international_domains_are_the_same_in_both_forms(make_instance):
    """Registered in either form, written in either form: one mailbox, one copy, the log as the client wrote it."""
    instance = make_instance()
    (instance.etc / "aliases").write_text(f"chef@küche.test köchin@bücher.test\nkoch@xn--kche-0ra.test one@{DOMAIN}\n")
    instance.configure(virtual_alias_domains="küche.test", virtual_alias_maps=f"texthash:{instance.etc}/aliases",
                       smtpd_recipient_restrictions="check_recipient_access inline:{{nobody@bücher.test = REJECT not him}}")
    instance.start()
    instance.postern("domain", "add", "bücher.test")
    instance.postern("user", "add", "köchin@Bücher.test", input="pw\n")
    instance.postern("user", "add", "plain@xn--bcher-kva.test", input="pw\n")
    assert json.loads(instance.postern("user", "show", "köchin@bücher.test", "--json").out)["address"] == "köchin@xn--bcher-kva.test"

    def send(*recipients):
        with smtplib.SMTP(HOST, instance.base + 25, timeout=TIMEOUT) as client:
            return client.sendmail("süß@größe.test", recipients, "Subject: Grüße\r\n\r\nx\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])

    folder = instance.path / "mail" / "xn--bcher-kva.test"

    def delivered(name):
        return [p.read_bytes() for p in (folder / name / "new").glob("*")]

    assert send("köchin@bücher.test", "köchin@xn--bcher-kva.test", "plain@BÜCHER.test") == {}
    instance.wait_log(r"to=<köchin@bücher\.test>, relay=virtual, .*status=sent")
    instance.wait_log(r"to=<plain@BÜCHER\.test>, relay=virtual, .*status=sent")
    assert len(delivered("köchin")) == len(delivered("plain")) == 1
    assert send("chef@küche.test") == {} and send("chef@xn--kche-0ra.test") == {}
    instance.wait_log(r"to=<köchin@xn--bcher-kva\.test>, orig_to=<chef@küche\.test>, .*status=sent")
    wait_for(lambda: len(delivered("köchin")) == 3, "both")
    assert send("koch@küche.test") == {}
    wait_for(lambda: instance.delivered_files("one"), "the mail for koch")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send("nobody@bücher.test")
    assert refused.value.recipients["nobody@bücher.test"] == (554, "5.7.1 <nobody@bücher.test>: Recipient address rejected: not him".encode())
    instance.wait_log(r"reject: RCPT from .*: 554 5\.7\.1 <nobody@bücher\.test>: .*to=<nobody@bücher\.test>")
    assert login(instance, "plain@xn--bcher-kva.test", "pw")
    client = imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)
    client.authenticate("PLAIN", lambda _: "\0plain@bücher.test\0pw".encode())
    assert client.select("INBOX") == ("OK", [b"1"])
    client.logout()


def test_access_tables_of_restrictions_are_asked(make_instance):
    instance = make_instance()
    (instance.etc / "senders").write_text("bad.example REJECT go away\nfriend@bad.example OK\n")
    instance.run("postmap", f"hash:{instance.etc}/senders")
    (instance.etc / "patterns").write_text("/^spam.*@/ 554 5.7.1 pattern $$\n/^good\\.example$/ REJECT not a whole address\n")
    instance.configure(smtpd_sender_restrictions=f"check_sender_access hash:{instance.etc}/senders, "
                                                 f"check_sender_access pcre:{instance.etc}/patterns",
                       mynetworks="192.0.2.0/24")
    instance.start()
    assert rcpt(instance, f"one@{DOMAIN}", "friend@bad.example")[0] == 250
    code, text = rcpt(instance, f"one@{DOMAIN}", "other@sub.bad.example")
    assert code == 554 and b"go away" in text
    code, text = rcpt(instance, f"one@{DOMAIN}", "spammer@good.example")
    assert code == 554 and b"pattern $" in text
    assert rcpt(instance, f"one@{DOMAIN}", "nice@good.example")[0] == 250


def test_refusals_end_with_the_footer_of_the_entry(make_instance):
    instance = make_instance(settings={"smtpd_reject_footer": r"\c. Ask $server_name about $client_address\nat $localtime",
                                       "smtpd_reject_unlisted_sender": "yes", "myhostname": "mx.example.test"})
    instance.start()
    code, text = rcpt(instance, f"one@{DOMAIN}", f"nobody@{DOMAIN}")
    assert code == 550
    first, second = text.decode().split("\n")
    assert first == (f"5.1.0 <nobody@{DOMAIN}>: Sender address rejected: User unknown in virtual mailbox table. "
                     "Ask mx.example.test about 127.0.0.1")
    assert re.fullmatch(r"5\.1\.0 at [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d", second)
    assert rcpt(instance, f"one@{DOMAIN}", f"two@{DOMAIN}")[0] == 250


def test_access_tables_of_overrides_in_master_cf_are_asked_too(make_instance):
    instance = make_instance()
    (instance.etc / "friends").write_text("friend.example OK\n")
    port = instance.base + 588  # not one of the entries that are there
    with open(instance.etc / "master.cf", "a") as master_cf:
        master_cf.write(f"127.0.0.1:{port} inet n - y - 1 smtpd\n"
                        f"  -o {{ smtpd_sender_restrictions = check_sender_access texthash:{instance.etc}/friends, reject }}\n"
                        "  -o mynetworks=192.0.2.0/24\n")
    instance.start()
    listening = [p for p in (port, port + instance.base) if _accepts(p)]
    assert listening
    with smtplib.SMTP(HOST, listening[0], timeout=TIMEOUT) as client:
        client.ehlo("client.example")
        client.mail("a@friend.example")
        assert client.rcpt(f"one@{DOMAIN}")[0] == 250
        client.rset()
        client.mail("a@stranger.example")
        assert client.rcpt(f"one@{DOMAIN}")[0] == 554


def _accepts(port):
    if port > 65535:
        return False
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
