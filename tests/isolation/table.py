# SPDX-License-Identifier: ISC
"""
Running the table of attempts inside a process, and what stands around the processes of Postern. The tests and `make isolation` share it.
"""
import os
import pathlib
import re
import stat
import subprocess

DEADLINE = 90
REFUSED, WORKS, ABSENT, OWN = "refused", "works", "absent", "own"


def descriptions(tool):
    """{name: (what, control)} in the table's order."""
    lines = subprocess.run([str(tool), "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: (what, kind == "own") for name, kind, what in (line.split("\t") for line in lines)}


def run(tool, pid, world):
    """{name: (how, detail)}: the table from inside process `pid`."""
    world = [*world, ("program", os.readlink(f"/proc/{pid}/exe")), ("passwd", "/etc/passwd"), ("shadow", "/etc/shadow"), ("system-root", "/"),
             ("tmp", "/tmp")]
    text = "".join(f"{name} {value}\n" for name, value in world if value)
    done = subprocess.run([str(tool), str(pid)], input=text, capture_output=True, text=True, timeout=DEADLINE)
    if done.returncode != 0:
        raise AssertionError(f"attempts in {pid}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return {name: (how, detail) for name, how, detail in (line.split("\t") for line in done.stdout.splitlines())}


def sockets_below(*folders):
    found = []
    for folder in folders:
        for top, _, names in os.walk(folder):
            found += [os.path.join(top, name) for name in names if stat.S_ISSOCK(os.lstat(os.path.join(top, name)).st_mode)]
    return sorted(found)


def key_needles(path):
    """What a private key looks like in memory, in hexadecimal: a prime (or the scalar) as OpenSSL keeps it on this machine, the file's text."""
    if not path:
        return []
    text = subprocess.run(["openssl", "pkey", "-in", str(path), "-noout", "-text"], capture_output=True, text=True).stdout
    found = re.search(r"^(?:prime1|priv):\n((?:\s+[0-9a-f:]+\n)+)", text, re.M)
    number = bytes.fromhex(re.sub(r"[\s:]", "", found.group(1))).lstrip(b"\0") if found else b""
    lines = pathlib.Path(path).read_text().split("PRIVATE KEY-----")[1].split("\n")
    needles = [number[::-1][:32], lines[2].encode()[:48] if len(lines) > 3 else b""]
    return [("key-needle", needle.hex()) for needle in needles if needle]


def first_file(*folders):
    """Some file in or below these folders, or None."""
    for folder in folders:
        for top, _, names in os.walk(folder):
            if names:
                return os.path.join(top, sorted(names)[0])
    return None


def victim(folder):
    """A file that may be harmed, of the folder's owner."""
    path = pathlib.Path(folder) / "victim"
    path.write_text("a file to be harmed\n")
    owner = os.stat(folder)
    os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(0o600)
    return path


def mail(own, other, index):
    """Two Maildirs, one of which is the process's own; `own` may be None."""
    return [("own-folder", own and own / "cur"), ("own-message", own and first_file(own / "cur", own / "new")),
            ("other-folder", other / "cur"), ("other-message", first_file(other / "new", other / "cur")),
            ("other-index", other / index), ("other-victim", victim(other / "tmp"))]


def postern(instance, own=None, other="two", session=None):
    """The world of an instance of Postern (tests/system/postern.py) as a session of `own` sees it."""
    path = instance.path
    key = next((str(name) for folder in ("etc", "data") for name in sorted((path / folder).rglob("*key*")) if name.is_file()), None)
    auth = next(iter(instance.daemons("authd")), None)
    return [*mail(instance.maildir(own) if own else None, instance.maildir(other), "postern.db"),
            ("queue-incoming", path / "queue/incoming"), ("queue-deferred", path / "queue/deferred"),
            ("queue-message", first_file(path / "queue/deferred", path / "queue/hold", path / "queue/incoming")),
            ("accounts", path / "data/directory/accounts.db"), ("credentials", path / "data/auth/credentials.db"),
            ("key", key), *key_needles(key),
            ("configuration", path / "etc/main.cf"), ("log", instance.log_file), ("run", path / "run"),
            ("pid-session", session), ("pid-auth", auth), ("pid-master", instance.master_pid()),
            ("known-file", instance.log_file), *([("known-file", instance.maildir(own))] if own else []),
            *(("socket", name) for name in sockets_below(path))]
