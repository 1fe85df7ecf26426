# SPDX-License-Identifier: ISC
"""Who guesses passwords, lies with tickets or crowds the door gets nothing, and nobody else waits for it."""
import json

import pytest

from postern import DOMAIN
from test_accounts import login

ONE = f"one@{DOMAIN}"


@pytest.mark.core
def test_an_application_password_is_good_for_its_services_until_it_is_revoked(instance):
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
    assert [(app["name"], app["services"]) for app in listed] == [("laptop", ""), ("my phone", "imap,smtp")]
    assert password not in instance.postern("user", "app", "list", ONE).out
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
