# SPDX-License-Identifier: ISC
"""Who guesses passwords, lies with tickets or crowds the door gets nothing, and nobody else waits for it."""
import base64
import json
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import statistics
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from postern import DOMAIN, HOST, TIMEOUT, wait_for
from test_accounts import login
from test_sasl import Scram

ONE = f"one@{DOMAIN}"


@pytest.mark.core
def test_an_application_password_is_good_for_its_services_until_it_is_revoked(make_instance):
    instance = make_instance(settings={"auth_failure_delay": "0"})
    instance.start()
    password = instance.postern("user", "app", "add", ONE, "my phone", "--services", "imap,smtp").out.strip()
    everywhere = instance.postern("user", "app", "add", ONE, "laptop").out.strip()
    assert login(instance, ONE, password)
    instance.wait_log(rf"auth: user=<{ONE}> service=imap mech=PLAIN rip=127.0.0.1 app=<my phone> ok")
    assert login(instance, ONE, "one-secret")
    assert not login(instance, f"two@{DOMAIN}", password)
    client = instance.raw(110)
    assert client.line().startswith(b"+OK")
    for given, answer in ((password, b"-ERR [AUTH]"), (everywhere, b"+OK")):
        client.send(f"USER {ONE}\r\n")
        assert client.line().startswith(b"+OK")
        client.send(f"PASS {given}\r\n")
        assert client.line().startswith(answer)
    client.close()
    listed = [json.loads(line) for line in instance.postern("user", "app", "list", ONE, "--json").out.splitlines()]
    assert [(app["name"], app["services"]) for app in listed] == [("laptop", []), ("my phone", ["imap", "smtp"])]
    assert password not in instance.postern("user", "app", "list", ONE).out
    assert json.loads(instance.postern("user", "show", ONE, "--json").out)["app_passwords"] == listed
    shown = instance.postern("user", "show", ONE).out
    assert re.search(r"^app +laptop +all +made ", shown, re.M) and re.search(r"^app +my phone +imap,smtp +made ", shown, re.M)
    instance.postern("user", "app", "delete", ONE, "my phone")
    assert not login(instance, ONE, password)
    assert login(instance, ONE, everywhere)
    instance.postern("user", "disable", ONE)
    assert not login(instance, ONE, everywhere)
    instance.postern("user", "enable", ONE)
    assert login(instance, ONE, everywhere)


def test_application_passwords_are_for_mailboxes_that_exist(instance):
    for words in (["add", f"nobody@{DOMAIN}", "x"], ["add", ONE, "x", "--services", "ftp"], ["delete", ONE, "x"], ["list", f"nobody@{DOMAIN}"]):
        assert instance.postern("user", "app", *words, check=False).returncode == 65
    for words in (["add", ONE], ["change", ONE, "x"]):
        assert instance.postern("user", "app", *words, check=False).returncode == 64


# Clients of 127.0.0.0/8 count, so that each address of it plays a network.
COUNTED = {"auth_failure_exempt_clients": "", "auth_failure_delay": "0s", "auth_failure_delay_limit": "0s"}


class Client:
    """IMAP, line by line, from an address of its own."""

    def __init__(self, instance, address="127.0.0.1", port=143):
        self.socket = socket.create_connection((HOST, instance.base + port), timeout=TIMEOUT, source_address=(address, 0))
        if port == 993:
            self.socket = ssl._create_unverified_context().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        self.greeting = self.file.readline()

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.file.readline()

    def login(self, user, password):
        return self.say(f'a LOGIN "{user}" "{password}"')

    def close(self):
        self.file.close()
        self.socket.close()


def attempt(instance, user, password, address="127.0.0.1", port=143):
    client = Client(instance, address, port)
    answer = client.login(user, password)
    client.close()
    return answer


@pytest.mark.core
def test_a_network_that_guesses_is_refused_for_a_while_and_no_other(make_instance):
    instance = make_instance(settings={**COUNTED, "auth_failure_network_limit": "4", "auth_failure_window": "20s"})
    instance.start()
    for n in range(4):
        assert attempt(instance, f"nobody{n}@{DOMAIN}", "x", "127.0.0.9").startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert attempt(instance, ONE, "one-secret", "127.0.0.9").startswith(b"a NO [UNAVAILABLE] Too many failures")
    instance.wait_log(r"auth: user=<> service=imap mech=PLAIN rip=127.0.0.9 refused: too many failures \(auth_failure_network_limit\)")
    assert attempt(instance, ONE, "one-secret", "127.0.0.8").startswith(b"a OK")
    pop3 = Client(instance, "127.0.0.9", 110)
    assert pop3.say(f"USER {ONE}").startswith(b"+OK")
    assert pop3.say("PASS one-secret").startswith(b"-ERR [SYS/TEMP] Too many failures")
    pop3.close()
    wait_for(lambda: attempt(instance, ONE, "one-secret", "127.0.0.9").startswith(b"a OK"), "the end of the refusal", pause=0.2)


def test_nobody_locks_a_user_out_of_his_own_networks(make_instance):
    instance = make_instance(settings={**COUNTED, "auth_failure_account_limit": "5"})
    instance.start()
    assert attempt(instance, ONE, "one-secret", "127.0.0.2").startswith(b"a OK")
    for n in range(10, 20):
        attempt(instance, ONE, "guess", f"127.0.0.{n}")
    # Whoever guessed does not even hear that he found it; somebody new may try.
    assert attempt(instance, ONE, "one-secret", "127.0.0.10").startswith(b"a NO [UNAVAILABLE]")
    instance.wait_log(rf"auth: user=<{ONE}> service=imap mech=PLAIN rip=127.0.0.10 refused: too many failures")
    assert attempt(instance, f"two@{DOMAIN}", "two-secret", "127.0.0.10").startswith(b"a OK")
    attempt(instance, "somebody", "x", "127.0.0.2")
    assert attempt(instance, ONE, "one-secret", "127.0.0.2").startswith(b"a OK")
    assert attempt(instance, ONE, "one-secret", "127.0.0.3").startswith(b"a OK")


def _plain(instance, wish, user, password, address):
    client = Client(instance, address)
    answer = client.say("a AUTHENTICATE PLAIN " + base64.b64encode(f"{wish}\0{user}\0{password}".encode()).decode())
    client.close()
    return answer


def test_who_wants_to_act_for_another_sees_no_more_of_a_locked_account(make_instance):
    instance = make_instance(settings={**COUNTED, "auth_failure_account_limit": "5", "auth_failure_network_limit": "8"})
    instance.start()
    for n in range(10, 15):
        attempt(instance, ONE, "guess", f"127.0.0.{n}")
    seen = 0
    for n, password in enumerate(["guess", "one-secret"] * 3):
        assert _plain(instance, f"junk{n}@{DOMAIN}", ONE, password, "127.0.0.10").startswith(b"a NO [UNAVAILABLE] Too many failures")
        instance.wait_log(rf"auth: user=<{ONE}> service=imap mech=PLAIN rip=127.0.0.10 refused: .*account_limit", after=seen)
        seen = len(instance.log())
    # The refused tries, too, are ones of that network.
    assert attempt(instance, ONE, "one-secret", "127.0.0.10").startswith(b"a NO [UNAVAILABLE]")
    assert attempt(instance, f"two@{DOMAIN}", "two-secret", "127.0.0.10").startswith(b"a NO [UNAVAILABLE]")
    instance.wait_log(r"auth: user=<> service=imap mech=PLAIN rip=127.0.0.10 refused: too many failures \(auth_failure_network_limit\)")
    assert _plain(instance, "ONE", ONE, "one-secret", "127.0.0.3").startswith(b"a OK")


def _scram(client, password):
    """Up to what comes after the proof; the client's next response is due when that is a challenge."""
    scram = Scram(ONE, password)
    assert client.say("a AUTHENTICATE SCRAM-SHA-256").startswith(b"+")
    challenge = client.say(base64.b64encode(scram(b"")).decode())
    return client.say(base64.b64encode(scram(base64.b64decode(challenge[2:]))).decode())


@pytest.mark.core
def test_a_mechanism_that_proves_the_server_proves_nothing_of_a_locked_account(make_instance):
    """SCRAM's last challenge would say that the password was good, and a guesser need not answer it."""
    instance = make_instance(settings={**COUNTED, "auth_failure_account_limit": "3"})
    instance.start()
    client = Client(instance, "127.0.0.4")
    assert base64.b64decode(_scram(client, "one-secret")[2:]).startswith(b"v=")
    client.close()
    instance.wait_log(rf"auth: user=<{ONE}> service=imap mech=SCRAM-SHA-256 rip=127.0.0.4 left \(the password was good\)")
    for n in range(10, 13):
        attempt(instance, ONE, "guess", f"127.0.0.{n}")
    for password in ("guess", "one-secret"):
        seen = len(instance.log())
        client = Client(instance, "127.0.0.10")
        assert _scram(client, password).startswith(b"a NO [UNAVAILABLE] Too many failures")
        client.close()
        instance.wait_log(rf"auth: user=<{ONE}> service=imap mech=SCRAM-SHA-256 rip=127.0.0.10 refused: .*account_limit\)$", after=seen)
    client = Client(instance, "127.0.0.3")
    assert _scram(client, "one-secret").startswith(b"+") and client.say("").startswith(b"a OK")
    client.close()


@pytest.mark.core
def test_exchanges_begun_side_by_side_are_no_way_around_the_limit_of_a_network(make_instance):
    instance = make_instance(settings={**COUNTED, "auth_failure_network_limit": "4"})
    instance.start()
    clients = [Client(instance, "127.0.0.9") for _ in range(9)]
    for client in clients:
        assert client.say("a AUTHENTICATE PLAIN").startswith(b"+")
    for n, client in enumerate(clients[:-1]):
        client.socket.sendall(base64.b64encode(f"\0nobody{n}@{DOMAIN}\0x".encode()) + b"\r\n")
    said = [client.file.readline() for client in clients[:-1]]
    assert sorted(line.split()[2] for line in said) == [b"[AUTHENTICATIONFAILED]"] * 4 + [b"[UNAVAILABLE]"] * 4
    assert clients[-1].say(base64.b64encode(f"\0{ONE}\0one-secret".encode()).decode()).startswith(b"a NO [UNAVAILABLE] Too many failures")
    instance.wait_log(r"auth: user=<[^>]*> service=imap mech=PLAIN rip=127.0.0.9 refused: too many failures \(auth_failure_network_limit\)")
    for client in clients:
        client.close()
    assert attempt(instance, ONE, "one-secret", "127.0.0.8").startswith(b"a OK")


@pytest.mark.parametrize("port, lines", [(143, [f'a LOGIN "{ONE}" wrong']), (110, [f"USER {ONE}", "PASS wrong"])])
def test_failures_cost_more_and_more_time(make_instance, port, lines):
    instance = make_instance(settings={"auth_failure_exempt_clients": "", "auth_failure_delay": "1s", "auth_failure_delay_limit": "2s"})
    instance.start()
    for least in (1, 2, 2):
        client = Client(instance, port=port)
        begun = time.monotonic()
        for line in lines:
            answer = client.say(line)
        assert b"AUTH" in answer
        assert least <= time.monotonic() - begun < least + 2
        client.close()


@pytest.mark.core
def test_the_time_of_a_failure_does_not_tell_what_the_hash_costs(make_instance):
    """A user whose hash takes long, brought along from elsewhere, and nobody."""
    slow = "$2b$13$abcdefghijklmnopqrstuuWMw/VTmjh7.76gQl173PZCScYDP2Boi"  # bcrypt of "one-secret"
    instance = make_instance(settings={"auth_failure_delay": "3s", "auth_failure_delay_limit": "3s", "auth_password_upgrade": "no",
                                       "auth_cache_lifetime": "0"})
    instance.start()
    instance.postern("user", "passwd", ONE, "--hash", slow)

    def seconds(user, password, answer):
        client = Client(instance)
        begun = time.monotonic()
        assert client.login(user, password).startswith(answer)
        client.close()
        return time.monotonic() - begun

    hashing = min(seconds(ONE, "one-secret", b"a OK") for _ in range(2))
    known = min(seconds(ONE, "wrong", b"a NO") for _ in range(2))
    unknown = seconds(f"nobody@{DOMAIN}", "wrong", b"a NO")
    assert unknown >= 3
    assert 3 <= known < 3 + hashing / 2, f"{known:.2f} s for a known user, whose hash takes {hashing:.2f} s"


def banned(instance, filter_file):
    """Whom fail2ban would ban."""
    done = subprocess.run(["fail2ban-regex", "-o", "<ip>", str(instance.log_file), str(filter_file)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def our_filter(folder):
    """The delivered one, where it finds what it includes."""
    return shutil.copy(ROOT / "conf/fail2ban/filter.conf", folder / "postern.conf")


def test_filters_of_logs_find_the_failures(make_instance, tmp_path):
    """fail2ban's own filter for Dovecot, with another program's name."""
    stock = pathlib.Path("/etc/fail2ban/filter.d")
    filter_file = tmp_path / "dovecot.conf"
    text = (stock / "dovecot.conf").read_text()
    assert "_daemon = (?:dovecot(?:-auth)?|auth)" in text
    filter_file.write_text(text.replace("_daemon = (?:dovecot(?:-auth)?|auth)", "_daemon = postern/(?:imapd|pop3d)"))
    shutil.copy(stock / "common.conf", tmp_path)
    instance = make_instance(settings=COUNTED)
    instance.start()
    # The last wants to look like somebody else.
    for n, user in enumerate([ONE, "nobody", "", "x>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.1, session=<y"]):
        attempt(instance, user, "wrong", f"127.0.1.{n}")
        pop3 = Client(instance, f"127.0.2.{n}", 110)
        pop3.say(f"USER {user or 'u'}")
        pop3.say("PASS wrong")
        pop3.close()
    plain = Client(instance, "127.0.3.1")
    assert plain.say("a AUTHENTICATE PLAIN " + base64.b64encode(f"\0{ONE}\0no".encode()).decode()).startswith(b"a NO")
    plain.say("b LOGOUT")
    plain.close()
    expected = {f"127.0.{net}.{n}" for net in (1, 2) for n in range(4)} | {"127.0.3.1"}
    instance.wait_log(r"rip=127\.0\.3\.1, lip")
    for address in expected:
        instance.wait_log(rf"auth failed, 1 attempts in \d+ secs\): user=<[^>]*>, method=PLAIN, rip={re.escape(address)}, lip=127\.0\.0\.1$")
    assert banned(instance, filter_file) == banned(instance, our_filter(tmp_path)) == expected
    assert f"pop3-login: Disconnected (auth failed, 1 attempts in 0 secs): user=<{ONE}>" in instance.log()


@pytest.mark.core
def test_the_last_login_is_shown_and_outlives_a_restart(make_instance):
    instance = make_instance(settings={"auth_last_login_interval": "1s", "auth_failure_delay": "0"})
    instance.start()
    show = lambda: json.loads(instance.postern("user", "show", ONE, "--json").out)["last_login"]
    assert show() is None
    assert "last      none" in instance.postern("user", "show", ONE).out
    assert attempt(instance, ONE, "wrong", "127.0.0.4").startswith(b"a NO")
    assert attempt(instance, ONE, "one-secret", "127.0.0.5").startswith(b"a OK")
    seen = wait_for(show, "the last login")
    assert (seen["service"], seen["address"]) == ("imap", "127.0.0.5")
    # What is not written yet at the end is written then.
    instance.run("postconf", "-e", "auth_last_login_interval = 1h")
    instance.reload()
    assert attempt(instance, ONE, "one-secret", "127.0.0.6").startswith(b"a OK")
    instance.stop()
    assert show()["address"] == "127.0.0.6"
    assert re.search(r"^last +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, imap from 127\.0\.0\.6$", instance.postern("user", "show", ONE).out, re.M)


def test_own_networks_are_known_after_a_restart(make_instance):
    instance = make_instance(settings={**COUNTED, "auth_failure_account_limit": "3"})
    instance.start()
    assert attempt(instance, ONE, "one-secret", "127.0.0.2").startswith(b"a OK")
    instance.stop()
    instance.start()
    for n in range(10, 15):
        attempt(instance, ONE, "guess", f"127.0.0.{n}")
    attempt(instance, "somebody", "x", "127.0.0.2")
    attempt(instance, "somebody", "x", "127.0.0.3")
    assert attempt(instance, ONE, "one-secret", "127.0.0.3").startswith(b"a NO [UNAVAILABLE]")
    assert attempt(instance, ONE, "one-secret", "127.0.0.2").startswith(b"a OK")


def log_in(instance, port):
    """By IMAP, or by SMTP with AUTH PLAIN; the client, to be closed."""
    if port not in (465, 587):
        client = Client(instance, port=port)
        assert client.login(ONE, "one-secret").startswith(b"a OK")
        return client
    context = ssl._create_unverified_context()
    if port == 465:
        client = smtplib.SMTP_SSL(HOST, instance.base + port, context=context, timeout=TIMEOUT)
    else:
        client = smtplib.SMTP(HOST, instance.base + port, timeout=TIMEOUT)
        client.starttls(context=context)
    client.ehlo()
    client.user, client.password = ONE, "one-secret"
    assert client.auth("PLAIN", client.auth_plain)[0] == 235
    return client


def seconds_of_a_login(instance, port):
    begun = time.perf_counter()
    client = log_in(instance, port)
    taken = time.perf_counter() - begun
    client.close()
    return taken


def medians(instances, port, times=15):
    """In turn, so that whatever else the machine does meets both alike."""
    taken = [[seconds_of_a_login(instance, port) for instance in instances] for _ in range(times)]
    return [statistics.median(column) for column in zip(*taken)]


@pytest.fixture
def in_a_crowd(make_instance):
    """
    A server with a thousand at its door. A login there may take twice as long as at a server of the same machine that has no crowd. What
    the rest of the machine does meets the two unevenly now and then, so they are looked at again for a while; a crowd that is in the way is
    so at each look.
    """
    crowds = []

    def look(port, protocol, *protection, at=None, **more):
        """The crowd is at port `at`, or at the one that the logins are at."""
        settings = {"auth_failure_exempt_clients": "127.0.0.1", "auth_cache_lifetime": "0", "imap_client_connection_count_limit": "0",
                    "auth_connection_exchange_limit": "200", "auth_failure_delay_limit": "2s", **more}
        instance, quiet_one = make_instance(settings=settings), make_instance(settings=settings)
        instance.start()
        quiet_one.start()
        crowds.append(subprocess.Popen([sys.executable, str(pathlib.Path(__file__).with_name("crowd.py")), str(instance.base + (at or port)), protocol, *protection],
                                       stdout=subprocess.PIPE, text=True))
        assert crowds[0].stdout.readline() == "ready\n"
        until = time.monotonic() + 120
        while True:
            busy, quiet = medians([instance, quiet_one], port)
            if busy <= 2 * max(quiet, 0.01):
                break
            assert time.monotonic() < until, f"a login takes {busy * 1000:.1f} ms in the crowd, {quiet * 1000:.1f} ms without one"
        return instance

    yield look
    for crowd in crowds:
        crowd.kill()
        crowd.wait()


def test_a_crowd_of_a_thousand_does_not_delay_a_good_login(in_a_crowd):
    instance = in_a_crowd(143, "imap")
    # It was as described: places were taken away from those who stalled, guessers were refused, and nobody was turned away.
    instance.wait_log(r"mech=PLAIN rip=127\.1\.0\.\d+ temporary failure")
    instance.wait_log(r"mech=PLAIN rip=127\.1\.0\.\d+ failed")
    assert attempt(instance, ONE, "one-secret").startswith(b"a OK")


def test_a_crowd_that_stalls_in_tls_does_not_delay_a_good_login(in_a_crowd):
    """More of them stall in the handshake than may be in one at a time, others send something like a handshake, others guess after it."""
    instance = in_a_crowd(993, "imap", "tls", tls_handshake_limit="300", smtpd_tls_loglevel="1")
    for said in ("too many TLS handshakes, and this one took longest", r"mech=PLAIN rip=127\.1\.0\.\d+ failed", "TLS connection established"):
        instance.wait_log(said)
    assert attempt(instance, ONE, "one-secret", port=993).startswith(b"a OK")


@pytest.mark.parametrize("port, protection", [(465, ["tls"]), (587, ["starttls"]), (587, ["starttls", "1000"])])
def test_a_crowd_does_not_delay_a_good_login_to_submission(in_a_crowd, port, protection):
    """Silent, in and before the handshake, with garbage, in an exchange that does not go on, guessing: ten times as many as there are sessions."""
    instance = in_a_crowd(port, "smtp", *protection, smtpd_client_event_limit_exceptions="")
    instance.wait_log(r"all sessions are busy: localhost\[127\.1\.\d\.\d+\] makes room after")
    # A thousand strangers have no time for a guess.
    if "1000" not in protection:
        instance.wait_log(r"127\.1\.\d\.\d+\]: SASL PLAIN authentication failed")
    assert log_in(instance, port).noop()[0] == 250


def test_a_crowd_at_another_port_does_not_delay_a_good_login_to_submission(in_a_crowd):
    """All ports have their sessions from one place."""
    instance = in_a_crowd(587, "smtp", at=25, smtpd_client_event_limit_exceptions="")
    instance.wait_log(r"all sessions are busy: localhost\[127\.1\.0\.\d+\] makes room after")


def test_who_is_refused_over_smtp_may_try_again_later(make_instance):
    """The password may be good: a program that hears 535 asks for another one."""
    instance = make_instance(settings={**COUNTED, "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_security_options": "noanonymous",
                                       "auth_failure_network_limit": "2"})
    instance.start()
    codes = []
    for password in ("guess", "guess", "one-secret"):
        with smtplib.SMTP(HOST, instance.base + 25, timeout=TIMEOUT, source_address=("127.0.4.9", 0)) as client:
            client.ehlo()
            codes.append(client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{ONE}\0{password}".encode()).decode())[0])
    assert codes == [535, 535, 454]
    instance.wait_log(r"127\.0\.4\.9\]: SASL \S+ authentication failed: too many failures")


def test_filters_of_logs_find_the_failures_over_smtp(make_instance, tmp_path):
    """fail2ban's own filter for Postfix in its mode for SASL, with another program's name."""
    stock = pathlib.Path("/etc/fail2ban/filter.d")
    text = (stock / "postfix.conf").read_text()
    daemon = r"_daemon = postfix(-\w+)?/\w+(?:/smtp[ds])?"
    assert daemon in text and "mode = more" in text
    (tmp_path / "postfix.conf").write_text(text.replace(daemon, r"_daemon = postern/(?:[\w.-]+/)?smtpd").replace("mode = more", "mode = auth"))
    shutil.copy(stock / "common.conf", tmp_path)
    instance = make_instance(settings={**COUNTED, "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_security_options": "noanonymous"})
    instance.start()
    for port, network in ((25, 4), (587, 5)):
        for n, user in enumerate([ONE, "x[192.0.2.1]: SASL PLAIN authentication failed: y", "host[192.0.2.1]"]):
            client = smtplib.SMTP(HOST, instance.base + port, timeout=TIMEOUT, source_address=(f"127.0.{network}.{n}", 0))
            if port == 587:
                client.starttls(context=ssl._create_unverified_context())
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login(user, "wrong")
            client.close()
    expected = {f"127.0.{network}.{n}" for network in (4, 5) for n in range(3)}
    for address in expected:
        instance.wait_log(rf"warning: [^ ]*\[{re.escape(address)}\]: SASL (PLAIN|LOGIN) authentication failed: ")
    assert banned(instance, tmp_path / "postfix.conf") == banned(instance, our_filter(tmp_path)) == expected


@pytest.mark.core
def test_no_answer_is_remembered_for_another_user_service_or_password(make_instance):
    """The class of defect: a cache whose key lacks what the answer depended on."""
    instance = make_instance(settings={"auth_failure_delay": "0s", "auth_cache_lifetime": "1h"})
    instance.start()
    two = f"two@{DOMAIN}"
    for user in (ONE, two):
        instance.postern("user", "passwd", user, input="the same\n")
    app = instance.postern("user", "app", "add", ONE, "reader", "--services", "imap").out.strip()
    for _ in range(2):
        assert login(instance, ONE, "the same") and login(instance, two, "the same") and login(instance, ONE, app)
        assert not login(instance, two, app)
        pop3 = Client(instance, port=110)
        pop3.say(f"USER {ONE}")
        assert pop3.say(f"PASS {app}").startswith(b"-ERR [AUTH]")
        pop3.close()
    # What changes for one changes for him at once, and for nobody else.
    instance.postern("user", "passwd", ONE, input="another\n")
    assert not login(instance, ONE, "the same")
    assert login(instance, two, "the same") and login(instance, ONE, "another")
    instance.postern("user", "disable", two)
    assert not login(instance, two, "the same")
    assert login(instance, ONE, "another")
    instance.postern("user", "app", "delete", ONE, "reader")
    assert not login(instance, ONE, app)
