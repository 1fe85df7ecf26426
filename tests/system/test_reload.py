# SPDX-License-Identifier: ISC
"""Reload takes up all of a good configuration or none of a bad one, and drops nobody; what dies is started again; stop and abort."""
import os
import re
import signal
import time

import pytest

from postern import DOMAIN, body_behind_trace, wait_for

pytestmark = pytest.mark.xdist_group("reload")


@pytest.mark.core
def test_reload_drops_no_connection_and_changes_what_it_should(instance):
    fronts = len(instance.processes("imapd"))
    smtp, imap, pop = instance.smtp(), instance.imap(), instance.pop3("two")
    imap.select("INBOX")
    smtp.ehlo()
    assert smtp.mail("a@elsewhere.test")[0] == 250
    instance.configure(message_size_limit="77777", smtpd_banner="$myhostname ESMTP changed")
    instance.reload()
    with instance.smtp() as fresh:
        fresh.ehlo()
        assert fresh.esmtp_features["size"] == "77777"
    assert smtp.rcpt(f"one@{DOMAIN}")[0] == 250
    assert smtp.data(b"Subject: over the reload\r\n\r\nx\r\n")[0] == 250
    smtp.quit()
    wait_for(lambda: any(b"over the reload" in m for m in instance.messages()), "the message")
    imap.noop()
    assert imap.search(None, "ALL")[1][0] == b"1", "an old session hears of news of the new generation"
    assert pop.noop().startswith(b"+OK")
    pop.quit()
    imap.logout()
    # The former generation is gone when its last client is.
    wait_for(lambda: len(instance.processes("qmgr")) == 1 and len(instance.processes("imapd")) == fronts, "the old processes to end")


@pytest.mark.parametrize("file,line,words", [
    ("main.cf", "message_size_limit = many", ["main.cf", "message_size_limit"]),
    ("main.cf", "smtpd_recipient_restrictions = reject_everything_please", ["smtpd_recipient_restrictions"]),
    ("master.cf", "smtp2 inet n - y", ["master.cf"]),
])
def test_a_bad_configuration_changes_nothing_and_is_told(instance, file, line, words):
    path = instance.etc / file
    good = path.read_text()
    number = len(good.splitlines()) + 1
    path.write_text(good.rstrip("\n") + "\n" + line + "\n")
    before = instance.processes()
    done = instance.reload(check=False)
    assert done.returncode != 0
    told = done.out + done.err
    assert all(word in told for word in words) and str(number) in told, told
    assert instance.processes() == before
    assert body_behind_trace(instance.wait_message(sent := instance.send()), sent.bytes)
    path.write_text(good)
    instance.reload()


FAULTS_OF_DAEMONS = [
    ("auth_backends", "credentials, passwd-file:/nonexist", "/nonexist: No such file"),
    ("auth_backends", "foo:bar", "foo"),
    ("auth_backends", "", "is empty"),
    ("auth_backends", "sqlite:/nonexist", "/nonexist"),
    ("auth_oauth_keys", "/nonexist", "/nonexist: No such file"),
    ("auth_oauth_keys", "/etc/passwd", "not a JSON Web Key set"),
    ("auth_certificate_maps", "hash:/nonexist", "/nonexist"),
    ("virtual_alias_maps", "hash:/nonexist", "/nonexist"),
    ("relay_domains", "/nonexist", "/nonexist: No such file"),
    ("smtpd_sender_restrictions", "check_sender_access hash:/nonexist", "/nonexist"),
    ("smtpd_tls_protocols", "TLSv9, !Foo", "malformed"),
    ("smtpd_tls_mandatory_protocols", "!TLSv1.2, !TLSv1.3", "is left"),
    ("imap_tls_protocols", ">=TLSv1.9", "malformed"),
    ("smtpd_tls_exclude_ciphers", "nonsense", "nonsense"),
    ("smtpd_tls_fingerprint_digest", "foo", "no such digest"),
    ("tls_ssl_options", "foo", "no option"),
    ("tls_medium_cipherlist", "nonsense", "no cipher"),
]


@pytest.mark.core
def test_what_daemons_cannot_open_or_parse_is_told_by_check_and_reload(instance):
    main_cf = instance.etc / "main.cf"
    good = main_cf.read_text().rstrip("\n") + "\n"
    line = len(good.splitlines()) + 1
    before = instance.processes()
    for name, value, text in FAULTS_OF_DAEMONS:
        main_cf.write_text(f"{good}{name} = {value}\n")
        told = re.compile(rf"error: {main_cf}:{line}: {name}: .*{re.escape(text)}")
        begin = time.monotonic()
        for command in ("check", "reload"):
            done = instance.postern(command, check=False)
            assert done.returncode == 78 and len(told.findall(done.err)) == 1, (command, name, done.err)
        assert time.monotonic() - begin < 20
    assert instance.processes() == before
    assert body_behind_trace(instance.wait_message(sent := instance.send()), sent.bytes)
    main_cf.write_text(good)
    assert "warning" not in instance.postern("check").err
    instance.reload()


def test_a_fault_of_an_entry_alone_is_told_with_its_line(instance):
    instance.run("postconf", "-Pe", "submission/inet/smtpd_tls_mandatory_protocols=TLSv9")
    for command in ("check", "reload"):
        done = instance.postern(command, check=False)
        assert done.returncode == 78
        assert re.search(r"error: \S*/master\.cf:\d+: smtpd_tls_mandatory_protocols: malformed", done.err), done.err


def test_what_was_left_out_by_habit_is_no_fault(instance):
    instance.configure(smtpd_tls_exclude_ciphers="EXPORT, LOW, RC4, aNULL, eNULL, 3DES, MD5, SHA1", smtpd_tls_protocols="!SSLv2, !SSLv3, !TLSv1",
                       smtpd_tls_mandatory_protocols=">=TLSv1.2", tls_ssl_options="NO_RENEGOTIATION, 0x4000")
    assert instance.postern("check").err == ""
    instance.reload()


@pytest.mark.parametrize("settings, warned", [
    ({"auth_mechanisms": "plain, cram-md5"}, "CRAM-MD5 can never be used while auth_allow_plain_scheme is no"),
    ({"auth_mechanisms": "plain, oauthbearer"}, "OAUTHBEARER can never be used without auth_oauth_keys"),
    ({"auth_mechanisms": "plain, digest-md5", "auth_allow_plain_scheme": "yes"}, None),
])
def test_a_mechanism_that_can_never_be_used_is_told(make_instance, settings, warned):
    instance = make_instance(settings=settings)
    told = instance.postern("check").err
    assert bool(re.search(r"warning: \S*main\.cf:\d+: auth_mechanisms: ", told)) == bool(warned) and (warned or "") in told, told


@pytest.mark.core
@pytest.mark.parametrize("fault", [
    {"message_size_limit": "many"},
    {"instance_directory": "/nonexistent/elsewhere"},
    {"maillog_file": "/nonexistent/log"},
], ids=lambda fault: next(iter(fault)))
def test_nothing_of_a_refused_configuration_holds_for_what_is_started_again(instance, fault):
    main_cf = (instance.etc / "main.cf").read_text()
    others = {"myhostname": "other.example", "syslog_name": "other", "log_format": "json", "daemon_directory": "/nonexistent",
              "syslog_socket": "/nonexistent/socket"}
    if "maillog_file" in fault:
        del others["daemon_directory"]  # there the check of the keys would be what refuses it
    instance.configure(**{**others, **fault})
    at = len(instance.log())
    os.kill(instance.master_pid(), signal.SIGHUP)
    instance.wait_log(rf" postern\[\d+\]: error: \S*main.cf:\d+: {next(iter(fault))}: ", after=at)
    instance.wait_log(r" postern\[\d+\]: error: reload refused", after=at)
    pid = instance.kill_daemon("cleanup")
    wait_for(lambda: [p for p in instance.daemons("cleanup") if p != pid], "another cleanup")
    instance.wait_message(instance.send())
    lines = instance.log()[at:].splitlines()
    assert any(" postern/cleanup[" in line for line in lines)
    assert not any("other" in line or line.startswith("{") for line in lines), lines
    (instance.etc / "main.cf").write_text(main_cf)
    instance.reload()


def test_each_daemon_that_dies_is_started_again_and_mail_flows(instance):
    for name in ("cleanup", "directoryd", "qmgr", "virtual", "smtpd", "smtpd-session", "authd", "imapd", "imapd-session", "pop3d"):
        pid = instance.kill_daemon(name)
        wait_for(lambda: [p for p in instance.daemons(name) if p != pid], f"{name} to be there again")
        sent = wait_for(lambda: _try_send(instance), f"SMTP after the death of {name}")
        wait_for(lambda: _try_read(instance, sent), f"the message after the death of {name}\n{instance.log_tail()}")


def _try_send(instance):
    try:
        return instance.send(size=300)
    except Exception:
        return None


def _try_read(instance, sent):
    try:
        return any(sent.tag.encode() in m for m in instance.messages())
    except Exception:
        return None


def test_stop_ends_every_process_and_says_so(instance):
    pids = list(instance.processes())
    begin = time.monotonic()
    instance.stop()
    assert time.monotonic() - begin < 15
    wait_for(lambda: not any(instance._alive(pid) for pid in pids), "the end of every process", 5)
    status = instance.postern("status", check=False)
    assert status.returncode == 1
    assert "stopping the Postern mail system" in instance.log()


def test_abort_and_the_death_of_master_leave_no_process_behind(instance):
    pids = list(instance.processes())
    instance.postern("abort")
    wait_for(lambda: not any(instance._alive(pid) for pid in pids), "the end of every process", 10)
    instance.start()
    pids = list(instance.processes())
    os.kill(instance.master_pid(), signal.SIGKILL)
    wait_for(lambda: not any(instance._alive(pid) for pid in pids), "daemons to end with their master", 20)
    instance.start()
    instance.wait_message(instance.send())
