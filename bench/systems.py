# SPDX-License-Identifier: ISC
"""The systems that are measured: each sets itself up in its own folder, runs on loopback ports of its own, and ends by its own pid."""
import base64
import hashlib
import os
import pathlib
import pwd
import signal
import subprocess
import time

from postfix import master_cf

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOMAIN = "example.test"
PASSWORD = "one-secret"


def wait_port(port, timeout=20):
    import socket
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def count(folder):
    try:
        with os.scandir(folder) as entries:
            return sum(1 for _ in entries)
    except FileNotFoundError:
        return 0


def password_hash(cheap=False):
    """The same scheme at the same cost for everybody: SHA-512 crypt(3) with its default of 5000 rounds, or a single salted SHA-512."""
    if cheap:
        salt = os.urandom(8)
        return "{SSHA512}" + base64.b64encode(hashlib.sha512(PASSWORD.encode() + salt).digest() + salt).decode()
    return "{CRYPT}" + run("openssl", "passwd", "-6", PASSWORD).strip()


def certificates(folder):
    """A key and a certificate of each kind, the same for everybody: {kind: (certificate, key)}."""
    made = {}
    for kind, how in (("rsa", ["rsa:2048"]), ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        made[kind] = folder / f"{kind}.pem", folder / f"{kind}.key"
        if not made[kind][1].exists():
            run("openssl", "req", "-x509", "-newkey", *how, "-nodes", "-subj", "/CN=bench.example.test", "-days", 30, "-keyout", made[kind][1],
                "-out", made[kind][0])
    return made


def below(pid):
    """pid and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(") ")[2].split()[1])
            except OSError:
                pass
    found, new = {pid}, {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def cpu_seconds(pids):
    """Of these processes and of those below them that have ended."""
    ticks = 0
    for pid in pids:
        try:
            ticks += sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:15]))
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


class System:
    imap_port = pop3_port = smtps_port = imaps_port = None

    def __init__(self, folder, base):
        self.certificates = certificates(pathlib.Path(folder).parent)
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.smtp_port = base

    def delivered(self):
        return count(self.maildir / "new") + count(self.maildir / "cur")

    def idle(self):
        """True when nothing is left to deliver."""
        return True

    def processes(self):
        return []


class Floor(System):
    name = "floor"

    def start(self):
        self.maildir = self.folder / "Maildir"
        for sub in ("queue", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            (self.folder / sub).mkdir(parents=True)
        self.process = subprocess.Popen([str(ROOT / "build/bench/floor"), str(self.smtp_port), str(self.folder)])
        wait_port(self.smtp_port)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def processes(self):
        return below(self.process.pid)


class Postern(System):
    name = "postern"

    def __init__(self, folder, base):
        super().__init__(folder, base)
        self.base = base - 25
        self.imap_port, self.pop3_port = self.base + 143, self.base + 110
        self.smtps_port, self.imaps_port = self.base + 465, self.base + 993

    def start(self):
        self.bin = ROOT / "build/release/bin"
        self.instance = self.folder / "instance"
        run(self.bin / "postern", "init", self.instance, "--domain", DOMAIN, "--user", f"one:{PASSWORD}", "--user", f"two:{PASSWORD}",
            "--port-base", self.base)
        self.set_passwords(password_hash())
        # The hash stays as it is and, until remember_passwords, is computed at each login.
        self.configure("auth_password_upgrade = no", "auth_cache_lifetime = 0", "message_size_limit = 100000000",
                       "imap_client_connection_count_limit = 0", f"smtpd_tls_chain_files = {self.chain('rsa')}, {self.chain('ec')}")
        run(self.bin / "postern", "-c", self.instance / "etc", "start")
        self.maildir = self.instance / "mail" / DOMAIN / "one"
        wait_port(self.smtp_port)

    def chain(self, kind):
        """Key and certificate in one file."""
        file = self.folder / f"{kind}.pem"
        file.touch(0o600)
        file.write_text("".join(part.read_text() for part in reversed(self.certificates[kind])))
        return file

    def configure(self, *settings):
        run(self.bin / "postconf", "-e", *settings, env={**os.environ, "MAIL_CONFIG": str(self.instance / "etc")})

    def set_passwords(self, hashed):
        for user in ("one", "two"):
            run(self.bin / "postern", "-c", self.instance / "etc", "user", "passwd", f"{user}@{DOMAIN}", "--hash", hashed)

    def remember_passwords(self):
        self.configure("auth_cache_lifetime = 10m")
        run(self.bin / "postern", "-c", self.instance / "etc", "reload")

    def idle(self):
        return not any(files for sub in ("incoming", "active") for _, _, files in os.walk(self.instance / "queue" / sub))

    def stop(self):
        run(self.bin / "postern", "-c", self.instance / "etc", "stop")

    def processes(self):
        return below(int((self.instance / "run/master.pid").read_text()))


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
message_size_limit = 100000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {rsa[0]}
smtpd_tls_key_file = {rsa[1]}
smtpd_tls_eccert_file = {ec[0]}
smtpd_tls_eckey_file = {ec[1]}
myhostname = bench.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
default_database_type = hash
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ one@{domain}=one/ two@{domain}=two/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_transport = {transport}
{extra}
"""


class Postfix(System):
    name = "postfix-virtual"
    transport, extra = "virtual", ""

    def __init__(self, folder, base):
        super().__init__(folder, base)
        self.smtps_port = base + 4

    def configure(self):
        user = pwd.getpwnam("nobody")
        etc = self.folder / "etc"
        for sub in ("etc", "queue", "data", "mail"):
            (self.folder / sub).mkdir()
        os.chown(self.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(self.folder / "mail", user.pw_uid, user.pw_gid)
        (etc / "main.cf").write_text(POSTFIX_MAIN.format(folder=self.folder, domain=DOMAIN, uid=user.pw_uid, gid=user.pw_gid,
                                                         transport=self.transport, extra=self.extra.format(folder=self.folder),
                                                         **self.certificates))
        (etc / "master.cf").write_text(master_cf(f"127.0.0.1:{self.smtp_port}", "n")
                                       + f"127.0.0.1:{self.smtps_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
                                       + "tlsmgr unix - - n 1000? 1 tlsmgr\n")
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists(f"/etc/postfix/{name}"):
                (etc / name).write_bytes(pathlib.Path(f"/etc/postfix/{name}").read_bytes())
        return etc

    def start(self):
        self.etc = self.configure()
        self.maildir = self.folder / "mail/one"
        run("postfix", "-c", self.etc, "start")
        wait_port(self.smtp_port)

    def idle(self):
        return not any(any(files) for sub in ("incoming", "active", "maildrop")
                       for _, _, files in os.walk(self.folder / "queue" / sub))

    def stop(self):
        run("postfix", "-c", self.etc, "stop")

    def processes(self):
        return below(int((self.folder / "queue/pid/master.pid").read_text()))


DOVECOT = """
protocols = imap pop3 lmtp
base_dir = {folder}/dovecot-run
state_dir = {folder}/dovecot-state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{rsa[0]}
ssl_key = <{rsa[1]}
ssl_alt_cert = <{ec[0]}
ssl_alt_key = <{ec[1]}
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%n
mail_fsync = always
auth_cache_size = {cache}
auth_cache_ttl = 10 mins
first_valid_uid = 1
default_login_user = dovenull
default_internal_user = dovecot
default_client_limit = 20000
default_process_limit = 20000
mail_max_userip_connections = 0
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n
}}
service imap-login {{
  {login_processes}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
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
service lmtp {{
  process_min_avail = 4
  unix_listener {folder}/queue/public/lmtp-dovecot {{
    mode = 0666
  }}
}}
protocol lmtp {{
  auth_username_format = %n
}}
auth_username_format = %n
"""


class PostfixDovecot(Postfix):
    """Dovecot as it comes: a process of imap-login for each connection."""
    name = "postfix-dovecot"
    login_processes = ""
    transport = "lmtp:unix:public/lmtp-dovecot"

    def __init__(self, folder, base):
        super().__init__(folder, base)
        self.imap_port, self.pop3_port, self.imaps_port = base + 1, base + 2, base + 3

    def start(self):
        user = pwd.getpwnam("nobody")
        self.etc = self.configure()
        self.maildir = self.folder / "mail/one"
        self.set_passwords(password_hash())
        self.write_dovecot(user, cache="0")
        run("postfix", "-c", self.etc, "start")
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_port(self.smtp_port)
        wait_port(self.imap_port)

    def set_passwords(self, hashed):
        # Whoever reads it finds the old one or the new one.
        made = self.folder / "users.new"
        made.write_text(f"one:{hashed}\ntwo:{hashed}\n")
        made.chmod(0o644)
        made.rename(self.folder / "users")

    def write_dovecot(self, user, cache):
        (self.folder / "dovecot.conf").write_text(DOVECOT.format(
            folder=self.folder, uid=user.pw_uid, gid=user.pw_gid, imap=self.imap_port, pop3=self.pop3_port, imaps=self.imaps_port, cache=cache,
            login_processes=self.login_processes, **self.certificates))

    def remember_passwords(self):
        self.write_dovecot(pwd.getpwnam("nobody"), cache="10M")
        run("doveadm", "-c", self.folder / "dovecot.conf", "reload")

    def stop(self):
        super().stop()
        self.dovecot.send_signal(signal.SIGTERM)
        self.dovecot.wait(20)

    def processes(self):
        return super().processes() | below(self.dovecot.pid)


class PostfixDovecotKept(PostfixDovecot):
    """Dovecot in what its documentation calls high-performance mode: one process of imap-login for each core serves many connections."""
    name = "postfix-dovecot-kept"
    login_processes = f"service_count = 0\n  process_min_avail = {os.cpu_count()}"
