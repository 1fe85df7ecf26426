# SPDX-License-Identifier: ISC
"""Tokens that a command is asked about: every way it can answer, and what it reaches."""
import imaplib
import os
import re
import tempfile
import threading

import pytest

from postern import DOMAIN, HOST, TIMEOUT, wait_for


def imap(instance):
    return imaplib.IMAP4(HOST, instance.base + 143, timeout=TIMEOUT)


def login(instance, user, password):
    with imap(instance) as client:
        return client.login(user, password)[0] == "OK"


# What the command is told to do stands in the token.
INTROSPECT = r'''#!/usr/bin/python3 -I
import json, os, socket, sys, time
what = sys.stdin.readline().rstrip("\n")
if what.startswith("user-"):
    print(json.dumps({"active": True, "username": what[5:] + "@DOMAIN", "exp": time.time() + 60, "aud": "mail"}))
elif what == "inactive":
    print('{"active": false}')
elif what == "expired":
    print('{"active": true, "username": "one@DOMAIN", "exp": 1, "aud": "mail"}')
elif what == "hang":
    time.sleep(1000)
elif what == "huge":
    print(json.dumps({"active": True, "username": "one@DOMAIN", "aud": "mail", "x": "x" * 1000000}))
elif what == "garbage":
    print("<html>Bad gateway</html>")
elif what == "exit75":
    print(json.dumps({"active": True, "username": "one@DOMAIN", "aud": "mail"}), flush=True)
    sys.exit(75)
elif what == "forks":
    # Good when there is no end to it.
    try:
        for _ in range(2000):
            if os.fork() == 0:
                time.sleep(1000)
        print(json.dumps({"active": True, "username": "one@DOMAIN", "aud": "mail"}))
    except BlockingIOError:
        print('{"active": false}')
elif what == "escape":
    # Good when anything works that must not.
    found = [] if sys.argv[1:] == ["--argument"] and set(os.environ) <= {"PATH", "LC_CTYPE"} else ["environment"]
    found += [fd for fd in range(3, 64) if os.path.exists(f"/proc/self/fd/{fd}")]
    for path, flags in (("INSTANCE/data/auth/credentials.db", os.O_RDONLY), ("INSTANCE/etc/main.cf", os.O_RDONLY),
                        ("INSTANCE/etc/tls/key.pem", os.O_RDONLY), ("/tmp/postern-escape", os.O_WRONLY | os.O_CREAT),
                        ("INSTANCE/log/mail.log", os.O_WRONLY), ("INSTANCE/mail", os.O_RDONLY)):
        try:
            os.close(os.open(path, flags))
            found.append(path)
        except OSError:
            pass
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW)
        found.append("raw socket")
    except OSError:
        pass
    socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    print(json.dumps({"active": bool(found), "username": "one@DOMAIN", "aud": "mail"}))
'''


@pytest.fixture
def introspect(instance):
    """The command in a folder that its user may look into, and an instance that uses it."""
    with tempfile.TemporaryDirectory(prefix="postern-introspect-") as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/introspect"
        with open(path, "w") as file:
            file.write(INTROSPECT.replace("DOMAIN", DOMAIN).replace("INSTANCE", str(instance.path)))
        os.chmod(path, 0o755)
        instance.configure(auth_mechanisms="plain, oauthbearer, xoauth2", auth_oauth_introspection_command=f"{path}  --argument",
                           auth_oauth_audience="mail", auth_oauth_introspection_timeout="2s", auth_failure_delay="0",
                           auth_failure_account_limit="0", auth_failure_network_limit="0")
        assert instance.postern("check", check=False).returncode == 0
        instance.reload()
        yield instance


def bearer(instance, token, user=""):
    """True, or what the server said; with the error of RFC 7628 before it, when there was one."""
    client, errors = imap(instance), []

    def respond(challenge):
        if challenge:
            errors.append(challenge)
            return b"\1"
        return f"n,{'a=' + user if user else ''},\1auth=Bearer {token}\1\1".encode()
    try:
        return client.authenticate("OAUTHBEARER", respond)[0] == "OK"
    except imaplib.IMAP4.error as error:
        return "".join(part.decode() for part in errors) + str(error)
    finally:
        client.shutdown()


@pytest.mark.core
def test_a_command_says_whose_a_token_is(introspect):
    assert bearer(introspect, "user-one") is True
    assert bearer(introspect, "user-one", f"one@{DOMAIN}") is True
    assert "invalid_token" in bearer(introspect, "user-one", f"two@{DOMAIN}")
    for token in ("inactive", "expired", "user-nobody"):
        assert "AUTHENTICATIONFAILED" in bearer(introspect, token)
    for token in ("huge", "garbage", "exit75", "hang"):
        answer = bearer(introspect, token)
        assert "UNAVAILABLE" in answer and "invalid_token" not in answer, (token, answer)
    assert bearer(introspect, "user-two") is True
    log = introspect.log()
    assert re.search(r"mech=OAUTHBEARER rip=\S+ failed \(the token is not active\)", log)
    assert re.search(r"mech=OAUTHBEARER rip=\S+ temporary failure \(the introspection command's answer is not that of RFC 7662\)", log)
    assert re.search(r"warning: \S+/introspect: it said too much", log)
    assert not re.search(r"user-one|user-two|inactive\b.*token=|garbage|exit75", log), "a token is in the log"


@pytest.mark.core
def test_a_command_reaches_nothing_of_the_suite(introspect):
    assert "AUTHENTICATIONFAILED" in bearer(introspect, "escape")


def test_a_command_that_forks_without_end_comes_to_one(introspect):
    introspect.configure(auth_oauth_introspection_limit="1", auth_oauth_introspection_timeout="60s")
    introspect.reload()
    assert "AUTHENTICATIONFAILED" in wait_for(lambda: bearer(introspect, "forks"), "an answer")
    wait_for(lambda: not commands(introspect), "the end of all of them")
    assert bearer(introspect, "user-one") is True


def test_commands_that_hang_hold_up_no_passwords(introspect):
    introspect.configure(auth_oauth_introspection_limit="2", auth_worker_limit="1", auth_oauth_introspection_timeout="60s")
    introspect.reload()
    wait_for(lambda: bearer(introspect, "user-one") is True, "the new configuration")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(bearer(introspect, "hang"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(commands(introspect)) == 2, "as many commands as may run")
    assert login(introspect, f"one@{DOMAIN}", "one-secret") is True
    # The process that runs them dies, and all of them with it: nobody waits for the time to pass.
    introspect.kill_daemon("introspect")
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(answers) == 6 and all("UNAVAILABLE" in answer for answer in answers), answers
    wait_for(lambda: not commands(introspect), "the end of the commands")
    wait_for(lambda: bearer(introspect, "user-one") is True, "another process")


def commands(instance):
    """Running commands: children of introspect that are another program by now."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    if "postern-introspect-" in file.read():
                        found.append(int(entry))
            except OSError:
                pass
    return found


def test_check_tells_what_is_wrong_with_the_command(introspect):
    path = introspect.run("postconf", "-h", "auth_oauth_introspection_command").out.split()[0]

    def told():
        done = introspect.postern("check", check=False)
        return done.returncode != 0 and done.err
    assert not told()
    os.chmod(path, 0o757)
    assert f"auth_oauth_introspection_command: {path}: others than its owner may write it" in told()
    os.chmod(path, 0o644)
    assert re.search(f"auth_oauth_introspection_command: {path}: \\S+ cannot run it", told())
    os.chmod(path, 0o755)
    os.chmod(os.path.dirname(path), 0o777)
    assert f"auth_oauth_introspection_command: {os.path.dirname(path)}: others than its owner may write it" in told()
    os.chmod(os.path.dirname(path), 0o755)
    for command, fault in (("/nonexistent/x -a", "/nonexistent/x: No such file"), ("bin/x", "bin/x: not an absolute path"),
                           (os.path.dirname(path), "is not a file")):
        introspect.configure(auth_oauth_introspection_command=command)
        assert fault in told()


def test_explain_says_what_a_command_may(introspect):
    text = introspect.postern("explain", "introspect").out
    assert "run the programs of the files above" in text and "$auth_oauth_introspection_command" in text
    assert "run another program" not in text and "connect anywhere" not in text
    assert "run another program" in introspect.postern("explain", "authd").out
