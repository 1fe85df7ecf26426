# SPDX-License-Identifier: ISC
"""
kill -9 at random moments, against each process and against all at once, under load: every message that was answered with 250 is
delivered at least once, and none is torn.
"""
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import threading
import time

import pytest

from postern import DOMAIN, HOST, wait_for

LOADERS = 6


class Load:
    """Clients that send as fast as they are answered; what was answered with 250 is remembered."""

    def __init__(self, instance, seed):
        self.port = instance.base + 25
        self.acknowledged, self.sent = [], 0
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(random.Random(seed + i), i), daemon=True) for i in range(LOADERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, dice, number):
        count = 0
        while not self.ended.is_set():
            with contextlib.suppress(OSError, EOFError):
                with socket.create_connection((HOST, self.port), timeout=20) as client:
                    file = client.makefile("rb")
                    self._reply(file)
                    client.sendall(b"EHLO load\r\n")
                    self._reply(file)
                    for _ in range(dice.randrange(1, 8)):
                        count += 1
                        self._message(client, file, f"{number}x{count}x{dice.getrandbits(40):x}", dice)
                        if self.ended.is_set():
                            break
                continue
            self.ended.wait(0.01)

    def _message(self, client, file, tag, dice):
        body = "".join(f"{dice.getrandbits(64):016x}\r\n" for _ in range(dice.choice((1, 20, 400, 3000))))
        digest = hashlib.sha256(body.encode()).hexdigest()
        client.sendall(f"MAIL FROM:<load@elsewhere.test>\r\nRCPT TO:<one@{DOMAIN}>\r\nDATA\r\n".encode())
        codes = [self._reply(file) for _ in range(3)]
        if [code[:1] for code in codes] != ["2", "2", "3"]:
            raise EOFError
        client.sendall(f"Subject: load\r\nX-Tag: {tag} {digest}\r\n\r\n{body}.\r\n".encode())
        self.sent += 1
        if self._reply(file)[:1] == "2":
            with self.lock:
                self.acknowledged.append(tag)

    @staticmethod
    def _reply(file):
        line = file.readline()
        while line[3:4] == b"-":
            line = file.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def delivered_tags(instance):
    """Every message in the mailbox, each checked to be whole."""
    tags = set()
    for path in instance.delivered_files("one"):
        data = path.read_bytes()
        found = re.search(rb"^X-Tag: (\S+) ([0-9a-f]{64})$", data, re.M)
        assert found, f"torn: {path.name}, {len(data)} bytes"
        body = data[data.index(b"\n\n") + 2:].replace(b"\n", b"\r\n")
        assert hashlib.sha256(body).hexdigest().encode() == found.group(2), f"torn: {path.name}, {len(data)} bytes"
        tags.add(found.group(1).decode())
    return tags


def kill_one(instance, dice, names):
    name = dice.choice(names)
    pids = sorted(pid for pid, running in instance.processes().items() if running == name)
    if pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(pids), signal.SIGKILL)


def crash_rounds(instance, rounds, seed):
    dice = random.Random(seed)
    names = ["smtpd", "smtpd-session", "cleanup", "qmgr", "virtual", "directoryd", "bounce", "showq", "pickup"]
    load = Load(instance, seed)
    for number in range(rounds):
        # The moment is the test's own choice, not a wait for something.
        time.sleep(dice.uniform(0.001, 0.15))
        if number % 20 == 19:
            instance.kill_everything()
            instance.start()
        else:
            kill_one(instance, dice, names)
    load.stop()
    instance.stop()
    instance.start()
    assert len(load.acknowledged) > rounds / 2, f"only {len(load.acknowledged)} messages were acknowledged in {rounds} rounds: no load"

    def settled():
        tags = delivered_tags(instance)
        return not set(load.acknowledged) - tags

    wait_for(settled, f"all {len(load.acknowledged)} acknowledged messages in the mailbox", 60, 0.3)
    wait_for(lambda: not instance.queue(), "an empty queue", 60, 0.2)
    assert not list((instance.path / "queue/corrupt").iterdir())
    return len(load.acknowledged)


SETTINGS = {"service_restart_delay": "0s", "minimal_backoff_time": "1s", "queue_run_delay": "1s", "smtpd_client_connection_count_limit": "0"}


def test_hundreds_of_crashes_lose_and_tear_nothing(make_instance):
    instance = make_instance(settings=SETTINGS)
    instance.start()
    crash_rounds(instance, 240, 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_thousands_of_crashes_lose_and_tear_nothing(make_instance, seed):
    instance = make_instance(settings=SETTINGS)
    instance.start()
    crash_rounds(instance, 300, seed)
