# SPDX-License-Identifier: ISC
"""The main job from end to end: in by SMTP or sendmail, through the queue, out by IMAP and POP3."""
import os
import re
import smtplib

import pytest

from postern import DOMAIN, body_behind_trace, wait_for

pytestmark = pytest.mark.xdist_group("spine")


@pytest.mark.core
def test_every_byte_comes_back_by_imap_and_pop3(instance):
    sent = instance.send(to=["one", "two"], size=200_000)
    by_imap = instance.wait_message(sent, "one")
    assert body_behind_trace(by_imap, sent.bytes) == sent.bytes
    instance.wait_message(sent, "two")
    pop = instance.pop3("two")
    raw = b"\r\n".join(pop.retr(1)[1]) + b"\r\n"
    pop.quit()
    assert body_behind_trace(raw, sent.bytes) == sent.bytes


@pytest.mark.core
def test_what_was_acknowledged_survives_the_death_of_everything(instance):
    sent = [instance.send(to="one", size=3000) for _ in range(20)]
    instance.kill_everything()
    instance.start()
    for one in sent:
        assert body_behind_trace(instance.wait_message(one), one.bytes) == one.bytes


@pytest.mark.core
def test_many_clients_are_served_at_the_same_time(instance):
    clients = [instance.smtp() for _ in range(20)]
    for client in clients:
        assert client.ehlo()[0] == 250
    for client in reversed(clients):
        client.quit()


def test_unknown_mailbox_and_foreign_domain_are_refused(instance):
    instance.configure(mynetworks="")
    instance.reload()
    smtp = instance.smtp()
    smtp.ehlo()
    assert smtp.mail("a@elsewhere.test")[0] == 250
    code, text = smtp.rcpt(f"nobody@{DOMAIN}")
    assert code == 550 and text.startswith(b"5.1.1")
    code, text = smtp.rcpt("somebody@elsewhere.test")
    assert code == 554 and b"Relay access denied" in text
    assert smtp.rcpt(f"one@{DOMAIN}")[0] == 250
    smtp.quit()
    instance.wait_log(r"NOQUEUE: reject: RCPT from .*: 550 5\.1\.1 .*to=<nobody@example\.test>")


def test_log_tells_where_a_message_came_from_before_the_rest(instance):
    """In Postfix's order, on which pflogsumm relies for its sums."""
    senders = [instance.send(to="one") for _ in range(5)]
    instance.run("sendmail", "one@example.test", input="Subject: local\n\nx\n")
    for sent in senders:
        instance.wait_message(sent)
    wait_for(lambda: instance.log().count(": removed") == 6, "all delivered")
    steps = {}
    for line in instance.log().splitlines():
        match = re.search(r"postern/(\w+)\[\d+\]: ([0-9A-Za-z]{12,}): (client=|uid=|message-id=|from=|to=|removed)", line)
        if match:
            steps.setdefault(match[2], []).append(match[1] + " " + match[3])
    assert len(steps) == 6
    for step in steps.values():
        assert step[0] in ("smtpd client=", "pickup uid=")
        assert step[1:3] == ["cleanup message-id=", "qmgr from="]
        assert sorted(step[3:]) == ["qmgr removed", "virtual to="]


def test_extension_and_trace_headers(instance):
    sent = instance.send(to=f"one+lists@{DOMAIN}")
    raw = instance.wait_message(sent)
    head = raw[: raw.index(b"\r\n\r\n")].decode()
    assert head.startswith("Return-Path: <somebody@elsewhere.test>\r\n")
    assert f"Delivered-To: one+lists@{DOMAIN}\r\n" in head
    assert "Received: from " in head and "\r\n\tby mail.example.test (Postern) with ESMTP id " in head


def test_missing_date_and_message_id_are_added(instance):
    client = instance.smtp()
    client.sendmail("one@example.test", [f"one@{DOMAIN}"], b"Subject: bare tagX1\r\n\r\nbody\r\n")
    client.quit()
    raw = wait_for(lambda: next((m for m in instance.messages() if b"tagX1" in m), None), "the message")
    head = raw[: raw.index(b"\r\n\r\n")]
    assert b"\r\nDate: " in head and b"\r\nMessage-Id: <" in head.replace(b"Message-ID", b"Message-Id")


@pytest.mark.core
def test_sendmail_delivers_and_spools_while_the_suite_is_stopped(instance):
    instance.run("sendmail", "-i", "-f", "one@example.test", f"two@{DOMAIN}", input="Subject: running\n\nhello\n.\nthere\n")
    wait_for(lambda: any(b"Subject: running" in m and b"\r\n.\r\nthere" in m for m in instance.messages("two")), "the first")
    instance.stop()
    instance.run("sendmail", "-t", input=f"To: two@{DOMAIN}\nBcc: one@{DOMAIN}\nSubject: stopped\n\nhello\n")
    instance.start()
    got = wait_for(lambda: next((m for m in instance.messages("two") if b"Subject: stopped" in m), None), "the second")
    assert b"Bcc" not in got
    wait_for(lambda: any(b"Subject: stopped" in m for m in instance.messages("one")), "the blind copy")


def test_sendmail_bs_speaks_smtp(instance):
    dialogue = f"EHLO here\r\nMAIL FROM:<one@{DOMAIN}>\r\nRCPT TO:<two@{DOMAIN}>\r\nDATA\r\nSubject: by bs\r\n\r\nx\r\n.\r\nQUIT\r\n"
    out = instance.run("sendmail", "-bs", input=dialogue).out
    assert "250 2.0.0 Ok: queued as" in out and out.rstrip().endswith("221 2.0.0 Bye")
    wait_for(lambda: any(b"Subject: by bs" in m for m in instance.messages("two")), "the message")


def test_a_mailbox_that_cannot_be_written_defers_and_then_gets_its_mail(make_instance):
    instance = make_instance(settings={"minimal_backoff_time": "2s", "queue_run_delay": "1s"})
    instance.start()
    first = instance.send(to="one")
    instance.wait_message(first)
    new = instance.maildir() / "new"
    tmp = instance.maildir() / "tmp"
    tmp.rename(tmp.with_name("away"))
    tmp.write_text("in the way")
    sent = instance.send(to="one")
    instance.wait_log(r"to=<one@example\.test>.*status=deferred")
    listed = instance.run("mailq").out
    assert "-- " in listed and "in 1 Request." in listed and "one@example.test" in listed
    entry = instance.queue()[0]
    assert entry["queue_name"] == "deferred" and entry["recipients"][0]["delay_reason"]
    assert entry["attempts"] >= 1 and entry["next_try"] > 0
    tmp.unlink()
    tmp.with_name("away").rename(tmp)
    instance.postern("flush")
    assert body_behind_trace(instance.wait_message(sent), sent.bytes) == sent.bytes
    assert new.exists()
    wait_for(lambda: instance.run("mailq").out.strip() == "Mail queue is empty", "an empty queue")


def test_message_size_is_limited_before_and_during_transfer(make_instance):
    instance = make_instance(settings={"message_size_limit": "50000"})
    instance.start()
    smtp = instance.smtp()
    smtp.ehlo()
    assert smtp.esmtp_features["size"] == "50000"
    code, text = smtp.docmd("MAIL", "FROM:<a@elsewhere.test> SIZE=50001")
    assert code == 552 and text.startswith(b"5.3.4")
    assert smtp.docmd("MAIL", "FROM:<a@elsewhere.test>")[0] == 250
    assert smtp.rcpt(f"one@{DOMAIN}")[0] == 250
    code, text = smtp.data(b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" * 40000)
    assert code == 552 and text.startswith(b"5.3.4")
    assert smtp.noop()[0] == 250
    smtp.quit()
    assert instance.delivered_files() == []


def test_held_message_waits_for_release(instance):
    instance.run("postsuper", "-h", "ALL", check=False)
    instance.stop()
    instance.run("sendmail", "-f", "one@example.test", f"two@{DOMAIN}", input="Subject: held\n\nx\n")
    instance.start()
    wait_for(lambda: any(b"Subject: held" in m for m in instance.messages("two")), "the message")


def test_smtp_error_replies_keep_the_session_usable(instance):
    raw = instance.raw()
    assert raw.reply().startswith(b"220 ")
    assert raw.say("MAIL FROM:<a@b.test>").startswith(b"250")
    assert raw.say("RCPT TO:<one@@x>").startswith(b"501 5.1.3")
    assert raw.say("DATA").startswith(b"554 5.5.1")
    assert raw.say("NONSENSE").startswith(b"500 5.5.2") or raw.say("RSET").startswith(b"250")
    assert raw.say("RSET").startswith(b"250 2.0.0")
    assert raw.say("QUIT").startswith(b"221 2.0.0")
    raw.close()


def test_bare_line_feeds_never_end_a_message(instance):
    for variant in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n"):
        raw = instance.raw()
        raw.reply()
        raw.say("EHLO x")
        raw.say("MAIL FROM:<a@elsewhere.test>")
        raw.say(f"RCPT TO:<one@{DOMAIN}>")
        raw.say("DATA")
        raw.send(b"Subject: outer\r\n\r\nx" + variant + b"MAIL FROM:<evil@elsewhere.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n"
                 b"Subject: smuggled\r\n\r\n.\r\n")
        reply = raw.reply()
        assert reply[:1] in b"25", (variant, reply)
        raw.say("QUIT")
        raw.close()
    assert not any(m.count(b"Return-Path: <evil@") for m in instance.messages("two"))


def test_two_servers_of_one_port_cannot_be_started_and_running_twice_is_refused(instance):
    again = instance.postern("start", check=False)
    assert again.returncode != 0 and "running" in (again.out + again.err)
    assert instance.running()
    with smtplib.SMTP("127.0.0.1", instance.base + 25) as smtp:
        assert smtp.noop()[0] == 250
