# SPDX-License-Identifier: ISC
"""A system installed by `make install` and set up by `postern init --system`: commands find it without being told where it is."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from conftest import BUILT, ROOT, SANITIZED
from postern import DOMAIN, PASSWORDS, Instance, _claim_ports, compose, wait_for

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="an installed system belongs to root"), pytest.mark.xdist_group("install")]


class Installed(Instance):
    """Below one throw-away folder: prefix/, etc/postern and spool/postern."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.folder.chmod(0o755)
        self.bin, self.etc, self.path = (self.folder / part for part in ("prefix/sbin", "etc/postern", "spool/postern"))
        self.user = None
        self.base, self._ports = _claim_ports()
        self.environment = {name: value for name, value in os.environ.items() if name != "MAIL_CONFIG"}
        self.install()

    def install(self):
        # The objects are those that were built; only where things stand is compiled in anew.
        build = self.folder / "build"
        subprocess.run(["cp", "-a", BUILT.parent, build], check=True)
        kind = "SANITIZE=1" if SANITIZED else "TEST_HOOKS=1"
        places = [f"PREFIX={self.folder}/prefix", f"SYSCONFDIR={self.etc}"]
        done = subprocess.run(["make", "-C", ROOT, "install", f"BUILD={build}", kind, *places], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        shutil.rmtree(build)

    def run(self, command, *arguments, check=True, **options):
        line = [str(self.bin / command), *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, timeout=90, env=self.environment, **options)
        done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert not check or done.returncode == 0, f"{line}: exit {done.returncode}\n{done.out}{done.err}\n{self.log_tail()}"
        return done

    def init(self, *more, **options):
        return self.run("postern", "init", "--system", self.path, *more, **options)

    def first_init(self):
        users = [word for name, password in PASSWORDS.items() for word in ("--user", f"{name}:{password}")]
        return self.init("--domain", DOMAIN, "--port-base", self.base, *users)


@pytest.fixture(scope="module")
def installation():
    system = Installed()
    yield system
    system.close()


@pytest.fixture
def installed(installation):
    yield installation
    # As make install left it.
    installation.abort()
    for path in installation.folder.iterdir():
        if path.name == "notify":
            path.unlink()
        elif path.name != "prefix":
            shutil.rmtree(path)


def test_an_installed_system_is_set_up_started_and_used_without_saying_where_it_is(installed):
    assert not installed.etc.exists(), "make install leaves the configuration to init"
    assert "start it with: postern start\n" in installed.first_init().out
    files = {path: path.read_bytes() for path in installed.etc.rglob("*") if path.is_file()}
    assert {path.name for path in files} == {"main.cf", "master.cf", "cert.pem", "key.pem"}
    assert not (installed.path / "etc").exists()
    assert installed.run("postconf", "-h", "instance_directory").out.strip() == str(installed.path)
    installed.run("postern", "check")
    installed.start()
    sent = installed.send()
    installed.wait_message(sent)
    local = compose("by-command", [f"one@{DOMAIN}"])
    installed.run("sendmail", "-i", f"one@{DOMAIN}", input=local.replace(b"\r\n", b"\n"))
    wait_for(lambda: any(b"by-command" in message for message in installed.messages()), "the message by sendmail")
    wait_for(lambda: installed.run("mailq").out == "Mail queue is empty\n", "an empty queue")

    # Once more, and with nothing but the place: what is there stays, also while it runs.
    for again in (installed.first_init, installed.init):
        assert "main.cf is there already, and stays" in again().out
    assert {path: path.read_bytes() for path in installed.etc.rglob("*") if path.is_file()} == files
    assert len(installed.messages()) == 2
    installed.run("postern", "check")
    installed.stop()


def test_init_takes_the_instance_and_its_folders_from_a_main_cf_that_is_there(installed):
    installed.first_init()
    elsewhere = installed.folder / "big-disk/mail"
    installed.run("postconf", "-e", f"mail_directory = {elsewhere}")
    assert f"{elsewhere}: " in installed.run("postern", "check", check=False).err
    done = installed.run("postern", "init", "--system")
    assert f"the instance is in {installed.path}," in done.out
    assert elsewhere.is_dir()
    done = installed.run("postern", "check", check=False)
    assert "virtual: mail_directory is not below instance_directory, so the entry needs chroot = n" in done.err
    entries = ("virtual", "imap-session", "pop3-session")
    assert len(done.err.splitlines()) == len(entries) + 1
    installed.run("postconf", "-F", *(f"{entry}/unix/chroot=n" for entry in entries))
    installed.run("postern", "check")
    installed.start()
    installed.wait_message(installed.send())
    assert list(elsewhere.glob(f"{DOMAIN}/one/cur/*")) + list(elsewhere.glob(f"{DOMAIN}/one/new/*"))
    installed.stop()

    done = installed.run("postern", "init", "--system", installed.folder / "another", check=False)
    assert done.returncode != 0 and "main.cf says instance_directory = " in done.err
    done = installed.run("postern", "init", "--config", installed.folder / "empty", installed.folder / "another", check=False)
    assert done.returncode != 0 and "--domain is missing" in done.err


def test_the_systemd_unit_starts_the_installed_system_and_hears_that_it_is_ready(installed):
    installed.first_init()
    unit = (installed.folder / "prefix/lib/systemd/system/postern.service").read_text()
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and line[0] != "#")
    assert settings["Type"] == "notify"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(installed.folder / "notify"))
        manager.settimeout(60)
        environment = {**installed.environment, "NOTIFY_SOCKET": str(installed.folder / "notify")}
        running = subprocess.Popen(settings["ExecStart"].split(), env=environment)
        assert manager.recv(100) == b"READY=1"
    assert installed.master_pid() == running.pid
    sent = installed.send()
    installed.wait_message(sent)
    subprocess.run(settings["ExecReload"].split(), env=installed.environment, check=True, capture_output=True)
    running.terminate()
    assert running.wait(60) == 0
