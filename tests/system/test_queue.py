# SPDX-License-Identifier: ISC
"""The queue manager and the queue commands: what is deferred, returned, held, limited, and what operators see of it."""
import email
import email.policy
import fcntl
import os
import pwd
import signal
import struct
import time

import pytest

from postern import DOMAIN, wait_for

FAR = "far@elsewhere.test"
QUICK = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s"}
NOBODY = pwd.getpwnam("nobody")
OFD_SETLK = 37


def submit(instance, *recipients, sender=f"one@{DOMAIN}", text="Subject: for the queue\n\nbody\n"):
    instance.run("sendmail", "-i", "-f", sender, *recipients, input=text)


def deferred(instance, count=1):
    """Entries of the queue once so many messages are deferred."""
    return wait_for(lambda: len(q := [e for e in instance.queue() if e["queue_name"] == "deferred"]) == count and q,
                    f"{count} deferred messages\n{instance.log_tail()}")


def empty(instance):
    return instance.run("mailq").out == "Mail queue is empty\n"


def files(instance, *folders):
    return instance.queue_files(*folders)


def report_to(instance, user="one"):
    """The first delivery status notification in a mailbox, parsed."""
    def find():
        for raw in instance.messages(user):
            message = email.message_from_bytes(raw, policy=email.policy.default)
            if message.get_content_type() == "multipart/report":
                return message
        return None
    return wait_for(find, f"a notification\n{instance.log_tail()}")


def status_of(report):
    """Fields about the message, and about each recipient."""
    blocks = list(report.iter_parts())[1].get_payload()
    return dict(blocks[0].items()), [dict(block.items()) for block in blocks[1:]]


@pytest.mark.core
def test_mail_for_a_transport_that_is_not_built_waits_with_its_reason(instance):
    submit(instance, FAR)
    entry = deferred(instance)[0]
    assert entry["sender"] == f"one@{DOMAIN}"
    assert entry["recipients"] == [{"address": FAR, "delay_reason": "mail transport unavailable"}]
    assert entry["attempts"] == 1
    assert 250 < entry["next_try"] - time.time() < 350
    listing = instance.run("mailq").out.split("\n")
    assert listing[0] == "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------"
    assert listing[1].startswith(entry["queue_id"] + " ")
    assert listing[2] == "(mail transport unavailable)".rjust(78)
    assert listing[3] == " " * 47 + FAR
    assert listing[4:] == ["", "-- 0 Kbytes in 1 Request.", ""]
    assert f"to=<{FAR}>, relay=none, delay=" in instance.log()


@pytest.mark.core
def test_the_sender_hears_of_an_unknown_recipient_and_the_others_get_their_mail(instance):
    submit(instance, f"two@{DOMAIN}", f"nosuch@{DOMAIN}", text="Subject: partly\n\nthe body\n")
    wait_for(lambda: any(b"Subject: partly" in m for m in instance.messages("two")), "the message")
    report = report_to(instance)
    about, recipients = status_of(report)
    assert about["Reporting-MTA"].startswith("dns; ")
    assert [r["Final-Recipient"] for r in recipients] == [f"rfc822; nosuch@{DOMAIN}"]
    assert recipients[0]["Action"] == "failed" and recipients[0]["Status"] == "5.1.1"
    returned = list(report.iter_parts())[2]
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload()[0].get_content().splitlines() == ["the body"]
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Return-Path"] == "<>"
    wait_for(lambda: empty(instance), "an empty queue")


def test_a_notification_that_fails_ends_there(instance):
    submit(instance, f"nosuch@{DOMAIN}", sender=f"nobody-here@{DOMAIN}")
    instance.wait_log(r"nobody is left to be told")
    wait_for(lambda: empty(instance), "an empty queue")
    assert len(instance.log().split("sender non-delivery notification")) == 2


def test_a_large_message_is_returned_as_its_header(make_instance):
    instance = make_instance(settings={"bounce_size_limit": "1000"})
    instance.start()
    submit(instance, f"nosuch@{DOMAIN}", text="Subject: large\n\n" + "a line of text\n" * 1000)
    part = list(report_to(instance).iter_parts())[2]
    assert part.get_content_type() == "text/rfc822-headers"
    assert "Subject: large" in part.get_content() and "a line of text" not in part.get_content()


def test_the_sender_is_told_of_a_delay_once(make_instance):
    instance = make_instance(settings={**QUICK, "delay_warning_time": "1s"})
    instance.start()
    submit(instance, FAR)
    _, recipients = status_of(report_to(instance))
    assert recipients[0]["Action"] == "delayed" and "Will-Retry-Until" in recipients[0]
    attempts = deferred(instance)[0]["attempts"]
    wait_for(lambda: (q := instance.queue()) and q[0]["attempts"] >= attempts + 2, "two more attempts")
    assert len(instance.messages("one")) == 1


def test_mail_that_gets_too_old_is_returned(make_instance):
    instance = make_instance(settings={**QUICK, "maximal_queue_lifetime": "2s"})
    instance.start()
    submit(instance, FAR)
    _, recipients = status_of(report_to(instance))
    assert recipients[0]["Action"] == "failed" and recipients[0]["Status"] == "4.3.0"
    instance.wait_log(r"status=expired, returned to sender")
    wait_for(lambda: empty(instance), "an empty queue")


def test_a_message_that_comes_round_again_is_returned(instance):
    submit(instance, f"two@{DOMAIN}", text=f"Delivered-To: two@{DOMAIN}\nSubject: loop\n\nx\n")
    _, recipients = status_of(report_to(instance))
    assert recipients[0]["Status"] == "5.4.6"
    assert instance.messages("two") == []


def test_a_mailbox_over_its_quota_returns_mail(instance):
    instance.postern("user", "quota", f"two@{DOMAIN}", "2000")
    submit(instance, f"two@{DOMAIN}", text="Subject: large\n\n" + "a line of text\n" * 1000)
    _, recipients = status_of(report_to(instance))
    assert recipients[0]["Status"] == "5.2.2"


@pytest.mark.core
def test_operators_hold_release_requeue_expire_and_delete(instance):
    submit(instance, FAR)
    ident = deferred(instance)[0]["queue_id"]
    assert instance.run("postsuper", "-h", ident).err == "postsuper: Placed on hold: 1 message\n"
    assert f"\n{ident}! " in instance.run("mailq").out
    assert [p.name for p in files(instance, "hold")] == [ident]
    assert instance.run("postsuper", "-h", ident).err == "postsuper: Placed on hold: 0 messages\n"
    assert instance.run("postsuper", "-H", "-", input=f"{ident}!\n").err == "postsuper: Released from hold: 1 message\n"
    wait_for(lambda: instance.queue()[0]["attempts"] == 2, "a second attempt")
    assert instance.run("postsuper", "-r", "ALL", "deferred").err == "postsuper: Requeued: 1 message\n"
    wait_for(lambda: (q := instance.queue()) and q[0]["attempts"] == 1, "a first attempt again")
    instance.run("postsuper", "-h", ident)
    instance.run("postsuper", "-e", ident)
    assert instance.queue()[0]["forced_expire"] is True
    assert f"\n{ident}!#" in instance.run("mailq").out
    assert instance.run("postsuper", "-f", "ALL", "hold").err == "postsuper: Force-expired: 1 message\n"
    assert status_of(report_to(instance))[1][0]["Action"] == "failed"
    wait_for(lambda: empty(instance), "an empty queue")
    submit(instance, FAR)
    submit(instance, FAR)
    deferred(instance, 2)
    assert instance.run("postsuper", "-d", "ALL").err == "postsuper: Deleted: 2 messages\n"
    assert empty(instance)
    assert files(instance, "incoming", "active", "deferred", "hold") == []


def test_what_is_refused_and_to_whom(instance):
    submit(instance, FAR)
    ident = deferred(instance)[0]["queue_id"]
    for command, *arguments in (["postsuper", "-d", "ALL"], ["postcat", "-q", ident]):
        assert instance.run(command, *arguments, as_user=NOBODY, check=False).returncode == 1
    assert ident in instance.run("mailq", as_user=NOBODY).out
    assert instance.run("postqueue", "-f", as_user=NOBODY).returncode == 0
    for arguments, code in (([], 64), (["-p", "-j"], 64), (["-i", "../x"], 64), (["-s", ""], 64), (["-i", "A" * 16], 0)):
        assert instance.run("postqueue", *arguments, check=False).returncode == code, arguments
    assert instance.run("postsuper", "-d", "../../x", check=False).returncode == 1
    assert instance.run("postsuper", "-d", ident, "no-such-queue", check=False).returncode == 64
    assert len(instance.queue()) == 1


@pytest.mark.core
def test_the_queue_is_seen_and_changed_while_the_suite_is_down(instance):
    submit(instance, FAR)
    submit(instance, FAR)
    idents = sorted(e["queue_id"] for e in deferred(instance, 2))
    instance.stop()
    done = instance.run("postqueue", "-j")
    assert done.err.startswith("postqueue: warning: Mail system is down -- accessing queue directly")
    assert sorted(e["queue_id"] for e in instance.queue()) == idents
    assert instance.run("mailq", as_user=NOBODY, check=False).returncode == 69
    assert instance.run("postqueue", "-f", check=False).returncode == 69
    assert instance.run("postsuper", "-d", idents[0], "-h", idents[1]).err == \
        "postsuper: Deleted: 1 message\npostsuper: Placed on hold: 1 message\n"
    assert [(e["queue_id"], e["queue_name"]) for e in instance.queue()] == [(idents[1], "hold")]
    assert "Subject: for the queue" in instance.run("postcat", "-q", "-h", idents[1]).out
    instance.start()
    assert instance.queue()[0]["queue_name"] == "hold"


def test_postcat_shows_every_byte_in_postfix_layout(instance):
    body = "Subject: shown\n\n.line\n\n" + "text \u00e4\n" * 50
    submit(instance, FAR, text=body)
    ident = deferred(instance)[0]["queue_id"]
    name = f"deferred/{ident}"
    out = instance.run("postcat", "-q", ident).out
    titles = [line for line in out.split("\n") if line.startswith("*** ")]
    assert titles == [f"*** {what} {name} ***" for what in
                      ("ENVELOPE RECORDS", "MESSAGE CONTENTS", "HEADER EXTRACTED", "MESSAGE FILE END")]
    assert f"\nsender: one@{DOMAIN}\n" in out and f"\nrecipient: {FAR}\n" in out
    content = out.split(titles[1] + "\n")[1].split(titles[2])[0]
    assert content.endswith(body.split("\n\n", 1)[1])
    parts = instance.run("postcat", "-q", "-h", ident).out, instance.run("postcat", "-q", "-b", ident).out
    assert "".join(parts) == content and parts[1].startswith("\n.line\n")
    assert instance.run("postcat", "-q", "-h", "-b", ident).out == content


def test_flush_by_id_and_by_destination(instance):
    submit(instance, FAR)
    submit(instance, "far@other.test")
    far, other = sorted(deferred(instance, 2), key=lambda e: e["recipients"][0]["address"])[::-1][::-1]
    assert far["recipients"][0]["address"] == FAR

    def attempts():
        return {e["queue_id"]: e["attempts"] for e in instance.queue()}

    instance.run("postqueue", "-i", far["queue_id"])
    wait_for(lambda: attempts() == {far["queue_id"]: 2, other["queue_id"]: 1}, "one more attempt of the first")
    instance.run("postqueue", "-s", "OTHER.test")
    wait_for(lambda: attempts() == {far["queue_id"]: 2, other["queue_id"]: 2}, "one more attempt of the second")


def test_a_damaged_queue_file_is_set_aside_and_stops_nothing(instance):
    submit(instance, FAR)
    ident = deferred(instance)[0]["queue_id"]
    instance.stop()
    path = instance.path / "queue/deferred" / ident
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)
    instance.start()
    sent = instance.send(to="one")
    instance.wait_message(sent)
    instance.wait_log(rf"warning: {ident}: corrupt queue file in deferred, moved to corrupt")
    wait_for(lambda: [p.name for p in files(instance, "corrupt")] == [ident], "the file in corrupt/")
    assert empty(instance)


def stopped(instance, name):
    """Processes of one program, stopped by a signal."""
    pids = list(instance.processes(name))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def delivered_copy(instance):
    """The id and the bytes of a queue file whose message has been delivered since; the instance is stopped then."""
    managers = stopped(instance, "qmgr")
    submit(instance, f"one@{DOMAIN}", text="Subject: torn\n\n" + "line\n" * 400)
    ident = wait_for(lambda: files(instance, "incoming"), "a file nobody has taken yet")[0].name
    data = next(instance.path.glob(f"queue/incoming/*/{ident}")).read_bytes()
    for pid in managers:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: len(instance.messages("one")) == 1 and empty(instance), "the whole one")
    instance.stop()
    return ident, data


def put_back(instance, ident, data):
    path = instance.path / "queue/incoming" / ident
    path.write_bytes(data)
    folder = path.parent.stat()
    os.chown(path, folder.st_uid, folder.st_gid)
    return path


def test_a_file_that_its_writer_is_at_waits_for_it(instance):
    """It has its name before it is durable: whoever finds it there leaves it alone as long as its writer holds the lock."""
    ident, data = delivered_copy(instance)
    with put_back(instance, ident, data).open("r+b") as writer:
        fcntl.fcntl(writer, OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        instance.start()
        instance.wait_message(instance.send(to="one"))
        assert len(instance.messages("one")) == 2
        for action in "-d", "-h", "-r", "-e":
            instance.run("postsuper", action, "ALL")
        assert [p.name for p in files(instance, "incoming", "hold", "deferred")] == [ident]
    wait_for(lambda: len(instance.messages("one")) == 3, "the finished one, long before the next run of the queue")


@pytest.mark.parametrize("keep", [20, 700, -1], ids=["first block", "content", "end"])
def test_a_file_torn_before_its_commit_is_never_delivered(instance, keep):
    """It has its name already, which cleanup gives it before the sync; what the disk had not got yet reads as zeros, or is not there."""
    ident, data = delivered_copy(instance)
    put_back(instance, ident, data[:keep] if keep < 0 else data[:keep] + bytes(len(data) - keep))
    instance.start()
    instance.wait_log(rf"warning: {ident}: corrupt queue file in incoming, moved to corrupt")
    assert [p.name for p in files(instance, "corrupt")] == [ident]
    assert len(instance.messages("one")) == 1


def test_what_does_not_fit_into_memory_waits_in_incoming(make_instance):
    instance = make_instance(settings={"qmgr_message_active_limit": "10", "virtual_destination_concurrency_limit": "1"})
    instance.start()
    instance.wait_message(instance.send(to="one"))
    agents = stopped(instance, "virtual")
    sent = [instance.send(to="one") for _ in range(40)]
    assert len(files(instance, "active")) <= 10
    assert len(files(instance, "active", "incoming")) == 40
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: len(instance.messages("one")) == 41, "all 41 messages")
    found = b"".join(instance.messages("one"))
    assert all(s.tag.encode() in found for s in sent)
    wait_for(lambda: not files(instance, "active", "incoming"), "an empty queue")


@pytest.mark.core
def test_an_agent_that_dies_takes_no_mail_with_it(instance):
    instance.wait_message(instance.send(to="one"))
    agents = stopped(instance, "virtual")
    sent = [instance.send(to="one") for _ in range(12)]
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    for message in sent:
        instance.wait_message(message)
    wait_for(lambda: not files(instance, "active", "incoming", "deferred"), "an empty queue")


def test_deleting_and_holding_mail_that_is_being_delivered(make_instance):
    instance = make_instance(settings={"virtual_destination_concurrency_limit": "1"})
    instance.start()
    instance.wait_message(instance.send(to="one"))
    agents = stopped(instance, "virtual")
    for _ in range(30):
        instance.send(to="two")
    wait_for(lambda: not files(instance, "incoming"), "all in the active queue")
    active = [e["queue_id"] for e in instance.queue() if e["queue_name"] == "active"]
    assert len(active) == 30
    assert instance.run("postsuper", "-d", "ALL", "active").err == "postsuper: Deleted: 30 messages\n"
    assert empty(instance)
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    sent = instance.send(to="two")
    instance.wait_message(sent, "two")
    # Those that agents had in hand may have been delivered; what waited was not.
    assert len(instance.messages("two")) < 31
    agents = stopped(instance, "virtual")
    held = [instance.send(to="one") for _ in range(30)]
    wait_for(lambda: not files(instance, "incoming"), "all in the active queue")
    assert instance.run("postsuper", "-h", "ALL").err == "postsuper: Placed on hold: 30 messages\n"
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not files(instance, "active", "incoming"), "nothing in flight")
    instance.run("postsuper", "-H", "ALL")
    for message in held:
        instance.wait_message(message)


def test_mail_held_in_flight_stays_held_though_qmgr_is_killed(instance):
    """It is in hold/ at once, not only when what is in flight is over."""
    instance.wait_message(instance.send(to="one"))
    agents = stopped(instance, "virtual")
    held = instance.send(to="one")
    wait_for(lambda: not files(instance, "incoming") and files(instance, "active"), "the message in flight for long")
    assert instance.run("postsuper", "-h", "ALL").err == "postsuper: Placed on hold: 1 message\n"
    assert files(instance, "hold") and not files(instance, "incoming", "active", "deferred")
    instance.kill_daemon("qmgr")
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    instance.wait_message(instance.send(to="one"))
    instance.postern("flush")
    assert [e["queue_name"] for e in instance.queue()] == ["hold"]
    assert len(instance.messages("one")) == 2
    instance.run("postsuper", "-H", "ALL")
    instance.wait_message(held)
    assert len(instance.messages("one")) == 3


def test_reload_under_load_repeats_and_loses_nothing(instance):
    sent = []
    for number in range(60):
        sent.append(instance.send(to="one"))
        if number % 15 == 10:
            instance.reload()
    wait_for(lambda: not files(instance, "active", "incoming", "deferred"), "an empty queue")
    found = b"".join(p.read_bytes() for p in instance.delivered_files())
    assert all(f"\nMessage-ID: <{s.tag}@".encode() in found for s in sent)
    assert len(instance.delivered_files()) == len(sent)


def test_a_finished_message_that_cannot_be_removed_is_tried_again(make_instance):
    """Told once; the file goes as soon as the disk allows it, and nobody gets the message twice."""
    instance = make_instance(environment={"POSTERN_FAULT": "unlink:EIO:0:2"})
    instance.start()
    sent = instance.send(to="one")
    wait_for(lambda: any(sent.tag.encode() in p.read_bytes() for p in instance.delivered_files()), "the message in the mailbox")
    failed = instance.wait_log(r"qmgr\[\d+\]: error: ([0-9A-Za-z]+): cannot be removed: Input/output error")
    assert files(instance, "incoming", "active")
    instance.postern("flush")
    instance.wait_log(rf"{failed[1]}: removed")
    assert not files(instance, "incoming", "active") and empty(instance)
    assert instance.log().count("cannot be removed") == 1
    assert len(instance.delivered_files()) == 1


@pytest.mark.parametrize("recipient,reported", [(f"two@{DOMAIN}", False), ("nosuch@elsewhere.test", True)])
def test_an_international_sender_is_kept_as_given_and_found_by_its_a_label(make_instance, recipient, reported):
    given = "süß@bücher.test"
    instance = make_instance(settings={"default_transport": "error:nobody goes there"})
    instance.start()
    instance.postern("domain", "add", "xn--bcher-kva.test")
    instance.configure(virtual_alias_maps=f"inline:{{{{süß@xn--bcher-kva.test = one@{DOMAIN}}}}}",
                       smtpd_sender_restrictions="check_sender_access inline:{{xn--bcher-kva.test = permit}}, reject")
    instance.reload()
    client = instance.raw()
    client.reply()
    client.say("EHLO here")
    assert client.say(f"MAIL FROM:<{given}> SMTPUTF8").startswith(b"250 ")
    assert client.say(f"RCPT TO:<{recipient}>").startswith(b"250 ")
    client.say("DATA")
    assert client.say("Subject: abroad\r\n\r\nx\r\n.").startswith(b"250 ")
    instance.wait_log(f"qmgr.*from=<{given}>")
    if reported:
        assert report_to(instance)["To"] == given
    else:
        message = wait_for(lambda: instance.messages("two"), "the message")[0]
        assert f"Return-Path: <{given}>\r\n".encode() in message


def test_what_access_tables_ask_for_a_message_is_done(make_instance):
    """HOLD, PREPEND, REDIRECT, BCC and DISCARD from texthash and inline tables, through to mailbox and hold/."""
    instance = make_instance()
    (instance.etc / "actions").write_text(f"""
        hold@elsewhere.test HOLD looks odd
        tag@elsewhere.test PREPEND X-Tag: first
        redirect@elsewhere.test REDIRECT two@{DOMAIN}
        bcc@elsewhere.test BCC two@{DOMAIN}
        discard@elsewhere.test DISCARD
    """.replace("        ", ""))
    instance.configure(smtpd_sender_restrictions=f"check_sender_access texthash:{instance.etc}/actions",
                       smtpd_data_restrictions="check_client_access inline:{{127.0.0.1 = PREPEND X-Client: here}}")
    instance.start()
    held = instance.send(sender="hold@elsewhere.test")
    instance.wait_log(r"NOQUEUE: hold: RCPT from localhost\[127\.0\.0\.1\]: <hold@elsewhere\.test>: Sender address looks odd; from=")
    (entry,) = instance.queue()
    assert entry["queue_name"] == "hold" and len(files(instance, "hold")) == 1
    tagged = instance.send(sender="tag@elsewhere.test")
    message = instance.wait_message(tagged)
    headers = email.message_from_bytes(message).keys()
    assert headers[headers.index("Received") - 2:][:3] == ["X-Tag", "X-Client", "Received"]
    redirected = instance.send(sender="redirect@elsewhere.test")
    instance.wait_message(redirected, "two")
    instance.wait_log(rf"to=<two@{DOMAIN}>, orig_to=<one@{DOMAIN}>")
    copied = instance.send(sender="bcc@elsewhere.test")
    for user in ("one", "two"):
        instance.wait_message(copied, user)
    assert f"two@{DOMAIN}".encode() not in next(m for m in instance.messages("one") if copied.tag.encode() in m)
    instance.send(sender="discard@elsewhere.test")
    discarded = instance.wait_log(r"smtpd\[\d+\]: ([0-9A-Z]{16}): discarded: message from")
    # Only what was held is left, and it goes where it should when it is released.
    (left,) = wait_for(lambda: len(q := instance.queue()) == 1 and q, "nothing but the message on hold")
    assert left["queue_id"] == entry["queue_id"] != discarded[1]
    instance.run("postsuper", "-H", entry["queue_id"])
    instance.wait_message(held)
    assert len(instance.messages("one")) == 3 and len(instance.messages("two")) == 2


def test_a_message_on_hold_is_never_seen_elsewhere(make_instance):
    """Neither a lost qmgr nor a restart of everything lets it go."""
    instance = make_instance(settings={"smtpd_sender_restrictions": "check_sender_access inline:{{elsewhere.test = HOLD}}"})
    instance.start()
    sent = [instance.send(size=size) for size in (500, 300_000)]
    instance.kill_daemon("qmgr")
    assert len(files(instance, "hold")) == 2 and not files(instance, "incoming", "active", "deferred")
    instance.kill_everything()
    instance.start()
    instance.postern("flush")
    assert [e["queue_name"] for e in instance.queue()] == ["hold", "hold"]
    instance.run("postsuper", "-H", "ALL")
    for message in sent:
        instance.wait_message(message)


def test_a_folder_with_the_name_of_a_message_is_told_once_and_stops_nothing(make_instance):
    instance = make_instance(settings={"queue_run_delay": "1s"})
    instance.start()
    submit(instance, FAR)
    entry = deferred(instance)[0]
    strange = "0" + entry["queue_id"][1:]
    (instance.path / "queue/deferred" / strange).mkdir()
    instance.wait_log(rf"qmgr\[\d+\]: warning: {strange} in deferred is no file: left alone")
    at = len(instance.log())
    for _ in range(3):
        instance.run("postqueue", "-f")
    submit(instance, f"two@{DOMAIN}", text="Subject: goes on\n\nx\n")
    wait_for(lambda: any(b"Subject: goes on" in m for m in instance.messages("two")), "the message")
    assert [e["queue_id"] for e in instance.queue()] == [entry["queue_id"]]
    assert strange not in instance.log()[at:]


def test_flush_by_site_takes_both_forms_of_a_domain(instance):
    with instance.smtp() as client:
        client.ehlo()
        assert client.sendmail(f"one@{DOMAIN}", ["far@bücher.example"], b"Subject: x\r\n\r\nx\r\n", ["SMTPUTF8"]) == {}
    deferred(instance)
    for site in ("xn--bcher-kva.example", "BÜCHER.example"):
        attempts = deferred(instance)[0]["attempts"]
        instance.run("postqueue", "-s", site)
        wait_for(lambda: deferred(instance)[0]["attempts"] == attempts + 1, f"an attempt for {site}")


def test_no_notification_is_refused_when_qmgr_was_started_again_with_many_in_hand(instance):
    """cleanup stands still while bounce is asked for more than it may have open there, by one qmgr after the other."""
    count = 70
    with instance.smtp() as client:
        client.ehlo()
        for i in range(count):
            assert client.sendmail(f"one@{DOMAIN}", [FAR], b"Subject: x\r\n\r\nx\r\n") == {}
    deferred(instance, count)
    cleanup = instance.daemons("cleanup")[0]
    os.kill(cleanup, signal.SIGSTOP)
    instance.run("postsuper", "-f", "ALL")
    for _ in range(2):
        instance.wait_log(r"status=(expired|bounced)|force-expired")
        pid = instance.kill_daemon("qmgr")
        wait_for(lambda: [p for p in instance.daemons("qmgr") if p != pid], "another qmgr")
    os.kill(cleanup, signal.SIGCONT)
    wait_for(lambda: empty(instance), "an empty queue")
    assert "the notification was not taken" not in instance.log()
