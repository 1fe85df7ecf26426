# SPDX-License-Identifier: ISC
"""Two smtpd entries in master.cf: what one's -o options say holds for its clients only. And names in the log."""
import contextlib
import re
import smtplib

import pytest

from postern import DOMAIN, wait_for

SECOND = 30  # above the port base
# Loopback is in mynetworks, whose clients are exempt from limits as delivered.
MAIN = {"mynetworks": "", "smtpd_client_event_limit_exceptions": "", "smtpd_client_connection_count_limit": "3",
        "smtpd_recipient_limit": "4", "message_size_limit": "20000"}
OWN = {"smtpd_client_connection_count_limit": "1", "smtpd_recipient_limit": "2", "message_size_limit": "3000"}


@pytest.fixture
def two(make_instance):
    instance = make_instance(settings=MAIN)
    options = "".join(f"\n  -o {name}={value}" for name, value in OWN.items())
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + SECOND} inet n - y - - smtpd -o syslog_name=postern/second{options}\n")
    instance.start()
    return instance


def entries(instance):
    """(port, its limits) of the entry from main.cf and of the one with options."""
    return ((25, MAIN), (SECOND, OWN))


@pytest.mark.core
def test_connections_are_counted_for_each_entry(two):
    with contextlib.ExitStack() as stack:
        def connect(port):
            return stack.enter_context(contextlib.closing(two.raw(port))).reply()

        for port, limits in entries(two):
            for _ in range(int(limits["smtpd_client_connection_count_limit"])):
                assert connect(port).startswith(b"220 ")
        for port, _ in entries(two):
            assert connect(port).startswith(b"421 4.7.0 ")


def test_recipients_are_bounded_for_each_entry(two):
    for port, limits in entries(two):
        client = two.raw(port)
        client.reply()
        client.say("EHLO here")
        assert client.say("MAIL FROM:<a@elsewhere.test>").startswith(b"250 ")
        taken = 0
        while taken < 10 and (reply := client.say(f"RCPT TO:<one+{taken}@{DOMAIN}>")).startswith(b"250 "):
            taken += 1
        assert (taken, reply[:10]) == (int(limits["smtpd_recipient_limit"]), b"452 4.5.3 ")
        client.close()


def test_sizes_are_offered_and_bounded_for_each_entry(two):
    for port, limits in entries(two):
        most = int(limits["message_size_limit"])
        client = two.raw(port)
        client.reply()
        assert b"-SIZE %d\r\n" % most in client.say("EHLO here")
        assert client.say(f"MAIL FROM:<a@elsewhere.test> SIZE={most + 1}").startswith(b"552 5.3.4 ")
        for size, code in ((most + 1000, b"552 5.3.4 "), (most // 2, b"250 2.0.0 ")):
            for line in ("MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<one@{DOMAIN}>", "DATA"):
                assert client.say(line)[:1] in b"23"
            client.send("Subject: size\r\n\r\n" + ("x" * 48 + "\r\n") * (size // 50))
            assert client.say(".").startswith(code), (port, size)
        client.close()


def test_a_second_entry_may_have_a_log_name_of_its_own(two):
    clients = [two.raw(SECOND) for _ in range(2)]
    assert clients[0].reply().startswith(b"220 ")
    two.wait_log(r" postern/second/smtpd\[\d+\]: warning: Connection concurrency limit exceeded: ")
    clients += [two.raw() for _ in range(4)]
    two.wait_log(r" postern/smtpd\[\d+\]: warning: Connection concurrency limit exceeded: ")


def test_sessions_of_an_entry_log_by_its_name(two):
    for port, name in ((SECOND, "postern/second"), (25, "postern")):
        at = len(two.log())
        client = two.raw(port)
        assert client.reply().startswith(b"220 ")
        client.say("EHLO here")
        client.say("MAIL FROM:<a@elsewhere.test>")
        assert client.say(f"RCPT TO:<nobody@{DOMAIN}>").startswith(b"550 ")
        client.close()
        two.wait_log(rf" {name}/smtpd\[\d+\]: NOQUEUE: reject: ", after=at)
        two.wait_log(rf" {name}/smtpd\[\d+\]: disconnect from ", after=at)


def test_pop3_and_imap_log_by_syslog_name(make_instance):
    instance = make_instance(settings={"syslog_name": "mx1"})
    instance.start()
    instance.wait_message(instance.send())
    instance.pop3().quit()
    instance.wait_log(r" mx1/pop3\S*\[\d+\]: .*pop3-login: Login: ")
    instance.wait_log(r" mx1/pop3\S*\[\d+\]: .*(Disconnected|Logged out)")
    instance.wait_log(r" mx1/imap\S*\[\d+\]: ")
    assert " postern/" not in instance.log()


def test_a_quiet_port_keeps_one_session_and_a_busy_one_more(make_instance):
    instance = make_instance(settings={"max_idle": "1s"})
    instance.start()

    def sessions():
        return len(instance.processes("smtpd-session")) - 1

    entries = len(re.findall(r"^[^#\s].*\bsmtpd\b(?!-)", (instance.etc / "master.cf").read_text(), re.M))
    wait_for(lambda: sessions() == entries, "a session for each entry")
    crowd = [instance.smtp() for _ in range(6)]
    assert all(client.noop()[0] == 250 for client in crowd)
    # Those that are busy, and spare ones for more of the same.
    wait_for(lambda: sessions() >= entries - 1 + 6 + 4, "spare sessions")
    for client in crowd:
        client.quit()
    wait_for(lambda: sessions() == entries, "the port to be quiet again")
    assert instance.smtp().noop()[0] == 250


def test_clients_of_a_table_are_offered_less(make_instance):
    """By one entry's -o option, which directoryd has to know of; and by main.cf."""
    instance = make_instance(settings={"smtpd_discard_ehlo_keyword_address_maps": "inline:{ { 192.0.2.1 = size }, { 127.0.0.1 = chunking } }"})
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + SECOND} inet n - y - - smtpd\n"
                        "  -o { smtpd_discard_ehlo_keyword_address_maps = inline:{ 127.0.0.1 = size } }\n")
    instance.start()
    for port, without, other in ((25, "chunking", "size"), (SECOND, "size", "chunking")):
        with smtplib.SMTP("127.0.0.1", instance.base + port, timeout=30) as client:
            client.ehlo()
            assert not client.has_extn(without) and client.has_extn(other)
