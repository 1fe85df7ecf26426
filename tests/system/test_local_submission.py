# SPDX-License-Identifier: ISC
"""Mail of local users: sendmail(1) with the suite running and stopped, maildrop, and what cleanup makes of messages."""
import os
import pathlib
import pwd
import re

import pytest

from postern import wait_for

NOBODY = pwd.getpwnam("nobody")


def one_file(instance, user="one", count=1):
    files = wait_for(lambda: len(f := instance.delivered_files(user)) >= count and f, f"mail for {user}\n{instance.log_tail()}")
    assert len(files) == count
    return max(files, key=lambda p: p.stat().st_mtime).read_bytes()


def headers(raw, name):
    head = raw.split(b"\n\n")[0].decode()
    return re.findall(rf"^{name}:[ \t]*(.*(?:\n[ \t].*)*)", head, re.M | re.I)


def maildrop(instance):
    return sorted(p.name for p in (instance.path / "queue/maildrop").iterdir())


@pytest.mark.core
def test_sendmail_hands_in_and_the_message_is_completed(instance):
    instance.run("sendmail", "-F", "Ann Other", "-f", "ann@example.test", "one@example.test", input="Subject: a\n\nbody\n.\nnot sent\n")
    raw = one_file(instance)
    assert raw.endswith(b"\n\nbody\n")
    assert headers(raw, "From") == ["Ann Other <ann@example.test>"]
    assert len(headers(raw, "Date")) == len(headers(raw, "Message-Id")) == 1
    assert re.match(r"by \S+ \(Postern, from userid \d+\)\n\tid [0-9A-Z]{16}; ", headers(raw, "Received")[0])
    match = instance.wait_log(r"pickup\[\d+\]: ([0-9A-Z]{16}): uid=(\d+) from=<ann@example\.test>")
    message_id = headers(raw, "Message-Id")[0]
    assert f"{match[1]}: message-id={message_id}" in instance.log()


def test_dash_t_takes_recipients_from_the_headers_and_hides_bcc(instance):
    text = "To: One <one@example.test>,\r\n (a comment) nobody-here: ;\r\nBcc: two@example.test\r\nSubject: t\r\n\r\nbody\r\n"
    instance.run("sendmail", "-t", "-i", input=text)
    for user in ("one", "two"):
        raw = one_file(instance, user)
        assert b"\r" not in raw
        assert not headers(raw, "Bcc")


def test_dash_t_after_resending_takes_the_resent_headers_only(instance):
    instance.run("sendmail", "-t", input="To: one@example.test\nResent-To: two@example.test\nSubject: t\n\nbody\n")
    raw = one_file(instance, "two")
    assert headers(raw, "Resent-Date") and headers(raw, "Resent-From") and headers(raw, "Resent-Message-Id")
    assert not instance.delivered_files("one")


def test_dash_i_keeps_the_lone_dot(instance):
    instance.run("sendmail", "-oi", "one@example.test", input="Subject: a\n\nx\n.\ny\n")
    assert one_file(instance).endswith(b"\n\nx\n.\ny\n")


def test_other_names_and_modes_of_sendmail(instance):
    etc = str(instance.etc)
    assert instance.run("sendmail", "-C", etc, "-bp").out == "Mail queue is empty\n"
    for arguments in (["-q"], ["-qRexample.test"], ["-q30m"], ["-bi"]):
        instance.run("sendmail", "-C", etc, *arguments)
    assert instance.run("mailq").out == "Mail queue is empty\n"


def test_null_sender_and_the_callers_own_name(instance):
    instance.run("sendmail", "-f", "<>", "one@example.test", input="\nx\n")
    assert headers(one_file(instance), "Return-Path") == ["<>"]
    instance.run("sendmail", "one@example.test", input="\nx\n", as_user=NOBODY if os.geteuid() == 0 else None)
    if os.geteuid() == 0:
        instance.wait_log(rf"uid={NOBODY.pw_uid} from=<nobody@")


def test_exit_codes_are_those_of_sysexits(instance):
    def code(*arguments, text="Subject: a\n\nb\n"):
        return instance.run("sendmail", *arguments, input=text, check=False).returncode

    assert code() == 64
    assert code("-bx") == 64
    assert code("-t", text="Subject: nobody\n\n") == 64
    assert code("a b@@example.test") == 67
    instance.configure(message_size_limit=2000)
    assert code("one@example.test", text="Subject: a\n\n" + "x" * 3000) == 69
    assert code("-C", "/nonexistent", "one@example.test") == 78
    assert code("-odi", "-om", "-oem", "-v", "-n", "-G", "-U", "-Oname=value", "-hx", "-Lx", "one@example.test") == 0


@pytest.mark.core
def test_mail_waits_in_maildrop_while_the_suite_is_stopped(instance):
    instance.stop()
    who = NOBODY if os.geteuid() == 0 and not instance.user else None
    instance.run("sendmail", "-f", "ann@example.test", "one@example.test", input="Subject: spooled\n\nbody\n", as_user=who)
    names = maildrop(instance)
    assert len(names) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", names[0])
    instance.start()
    assert headers(one_file(instance), "Subject") == ["spooled"]
    assert wait_for(lambda: not maildrop(instance), "maildrop is empty") is True
    if who:
        instance.wait_log(rf"uid={NOBODY.pw_uid} from=<ann@example\.test>")


@pytest.mark.core
def test_rubbish_in_maildrop_is_set_aside_and_stops_nothing(instance):
    instance.stop()
    drop = instance.path / "queue/maildrop"
    instance.run("sendmail", "-f", "ann@example.test", "one@example.test", input="Subject: good\n\nbody\n")
    good = (drop / maildrop(instance)[0]).read_bytes()
    owner = drop.stat()
    (drop / "0garbage").write_bytes(os.urandom(5000))
    (drop / "0empty").write_bytes(b"")
    (drop / "0torn").write_bytes(good[:-3])
    (drop / "0unfinished.tmp").write_bytes(good)
    (drop / "0link").symlink_to("/etc/passwd")
    os.mkfifo(drop / "0pipe")
    (drop / "0folder").mkdir()
    (drop / "0twice").write_bytes(good)
    os.link(drop / "0twice", instance.path / "linked")
    for entry in drop.iterdir():
        os.chown(entry, owner.st_uid, owner.st_gid, follow_symlinks=False)
    instance.start()
    assert headers(one_file(instance), "Subject") == ["good"]
    kept = ["0empty.bad", "0folder.bad", "0garbage.bad", "0torn.bad", "0twice.bad", "0unfinished.tmp"]
    wait_for(lambda: maildrop(instance) == kept, f"{kept} in maildrop, not {maildrop(instance)}\n{instance.log_tail()}")
    before = instance.log().count("maildrop/")
    instance.run("sendmail", "-f", "ann@example.test", "one@example.test", input="Subject: again\n\nbody\n")
    instance.reload()
    one_file(instance, count=2)
    assert instance.log().count("maildrop/") == before
    assert pathlib.Path("/etc/passwd").exists()


def test_same_address_twice_is_delivered_once(instance):
    with instance.smtp() as smtp:
        smtp.sendmail("a@elsewhere.test", ["one@example.test", "ONE@example.test", "one@EXAMPLE.test"], "Subject: a\n\nb\n")
    one_file(instance)
    instance.wait_log(r"nrcpt=1 \(queue active\)")


def test_aliases_expand_once_each(make_instance):
    instance = make_instance(
        settings={"virtual_alias_maps": "inline:{all@example.test={one@example.test, two@example.test}, both@example.test={all@example.test, one@example.test}}"}
    )
    instance.start()
    with instance.smtp() as smtp:
        smtp.sendmail("a@elsewhere.test", ["both@example.test", "one@example.test"], "Subject: a\n\nb\n")
    for user in ("one", "two"):
        raw = one_file(instance, user)
        assert headers(raw, "X-Original-To") == ["both@example.test"]


def test_too_many_hops_are_refused(instance):
    received = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\n" * 51
    with instance.smtp() as smtp:
        smtp.ehlo()
        smtp.mail("a@elsewhere.test")
        smtp.rcpt("one@example.test")
        code, text = smtp.data(received + "Subject: a\n\nb\n")
    assert (code, text) == (554, b"5.4.6 Error: too many hops")
    assert not instance.queue()


def test_stranger_gets_no_headers_added(make_instance):
    instance = make_instance(settings={"local_header_rewrite_clients": ""})
    instance.start()
    with instance.smtp() as smtp:
        smtp.sendmail("a@elsewhere.test", ["one@example.test"], "Subject: a\nReturn-Path: <x@y>\n\nb\n")
    raw = one_file(instance)
    assert not headers(raw, "Date") and not headers(raw, "Message-Id") and not headers(raw, "From")
    assert headers(raw, "Return-Path") == ["<a@elsewhere.test>"]
    instance.wait_log(r"[0-9A-Z]{16}: message-id=<>$")


@pytest.mark.parametrize("fault,code", [("fsync:EIO:0:1", 451), ("write:ENOSPC:0:1", 452), ("open:EMFILE:123:1", 451), ("rename:EIO:0:1", 451)])
def test_failing_disk_is_a_4xx_that_leaves_nothing_and_passes(make_instance, fault, code):
    instance = make_instance(environment={"POSTERN_FAULT": fault})
    instance.start()
    for wanted in (code, 250):
        with instance.smtp() as smtp:
            smtp.ehlo()
            smtp.mail("a@elsewhere.test")
            smtp.rcpt("one@example.test")
            answer = smtp.data("Subject: a\n\nb\n")
        assert answer[0] == wanted, f"{fault}: {answer}\n{instance.log_tail()}"
        if wanted != 250:
            assert not instance.queue_files("incoming")
