# SPDX-License-Identifier: ISC
"""maillog_file is empty: the log goes to the system's logger, here a UNIX datagram socket of the test."""
import contextlib
import re
import select
import socket
import time

import pytest

from postern import DOMAIN, wait_for

LINE = re.compile(r"<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([^\s\[]+)\[(\d+)\]: (.*)", re.S)
LOCAL3_INFO, LOCAL3_WARNING = 19 * 8 + 6, 19 * 8 + 4


class Logger:
    def __init__(self, path):
        self.path, self.lines = path, []
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)

    def close(self):
        self.read()
        self.socket.close()
        self.path.unlink()

    def read(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.lines.append(self.socket.recv(65536).decode())
        return self.lines

    def find(self, pattern):
        return next((line for line in self.read() if re.search(pattern, line)), None)

    def wait(self, pattern, timeout=30):
        return wait_for(lambda: self.find(pattern), f"{pattern!r} in {self.lines[-20:]}", timeout)


@pytest.fixture
def logger(make_instance):
    instance = make_instance()
    logger = Logger(instance.folder / "logger")
    instance.configure(maillog_file="", syslog_socket=logger.path, syslog_facility="local3")
    logger.instance = instance
    yield logger
    with contextlib.suppress(OSError):
        logger.close()


def queued(logger, count):
    """The ids of so many messages that were delivered, by the logger's lines."""
    def delivered():
        found = [re.search(r"qmgr\[\d+\]: (\w+): removed", line) for line in logger.read()]
        return [match[1] for match in found if match]

    return wait_for(lambda: (ids := delivered()) and len(ids) == count and ids, f"{count} messages removed: {logger.lines}")


@pytest.mark.core
def test_every_process_logs_to_syslog_in_its_form(logger):
    instance = logger.instance
    instance.start()
    sent = instance.send()
    instance.wait_message(sent)
    logger.wait(r"postern/qmgr\[\d+\]: \w+: removed")
    logger.wait(r"postern/imapd?\S*: .*one@" + DOMAIN)
    instance.kill_daemon("showq")
    logger.wait(r"postern\S*\[\d+\]: warning: process .*showq pid \d+ killed by signal 9")
    instance.stop()
    logger.wait("stopped$")
    parts = [LINE.fullmatch(line) for line in logger.lines]
    assert all(parts), [line for line, match in zip(logger.lines, parts) if not match]
    assert {int(match[1]) for match in parts} == {LOCAL3_INFO, LOCAL3_WARNING}
    assert all((int(match[1]) == LOCAL3_WARNING) == match[5].startswith("warning: ") for match in parts)
    assert not any("\n" in line for line in logger.lines)
    now = time.strftime("%b %e ")
    assert parts[-1][2].startswith(now) or parts[0][2].startswith(now)
    programs = {match[3] for match in parts}
    assert {"postern", "postern/smtpd", "postern/cleanup", "postern/qmgr", "postern/virtual"} <= programs
    assert not instance.log_file.exists()


def test_no_line_is_lost_while_the_logger_is_started_again(logger):
    instance = logger.instance
    instance.start()
    instance.send()
    queued(logger, 1)
    logger.close()
    for _ in range(5):
        instance.send()
    wait_for(lambda: len(instance.delivered_files()) == 6, "all messages in the mailbox")
    logger.open()
    ids = queued(logger, 6)
    for queue_id in ids:
        for what in ("client=", "message-id=", "from=", "status=sent", "removed"):
            logger.wait(rf" {queue_id}: .*\b{what}")
            assert len([line for line in logger.lines if re.search(rf" {queue_id}: .*\b{what}", line)]) == 1
    assert not logger.find("were lost")


def test_a_logger_that_does_not_read_does_not_stop_the_mail(logger):
    instance = logger.instance
    instance.start()
    begun = time.monotonic()
    for _ in range(40):
        instance.send()
    wait_for(lambda: len(instance.delivered_files()) == 40, "all messages in the mailbox")
    assert time.monotonic() - begun < 15
    queued(logger, 40)


def test_a_logger_that_is_missing_at_the_start_is_told_of_and_gets_the_lines_later(logger):
    instance = logger.instance
    logger.close()
    done = instance.postern("start")
    assert f"warning: syslog_socket {logger.path}: No such file or directory" in done.err
    instance.wait_message(instance.send())
    logger.open()
    logger.wait("daemon started -- version")
    logger.wait("status=sent")


def test_the_log_moves_between_file_and_syslog_at_a_reload(make_instance):
    instance = make_instance()
    with contextlib.closing(Logger(instance.folder / "logger")) as logger:
        instance.configure(syslog_socket=logger.path, log_format="json")
        instance.start()
        instance.wait_message(instance.send())
        assert not logger.read()
        instance.configure(maillog_file="")
        instance.reload()
        size = len(instance.log())
        instance.wait_message(instance.send())
        line = logger.wait("status=sent")
        assert LINE.fullmatch(line)[5].startswith('{"time":"') and int(LINE.fullmatch(line)[1]) == 2 * 8 + 6
        assert "status=sent" not in instance.log()[size:]
        instance.configure(maillog_file="$instance_directory/log/postern.log")
        instance.reload()
        instance.wait_message(instance.send())
        instance.wait_log("status=sent", after=size)


def test_an_unknown_facility_is_told(make_instance):
    instance = make_instance()
    instance.configure(syslog_facility="post")
    done = instance.postern("start", check=False)
    assert done.returncode == 78 and '"post" is none of: mail ' in done.err
