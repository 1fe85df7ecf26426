# SPDX-License-Identifier: ISC
"""The commands that make, check and drive an instance, and postconf beside Postfix's own."""
import concurrent.futures
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from postern import DOMAIN, wait_for

POSTFIX = "/usr/sbin/postconf"
needs_postfix = pytest.mark.skipif(not os.path.exists(POSTFIX), reason="Postfix's postconf is not installed")

MAIN_CF = """# comment
myhostname = mail.example.test
mydestination = $myhostname, localhost,
   # a comment in between
   localhost.localdomain

\tanother.test
mynetworks = 127.0.0.0/8   [::1]/128
foo = bar
smtpd_banner = $myhostname ESMTP ${foo?with} ${nope:no}   x $$
relayhost = ${{$foo} == {bar} ? {[a.test]:25} : {b}}
maximal_queue_lifetime=3d
virtual_alias_domains =
smtpd_client_restrictions = permit_mynetworks, $mua_client_restrictions
mua_client_restrictions = permit_sasl_authenticated,reject
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, reject_unknown_recipient_domain
virtual_destination_concurrency_limit = 3
"""
MASTER_CF = """# services
smtp inet n - y - 1 smtpd
pickup unix n - y 60 1 pickup
virtual unix - n n - - virtual
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
  # comment
  -o smtpd_tls_security_level=encrypt -v
  -o hopcount_limit=3
127.0.0.1:2525 inet n - - 60? - smtpd
"""


def test_init_again_changes_nothing(make_instance):
    instance = make_instance()
    instance.configure(hopcount_limit=7)
    before = {p: (p.stat().st_mode, p.stat().st_uid) for p in instance.path.rglob("*")}
    main_cf = (instance.etc / "main.cf").read_bytes()
    again = instance.postern("init", str(instance.path), "--domain", DOMAIN, "--user", "one:other", configured=False)
    assert "there already" in again.out
    assert (instance.etc / "main.cf").read_bytes() == main_cf
    assert {p: (p.stat().st_mode, p.stat().st_uid) for p in instance.path.rglob("*")} == before
    instance.start()
    instance.imap("one").logout()  # the first password still holds


@pytest.mark.core
def test_check_finds_what_is_wrong_and_changes_nothing(make_instance):
    instance = make_instance()
    assert instance.postern("check").returncode == 0
    (instance.path / "queue/incoming").chmod(0o777)
    (instance.etc / "master.cf").chmod(0o666)
    shutil.rmtree(instance.path / "queue/hold")
    with open(instance.etc / "master.cf", "a") as master_cf:
        master_cf.write("other unix y - y - 1 nosuchdaemon\n")
    found = instance.postern("check", check=False)
    assert found.returncode == 78
    for what in ("queue/incoming", "master.cf: others", "queue/hold", "nosuchdaemon"):
        assert what in found.err
    assert stat.S_IMODE((instance.path / "queue/incoming").stat().st_mode) == 0o777


def test_entries_that_a_former_version_did_not_need_are_told_with_the_line_to_add(make_instance):
    instance = make_instance()
    master_cf = instance.etc / "master.cf"
    lines = master_cf.read_text().splitlines(keepends=True)
    lacking = [line for line in lines if line.split()[:1] not in (["introspect"], ["keys"])]
    assert len(lacking) == len(lines) - 2
    master_cf.write_text("".join(lacking))
    wanted = r"warning: (\S+/master\.cf): there is no entry for (\w+), which (\w+) asks; add the line: (.*)"
    found = instance.postern("check")
    told = re.findall(wanted, found.err)
    assert [(path, what, who) for path, what, who, _ in told] == [(str(master_cf), "introspect", "authd"), (str(master_cf), "keyd", "tlsd")], found.err
    assert re.search(wanted, instance.postern("start").err)
    with open(master_cf, "a") as file:
        file.writelines(line + "\n" for *_, line in told)
    assert "warning" not in instance.reload().err
    assert {"authd", "introspect", "keyd"} <= set(instance.processes().values())


def test_who_serves_no_imap_needs_nothing_of_it(make_instance):
    instance = make_instance()
    instance.run("postconf", "-MX", "imap/inet", "imaps/inet", "imap-session/unix")
    assert "warning" not in instance.postern("check").err


@pytest.mark.skipif(os.geteuid() != 0, reason="system users are for those who start it as root")
def test_a_system_user_that_is_missing_is_told_before_the_start(make_instance):
    instance = make_instance()
    passwd = instance.folder / "passwd"
    passwd.write_text("".join(line for line in open("/etc/passwd") if not line.startswith("postern-introspect:")))
    for command in ("check", "start", "start-fg"):
        done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd, instance.bin / "postern", "-c", instance.etc, command],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 78, done
        assert re.search(r"error: \S+/master\.cf:\d+: introspect: there is no user postern-introspect; "
                         rf'"postern init --config {instance.etc}" makes it', done.stderr), done.stderr
    assert not instance.running()


def test_every_fault_is_told_with_file_line_and_parameter(make_instance):
    instance = make_instance()
    lines = len((instance.etc / "main.cf").read_text().splitlines())
    with open(instance.etc / "main.cf", "a") as main_cf:
        main_cf.write("hopcount_limit = many\nmydestnation = x\nsmtpd_milters = inet:localhost:1\nqueue_run_delay = $loop\nloop = $loop\n")
    found = instance.postern("check", check=False)
    assert found.returncode == 78
    path = str(instance.etc / "main.cf")
    assert f"error: {path}:{lines + 1}: hopcount_limit: " in found.err
    assert f'warning: {path}:{lines + 2}: mydestnation: unknown parameter, and nothing refers to it; is "mydestination" meant?' in found.err
    assert f"warning: {path}:{lines + 3}: smtpd_milters: is known but has no effect in this version" in found.err
    assert f"error: {path}:{lines + 4}: queue_run_delay: refers to itself" in found.err
    assert instance.postern("start", check=False).returncode == 78
    assert not instance.running()


def test_misspelled_restrictions_are_told_before_the_start(make_instance):
    instance = make_instance()
    instance.configure(smtpd_sender_restrictions="permit_mynetwork")
    found = instance.postern("check", check=False)
    assert found.returncode == 78 and "main.cf:" in found.err and "smtpd_sender_restrictions: " in found.err
    instance.run("postconf", "-X", "smtpd_sender_restrictions")
    instance.run("postconf", "-Pe", "smtp/inet/smtpd_helo_restrictions=nosuch")
    found = instance.postern("start", check=False)
    assert found.returncode == 78 and "master.cf:" in found.err and "smtpd_helo_restrictions: " in found.err


@pytest.mark.core
def test_start_status_stop_have_postfix_exit_codes(make_instance):
    instance = make_instance()
    assert instance.postern("status", check=False).returncode == 1
    assert instance.postern("stop", check=False).returncode == 1
    assert instance.postern("reload", check=False).returncode == 1
    instance.start()
    assert instance.postern("status").returncode == 0
    assert instance.postern("start", check=False).returncode == 75
    status = json.loads(instance.postern("status", "--json").out)
    assert status["running"] is True and status["pid"] == instance.master_pid()
    assert {"smtp", "cleanup", "qmgr", "imap", "pop3"} <= {process["service"] for process in status["processes"]}
    pids = list(instance.processes())
    instance.stop()
    assert instance.postern("status", check=False).returncode == 1
    assert not any(instance._alive(pid) for pid in pids)


def test_status_is_for_everybody(instance, ordinary_user):
    status = instance.postern("status", "--json", as_user=ordinary_user)
    assert json.loads(status.out)["running"] is True
    instance.stop()
    assert instance.postern("status", as_user=ordinary_user, check=False).returncode == 1


def test_what_a_process_counted_outlives_it_and_each_has_a_file_of_its_own(instance):
    instance.wait_message(instance.send())
    counted = json.loads(instance.postern("status", "--json").out)["totals"]
    assert counted["messages"] == 1 and counted["delivered"] == 1
    pid = instance.kill_daemon("cleanup")
    wait_for(lambda: [p for p in instance.daemons("cleanup") if p != pid], "another cleanup")
    status = json.loads(instance.postern("status", "--json").out)
    assert status["totals"]["messages"] == 1 and status["totals"]["restarts"] == 1
    assert pid not in [process["pid"] for process in status["processes"]]
    # Beside those of the processes there is the file of all that have ended.
    files = sorted((instance.path / "run/figures").iterdir())
    assert len(files) == len(status["processes"]) + 1 and all(f.stat().st_mode & 0o777 == 0o644 for f in files)


def test_nobody_else_can_keep_it_from_starting(instance, ordinary_user):
    instance.stop()
    lock = "import fcntl, sys; fcntl.lockf(open(sys.argv[1]), fcntl.LOCK_SH)"
    kept = subprocess.run(["setpriv", f"--reuid={ordinary_user.pw_uid}", f"--regid={ordinary_user.pw_gid}", "--clear-groups",
                           "/usr/bin/python3", "-c", lock, str(instance.path / "run/master.pid")], capture_output=True)
    assert kept.returncode != 0 and b"PermissionError" in kept.stderr


def test_abort_ends_at_once_although_a_client_is_connected(instance):
    client = instance.raw(25)
    client.line()
    processes = instance.processes()
    assert instance.postern("abort").returncode == 0
    left = {}
    try:
        wait_for(lambda: not any(instance._alive(pid) for pid in processes), "all processes gone", 10)
    except AssertionError:
        left = {pid: name for pid, name in processes.items() if instance._alive(pid)}
    assert left == {}
    assert client.line() == b""


def test_stop_works_while_the_configuration_is_broken(instance):
    (instance.etc / "main.cf").write_text("this is not a setting\n")
    assert instance.postern("status").returncode == 0
    assert instance.postern("stop").returncode == 0


def banner(instance):
    client = instance.raw(25)
    line = client.line()
    client.close()
    return line


@pytest.mark.core
def test_a_bad_configuration_is_not_taken_up(instance):
    instance.configure(smtpd_banner="$myhostname first")
    assert instance.reload().returncode == 0
    instance.configure(smtpd_banner="$myhostname second", queue_run_delay="soon")
    refused = instance.reload(check=False)
    assert refused.returncode == 78
    assert "queue_run_delay" in refused.err and "main.cf:" in refused.err
    assert b"first" in banner(instance)
    instance.configure(queue_run_delay="5s")
    assert "in force" in instance.reload().out
    wait_for(lambda: b"second" in banner(instance), "the new banner")


def test_explain_tells_what_each_process_may_touch(make_instance):
    instance = make_instance()
    text = instance.postern("explain", "smtpd").out
    assert "Files: none at all." in text and "postern-net" in text
    assert "queue_directory" in instance.postern("explain", "cleanup").out
    assert instance.postern("explain", "nosuch", check=False).returncode == 64
    for service in ("authd", "directoryd", "imapd-session", "qmgr", "virtual"):
        assert f"{service}: " in instance.postern("explain").out


def test_help_and_version_of_every_command(make_instance):
    instance = make_instance()
    assert instance.postern("--version", configured=False).out.startswith("postern ")
    listing = instance.postern("--help", configured=False).out
    names = [line.split()[0] for line in listing.splitlines() if line.startswith("  ")]
    assert {"init", "start", "stop", "reload", "check", "status", "flush", "explain", "postconf"} <= set(names)
    for name in ("init", "start", "stop", "reload", "check", "status", "flush", "explain", "postconf"):
        help_text = instance.postern(name, "--help")
        assert "usage" in help_text.out
    assert instance.postern("nosuch", check=False).returncode == 64


# --- postconf ---


SHOW = [
    ["-n"], ["-f", "smtpd_recipient_restrictions", "mydestination"], ["-n", "-x"], ["-n", "-h"], ["-n", "-H"], ["mydestination", "foo", "relayhost"],
    ["-h", "mydestination"], ["-x", "smtpd_banner", "relayhost"], ["-o", "foo=baz", "-x", "relayhost"],
    ["-C", "user"], ["nosuch"], ["-M"], ["-Mf"], ["-M", "submission"], ["-M", "*/unix"], ["-Mf", "submission/inet"],
    ["-M", "nosuch"], ["-P"], ["-P", "submission/inet/hopcount_limit"], ["-Ph"], ["-F"], ["-F", "smtp/inet"],
    ["-F", "*/inet/chroot"], ["-Fh", "pickup"], ["-FH", "smtp/inet"], ["-F", "smtp/inet/nosuch"], ["-e"], ["-e", "foo"],
    ["-X", "foo=1"], ["-d", "nosuch"],
]
CHANGE = [
    ["-e", "foo=baz", "new_one = a  b", "mydestination=x"], ["foo="], ["-X", "mydestination", "nosuch"],
    ["-#", "mydestination", "foo"], ["-Me", "smtp/inet=smtp inet n - n - 7 smtpd -v"],
    ["-Me", "new/unix=new unix - - - - - new -o x=y"], ["-Fe", "pickup/unix/chroot=n"],
    ["-Fe", "pickup/unix/command=pickup -v"], ["-Pe", "smtp/inet/hopcount_limit=9"], ["-MX", "pickup/unix"],
    ["-M#", "pickup/unix"], ["-PX", "submission/inet/hopcount_limit"], ["-Me", "bad/unix=bad"], ["-Fe", "nosuch/unix/chroot=n"],
]


def run_postconf(program, folder, arguments):
    """Output, exit status, and the files afterwards."""
    # Continued entries keep their comments in both, but Postfix moves them.
    (folder / "main.cf").write_text(MAIN_CF)
    (folder / "master.cf").write_text(MASTER_CF.replace("  # comment\n", ""))
    done = subprocess.run([str(program), "-c", str(folder), *arguments], capture_output=True, timeout=60)
    files = [(folder / name).read_text() for name in ("main.cf", "master.cf")]
    return done.stdout.decode().replace(str(folder), "FOLDER"), done.returncode, files


@pytest.fixture(scope="module")
def postfix_says(tmp_path_factory):
    """What Postfix's postconf does with each list of arguments; it waits for name servers, so all at once."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        runs = {tuple(arguments): pool.submit(run_postconf, POSTFIX, tmp_path_factory.mktemp("postfix"), arguments)
                for arguments in SHOW + CHANGE}
        return {arguments: run.result() for arguments, run in runs.items()}


@needs_postfix
@pytest.mark.parametrize("arguments", SHOW, ids=" ".join)
def test_postconf_shows_what_postfix_shows(binaries, postfix_says, tmp_path, arguments):
    assert run_postconf(binaries / "postconf", tmp_path, arguments) == postfix_says[tuple(arguments)]


@needs_postfix
@pytest.mark.parametrize("arguments", CHANGE, ids=" ".join)
def test_postconf_changes_what_postfix_changes(binaries, postfix_says, tmp_path, arguments):
    _, status, files = run_postconf(binaries / "postconf", tmp_path, arguments)
    assert (status, files) == postfix_says[tuple(arguments)][1:]


def test_postconf_refuses_what_would_not_parse(make_instance):
    instance = make_instance()
    before = (instance.etc / "master.cf").read_bytes()
    assert instance.run("postconf", "-Fe", "smtp/inet/chroot=maybe", check=False).returncode == 1
    assert instance.run("postconf", "-e", "a b=c", check=False).returncode == 1
    assert instance.run("postconf", "-e", "myorigin=a\nmydomain=b", check=False).returncode == 1
    assert (instance.etc / "master.cf").read_bytes() == before
    assert not list(instance.etc.glob("*.new"))


def test_postconf_json_is_json(make_instance):
    instance = make_instance()
    instance.configure(smtpd_banner='$myhostname "quoted" \\ back')
    values = {}
    for line in instance.run("postconf", "-j").out.splitlines():
        parameter = json.loads(line)
        values[parameter["name"]] = parameter["value"]
    assert values["smtpd_banner"] == '$myhostname "quoted" \\ back'
    assert values["message_size_limit"] == "10240000"
