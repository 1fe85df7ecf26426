# SPDX-License-Identifier: ISC
"""
Postfix and Dovecot as Debian's packages set them up, in a folder of their own: chroot and users of the packages' master.cf and of Dovecot's
built-in service settings, virtual users under one uid, passwords in a file that only Dovecot's authentication may read. Loopback only.
"""
import contextlib
import imaplib
import os
import pathlib
import poplib
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time

import table

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
from postfix import master_cf  # noqa: E402

HOST, DOMAIN, TIMEOUT = "127.0.0.1", "example.test", 20
PASSWORDS = {"one": "one-secret", "two": "two-secret"}
VMAIL = "isolation-vmail"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = {host}
inet_protocols = ipv4
myhostname = isolation.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_tls_cert_file = {folder}/etc/server.crt
smtpd_tls_key_file = {folder}/etc/server.key
smtpd_tls_security_level = may
default_database_type = hash
alias_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = hash:{folder}/etc/vmailbox
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = inline:{{ later.test=lmtp:inet:127.0.0.1:1 }}
"""
DOVECOT = """
protocols = imap pop3
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log/dovecot.log
listen = {host}
ssl = yes
ssl_cert = <{folder}/etc/server.crt
ssl_key = <{folder}/etc/server.key
disable_plaintext_auth = no
mail_location = maildir:~/
mail_privileged_group = mail
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = username_format=%n {folder}/etc/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_for(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {TIMEOUT} s")
        time.sleep(0.05)
    return value


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection((HOST, port), timeout=1).close()
        return True
    return False


def below(pid):
    """{pid: program} of everything below a process."""
    parents, names = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parents[int(entry)] = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(") ")[2].split()[1])
            names[int(entry)] = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return {child: names[child] for child in found if child in names}


def vmail_user():
    try:
        return pwd.getpwnam(VMAIL)
    except KeyError:
        run("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", VMAIL)
        return pwd.getpwnam(VMAIL)


class Others:
    """Both, running, with a message in each mailbox and one in the queue."""

    def __init__(self, folder, base):
        self.folder, self.smtp_port, self.imap_port, self.pop3_port = pathlib.Path(folder), base + 25, base + 143, base + 110
        self.dovecot = None
        self.user = vmail_user()

    def configure(self):
        names = {"folder": self.folder, "host": HOST, "domain": DOMAIN, "uid": self.user.pw_uid, "gid": self.user.pw_gid,
                 "port": self.smtp_port, "imap": self.imap_port, "pop3": self.pop3_port}
        for sub in ("etc", "queue", "data", "mail", "run", "state", "log"):
            (self.folder / sub).mkdir()
        os.chown(self.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(self.folder / "mail", self.user.pw_uid, self.user.pw_gid)
        etc = self.folder / "etc"
        (etc / "main.cf").write_text(MAIN.format(**names))
        (etc / "master.cf").write_text(master_cf(f"{HOST}:{names['port']}", "y") + "tlsmgr unix - - y 1000? 1 tlsmgr\n")
        (etc / "dovecot.conf").write_text(DOVECOT.format(**names))
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists(f"/etc/postfix/{name}"):
                shutil.copy(f"/etc/postfix/{name}", etc / name)
        (etc / "vmailbox").write_text("".join(f"{user}@{DOMAIN} {user}/\n" for user in PASSWORDS))
        run("postmap", "-c", etc, f"hash:{etc}/vmailbox")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=isolation.example.test", "-days", "2", "-keyout",
            etc / "server.key", "-out", etc / "server.crt")
        (etc / "server.key").chmod(0o600)
        users = "".join(f"{user}:{run('doveadm', '-c', '/dev/null', 'pw', '-s', 'SHA512-CRYPT', '-r', '5000', '-p', password).strip()}\n"
                        for user, password in PASSWORDS.items())
        (etc / "users").write_text(users)
        # The careful way: with root:dovecot 0640, as often advised, every imap process reads it, since those are in the group dovecot.
        os.chown(etc / "users", pwd.getpwnam("dovecot").pw_uid, 0)
        (etc / "users").chmod(0o600)

    def start(self):
        self.configure()
        run("postfix", "-c", self.folder / "etc", "start")
        self.postfix = int((self.folder / "queue/pid/master.pid").read_text())
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", str(self.folder / "etc/dovecot.conf")], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for port in (self.smtp_port, self.imap_port, self.pop3_port):
            wait_for(lambda: listens(port), f"port {port}")
        with self.smtp() as client:
            client.sendmail("somebody@elsewhere.test", [f"{user}@{DOMAIN}" for user in PASSWORDS], "Subject: isolation\r\n\r\ntext\r\n")
            client.sendmail("somebody@elsewhere.test", ["far@later.test"], "Subject: waits\r\n\r\ntext\r\n")
        for user in PASSWORDS:
            wait_for(lambda: table.first_file(self.folder / "mail" / user / "new"), f"the message of {user}")
        wait_for(lambda: table.first_file(self.folder / "queue/deferred"), "the deferred message")

    def stop(self):
        if (self.folder / "queue/pid/master.pid").exists():
            run("postfix", "-c", self.folder / "etc", "stop")
        if self.dovecot:
            self.dovecot.send_signal(signal.SIGTERM)
            self.dovecot.wait(TIMEOUT)

    def smtp(self):
        return smtplib.SMTP(HOST, self.smtp_port, timeout=TIMEOUT)

    def imap(self, user):
        client = imaplib.IMAP4(HOST, self.imap_port, timeout=TIMEOUT)
        client.login(user, PASSWORDS[user])
        client.select("INBOX")
        return client

    def pop3(self, user):
        client = poplib.POP3(HOST, self.pop3_port, timeout=TIMEOUT)
        client.user(user)
        client.pass_(PASSWORDS[user])
        return client

    def dovecot_pids(self, program):
        return [pid for pid, name in below(self.dovecot.pid).items() if name == program]

    def postfix_pid(self, program):
        return next((pid for pid, name in below(self.postfix).items() if name == program), None)

    def world(self, own, session, postfix):
        """What a process of Dovecot, or of Postfix, finds around itself."""
        folder = self.folder
        mail = folder / "mail"
        return [*table.mail(mail / own if own else None, mail / "two", "dovecot-uidlist"),
                ("queue-incoming", folder / "queue/incoming"), ("queue-deferred", folder / "queue/deferred"),
                ("queue-message", table.first_file(folder / "queue/deferred")),
                ("accounts", folder / ("etc/vmailbox.db" if postfix else "etc/users")), ("credentials", folder / "etc/users"),
                ("key", folder / "etc/server.key"), *table.key_needles(folder / "etc/server.key"),
                ("configuration", folder / ("etc/main.cf" if postfix else "etc/dovecot.conf")),
                ("log", folder / ("log/postfix.log" if postfix else "log/dovecot.log")),
                ("run", folder / ("queue/public" if postfix else "run")), ("pid-session", session),
                ("pid-auth", next(iter(self.dovecot_pids("auth")), None)), ("pid-master", self.postfix if postfix else self.dovecot.pid),
                *([("known-file", mail / own)] if own else []),
                *(("socket", name) for name in table.sockets_below(folder / ("queue" if postfix else "run")))]
