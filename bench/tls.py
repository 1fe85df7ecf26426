# SPDX-License-Identifier: ISC
"""What TLS costs: handshakes, bytes and idle connections; and logins, in clear and over TLS."""
import ctypes
import resource
import smtplib
import socket
import ssl
import statistics
import subprocess
import time

import mail
from systems import PASSWORD, ROOT, cpu_seconds, password_hash

HOST = mail.HOST
KEYS = {"RSA-2048": "RSA-PSS+SHA256", "ECDSA P-256": "ECDSA+SHA256"}


def clients_run(port, clients, seconds, mode, signatures, line, answer):
    command = [str(ROOT / "build/bench/clients"), str(port), str(clients), str(seconds), mode, signatures]
    return subprocess.run(command + ([line, answer] if line else []), capture_output=True, text=True)


def settle(system, port, *words):
    """After a change of its configuration: until a client is served as it should be."""
    for _ in range(20):
        done = clients_run(port, 1, 0.1, "clear", *words)
        if done.returncode == 0:
            return
        time.sleep(0.5)
    raise SystemExit(f"{system.name}: port {port}: {done.stderr[:1000]}")


def load(system, port, clients, seconds, mode, signatures="", line=None, answer=None):
    """Rounds per second, the part of them that took up an earlier session, CPU milliseconds of a round: the system's, the clients'."""
    before = cpu_seconds(system.processes())
    done = clients_run(port, clients, seconds, mode, signatures, line, answer)
    if done.returncode != 0 or done.stdout.startswith("0 "):
        raise SystemExit(f"{system.name}: port {port}, {clients} clients, {mode}: {done.stderr[:1000]}")
    rounds, resumed, taken, own = map(float, done.stdout.split())
    # Sessions that are on their way out are waited for, or their end would be charged to the next figure.
    time.sleep(0.3)
    return rounds / taken, resumed / rounds, (cpu_seconds(system.processes()) - before) / rounds * 1000, own / rounds * 1000


# --- handshakes ---


def handshakes(system, options):
    """Connect, greeting, close; with and without a TLS 1.3 handshake in front of the greeting. [(step, unit, value)]"""
    results = []
    for name, clear, port in (("SMTP", system.smtp_port, system.smtps_port), ("IMAP", system.imap_port, system.imaps_port)):
        load(system, port, options.clients, 0.5, "full")
        ways = [("in clear", clear, "clear", "")]
        ways += [(f"{key}, {mode}", port, mode, signatures) for mode in ("full", "resumed") for key, signatures in KEYS.items()
                 if mode == "full" or key != "RSA-2048"]
        for way, at, mode, signatures in ways:
            rate, resumed, cpu, own = load(system, at, options.clients, options.seconds, mode, signatures)
            results += [(f"{name}, {way}", "1/s", rate), (f"{name}, {way}: CPU of the server", "ms", cpu), (f"{name}, {way}: CPU of the clients", "ms", own)]
            if mode == "resumed":
                results.append((f"{name}, {way}: really resumed", "%", resumed * 100))
    return results


# --- bytes ---


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def large_message(megabytes):
    line = b"0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ .....\r\n"
    return mail.message(0) + line * (megabytes * 1000000 // len(line))


def send_large(system, message, encrypted):
    client = smtplib.SMTP(HOST, system.smtp_port)
    if encrypted:
        client.starttls(context=client_context())
    for step in (client.ehlo, lambda: client.mail("a@elsewhere.test"), lambda: client.rcpt("one@example.test"), lambda: client.docmd("DATA")):
        code, text = step()
        if code not in (250, 354):
            raise SystemExit(f"{system.name}: a large message is refused: {code} {text}")
    begin = time.perf_counter()
    client.sock.sendall(message + b".\r\n")
    code, text = client.getreply()
    taken = time.perf_counter() - begin
    if code != 250:
        raise SystemExit(f"{system.name}: a large message is refused: {code} {text}")
    client.quit()
    return len(message) / taken / 1e6


class Fetcher:
    """Reads into one buffer for ever, so that the client is not what is measured."""

    def __init__(self, port, encrypted):
        self.socket = socket.create_connection((HOST, port), timeout=60)
        if encrypted:
            self.socket = client_context().wrap_socket(self.socket)
        self.view = memoryview(bytearray(1 << 20))
        self.until(b"*")
        self.say("a LOGIN one@example.test one-secret", b"a OK")
        self.say("b SELECT INBOX", b"b OK")

    def until(self, start):
        """Bytes up to the end of a line that begins so; it is looked for at the end of what came."""
        total, tail = 0, b""
        while True:
            got = self.socket.recv_into(self.view)
            if not got:
                raise SystemExit(f"connection lost after {tail!r}")
            total += got
            tail = (tail + bytes(self.view[max(0, got - 2000):got]))[-2000:]
            if tail.endswith(b"\r\n") and tail[tail.rfind(b"\n", 0, -1) + 1:].startswith(start):
                return total

    def say(self, line, answer):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.until(answer)

    def fetch(self):
        begin = time.perf_counter()
        return self.say("c FETCH 1 (BODY.PEEK[])", b"c OK") / (time.perf_counter() - begin) / 1e6


def large_bytes(system, options):
    message = large_message(options.large)
    results, before = [], system.delivered()
    for encrypted, how in ((False, "in clear"), (True, "TLS")):
        rates = [send_large(system, message, encrypted) for _ in range(options.times)]
        results.append((f"SMTP, a message of {options.large} MB, {how}", "MB/s", statistics.median(rates)))
    deadline = time.monotonic() + 120
    while not (system.delivered() == before + 2 * options.times and system.idle()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{system.name}: large messages are not delivered")
        time.sleep(0.05)
    for encrypted, port, how in ((False, system.imap_port, "in clear"), (True, system.imaps_port, "TLS")):
        client = Fetcher(port, encrypted)
        client.fetch()
        rates = [client.fetch() for _ in range(options.times)]
        client.socket.close()
        results.append((f"IMAP FETCH of {options.large} MB, {how}", "MB/s", statistics.median(rates)))
    return results


# --- memory ---


def kernel_memory():
    """KB of what the kernel holds for processes and sockets, of the whole machine."""
    fields = {line.split(":")[0]: int(line.split()[1]) for line in open("/proc/meminfo")}
    return sum(fields[name] for name in ("Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu") if name in fields)


def settled(pids, pause=0.5):
    """Pss and kernel memory once they hardly change any more."""
    last = None
    for _ in range(20):
        current = mail.memory(pids()), kernel_memory()
        if last and abs(current[0] - last[0]) < 200 and abs(current[1] - last[1]) < 200:
            return current
        last = current
        time.sleep(pause)
    return last


def bare_connection(count=500):
    """KB of kernel memory of one TCP connection over loopback, both ends, beside which that of a server's connections stands."""
    listener = socket.create_server((HOST, 0), backlog=count)
    before = settled(lambda: [])[1]
    ends = []
    for _ in range(count):
        ends.append(socket.create_connection(listener.getsockname()))
        ends.append(listener.accept()[0])
    after = settled(lambda: [])[1]
    for end in ends:
        end.close()
    listener.close()
    return (after - before) / count


def idle(system, port, count, words, wait):
    """KB a connection, user space and kernel, of `count` TLS connections that said `words` and then nothing for `wait` seconds."""
    context = client_context()
    warm = context.wrap_socket(socket.create_connection((HOST, port)))
    warm.recv(4096)
    warm.close()
    time.sleep(1)
    before = settled(system.processes)
    clients = []
    for _ in range(count):
        client = context.wrap_socket(socket.create_connection((HOST, port), timeout=60))
        client.recv(4096)
        for word, answer in words:
            client.sendall(word)
            heard = client.recv(4096)
            while answer not in heard:
                heard += client.recv(4096)
        clients.append(client)
    time.sleep(wait)
    after = settled(system.processes)
    for client in clients:
        client.close()
    time.sleep(1)
    return [(new - old) / count for new, old in zip(after, before)]


IDLE = [(b"a LOGIN one@example.test one-secret\r\n", b"a OK"), (b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ ")]


def idle_memory(system, options):
    results = []
    for name, port, count, words, wait in (("IMAPS before login", system.imaps_port, options.idle_tls, [], 1),
                                           ("IMAPS in IDLE, after 8 s", system.imaps_port, options.idle, IDLE, 8),
                                           ("SMTPS after EHLO", system.smtps_port, 40, [(b"EHLO x\r\n", b"250 ")], 1)):
        user, kernel = idle(system, port, count, words, wait)
        results += [(f"{name}: processes", "KB", user), (f"{name}: kernel, both ends", "KB", kernel)]
    return results


def tls_steps(system, options):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    return handshakes(system, options) + large_bytes(system, options) + idle_memory(system, options)


# --- logins ---


def hash_rate():
    """How often one core of this machine computes the hash that everybody verifies: the bound of logins hashed each time is that
    times the cores."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    hashed, begin = password_hash().removeprefix("{CRYPT}").encode(), time.perf_counter()
    for _ in range(50):
        crypt(PASSWORD.encode(), hashed)
    return 50 / (time.perf_counter() - begin)


def login_steps(system, options):
    """With a hash that costs next to nothing, with one that costs more than all the rest, and with that one when it may be remembered."""
    results = []
    for kind, cheap, remembered in (("SSHA512", True, False), ("SHA512-CRYPT", False, False), ("SHA512-CRYPT remembered", False, True)):
        system.set_passwords(password_hash(cheap))
        if remembered:
            system.remember_passwords()
        words = ("ECDSA+SHA256", "a LOGIN one@example.test one-secret", "a OK")
        settle(system, system.imap_port, *words)
        for how, port, mode in (("in clear", system.imap_port, "clear"), ("TLS", system.imaps_port, "full")):
            for clients in (1, options.clients):
                # For whatever begins anew with the other configuration, and for what is to be remembered.
                load(system, port, clients, 0.5, mode, *words)
                rate, _, cpu, _ = load(system, port, clients, options.seconds, mode, *words)
                name = f"{how}, {clients} at once, {kind}" if clients > 1 else f"{how}, one by one, {kind}"
                results += [(name, "1/s", rate), (f"{name}: CPU", "ms", cpu)]
    return results
