# SPDX-License-Identifier: ISC
"""Submission: who logs in, as whom one may send, how much, and what is done to the message."""
import base64
import re
import smtplib

import pytest

from postern import DOMAIN, HOST, PASSWORDS, TIMEOUT, wait_for

PORT = 31  # above the port base
OUTSIDE = "somebody@elsewhere.test"
LOGIN = f"one@{DOMAIN}"


def submission_entry(instance, **options):
    """An entry as administrators know it; without TLS, which loopback can do without."""
    settings = {"syslog_name": "postern/submission", "smtpd_tls_auth_only": "no", "smtpd_sasl_auth_enable": "yes",
                "smtpd_client_restrictions": "permit_sasl_authenticated,reject",
                "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject", **options}
    lines = "".join(f"\n  -o {{ {name} = {value} }}" for name, value in settings.items())
    with (instance.etc / "master.cf").open("a") as master_cf:
        master_cf.write(f"{instance.base + PORT} inet n - y - - smtpd{lines}\n")


@pytest.fixture
def submitting(make_instance):
    """A function that makes a running instance with a submission entry of these options."""
    def make(settings=None, **options):
        instance = make_instance(settings=settings)
        submission_entry(instance, **options)
        instance.start()
        return instance

    return make


def connect(instance, user="one", password=None):
    client = smtplib.SMTP(HOST, instance.base + PORT, timeout=TIMEOUT)
    if user:
        client.login(f"{user}@{DOMAIN}", password or PASSWORDS[user])
    return client


def refusal(call, *arguments):
    """The reply of a command that must be refused."""
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        call(*arguments)
    return caught.value.smtp_code, caught.value.smtp_error.decode()


def first_refusal(client, sender, recipients, data):
    with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)) as caught:
        client.sendmail(sender, recipients, data)
    if isinstance(caught.value, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(caught.value.recipients.values()))
    else:
        code, text = caught.value.smtp_code, caught.value.smtp_error
    return code, text.decode()


# --- AUTH ---

@pytest.mark.core
def test_a_user_logs_in_with_each_mechanism_and_sends(submitting):
    instance = submitting()
    for mechanism in ("PLAIN", "LOGIN"):
        client = smtplib.SMTP(HOST, instance.base + PORT, timeout=TIMEOUT)
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"].split()
        client.user, client.password = LOGIN, PASSWORDS["one"]
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        client.sendmail(LOGIN, [f"two@{DOMAIN}"], f"Subject: {mechanism}\r\n\r\nx\r\n")
        client.quit()
        instance.wait_log(rf"postern/submission/\S+\[\d+\]: \w+: client=localhost\[127.0.0.1\], sasl_method={mechanism}, sasl_username={LOGIN}$")
    found = wait_for(lambda: m if len(m := instance.messages("two")) == 2 else None, "both messages")
    for message in found:
        assert b" with ESMTPA id " in message
        assert b"Authenticated sender" not in message and b"[127.0.0.1]" in message


def test_nobody_sends_without_a_login(submitting):
    instance = submitting(settings={"smtpd_sasl_auth_enable": "no"})
    client = connect(instance, user=None)
    assert first_refusal(client, OUTSIDE, [f"two@{DOMAIN}"], "x") == (530, "5.7.0 Authentication required")
    code, text = refusal(client.login, LOGIN, "wrong")
    assert (code, text) == (535, "5.7.8 Error: authentication failed: authentication failure")
    instance.wait_log(rf"warning: localhost\[127.0.0.1\]: SASL \w+ authentication failed: authentication failure, sasl_username={LOGIN}$")
    assert first_refusal(client, OUTSIDE, [f"two@{DOMAIN}"], "x") == (530, "5.7.0 Authentication required")
    client.login(LOGIN, PASSWORDS["one"])
    assert client.docmd("AUTH PLAIN") == (503, b"5.5.1 Error: already authenticated")
    assert client.sendmail(LOGIN, [f"two@{DOMAIN}"], "x") == {}
    # Port 25 has its own settings.
    other = instance.smtp()
    other.ehlo()
    assert not other.has_extn("auth")
    assert other.docmd("AUTH PLAIN")[0] == 503


def test_an_access_table_knows_who_logged_in(submitting):
    instance = submitting(smtpd_recipient_restrictions=f"check_sasl_access inline:{{ {{ two@{DOMAIN} = REJECT first pay }} }}, "
                                                       "permit_sasl_authenticated, reject")
    assert first_refusal(connect(instance, "two"), f"two@{DOMAIN}", [OUTSIDE], "x") == (
        554, f"5.7.1 <two@{DOMAIN}>: SASL login name rejected: first pay")
    assert connect(instance).sendmail(LOGIN, [f"two@{DOMAIN}"], "x") == {}


def test_a_login_does_not_outlive_its_connection(submitting):
    # One session process serves them one after the other.
    instance = submitting(settings={"mynetworks": ""})
    for _ in range(6):
        client = connect(instance)
        assert client.docmd(f"MAIL FROM:<{LOGIN}>")[0] == 250
        client.quit()
        other = connect(instance, user=None)
        other.ehlo()
        assert first_refusal(other, LOGIN, [OUTSIDE], "x")[0] == 530
        other.quit()


def test_headers_are_completed_and_tell_what_they_should(submitting):
    instance = submitting(submission_hide_client="yes", smtpd_sasl_authenticated_header="yes")
    client = connect(instance)
    client.ehlo("laptop.private.test")
    client.sendmail(LOGIN, [f"two@{DOMAIN}"], f"From: {LOGIN}\r\nBcc: hidden@elsewhere.test\r\nSubject: bare\r\n\r\nx\r\n")
    message = wait_for(lambda: instance.messages("two"), "the message")[0]
    head = message.partition(b"\r\n\r\n")[0]
    assert re.search(rb"^Received: \(Authenticated sender: one@example.test\)\r\n\tby \S+ \(Postern\) with ESMTPA id ", head, re.M), head
    assert b"127.0.0.1" not in head and b"laptop" not in head and b"hidden" not in head
    assert re.search(rb"^Date: ", head, re.M) and re.search(rb"^Message-Id: <", head, re.M)
    # Mail from elsewhere tells where it came from, as RFC 5321 4.4 wants.
    sent = instance.send()
    assert b"[127.0.0.1]" in instance.wait_message(sent)


def test_authd_may_be_restarted_at_any_time(submitting):
    instance = submitting()
    client = connect(instance)
    raw = instance.raw(PORT)
    raw.reply()
    raw.say("EHLO here")
    assert raw.say("AUTH LOGIN").startswith(b"334 ")
    instance.kill_daemon("authd")
    # An exchange in the middle ends; the login that was given stays, and another can be had.
    assert raw.say(base64.b64encode(LOGIN.encode()).decode()).startswith(b"454 4.7.0 ")
    plain = base64.b64encode(f"\0{LOGIN}\0{PASSWORDS['one']}".encode()).decode()
    wait_for(lambda: raw.say(f"AUTH PLAIN {plain}").startswith(b"235 "), "a login with the new authd", pause=0.1)
    assert client.sendmail(LOGIN, [f"two@{DOMAIN}"], "Subject: after\r\n\r\nx\r\n") == {}
    connect(instance).quit()


# --- as whom ---

def test_a_user_sends_as_himself_his_aliases_and_what_the_table_says(submitting):
    maps = f"inline:{{ {{ boss@{DOMAIN} = one@{DOMAIN}, two@{DOMAIN} }} }}"
    instance = submitting(smtpd_sender_restrictions="reject_sender_login_mismatch", smtpd_sender_login_maps=maps,
                          smtpd_delay_reject="no", smtpd_client_restrictions="")
    instance.configure(recipient_delimiter="+")
    for alias, *targets in (("info", "one"), ("team", "one", "two")):
        for target in targets:
            instance.postern("alias", "add", f"{alias}@{DOMAIN}", f"{target}@{DOMAIN}")
    instance.reload()
    own = {"one": {"one", "one+list", "info", "boss", "One"}, "two": {"two", "boss"}}
    for user, allowed in own.items():
        client = connect(instance, user)
        for local in ("one", "one+list", "One", "two", "info", "boss", "team", "nobody"):
            code, text = client.docmd(f"MAIL FROM:<{local}@{DOMAIN}>")
            assert (code == 250) == (local in allowed), (user, local, text)
            if code != 250:
                assert text.decode() == f"5.7.1 <{local}@{DOMAIN}>: Sender address rejected: not owned by user {user}@{DOMAIN}"
            client.docmd("RSET")
        assert client.docmd("MAIL FROM:<somebody@elsewhere.test>")[0] == 553
        assert client.docmd("MAIL FROM:<>")[0] == 250
        client.quit()
    instance.wait_log(rf"NOQUEUE: reject: MAIL from localhost\[127.0.0.1\]: 553 5.7.1 <team@{DOMAIN}>: Sender address rejected: not owned by user")


def message_from(*senders, extra=""):
    return "".join(f"From: {sender}\r\n" for sender in senders) + f"{extra}Subject: x\r\n\r\nx\r\n"


def test_the_from_header_is_looked_at_as_well(submitting):
    maps = f"inline:{{ {{ boss@{DOMAIN} = one@{DOMAIN} }} }}"
    instance = submitting(submission_check_from="reject", smtpd_sender_login_maps=maps, smtpd_error_sleep_time="0s",
                          smtpd_hard_error_limit="100")
    client = connect(instance)
    to = [f"two@{DOMAIN}"]
    good = [(LOGIN,), (f'"two@{DOMAIN}" <{LOGIN}>',), (f"One <{LOGIN}>, Boss <boss@{DOMAIN}>",), (f"One (not <two@{DOMAIN}>) <{LOGIN}>",), (f"<{LOGIN}> (One)",), (),
            (f"=?utf-8?q?two=40{DOMAIN}?= <{LOGIN}>",), (f"One A. User <{LOGIN}>",)]
    for senders in good:
        assert client.sendmail(LOGIN, to, message_from(*senders)) == {}, senders
    bad = [(f"two@{DOMAIN}",), (f"{LOGIN}, two@{DOMAIN}",), (LOGIN, f"two@{DOMAIN}"), (f"One <two@{DOMAIN}>",), ("somebody@elsewhere.test",),
           ("The boss",), ('"The boss"',), ("undisclosed:;",), ("",), (f"{LOGIN} <two@{DOMAIN}>",), (f"<two@{DOMAIN}> {LOGIN}",),
           (",".join([LOGIN] * 30),), (f"<{LOGIN}> two@{DOMAIN}",), (f"<{LOGIN}> The boss",), (f"One <{LOGIN}> <two@{DOMAIN}>",),
           (f"{LOGIN} two@{DOMAIN}",), (f"<{LOGIN}> (two@{DOMAIN}",),
           # What we could read as the login's own, and others as somebody else's.
           (f"two@{DOMAIN} <{LOGIN}>",), (f"<@two@{DOMAIN}:{LOGIN}>",), (f"<@{DOMAIN}:{LOGIN}>",), (f"<two@{DOMAIN} <{LOGIN}>",),
           (f"two@{DOMAIN}\r\n <{LOGIN}>",), (f"two@{DOMAIN}: {LOGIN};",), (f"One > <{LOGIN}>",)]
    for senders in bad:
        code, text = first_refusal(client, LOGIN, to, message_from(*senders))
        assert (code, text) == (550, "5.7.1 Error: From: address not owned by the user logged in"), senders
    assert first_refusal(client, LOGIN, to, message_from(f"two@{DOMAIN}", extra=f"Sender: {LOGIN}\r\nResent-From: {LOGIN}\r\n"))[0] == 550
    instance.wait_log(rf"cleanup\[\d+\]: \w+: reject: header From: two@{DOMAIN} from localhost\[127.0.0.1\]; from=<{LOGIN}> .*: not owned by user {LOGIN}$")
    wait_for(lambda: len(instance.messages("two")) == len(good), "what was taken")
    # Nobody's From: is looked at who is not logged in.
    assert instance.wait_message(instance.send(sender=f"two@{DOMAIN}"))


def test_a_foreign_from_may_only_be_warned_of(submitting):
    instance = submitting(submission_check_from="warn")
    assert connect(instance).sendmail(LOGIN, [f"two@{DOMAIN}"], message_from(f"two@{DOMAIN}")) == {}
    instance.wait_log(rf"cleanup\[\d+\]: \w+: warning: header From: two@{DOMAIN} from localhost.* not owned by user {LOGIN}$")
    wait_for(lambda: instance.messages("two"), "the message")


def test_directoryd_may_be_restarted_while_from_is_asked(submitting):
    instance = submitting(settings={"service_restart_delay": "0s"}, submission_check_from="reject",
                          smtpd_sender_restrictions="reject_sender_login_mismatch")
    client = connect(instance)
    for _ in range(5):
        pid = instance.kill_daemon("directoryd")
        wait_for(lambda pid=pid: [p for p in instance.daemons("directoryd") if p != pid], "another directoryd")
        assert client.sendmail(LOGIN, [f"two@{DOMAIN}"], message_from(LOGIN)) == {}
    assert first_refusal(client, LOGIN, [f"two@{DOMAIN}"], message_from(f"two@{DOMAIN}"))[0] == 550


# --- how much ---

def send_many(client, count, to=None):
    """How many of them were taken, and the first refusal."""
    for taken in range(count):
        try:
            client.sendmail(LOGIN, to or [f"two@{DOMAIN}"], "Subject: x\r\n\r\nx\r\n")
        except (smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused) as refused:
            client.rset()
            return taken, refused.smtp_code, refused.smtp_error.decode()
    return count, None, None


def test_a_user_sends_so_many_messages_in_an_hour_over_every_restart(submitting):
    instance = submitting(submission_message_hour_limit="6")
    assert send_many(connect(instance), 2)[0] == 2
    instance.kill_daemon("authd")
    client = connect(instance)
    assert send_many(client, 1)[0] == 1
    instance.reload()
    assert send_many(connect(instance), 1)[0] == 1
    # The session before the reload counts on.
    assert send_many(client, 1)[0] == 1
    instance.kill_everything()
    instance.start()
    taken, code, text = send_many(connect(instance), 3)
    assert (taken, code) == (1, 450)
    assert re.fullmatch(rf"4\.7\.1 Error: too many messages from {LOGIN}: the limit is 6 in an hour, try again in \d+ minutes", text)
    instance.wait_log(rf"postern/submission/smtpd\[\d+\]: NOQUEUE: reject: DATA from localhost\[127.0.0.1\]: 450 4.7.1 Error: too many messages from {LOGIN}")
    # Others are not concerned, and neither is mail that comes without a login.
    other = connect(instance, "two")
    assert other.sendmail(f"two@{DOMAIN}", [LOGIN], "x") == {}
    assert instance.send()


def test_recipients_are_counted_and_a_table_has_other_limits(submitting):
    instance = submitting(submission_recipient_day_limit="3", submission_limit_maps=f"inline:{{ {{ two@{DOMAIN} = none }} }}")
    client = connect(instance)
    many = [f"two@{DOMAIN}", f"two+a@{DOMAIN}", f"two+b@{DOMAIN}", f"two+c@{DOMAIN}"]
    instance.configure(recipient_delimiter="+")
    instance.reload()
    client = connect(instance)
    taken, code, text = send_many(client, 1, many)
    assert (taken, code) == (0, 550)
    assert text == f"5.7.1 Error: too many recipients for {LOGIN}: 4 at once, the limit is 3 in a day"
    assert send_many(client, 1, many[:2])[0] == 1
    assert send_many(client, 1, many[:2])[:2] == (0, 450)
    assert send_many(client, 1, many[:1])[0] == 1
    assert send_many(client, 1, many[:1])[:2] == (0, 450)
    other = connect(instance, "two")
    for _ in range(3):
        assert other.sendmail(f"two@{DOMAIN}", many, "x") == {}


def test_who_is_disabled_or_deleted_sends_nothing_whoever_has_his_password(make_instance):
    instance = make_instance(settings={"auth_failure_delay": "0"})
    passwd = instance.etc / "passwd"
    passwd.write_text(f"tom@{DOMAIN}:{{PLAIN}}tom-secret\ntim@{DOMAIN}:{{PLAIN}}tom-secret\n")
    instance.configure(auth_allow_plain_scheme="yes", auth_backends=f"passwd-file:{passwd}", auth_mechanisms="plain, scram-sha-256")
    submission_entry(instance)
    instance.start()

    def may(name):
        client = smtplib.SMTP(HOST, instance.base + PORT, timeout=TIMEOUT)
        client.ehlo()
        plain = base64.b64encode(f"\0{name}@{DOMAIN}\0tom-secret".encode()).decode()
        code, _ = client.docmd("AUTH", f"PLAIN {plain}")
        client.close()
        assert code in (235, 535)
        return code == 235

    instance.postern("user", "add", f"tom@{DOMAIN}", "--no-password")
    assert may("tom")
    instance.postern("user", "disable", f"tom@{DOMAIN}")
    assert not may("tom")
    instance.postern("user", "enable", f"tom@{DOMAIN}")
    assert may("tom")
    instance.postern("user", "rename", f"tom@{DOMAIN}", f"tim@{DOMAIN}")
    assert may("tim") and not may("tom")
    instance.postern("user", "disable", f"tim@{DOMAIN}")
    instance.postern("user", "delete", f"tim@{DOMAIN}", "--yes")
    assert not may("tim")
    instance.postern("user", "add", f"tom@{DOMAIN}", "--no-password")
    instance.postern("user", "rename", f"tom@{DOMAIN}", f"tim@{DOMAIN}")
    assert may("tim") and not may("tom")
