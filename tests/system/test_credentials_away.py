# SPDX-License-Identifier: ISC
"""credentials.db away, empty, damaged or replaced while the suite runs: nobody's password is "wrong", and it mends itself."""
import imaplib
import poplib

import pytest

from database_file import BROKEN, DatabaseFile, WAYS
from postern import DOMAIN, PASSWORDS, wait_for


class Credentials(DatabaseFile):
    def __init__(self, instance):
        super().__init__(instance, "auth/credentials.db")

    def login(self, password=PASSWORDS["one"]):
        """"good", or what the server said."""
        client = imaplib.IMAP4("127.0.0.1", self.instance.base + 143)
        try:
            client.login(f"one@{DOMAIN}", password)
            return "good"
        except imaplib.IMAP4.error as error:
            return str(error)
        finally:
            client.shutdown()

    def is_away(self):
        said = self.login()
        assert said == "good" or "[UNAVAILABLE]" in said, said
        return said != "good"

    def goes_away_and_comes_back(self, good):
        wait_for(self.is_away, "logins that must come again later")
        self.instance.wait_log(r"authd\[\d+\]: error: .*/credentials\.db: .* nobody can log in until it can be read")
        # A wrong password is not known to be wrong.
        assert "[UNAVAILABLE]" in self.login("wrong")
        client = poplib.POP3("127.0.0.1", self.instance.base + 110)
        client.user(f"one@{DOMAIN}")
        with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
            client.pass_(PASSWORDS["one"])
        client.close()
        before = self.path.read_bytes() if self.path.exists() else None
        self.put(good)
        self.instance.wait_log(r"authd\[\d+\]: .*/credentials\.db can be read again")
        assert self.login() == "good"
        assert "[AUTHENTICATIONFAILED]" in self.login("wrong")
        return before


@pytest.fixture
def credentials(make_instance):
    instance = make_instance(settings={"auth_failure_delay": "0"})
    instance.start()
    return Credentials(instance)


@pytest.mark.core
@pytest.mark.parametrize("what", WAYS)
def test_credentials_that_cannot_be_read_make_logins_wait(credentials, what):
    good = credentials.stop_with_all_in_the_file()
    credentials.instance.start()
    assert credentials.login() == "good"
    credentials.spoil(what)
    # Nothing was made in its place.
    assert credentials.goes_away_and_comes_back(good) == BROKEN.get(what)


@pytest.mark.parametrize("what", WAYS)
def test_the_suite_starts_without_credentials(credentials, what):
    good = credentials.stop_with_all_in_the_file()
    credentials.spoil(what)
    credentials.instance.start()
    credentials.goes_away_and_comes_back(good)


def test_a_page_damaged_in_place_is_noticed_when_mended(credentials):
    good = credentials.stop_with_all_in_the_file()
    credentials.damage(good)
    credentials.instance.start()
    credentials.goes_away_and_comes_back(good)


def test_credentials_that_are_replaced_are_taken_up(credentials, make_instance):
    other = make_instance()
    other.postern("user", "passwd", f"one@{DOMAIN}", input="other-secret\nother-secret\n")
    good = (other.path / "data/auth/credentials.db").read_bytes()
    assert credentials.login() == "good"
    at = len(credentials.instance.log())
    credentials.put(good)
    credentials.instance.wait_log(r"credentials\.db: it is another file now", after=at)
    wait_for(lambda: credentials.login("other-secret") == "good", "the other password")
