# SPDX-License-Identifier: ISC
"""The mail programs of others: how each is told where to go, how to protect the line, whom to trust, and how to log in."""
import base64
import os
import pwd
import re
import shutil
import ssl
import subprocess

import pytest

from postern import DOMAIN, HOST

NAME = f"mail.{DOMAIN}"
CLEAR, STARTTLS, TLS = "clear", "starttls", "tls"
# How a client may come in: protocol, port, what protects the line.
WAYS = [("smtp", 25, CLEAR), ("smtp", 25, STARTTLS), ("smtp", 465, TLS), ("smtp", 587, STARTTLS),
        ("imap", 143, CLEAR), ("imap", 143, STARTTLS), ("imap", 993, TLS),
        ("pop3", 110, CLEAR), ("pop3", 110, STARTTLS), ("pop3", 995, TLS)]


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def ended(*command, **options):
    """The program's end, whatever it is; nothing is typed at it."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run([str(part) for part in command], capture_output=True, timeout=60, **options)


def run(*command, **options):
    done = ended(*command, **options)
    assert done.returncode == 0, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return done.stdout


def certificate(instance):
    """The one that the instance signed itself: clients know it, and take no other."""
    return instance.etc / "tls/cert.pem"


def trusting(instance, **settings):
    context = ssl.create_default_context(cafile=str(certificate(instance)))
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def curl(instance, protocol, port, how, path, *arguments):
    """The command line of curl."""
    scheme = protocol + ("s" if how == TLS else "")
    protection = ["--ssl-reqd"] if how == STARTTLS else []
    return ["curl", "-sS", "--cacert", certificate(instance), "--resolve", f"{NAME}:{instance.base + port}:{HOST}", *protection, *arguments,
            f"{scheme}://{NAME}:{instance.base + port}{path}"]


MBSYNCRC = """
IMAPAccount postern
Host {host}
Port {port}
User {user}
Pass {password}
{more}

IMAPStore far
Account postern

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def mbsync(instance, port, how, user, password, mechanism, tmp_path):
    """The command line of mbsync, which keeps tmp_path/near and the account equal."""
    near = tmp_path / "near"
    near.mkdir(exist_ok=True)
    protection = "SSLType " + {CLEAR: "None", STARTTLS: "STARTTLS", TLS: "IMAPS"}[how]
    if how != CLEAR:
        protection += f"\nCertificateFile {certificate(instance)}\nSystemCertificates no"
    (tmp_path / "mbsyncrc").write_text(MBSYNCRC.format(host=HOST, port=instance.base + port, user=user, password=password, folder=near,
                                                       more=f"{protection}\nAuthMechs {mechanism}"))
    return ["mbsync", "-c", tmp_path / "mbsyncrc", "-a"]


def fetchmail(instance, protocol, port, how, user, password, authentication, tmp_path):
    """The command line of fetchmail, which puts what it takes behind tmp_path/got, and its environment."""
    rc = tmp_path / "fetchmailrc"
    protection = 'sslproto ""'
    if how != CLEAR:
        protection = ('ssl ' if how == TLS else '') + f'sslproto "auto" sslcertck sslcertfile {certificate(instance)} sslcommonname {NAME}'
    rc.write_text(f'poll {NAME} via {HOST} protocol {protocol} port {instance.base + port} auth {authentication}\n'
                  f'  user "{user}" password "{password}" is {pwd.getpwuid(os.geteuid()).pw_name} here {protection}\n'
                  f'  mda "/bin/cat >>{tmp_path}/got"\n')
    rc.chmod(0o600)
    return (["fetchmail", "--nodetach", "--nosyslog", "-f", rc, "-i", tmp_path / "ids", "--pidfile", tmp_path / "pid"],
            {**os.environ, "FETCHMAILHOME": str(tmp_path)})


def muttrc(instance, how):
    """Settings of mutt for what protects the line."""
    if how == CLEAR:
        return "set ssl_starttls=no ssl_force_tls=no\n"
    # It connects to an address, which no certificate here is for.
    return (f"set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no\n"
            f"set ssl_ca_certificates_file={certificate(instance)}\n")


class SClient:
    """openssl s_client as a client that types."""

    def __init__(self, instance, protocol, port, how):
        line = ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", str(certificate(instance)), "-verify_hostname", NAME,
                "-connect", f"{HOST}:{instance.base + port}"]
        if how == STARTTLS:
            line += ["-starttls", protocol]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def say(self, word, reply):
        """The first line that matches; None at the end."""
        self.process.stdin.write(word.encode() + b"\r\n")
        self.process.stdin.flush()
        for heard in self.process.stdout:
            if re.match(reply, heard.decode()):
                return heard.decode()
        return None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()
