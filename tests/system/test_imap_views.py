# SPDX-License-Identifier: ISC
"""Several clients change one mailbox at random. Each keeps the view that the untagged responses give it; every number must mean
to the server what it means to the client, and in the end all must agree."""
import random
import re
import threading
import time

import pytest

from test_imap import Client

SECONDS = 6
CLIENTS = 4


class Viewer(Client):
    """A client with a model of its view: the list of UIDs by number (None: not known yet), flags by UID."""

    def __init__(self, instance, seed):
        super().__init__(instance)
        self.random = random.Random(seed)
        self.uids, self.flags = [], {}
        self.condstore = seed % 2 == 0
        self.take(self.ok("SELECT INBOX (CONDSTORE)" if self.condstore else "SELECT INBOX"))
        self.learn()

    def take(self, heard, numbers_hold=False):
        for line in heard.split(b"\r\n"):
            match = re.match(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)(.*)", line)
            if not match:
                continue
            number, what = int(match[1]), match[2]
            if what == b"EXPUNGE":
                assert not numbers_hold, "EXPUNGE while numbers must hold"
                assert 1 <= number <= len(self.uids), (number, len(self.uids))
                self.flags.pop(self.uids.pop(number - 1), None)
            elif what == b"EXISTS":
                assert number >= len(self.uids), "EXISTS shrinks"
                self.uids += [None] * (number - len(self.uids))
            else:
                assert 1 <= number <= len(self.uids), (number, len(self.uids))
                uid = re.search(rb"UID (\d+)", match[3])
                if uid:
                    known = self.uids[number - 1]
                    assert known in (None, int(uid[1])), (number, known, int(uid[1]))
                    self.uids[number - 1] = int(uid[1])
                flags = re.search(rb"FLAGS \(([^)]*)\)", match[3])
                if flags and self.uids[number - 1]:
                    self.flags[self.uids[number - 1]] = frozenset(flags[1].split()) - {b"\\Recent"}

    def run(self, command, numbers_hold=False):
        tag, lines = self.do(command)
        self.take(b"".join(lines), numbers_hold)
        return lines[-1]

    def learn(self):
        if self.uids:
            self.run("FETCH 1:* (UID FLAGS)", True)

    def some(self):
        first = self.random.randint(1, len(self.uids))
        return f"{first}:{min(len(self.uids), first + self.random.randint(0, 3))}"

    def step(self):
        choice = self.random.random()
        if not self.uids or choice < 0.2:
            self.run("APPEND INBOX {14+}\r\nSubject: x\r\n\r\n" if choice < 0.1 or not self.uids else "NOOP")
        elif choice < 0.45:
            sign = self.random.choice(["+", "-", ""])
            flags = " ".join(self.random.sample(["\\Seen", "\\Flagged", "\\Answered", "$a", "$b"], 2))
            self.run(f"STORE {self.some()} {sign}FLAGS ({flags})", True)
        elif choice < 0.55:
            self.run(f"STORE {self.some()} +FLAGS.SILENT (\\Deleted)", True)
            self.learn()
        elif choice < 0.62:
            self.run("EXPUNGE")
        elif choice < 0.7:
            self.run(f"COPY {self.some()} INBOX")
        elif choice < 0.75:
            self.run(f"MOVE {self.some()} INBOX")
        elif choice < 0.9:
            line = self.run(f"FETCH {self.some()} (UID BODY.PEEK[HEADER.FIELDS (Subject)] ENVELOPE)", True)
            assert b" OK" in line or b"[EXPUNGEISSUED]" in line, line
        else:
            self.idle()
            time.sleep(self.random.random() * 0.05)
            self.take(self.done())


@pytest.mark.parametrize("hibernate", ["0", "1s"])
def test_views_of_several_clients_stay_true(make_instance, hibernate):
    instance = make_instance(settings={"imap_hibernate_timeout": hibernate})
    instance.start()
    failures = []

    def work(seed):
        try:
            viewer = Viewer(instance, seed)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                viewer.step()
            if hibernate != "0":
                viewer.idle()
                time.sleep(1.5)
                viewer.take(viewer.done())
            viewers.append(viewer)
        except Exception as error:  # a thread's failure is the test's
            failures.append((seed, repr(error)))

    viewers = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, f"{failures}\n{instance.log_tail()}"
    views = []
    for viewer in viewers:
        viewer.run("NOOP")
        told = dict(viewer.flags)
        uids = list(viewer.uids)
        viewer.learn()
        assert [u for u in uids if u] == [u for u, before in zip(viewer.uids, uids) if before]
        for uid, flags in told.items():
            assert viewer.flags[uid] == flags, (uid, flags, viewer.flags[uid])
        views.append((viewer.uids, viewer.flags))
    assert all(view == views[0] for view in views)
    assert len(views) == CLIENTS
