# SPDX-License-Identifier: ISC
"""What is bounded: rates, errors, recipients, time, connections, sessions, and the memory of one session."""
import os
import pathlib
import re
import smtplib
import socket
import threading
import time

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, wait_for

# Loopback is in mynetworks, whose clients are exempt from limits as delivered.
FOREIGN = {"mynetworks": "", "smtpd_client_event_limit_exceptions": ""}
MANY = 100_000
MESSAGE = "Subject: limits\r\n\r\nx\r\n"
# The address sanitizer keeps what was freed for a while, which looks like memory that grows.
NOTHING_KEPT = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}


def started(make_instance, environment=None, **settings):
    instance = make_instance(settings={**FOREIGN, **settings}, environment=environment)
    instance.start()
    return instance


def envelope(instance):
    client = instance.smtp()
    client.ehlo()
    assert client.mail("a@elsewhere.test")[0] == 250
    return client


def test_messages_of_one_client_are_limited_over_its_connections(make_instance):
    instance = started(make_instance, smtpd_client_message_rate_limit="3")
    for _ in range(3):
        instance.send()
    for _ in range(2):
        client = instance.smtp()
        client.ehlo()
        assert client.mail("a@elsewhere.test") == (450, b"4.7.1 Error: too much mail from 127.0.0.1")
        client.quit()
    instance.wait_log(r"Message delivery request rate limit exceeded: 4 from localhost\[127\.0\.0\.1\]")
    wait_for(lambda: len(instance.delivered_files()) == 3, "three messages")


def test_recipients_of_one_client_are_limited_over_its_connections(make_instance):
    instance = started(make_instance, smtpd_client_recipient_rate_limit="3")
    first, second = envelope(instance), envelope(instance)
    for client, name in ((first, "one"), (second, "one"), (first, "two")):
        assert client.rcpt(f"{name}@{DOMAIN}")[0] == 250
    assert second.rcpt(f"two@{DOMAIN}") == (450, b"4.7.1 Error: too many recipients from 127.0.0.1")
    assert second.data(MESSAGE)[0] == 250
    instance.wait_log(r"Recipient address rate limit exceeded: 4 from localhost\[127\.0\.0\.1\]")
    wait_for(lambda: instance.delivered_files("one"), "the message for the recipient that was taken")


def test_rates_are_forgotten_with_their_time_unit(make_instance):
    instance = started(make_instance, smtpd_client_message_rate_limit="1", anvil_rate_time_unit="1s")
    instance.send()
    with pytest.raises(smtplib.SMTPSenderRefused):
        instance.send()
    time.sleep(2.1)
    instance.send()


def test_clients_in_mynetworks_have_no_rate(make_instance):
    instance = make_instance(settings={"smtpd_client_message_rate_limit": "1", "smtpd_client_recipient_rate_limit": "1"})
    instance.start()
    for _ in range(3):
        instance.send(to=["one", "two"])


def test_quiet_clients_are_told_so_and_left(make_instance):
    instance = started(make_instance, smtpd_timeout="1s")
    quiet, halfway = instance.raw(), instance.raw()
    for client in (quiet, halfway):
        assert client.reply().startswith(b"220 ")
    for line in ("EHLO here", "MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<one@{DOMAIN}>", "DATA"):
        halfway.say(line)
    halfway.send("Subject: never ended\r\n\r\n")
    for client in (quiet, halfway):
        assert client.reply().startswith(b"421 4.4.2 ")
        assert client.line() == b""
    instance.wait_log(r"timeout after (CONNECT|DATA).* from localhost\[127\.0\.0\.1\]")
    assert not instance.queue() and not instance.delivered_files()


def test_connections_of_one_client_are_counted(make_instance):
    instance = started(make_instance, smtpd_client_connection_count_limit="2")
    held = [instance.smtp(), instance.smtp()]
    third = instance.raw()
    assert re.match(rb"421 4\.7\.0 \S+ Error: too many connections from 127\.0\.0\.1\r\n", third.reply())
    assert third.line() == b""
    held[0].quit()

    def free():
        client = instance.raw()
        greeting = client.reply()
        client.close()
        return greeting.startswith(b"220 ")
    wait_for(free, "room for another connection")
    assert held[1].noop()[0] == 250


def stalled(instance, port, *lines, hello=b""):
    """A connection that says these lines, hears the answers, says `hello`, and nothing more."""
    client = instance.raw(port)
    if lines:
        client.reply()
    for line in lines:
        assert client.say(line)[:1] in b"23", line
    client.socket.sendall(hello)
    return client


STALLS = {
    "silent": (25,),
    "half a line": (25, "EHLO x", b"MAIL FR"),
    "after STARTTLS": (25, "EHLO x", "STARTTLS"),
    "in a handshake": (587, "EHLO x", "STARTTLS", b"\x16\x03\x01\x02\x00\x01\x00\x01"),
    "before a handshake that comes first": (465,),
    "in a handshake that comes first": (465, b"\x16\x03\x01\x02\x00\x01\x00\x01"),
    "in an envelope": (25, "EHLO x", "MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<one@{DOMAIN}>"),
    "in a message": (25, "EHLO x", "MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<one@{DOMAIN}>", "DATA", b"Subject: x\r\n"),
    "in an exchange": (26, "EHLO x", "AUTH PLAIN"),
}


@pytest.mark.parametrize("how", STALLS)
def test_stalling_is_no_way_around_the_count_of_a_client(make_instance, how):
    port, *said = STALLS[how]
    hello = said.pop() if said and isinstance(said[-1], bytes) else b""
    instance = make_instance(settings={**FOREIGN, "smtpd_client_connection_count_limit": "2", "smtpd_sasl_auth_enable": "yes"})
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + 26} inet n - y - - smtpd\n  -o smtpd_tls_auth_only=no\n")
    instance.start()
    held = [stalled(instance, port, *said, hello=hello) for _ in range(2)]
    # Neither when they have just come nor after a while, and whether or not they have a session.
    for _ in range(3):
        assert b"421 4.7.0 " in instance.raw(port).reply()
    instance.wait_log(r"Connection concurrency limit exceeded: 3 from localhost\[127\.0\.0\.1\]")
    held.pop().close()

    def free():
        client = instance.raw(port)
        client.socket.settimeout(0.2)
        try:
            return not client.reply().startswith(b"421 4.7.0 ")
        except TimeoutError:
            return True  # it waits for a handshake
        finally:
            client.close()
    wait_for(free, "room for another connection")


def test_stalling_is_no_way_around_the_rate_of_logins(make_instance):
    instance = make_instance(settings={**FOREIGN, "smtpd_client_auth_rate_limit": "2", "smtpd_sasl_auth_enable": "yes"})
    instance.start()
    held = [stalled(instance, 25, "EHLO x", "AUTH PLAIN") for _ in range(2)]
    for _ in range(2):
        client = instance.raw()
        client.reply()
        client.say("EHLO x")
        assert client.say("AUTH PLAIN").startswith(b"450 4.7.1 ")
        client.close()
    for client in held:
        client.close()


def assert_greeted(make_instance, limit, addresses, wanted, **settings):
    """One connection after the other from these addresses, by SMTP, IMAP and POP3, all held: who is greeted with a welcome?"""
    instance = started(make_instance, **{f"{name}_client_connection_count_limit": limit for name in ("smtpd", "imap", "pop3")}, **settings)
    for port, welcome in ((25, b"220 "), (143, b"* OK"), (110, b"+OK")):
        held = [socket.create_connection((HOST, instance.base + port), TIMEOUT, (address, 0)) for address in addresses]
        assert [client.makefile("rb").readline().startswith(welcome) for client in held] == wanted, port


def test_clients_of_one_network_are_counted_as_one(make_instance):
    assert_greeted(make_instance, "2", [f"127.0.{i}" for i in ("0.2", "0.3", "0.4", "1.2")], [True, True, False, True],
                   smtpd_client_ipv4_prefix_length="24")


def test_who_is_excepted_is_not_counted(make_instance):
    assert_greeted(make_instance, "1", ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"], [True, True, True, False],
                   smtpd_client_event_limit_exceptions="127.0.0.2")


def test_connections_in_a_time_are_counted(make_instance):
    instance = started(make_instance, smtpd_client_connection_rate_limit="2")
    for _ in range(2):
        instance.smtp().quit()
    assert instance.raw().reply().startswith(b"421 4.7.0 ")


def test_connections_in_all_are_counted(make_instance):
    instance = started(make_instance, smtpd_connection_limit="2")
    held = [instance.smtp(), instance.smtp()]
    assert re.match(rb"421 4\.3\.2 \S+ All server ports are busy", instance.raw().reply())
    assert [client.noop()[0] for client in held] == [250, 250]


def test_errors_end_a_session(make_instance):
    instance = started(make_instance, smtpd_hard_error_limit="3", smtpd_error_sleep_time="0s")
    client = instance.raw()
    client.reply()
    for _ in range(3):
        assert client.say("FOO").startswith(b"502 ")
    assert re.match(rb"421 4\.7\.0 \S+ Error: too many errors", client.reply())
    assert client.line() == b""
    instance.wait_log("too many errors after .* from localhost")


def test_idle_talk_counts_as_errors_at_last(make_instance):
    instance = started(make_instance, smtpd_junk_command_limit="5", smtpd_hard_error_limit="3", smtpd_error_sleep_time="0s")
    client = instance.raw()
    client.reply()
    for _ in range(8):
        assert client.say("NOOP").startswith(b"250 ")
    assert client.reply().startswith(b"421 4.7.0 ")


def test_errors_slow_replies_down(make_instance):
    instance = started(make_instance, smtpd_soft_error_limit="2", smtpd_error_sleep_time="1s")
    client = instance.raw()
    client.reply()
    took = []
    for _ in range(3):
        began = time.monotonic()
        client.say("FOO")
        took.append(time.monotonic() - began)
    assert took[0] < 0.9 <= took[2]


def test_recipients_of_one_message_are_limited_and_those_taken_get_it(make_instance):
    instance = started(make_instance, smtpd_recipient_limit="2")
    client = envelope(instance)
    assert [client.rcpt(f"{name}@{DOMAIN}")[0] for name in ("one", "two")] == [250, 250]
    for _ in range(5):
        assert client.rcpt(f"one+more@{DOMAIN}") == (452, b"4.5.3 Error: too many recipients")
    assert client.data(MESSAGE)[0] == 250
    for user in ("one", "two"):
        wait_for(lambda: len(instance.delivered_files(user)) == 1, f"the message for {user}")


def test_sessions_beyond_maxproc_are_told_to_come_later(make_instance):
    instance = make_instance()
    path = instance.etc / "master.cf"
    text, found = re.subn(r"(?m)^(imap-session\s.*\s)1000(\s+imapd-session)$", r"\g<1>2\2", path.read_text())
    assert found == 1
    path.write_text(text)
    instance.start()
    held = [instance.imap("one"), instance.imap("two")]
    third = instance.raw(143)
    third.line()
    third.send(f"a LOGIN one@{DOMAIN} {PASSWORDS['one']}\r\n")
    assert re.match(rb"a NO \[UNAVAILABLE\] |\* BYE \[UNAVAILABLE\] ", third.line())
    for client in held:
        assert client.select("INBOX")[0] == "OK"
    held[0].logout()

    def free():
        client = instance.raw(143)
        client.line()
        client.send(f"a LOGIN one@{DOMAIN} {PASSWORDS['one']}\r\n")
        answer = client.line()
        client.close()
        return answer.startswith(b"a OK")
    wait_for(free, "room for another session")


def test_unfinished_logins_of_one_front_keep_nobody_else_from_theirs(make_instance):
    instance = make_instance(settings={"auth_exchange_limit": "1", "auth_connection_exchange_limit": "100"})
    instance.start()
    held = []
    for _ in range(9):  # eight of its own, and the one for all
        client = instance.raw(143)
        client.line()
        client.send("a AUTHENTICATE LOGIN\r\n")
        assert client.line().startswith(b"+ ")
        held.append(client)
    late = instance.raw(143)
    late.line()
    late.send("a AUTHENTICATE LOGIN\r\n")
    assert late.line().startswith(b"+ ")
    assert held[0].line().startswith(b"a NO "), "who has let authd wait longest makes room"
    instance.pop3().quit()


def test_unfinished_messages_keep_nobody_from_sending(make_instance):
    """Cleanup has each of them open, for they are longer than one packet."""
    instance = started(make_instance, smtpd_client_connection_count_limit="0")
    held = []
    for _ in range(80):
        client = envelope(instance)
        assert client.rcpt(f"one@{DOMAIN}")[0] == 250 and client.docmd("DATA")[0] == 354
        client.send(b"Subject: never ended\r\n\r\n" + 1200 * (b"x" * 70 + b"\r\n"))
        held.append(client)
    sent = instance.send()
    instance.run("sendmail", f"one@{DOMAIN}", input="Subject: local\n\nx\n")
    instance.wait_message(sent)
    wait_for(lambda: len(instance.delivered_files()) == 2, "both messages")
    for client in held:
        client.close()
    wait_for(lambda: not list((instance.path / "queue" / "incoming").rglob("*.tmp")), "what was not ended to go")


def test_pop3_tells_its_capabilities_as_a_list_before_and_after_login(instance):
    wanted = {"CAPA", "TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES"}
    client = instance.raw(110)
    client.line()

    def capabilities():
        client.send("CAPA\r\n")
        assert client.line().startswith(b"+OK")
        lines = []
        while not lines or lines[-1] != b".\r\n":
            lines.append(client.line())
            assert lines[-1].endswith(b"\r\n")
        return {line.split()[0].decode() for line in lines[:-1]}
    assert wanted <= capabilities()
    client.send(f"USER one@{DOMAIN}\r\nPASS {PASSWORDS['one']}\r\n")
    assert [client.line()[:3] for _ in range(2)] == [b"+OK"] * 2
    assert {"TOP", "UIDL", "PIPELINING", "RESP-CODES"} <= capabilities()


def memory(pid):
    """Resident KiB."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def converse(client, data, replies):
    """Send all of it while the replies, one line each, are read: so neither side waits for the other."""
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    for _ in range(replies):
        line = client.line()
        assert line and line[:1] in b"2+*a", line
    sender.join()
    return line


def assert_flat(pid, client, commands, replies=1):
    """The first commands warm up what any session needs. How often they were said."""
    first, rest = MANY // 50 // replies, MANY // replies
    converse(client, commands * first, first * replies)
    before = memory(pid)
    converse(client, commands * rest, rest * replies)
    after = memory(pid)
    assert after - before < 1024, f"{before} KiB before, {after} KiB after {rest} times {commands!r}"
    return first + rest


UNBOUNDED = {"smtpd_command_limit": "10000000", "smtpd_junk_command_limit": "1000000"}


@pytest.fixture
def smtp_session(make_instance):
    """An instance that counts nothing, a client that has said EHLO, and its session's process."""
    instance = started(make_instance, NOTHING_KEPT, **UNBOUNDED)
    client = instance.raw()
    client.reply()
    pid = int(instance.wait_log(r"smtpd\[(\d+)\]: connect from")[1])
    client.say("EHLO here")
    return instance, client, pid


@pytest.mark.parametrize("commands", [b"NOOP\r\n", b"MAIL FROM:<a@elsewhere.test>\r\nRSET\r\n"])
def test_many_smtp_commands_leave_no_memory_behind(smtp_session, commands):
    _, client, pid = smtp_session
    assert_flat(pid, client, commands, replies=commands.count(b"\n"))


def test_many_chunks_leave_no_memory_behind(smtp_session):
    instance, client, pid = smtp_session
    client.say("MAIL FROM:<a@elsewhere.test>")
    client.say(f"RCPT TO:<one@{DOMAIN}>")
    converse(client, b"BDAT 19\r\nSubject: chunks\r\n\r\n", 1)
    rounds = assert_flat(pid, client, b"".join(b"BDAT 1\r\n" + bytes([byte]) for byte in b"ab\r\n"), replies=4)
    assert client.say("BDAT 0 LAST").startswith(b"250 ")
    got = wait_for(lambda: instance.messages(), "the message")[0]
    assert got.endswith(b"\r\n\r\n" + b"ab\r\n" * rounds)


def test_many_imap_commands_leave_no_memory_behind(make_instance):
    instance = started(make_instance, NOTHING_KEPT)
    client = instance.raw(143)
    client.line()
    client.send(f"a LOGIN one@{DOMAIN} {PASSWORDS['one']}\r\n")
    assert client.line().startswith(b"a OK")
    pid = int(instance.wait_log(r"imap-login: Login: .* mpid=(\d+)")[1])
    assert_flat(pid, client, b"a NOOP\r\n")


def test_many_pop3_commands_leave_no_memory_behind(make_instance):
    instance = started(make_instance, NOTHING_KEPT)
    client = instance.raw(110)
    client.line()
    converse(client, f"USER one@{DOMAIN}\r\nPASS {PASSWORDS['one']}\r\n".encode(), 2)
    pid = int(instance.wait_log(r"pop3-login: Login: .* mpid=(\d+)")[1])
    assert_flat(pid, client, b"NOOP\r\n")
