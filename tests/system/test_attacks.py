# SPDX-License-Identifier: ISC
"""What should not be there, and what nobody should do: the suite goes on, and other people's mail with it."""
import os
import time

import pytest

# Names that the queue would give, so that they are looked at.
IDS = ("1K0TA4690YWTYGKA", "1K0TA4690YWTYGKB", "1K0TA4690YWTYGKC", "1K0TA4690YWTYGKD")


def _litter(folder, owner):
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / IDS[0])
    (folder / IDS[1]).mkdir()
    (folder / IDS[2]).symlink_to("/etc/passwd")
    (folder / IDS[3]).write_bytes(os.urandom(5000))
    (folder / "a name\nof two lines").write_text("x")
    for entry in folder.iterdir():
        os.chown(entry, owner.st_uid, owner.st_gid, follow_symlinks=False)


@pytest.mark.parametrize("folder", ["incoming", "active", "deferred", "hold", "corrupt", "maildrop"])
def test_litter_in_the_queue_stops_nobody(instance, folder):
    _litter(instance.path / "queue" / folder, (instance.path / "queue/incoming").stat())
    sent = [instance.send()]
    instance.postern("flush")
    instance.run("mailq")
    instance.stop()
    instance.start()
    sent.append(instance.send())
    instance.postern("flush")
    for one in sent:
        instance.wait_message(one)


@pytest.mark.core
def test_commands_without_effect_lose_no_new_mail(instance):
    """STORE and EXPUNGE that change nothing are the first to see what was delivered meanwhile."""
    session = instance.imap()
    session.select("INBOX")
    for _ in range(5):
        instance.wait_message(instance.send())
        session.noop()
        session.store("1:*", "+FLAGS", r"(\Seen)")
        before = len(instance.delivered_files())
        sent = instance.send()
        while len(instance.delivered_files()) == before:
            time.sleep(0.01)
        session.store("1", "+FLAGS", r"(\Seen)")
        session.expunge()
        instance.wait_message(sent)
    assert session.status("INBOX", "(MESSAGES)")[1] == [b"INBOX (MESSAGES 10)"]
    session.logout()
