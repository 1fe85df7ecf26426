# SPDX-License-Identifier: ISC
"""Just enough IMAP and POP3 to measure servers without measuring the client: bytes out, bytes in, as fast as Python can receive."""
import os
import socket
import time

HOST = "127.0.0.1"


class Imap:
    def __init__(self, port, user="one@example.test", password="one-secret", login=True):
        self.socket = socket.create_connection((HOST, port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self._until(b"\r\n", first=True)
        if login:
            self.command(f"LOGIN {user} {password}")

    def _until(self, tag, first=False):
        data = bytearray()
        while True:
            part = self.socket.recv(1 << 20)
            if not part:
                raise SystemExit(f"connection lost after {bytes(data[-300:])!r}")
            data += part
            if not data.endswith(b"\r\n"):
                continue
            if first:
                return data
            last = data[data.rfind(b"\n", 0, -1) + 1:]
            if last.startswith(tag):
                if not last.startswith(tag + b"OK"):
                    raise SystemExit(f"refused: {bytes(last)!r}")
                return data

    def command(self, text):
        self.number += 1
        tag = f"a{self.number} ".encode()
        self.socket.sendall(tag + text.encode() + b"\r\n")
        return self._until(tag)

    def append(self, message, mailbox="INBOX"):
        self.number += 1
        tag = f"a{self.number} ".encode()
        self.socket.sendall(tag + f"APPEND {mailbox} {{{len(message)}}}\r\n".encode())
        go = self.socket.recv(4096)
        if not go.startswith(b"+"):
            raise SystemExit(f"APPEND refused: {go!r}")
        self.socket.sendall(message + b"\r\n")
        return self._until(tag)

    def idle(self):
        self.socket.sendall(b"i1 IDLE\r\n")
        while not self.socket.recv(4096).startswith(b"+"):
            pass

    def close(self):
        self.socket.close()


def message(number):
    head = (f"From: Sender {number} <sender{number}@elsewhere.test>\r\nTo: one@example.test\r\n"
            f"Subject: Message number {number} of the measurement\r\nDate: Sat, 21 Nov 2026 12:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
            f"Message-ID: <m{number}@bench.example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    return (head + "A line of text as people write it, needle%d or not.\r\n" % (number % 100) * 42).encode()


def timed(action):
    begin = time.perf_counter()
    result = action()
    return time.perf_counter() - begin, result


def imap_steps(system, messages, only=None):
    """[(step, unit, value)] for one server; larger is better for rates, times are given as 1/s."""
    results = []

    def step(name, unit, amount, action):
        seconds, result = timed(action)
        results.append((name, unit, amount / seconds))
        return result

    imap = Imap(system.imap_port)
    imap.command("SELECT INBOX")
    batch = [message(i) for i in range(messages)]
    total = sum(map(len, batch))

    def append_all():
        for one in batch:
            imap.append(one)

    step("APPEND, one by one", "msg/s", messages, append_all)
    imap.close()
    imap = Imap(system.imap_port)
    step("SELECT", "1/s", 1, lambda: imap.command("SELECT INBOX"))
    fetches = [
        ("FETCH 1:* (UID FLAGS)", "UID FLAGS", 5),
        ("FETCH ENVELOPE BODYSTRUCTURE, first", "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE", 1),
        ("FETCH ENVELOPE BODYSTRUCTURE, again", "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE", 1),
        ("FETCH header fields, again", "BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)]", 1),
    ]
    imap.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])")
    for name, items, times in fetches:
        step(name, "msg/s", messages * times, lambda: [imap.command(f"FETCH 1:* ({items})") for _ in range(times)])
    step("FETCH 1:* BODY.PEEK[]", "MB/s", total / 1e6, lambda: imap.command("FETCH 1:* (BODY.PEEK[])"))
    step("SEARCH SUBJECT", "msg/s", messages * 3, lambda: [imap.command("SEARCH SUBJECT number") for _ in range(3)])
    step("SEARCH BODY", "msg/s", messages, lambda: imap.command("SEARCH BODY needle77"))
    step("STORE 1:* +FLAGS", "msg/s", messages, lambda: imap.command("STORE 1:* +FLAGS.SILENT (\\Seen)"))
    some = min(500, messages)
    step("STORE one by one", "1/s", some, lambda: [imap.command(f"STORE {i + 1} +FLAGS (\\Flagged)") for i in range(some)])
    step("FETCH one by one", "1/s", some, lambda: [imap.command(f"FETCH {i + 1} (BODY.PEEK[])") for i in range(some)])
    imap.command("CREATE Copy")
    step("COPY 1:*", "msg/s", messages, lambda: imap.command("COPY 1:* Copy"))
    imap.command(f"STORE 1:{messages // 2} +FLAGS.SILENT (\\Deleted)")
    step("EXPUNGE half", "msg/s", messages // 2, lambda: imap.command("EXPUNGE"))
    imap.close()
    step("POP3 RETR", "msg/s", messages - messages // 2, lambda: pop3_all(system))
    step("login and logout, hashed each time", "1/s", 100, lambda: [Imap(system.imap_port).close() for _ in range(100)])
    system.remember_passwords()
    # Two for whatever begins anew with the other configuration, and for what is to be remembered.
    for _ in range(2):
        Imap(system.imap_port).close()
    step("login and logout, password remembered", "1/s", 100, lambda: [Imap(system.imap_port).close() for _ in range(100)])
    return results


def pop3_all(system):
    client = socket.create_connection((HOST, system.pop3_port), timeout=600)
    file = client.makefile("rb", 1 << 20)

    def say(text):
        client.sendall(text.encode() + b"\r\n")
        line = file.readline()
        if not line.startswith(b"+OK"):
            raise SystemExit(f"POP3 {text}: {line!r}")
        return line

    file.readline()
    say("USER one@example.test")
    say("PASS one-secret")
    number = int(say("STAT").split()[1])
    for i in range(1, number + 1):
        say(f"RETR {i}")
        while file.readline() != b".\r\n":
            pass
    say("QUIT")
    client.close()


def memory(pids):
    """Proportional set size of some processes, in KB."""
    total = 0
    for pid in pids:
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def idle_memory(system, connections, wait):
    """KB for each idle connection: before they sleep where the server has that, and after `wait` seconds."""
    before = memory(system.processes())
    clients = []
    for _ in range(connections):
        client = Imap(system.imap_port)
        client.command("SELECT INBOX")
        client.idle()
        clients.append(client)
    awake = memory(system.processes())
    time.sleep(wait)
    asleep = memory(system.processes())
    for client in clients:
        client.close()
    return (awake - before) / connections, (asleep - before) / connections
