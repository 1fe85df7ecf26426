# SPDX-License-Identifier: ISC
"""
A disk that fails below a running suite: whatever call fails in whatever process, a client hears 4xx, or its message arrives whole.
Each process counts its own calls, so that one case strikes the queue file, its folder, the delivery, and the index.
"""
import hashlib
import re
import smtplib

import pytest

from postern import DOMAIN, wait_for

SETTINGS = {"minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "queue_run_delay": "1s", "service_restart_delay": "0s"}
SIZES = (10, 100_000, 1_000)
# call:error:calls that go well before:calls that fail
FAULTS = [
    "fsync:EIO:0:1", "fsync:EIO:1:1", "fsync:EIO:3:1", "fsync:ENOSPC:2:3",
    "write:ENOSPC:0:2", "write:ENOSPC:2:1", "write:EIO:1:1", "write:EIO:4:4",
    "rename:EIO:0:1", "rename:EIO:1:2", "rename:ENOSPC:2:1", "rename:ENOSPC:3:3",
    "copy:ENOSPC:0:1", "copy:EIO:1:2", "accept:EMFILE:0:2",
]


def offer(instance, tag, size):
    """One message by SMTP; the code it was answered with in the end."""
    body = "".join(f"{tag} {i:09d}\r\n" for i in range(size // 20 + 1))
    digest = hashlib.sha256(body.encode()).hexdigest()
    client = instance.smtp()
    client.ehlo()
    try:
        client.sendmail("a@elsewhere.test", [f"one@{DOMAIN}"], f"Subject: fault\r\nX-Tag: {tag} {digest}\r\n\r\n{body}")
        return 250
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code
    except smtplib.SMTPRecipientsRefused as refusal:
        return next(iter(refusal.recipients.values()))[0]
    finally:
        client.close()


def delivered(instance):
    """The tags in the mailbox, each message checked to be whole."""
    tags = set()
    for path in instance.delivered_files():
        data = path.read_bytes()
        found = re.search(rb"^X-Tag: (\S+) ([0-9a-f]{64})$", data, re.M)
        assert found, f"torn: {path.name}, {len(data)} bytes"
        body = data[data.index(b"\n\n") + 2:].replace(b"\n", b"\r\n")
        assert hashlib.sha256(body).hexdigest().encode() == found[2], f"torn: {path.name}, {len(data)} bytes"
        tags.add(found[1].decode())
    return tags


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_call_loses_and_tears_nothing(make_instance, fault):
    instance = make_instance(settings=SETTINGS, environment={"POSTERN_FAULT": fault})
    instance.start()
    answers = {f"tag{i}x{size}": offer(instance, f"tag{i}x{size}", size) for i, size in enumerate(SIZES * 2)}
    assert all(code == 250 or 400 <= code < 500 for code in answers.values()), f"{answers}\n{instance.log_tail()}"
    # A fault has its end: the last ones are taken.
    acknowledged = {tag for tag, code in answers.items() if code == 250}
    assert acknowledged, f"{answers}\n{instance.log_tail()}"
    assert delivered(instance) <= set(answers)
    instance.stop()
    assert len(acknowledged) < len(answers) or re.search("Input/output error|No space left|Too many open files", instance.log()), "the fault struck nobody"
    delivered(instance)
    del instance.environment["POSTERN_FAULT"]
    instance.start()
    instance.postern("flush")
    wait_for(lambda: acknowledged <= delivered(instance), f"{acknowledged} in the mailbox\n{instance.log_tail()}")
    wait_for(lambda: not instance.queue(), f"an empty queue\n{instance.log_tail()}")
    assert not instance.queue_files("incoming", "active", "corrupt")
    assert len(instance.messages()) == len(instance.delivered_files())
