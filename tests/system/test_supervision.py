# SPDX-License-Identifier: ISC
"""What master does with processes that hang, end too early or do not hear, and with signals that come at a bad moment."""
import contextlib
import os
import pathlib
import re
import signal
import smtplib
import subprocess
import threading

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, wait_for

HANGS = "#!/bin/sh\nexec sleep 600\n"
ENDS = "#!/bin/sh\nexit 0\n"


class Programs:
    """A daemon_directory in which one daemon can be replaced by something that does not do its work."""

    def __init__(self, instance):
        self.instance = instance
        self.real = pathlib.Path(instance.bin)
        self.folder = instance.folder / "programs"
        self.folder.mkdir(mode=0o755)
        for program in self.real.iterdir():
            (self.folder / program.name).symlink_to(program)

    def put(self, name, script):
        new = self.folder / "new"
        new.write_text(script)
        new.chmod(0o755)
        new.rename(self.folder / name)

    def restore(self, name):
        new = self.folder / "new"
        new.symlink_to(self.real / name)
        new.rename(self.folder / name)

    def hanging(self, name):
        """The pids of scripts that master started in place of a daemon."""
        master = str(self.instance.master_pid())
        return [int(p.parent.name) for p in pathlib.Path("/proc").glob("[0-9]*/stat")
                if (text := _read(p)) and text.rpartition(") ")[2].split()[1] == master and "(sleep)" in text]


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


@pytest.fixture
def programs(instance):
    return Programs(instance)


def serves_completely(instance):
    """Who comes new is served, by processes that must be introduced to each other, and mail flows."""
    with instance.imap() as imap:
        imap.select("INBOX")
    with smtplib.SMTP(HOST, instance.base + 587, timeout=TIMEOUT) as smtp:
        smtp.starttls()
        smtp.login(f"one@{DOMAIN}", PASSWORDS["one"])
    instance.wait_message(instance.send())
    assert instance.queue() == []


def is_called_off(instance, before, status, reason):
    """The reload was refused for that reason, and all processes of before go on, alone."""
    at = len(instance.log())
    refused = instance.reload(check=False)
    assert refused.returncode == status, refused.err
    assert re.search(r"the former configuration stays in force: \w+: " + reason, refused.err), refused.err
    assert "reload -- generation" not in instance.log()[at:]
    for name, pids in before.items():
        wait_for(lambda: instance.daemons(name) == pids, f"the end of all other processes of {name}")
    serves_completely(instance)


def all_daemons(instance):
    return {name: instance.daemons(name) for name in ("smtpd", "cleanup", "pickup", "qmgr", "showq", "virtual", "directoryd", "authd", "tlsd", "keyd", "imapd", "pop3d")}


# Checks find nothing, and the process itself does.
UNCHECKED = "#!/bin/sh\n[ \"$1\" = --check ] && exit 0\nexec {} \"$@\"\n"


@pytest.mark.parametrize("daemon, settings, reason", [
    ("authd", {"auth_backends": "credentials, passwd-file:/nonexist"}, r"auth: .*/nonexist: No such file"),
    ("authd", {"auth_oauth_keys": "/nonexist"}, r"auth: .*/nonexist: No such file"),
    ("directoryd", {"virtual_alias_maps": "hash:/nonexist"}, r"directory: .*/nonexist"),
])
def test_a_reload_whose_process_ends_before_it_is_ready_is_called_off_with_its_reason(programs, daemon, settings, reason):
    instance = programs.instance
    serves_completely(instance)
    before = all_daemons(instance)
    main_cf = (instance.etc / "main.cf").read_text()
    programs.put(daemon, UNCHECKED.format(programs.real / daemon))
    smtp = instance.smtp()
    instance.configure(daemon_directory=programs.folder, smtpd_banner="$myhostname ESMTP other", **settings)
    is_called_off(instance, before, 78, reason)
    with instance.smtp() as fresh:
        assert b"other" not in fresh.ehlo()[1]
    smtp.ehlo()
    assert smtp.mail("a@elsewhere.test")[0] == 250 and smtp.rcpt(f"one@{DOMAIN}")[0] == 250
    (instance.etc / "main.cf").write_text(main_cf)
    instance.configure(message_size_limit="77777")
    assert instance.reload().returncode == 0
    with instance.smtp() as fresh:
        fresh.ehlo()
        assert fresh.esmtp_features["size"] == "77777"
    smtp.close()
    serves_completely(instance)


@pytest.mark.parametrize("daemon", ["authd", "imapd", "tlsd", "keyd", "smtpd-session"])
def test_a_reload_whose_process_just_ends_is_called_off(programs, daemon):
    instance = programs.instance
    before = all_daemons(instance)
    programs.put(daemon, "#!/bin/sh\nexit 0\n")
    instance.configure(daemon_directory=programs.folder)
    is_called_off(instance, before, 75, r"\S+: the service ends at its start: see the log")
    programs.restore(daemon)
    assert instance.reload().returncode == 0


def test_a_service_that_exists_once_and_fails_after_the_switch_is_told_and_tried_again(programs):
    instance = programs.instance
    programs.put("qmgr", ENDS)
    instance.configure(daemon_directory=programs.folder, message_size_limit="77777")
    done = instance.reload(check=False)
    assert done.returncode == 75, done.err
    assert "in force, but a service is missing, and tried again: qmgr: the service ends at its start" in done.err
    programs.restore("qmgr")
    wait_for(lambda: instance.daemons("qmgr"), "the new qmgr")
    serves_completely(instance)
    assert instance.reload().returncode == 0


def test_a_reload_whose_process_is_not_ready_in_time_is_called_off(programs):
    instance = programs.instance
    before = all_daemons(instance)
    programs.put("showq", HANGS)
    instance.configure(daemon_directory=programs.folder, service_start_timeout="1s")
    is_called_off(instance, before, 75, "showq: it is not ready in service_start_timeout")
    assert re.search(r"error: showq\[\d+\] is not ready in service_start_timeout: killed", instance.log())
    programs.restore("showq")
    instance.configure(service_start_timeout="60s")
    assert instance.reload().returncode == 0
    assert not set(instance.daemons("showq")) & set(before["showq"])


def test_while_a_reload_gets_ready_the_present_generation_serves_and_another_reload_waits(programs):
    instance = programs.instance
    programs.put("showq", HANGS)
    instance.configure(daemon_directory=programs.folder, message_size_limit="77777")
    os.kill(instance.master_pid(), signal.SIGHUP)
    wait_for(lambda: programs.hanging("showq"), "the new showq")
    wait_for(lambda: len(instance.daemons("smtpd")) == 6, "the new fronts")
    serves_completely(instance)
    for _ in range(5):
        with instance.smtp() as smtp:
            smtp.ehlo()
            assert smtp.esmtp_features["size"] != "77777"
    pid = instance.daemons("cleanup")[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in instance.daemons("cleanup"), "the end of cleanup")
    programs.restore("showq")
    os.kill(instance.master_pid(), signal.SIGHUP)
    os.kill(programs.hanging("showq")[0], signal.SIGKILL)
    instance.wait_log(r"reload refused")
    instance.wait_log(r"reload -- generation 2")
    serves_completely(instance)


def test_a_daemon_that_ends_before_it_is_ready_has_failed_whatever_it_says(make_instance):
    instance = make_instance()
    programs = Programs(instance)
    programs.put("showq", ENDS)
    instance.configure(daemon_directory=programs.folder, service_restart_delay="0s")
    started = instance.postern("start", check=False)
    assert started.returncode != 0 and "the service ends at its start" in started.err
    assert not instance.running()


def test_old_processes_that_do_not_hear_are_killed_when_their_time_is_over(make_instance):
    instance = make_instance(settings={"service_drain_timeout": "1s", "service_stop_timeout": "1s"})
    instance.start()
    deaf = instance.daemons("showq")[0]
    os.kill(deaf, signal.SIGSTOP)
    os.kill(instance.master_pid(), signal.SIGHUP)
    instance.wait_log(r"processes of generation 1 are ended: service_drain_timeout is over")
    instance.wait_log(r"processes of generation 1 are killed: service_drain_timeout is over")
    instance.wait_log(rf"showq pid {deaf} killed by signal 9")
    assert instance.daemons("showq") != [deaf] and instance.queue() == []


def test_two_reloads_at_once_leave_one_queue_manager(instance):
    """qmgr exists once: its successor waits for it, and so does the successor's successor."""
    deaf = instance.daemons("qmgr")[0]
    os.kill(deaf, signal.SIGSTOP)
    for generation in (2, 3):
        os.kill(instance.master_pid(), signal.SIGHUP)
        instance.wait_log(rf"reload -- generation {generation}")
    wait_for(lambda: len(instance.daemons("showq")) == 1 and len(instance.daemons("bounce")) == 1, "the end of the others")
    assert instance.daemons("qmgr") == [deaf]
    os.kill(deaf, signal.SIGCONT)
    wait_for(lambda: (now := instance.daemons("qmgr")) and now != [deaf], "another qmgr")
    assert len(instance.daemons("qmgr")) == 1
    instance.wait_message(instance.send())


def test_a_stop_in_the_middle_of_a_reload_ends_all(programs):
    instance = programs.instance
    programs.put("showq", HANGS)
    instance.configure(daemon_directory=programs.folder)
    os.kill(instance.master_pid(), signal.SIGHUP)
    wait_for(lambda: programs.hanging("showq"), "the new showq")
    pids = [*instance.processes(), *programs.hanging("showq")]
    instance.stop()
    assert not any(instance._alive(pid) for pid in pids)


@pytest.mark.parametrize("signal_number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_during_the_start_waits_or_ends_it(make_instance, signal_number):
    instance = make_instance()
    programs = Programs(instance)
    programs.put("showq", HANGS)
    instance.configure(daemon_directory=programs.folder)
    started = []
    thread = threading.Thread(target=lambda: started.append(instance.postern("start", check=False)))
    thread.start()
    wait_for(lambda: (instance.path / "run/master.pid").exists() and instance.log_file.exists()
             and programs.hanging("showq"), "a start that hangs")
    os.kill(instance.master_pid(), signal_number)
    if signal_number == signal.SIGTERM:
        thread.join()
        assert started[0].returncode != 0
        wait_for(lambda: not instance.running(), "the end of master")
        return
    programs.restore("showq")
    os.kill(programs.hanging("showq")[0], signal.SIGKILL)
    thread.join()
    assert started[0].returncode == 0
    instance.wait_log(r"reload -- generation 2")
    instance.wait_message(instance.send())


def test_keys_are_checked_by_the_keyd_of_the_new_configuration(programs):
    instance = programs.instance
    programs.put("keyd", "#!/bin/sh\nprintf 'error /some/key\\tnot today\\n'\nexit 1\n")
    instance.configure(daemon_directory=programs.folder)
    refused = instance.reload(check=False)
    assert refused.returncode != 0 and "not today" in refused.err
    programs.restore("keyd")
    assert instance.reload().returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_below_run_keeps_nothing_from_starting_and_reloading(instance):
    instance.reload()
    instance.stop()
    run, kept = instance.path / "run", instance.folder / "run-before"
    info = run.stat()
    subprocess.run(["cp", "-a", str(run), str(kept)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,mode={info.st_mode & 0o7777:o},uid={info.st_uid},gid={info.st_gid}",
                    "tmpfs", str(run)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(run)], check=True)
        with open(run / "filler", "ab", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
        instance.start()
        instance.wait_message(instance.send())
        assert re.search(r"is not counted: .*No space left on device", instance.log())
        assert instance.reload().returncode == 0
        instance.wait_message(instance.send())
    finally:
        instance.postern("abort", check=False)
        subprocess.run(["umount", "-l", str(run)], check=True)
