# SPDX-License-Identifier: ISC
"""An instance of Postern under test: made by `postern init`, driven by its commands, spoken to by real clients."""
import contextlib
import email.policy
import fcntl
import imaplib
import json
import os
import pathlib
import poplib
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from email.message import EmailMessage

HOST = "127.0.0.1"
DOMAIN = "example.test"
PASSWORDS = {"one": "one-secret", "two": "two-secret"}
PORTS = (25, 110, 143, 465, 587, 993, 995)
TIMEOUT = 30
# What a process of a sanitized build says on its standard error, which is the log.
SANITIZER_REPORT = re.compile(r"^.*(?:runtime error:|ERROR: \w+Sanitizer).*(?:\n.*){0,40}", re.M)


def wait_for(condition, what, timeout=TIMEOUT, pause=0.01):
    """Ask until it holds; only for what nobody can be asked to announce."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(pause)


def _claim_ports():
    """A port base that no other worker of this machine uses: a lock file for each, kept open."""
    for base in range(12000, 60000, 200):
        lock = open(f"/tmp/postern-test-ports-{base}", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with contextlib.suppress(OSError):
            for port in PORTS:
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, base + port))
            return base, lock
        lock.close()
    raise RuntimeError("no free ports")


class Instance:
    def __init__(self, binaries, user=None, settings=None, environment=None):
        self.bin = binaries
        self.user = user
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.folder.chmod(0o755)
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.path = self.folder / "instance"
        self.etc = self.path / "etc"
        self.base, self._ports = _claim_ports()
        self.environment = {**os.environ, **(environment or {})}
        init = ["init", str(self.path), "--domain", DOMAIN, "--port-base", str(self.base)]
        for name, password in PASSWORDS.items():
            init += ["--user", f"{name}:{password}"]
        self.postern(*init, configured=False)
        if settings:
            self.configure(**settings)

    # --- commands ---

    def run(self, command, *arguments, check=True, configured=True, as_user=None, **options):
        """A command of the suite, as whoever owns the instance (or as the given passwd entry)."""
        line = [str(self.bin / command)]
        if command == "postern" and configured:
            line += ["-c", str(self.etc)]
        line += map(str, arguments)
        user = as_user or self.user
        if user and os.geteuid() == 0:
            line = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *line]
        environment = {**self.environment, "MAIL_CONFIG": str(self.etc)}
        if isinstance(options.get("input"), str):
            options["input"] = options["input"].encode()
        done = subprocess.run(line, capture_output=True, timeout=90, env=environment, **options)
        done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if (check and done.returncode != 0) or SANITIZER_REPORT.search(done.err):
            raise AssertionError(f"{' '.join(line)}: exit {done.returncode}\n{done.out}{done.err}\n{self.log_tail()}")
        return done

    def postern(self, *arguments, **options):
        return self.run("postern", *arguments, **options)

    def configure(self, **settings):
        self.run("postconf", "-e", *(f"{name} = {value}" for name, value in settings.items()))

    def start(self):
        self.postern("start")

    def stop(self):
        self.postern("stop")

    def reload(self, check=True):
        return self.postern("reload", check=check)

    def running(self):
        return self.postern("status", check=False).returncode == 0

    # --- processes ---

    def master_pid(self):
        return int((self.path / "run/master.pid").read_text())

    def processes(self, name=None):
        """{pid: command} of everything below master, sessions included."""
        parents, names = {}, {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                rest = stat.rpartition(") ")[2].split()
                if rest[0] == "Z":
                    continue
                parents[int(entry)] = int(rest[1])
                names[int(entry)] = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")[0].decode()
        found, new = {self.master_pid()}, {self.master_pid()}
        while new:
            new = {pid for pid, parent in parents.items() if parent in new}
            found |= new
        return {pid: names[pid] for pid in found if pid in names and (name is None or names[pid].endswith(name))}

    def daemons(self, name):
        """The pids of a daemon itself: what master started, without the sessions of spawners."""
        master, found = str(self.master_pid()), []
        for pid in self.processes(name):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1] == master:
                    found.append(pid)
        return found

    def kill_daemon(self, name):
        """SIGKILL to one process of it; its pid. One may end by itself just then: another is taken."""
        def kill():
            for pid in self.daemons(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return pid
            return None

        return wait_for(kill, f"a {name} to kill")

    def kill_everything(self):
        """As a power cut for the processes: SIGKILL to all, and wait until they are gone."""
        pids = list(self.processes())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(self._alive(pid) for pid in pids), "all processes gone")

    @staticmethod
    def _alive(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
        except OSError:
            return False

    def abort(self):
        """No process of it is left."""
        with contextlib.suppress(OSError, ValueError):
            pid = self.master_pid()
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"master"):
                pids = list(self.processes())
                os.kill(pid, signal.SIGQUIT)
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: not any(self._alive(p) for p in pids), "end of the instance", 10)
                for left in pids:
                    if self._alive(left):
                        os.kill(left, signal.SIGKILL)

    def close(self):
        self.abort()
        reports = SANITIZER_REPORT.findall(self.log())
        shutil.rmtree(self.folder, ignore_errors=True)
        self._ports.close()
        # Whoever reported was started again, so the test itself may have seen nothing.
        assert not reports, "\n".join(reports)

    # --- log ---

    @property
    def log_file(self):
        return self.path / "log/postern.log"

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self):
        return "\n".join(self.log().split("\n")[-30:])

    def wait_log(self, pattern, timeout=TIMEOUT, after=0):
        """The first match of a regular expression in the log behind byte `after`."""
        expression = re.compile(pattern, re.M)
        return wait_for(lambda: expression.search(self.log()[after:]), f"log line {pattern!r}\n{self.log_tail()}", timeout)

    # --- clients ---

    def smtp(self):
        return smtplib.SMTP(HOST, self.base + 25, timeout=TIMEOUT)

    def raw(self, port=25):
        return Raw(self.base + port)

    def imap(self, user="one"):
        client = imaplib.IMAP4(HOST, self.base + 143, timeout=TIMEOUT)
        client.login(f"{user}@{DOMAIN}", PASSWORDS[user])
        return client

    def pop3(self, user="one"):
        client = poplib.POP3(HOST, self.base + 110, timeout=TIMEOUT)
        client.user(f"{user}@{DOMAIN}")
        client.pass_(PASSWORDS[user])
        return client

    def send(self, to="one", sender="somebody@elsewhere.test", size=1000, raw=None, subject=None):
        """One message by SMTP; what was sent, and the tag it can be found by."""
        tag = f"{time.time_ns():x}{os.urandom(4).hex()}"
        recipients = [f"{name}@{DOMAIN}" if "@" not in name else name for name in ([to] if isinstance(to, str) else to)]
        data = raw or compose(tag, recipients, size, subject)
        client = self.smtp()
        client.sendmail(sender, recipients, data)
        client.quit()
        return Sent(tag, data)

    def messages(self, user="one", mailbox="INBOX"):
        """Every message of a mailbox as bytes, over IMAP."""
        client = self.imap(user)
        client.select(f'"{mailbox}"', readonly=True)
        count = int(client.status(f'"{mailbox}"', "(MESSAGES)")[1][0].rstrip(b")").split()[-1])
        found = []
        if count:
            found = [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
        client.logout()
        return found

    def wait_message(self, sent, user="one"):
        tag = sent.tag.encode()
        return wait_for(lambda: next((m for m in self.messages(user) if tag in m), None), f"message {sent.tag} for {user}\n{self.log_tail()}")

    def maildir(self, user="one"):
        return self.path / "mail" / DOMAIN / user

    def queue_files(self, *folders):
        """The files in these folders of the queue; incoming/ has more folders in it."""
        return [path for folder in folders for path in (self.path / "queue" / folder).rglob("*") if not path.is_dir()]

    def delivered_files(self, user="one"):
        folder = self.maildir(user)
        return [p for sub in ("new", "cur") for p in (folder / sub).glob("*")]

    def queue(self):
        """The queue as postqueue -j tells it."""
        return [json.loads(line) for line in self.run("postqueue", "-j").out.splitlines()]


class Sent:
    def __init__(self, tag, data):
        self.tag, self.bytes = tag, data


class Raw:
    """A line by line client that sends exactly what it is told."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self.file = self.socket.makefile("rb")

    def line(self):
        return self.file.readline()

    def reply(self):
        """An SMTP reply, all its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"".join(lines)

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def say(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def compose(tag, recipients, size=1000, subject=None):
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "somebody@elsewhere.test"
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject or f"test {tag}"
    message["Message-ID"] = f"<{tag}@elsewhere.test>"
    message["Date"] = "Sat, 21 Nov 2026 12:00:00 +0000"
    line = "0123456789 abcdefghijklmnopqrstuvwxyz .\n"
    message.set_content(f".{tag}\n" + line * max(1, size // len(line)))
    return message.as_bytes()


def body_behind_trace(raw, sent):
    """What was sent, when everything in front of it is header lines; else None."""
    at = raw.find(sent[:60])
    head = raw[:max(at, 0)].split(b"\r\n")[:-1]
    if at < 0 or any(not line or (line[:1] not in b" \t" and b":" not in line) for line in head):
        return None
    return raw[at:]
