# SPDX-License-Identifier: ISC
"""Send a multipart message with an attachment by SMTP and compare every byte of it over IMAP and POP3."""
import imaplib
import os
import poplib
import smtplib
import ssl
import sys
import time
from email.message import EmailMessage
from email.policy import SMTP

BASE = int(sys.argv[1])
HOST = "127.0.0.1"
# The certificate that postern init made, and nobody else's.
TLS = ssl.create_default_context(cafile=sys.argv[2])
TLS.check_hostname = False


def compose(tag):
    message = EmailMessage(policy=SMTP)
    message["From"] = "Somebody <somebody@example.test>"
    message["To"] = "one@example.test, two@example.test"
    message["Subject"] = f"Grüße from the quickstart {tag}"
    message["Message-ID"] = f"<{tag}@quickstart.example.test>"
    message["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    message.set_content("A body with a line of one dot:\n.\nand some UTF-8: äöü €\n")
    message.add_attachment(os.urandom(100_000), maintype="application", subtype="octet-stream", filename="random.bin")
    return message.as_bytes()


def body_of(raw, sent):
    """What the servers put in front must be header lines only; behind them every byte is as sent."""
    at = raw.find(sent[:60])
    head = raw[:at]
    if at < 0 or any(not line or (line[:1] not in b" \t" and b":" not in line) for line in head.split(b"\r\n")[:-1]):
        return None
    return raw[at:]


def from_imap(tag):
    imap = imaplib.IMAP4_SSL(HOST, BASE + 993, ssl_context=TLS, timeout=20)
    imap.login("one@example.test", "one-secret")
    imap.select("INBOX")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = imap.search(None, "HEADER", "Message-ID", tag)[1][0].split()
        if found:
            raw = imap.fetch(found[-1], "(BODY.PEEK[])")[1][0][1]
            imap.logout()
            return raw
        imap.noop()
        time.sleep(0.05)
    raise SystemExit("IMAP: the message did not arrive within 20 seconds")


def from_pop3(tag):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pop = poplib.POP3(HOST, BASE + 110, timeout=20)
        pop.user("two@example.test")
        pop.pass_("two-secret")
        for number in range(len(pop.list()[1]), 0, -1):
            raw = b"\r\n".join(pop.retr(number)[1]) + b"\r\n"
            if tag.encode() in raw:
                pop.quit()
                return raw
        pop.quit()
        time.sleep(0.1)
    raise SystemExit("POP3: the message did not arrive within 20 seconds")


def main():
    tag = f"{time.time_ns():x}"
    sent = compose(tag)
    smtp = smtplib.SMTP(HOST, BASE + 25, timeout=20)
    smtp.starttls(context=TLS)
    smtp.sendmail("somebody@example.test", ["one@example.test", "two@example.test"], sent)
    smtp.quit()
    print(f"sent      {len(sent)} bytes by SMTP with STARTTLS")
    for name, fetch in (("IMAP with TLS", from_imap), ("POP3", from_pop3)):
        if body_of(fetch(tag), sent) != sent:
            raise SystemExit(f"{name}: what came back is not what was sent")
        print(f"read back by {name}: every byte is the same")


main()
