# SPDX-License-Identifier: ISC
"""accounts.db away, empty, damaged or replaced while the suite runs: mail is deferred, nobody is "unknown", and it mends itself."""
import pytest

from database_file import DatabaseFile, WAYS
from postern import DOMAIN, wait_for


class Accounts(DatabaseFile):
    def __init__(self, instance):
        super().__init__(instance, "directory/accounts.db")

    def recipient(self, name="one"):
        client = self.instance.smtp()
        client.ehlo()
        client.mail("a@elsewhere.test")
        reply = client.rcpt(f"{name}@{DOMAIN}")
        client.quit()
        return reply

    def is_deferred(self):
        code, text = self.recipient()
        assert code in (250, 451) and (code == 250 or text.startswith(b"4.3.0 ")), (code, text)
        return code == 451

    def goes_away_and_comes_back(self, good):
        wait_for(self.is_deferred, "recipients are deferred")
        self.instance.wait_log(r"directoryd\[\d+\]: error: .*/accounts\.db: .* mail is deferred, until it can be read")
        # Nobody is unknown, also who would be.
        code, text = self.recipient("nobody")
        assert (code, text[:6]) == (451, b"4.3.0 ")
        self.put(good)
        self.instance.wait_log(r"directoryd\[\d+\]: .*/accounts\.db can be read again")
        assert self.recipient()[0] == 250
        assert self.recipient("nobody")[0] == 550


@pytest.fixture
def accounts(instance):
    return Accounts(instance)


@pytest.mark.core
@pytest.mark.parametrize("what", WAYS)
def test_accounts_that_cannot_be_read_defer_mail_until_they_can(accounts, what):
    good = accounts.stop_with_all_in_the_file()
    accounts.instance.start()
    assert accounts.recipient()[0] == 250
    accounts.spoil(what)
    accounts.goes_away_and_comes_back(good)


@pytest.mark.parametrize("what", WAYS)
def test_the_suite_starts_without_accounts_and_defers_mail(accounts, what):
    good = accounts.stop_with_all_in_the_file()
    accounts.spoil(what)
    accounts.instance.start()
    accounts.goes_away_and_comes_back(good)


def test_a_page_damaged_in_place_defers_mail_and_is_noticed_when_mended(accounts):
    good = accounts.stop_with_all_in_the_file()
    accounts.damage(good)
    accounts.instance.start()
    accounts.goes_away_and_comes_back(good)


def test_accounts_that_are_replaced_are_taken_up(accounts, make_instance):
    """A backup put back, or the file of another system: what was known from the old one is forgotten."""
    other = make_instance()
    other.postern("user", "add", f"three@{DOMAIN}", input="three-secret\nthree-secret\n")
    accounts.recipient("three")
    good = (other.path / "data/directory/accounts.db").read_bytes()
    assert accounts.recipient("three")[0] == 550
    size = len(accounts.instance.log())
    accounts.put(good)
    accounts.instance.wait_log(r"accounts\.db: it is another file now", after=size)
    wait_for(lambda: accounts.recipient("three")[0] == 250, "the new account")
