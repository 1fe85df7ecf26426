# SPDX-License-Identifier: ISC
"""A MariaDB or PostgreSQL of the test's own: in a folder that is thrown away, on a UNIX socket and a loopback port, with TLS, stopped by its pid."""
import atexit
import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

import pytest

from postern import wait_for
from test_tls_daemons import make_certificate

SCHEMA = """
CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY, transport VARCHAR(64), enabled INT NOT NULL DEFAULT 1);
CREATE TABLE users (email VARCHAR(255) PRIMARY KEY, password VARCHAR(255), name VARCHAR(64), quota BIGINT, enabled INT NOT NULL DEFAULT 1);
CREATE TABLE alias (source VARCHAR(255) NOT NULL, destination VARCHAR(1000) NOT NULL, enabled INT NOT NULL DEFAULT 1);
"""
USER, PASSWORD, DATABASE = "mailreader", "it's \\ secret", "mail"
# Comes by TLS only, and with a certificate.
TLS_USER = "tlsreader"


# Data of a server that was made once, for all those of this process: (type, what is in it) -> folder.
MADE = {}


def newest(pattern):
    found = sorted(pathlib.Path("/").glob(pattern), key=lambda p: p.stat().st_mtime)
    return found[-1] if found else None


class Server:
    """What both have in common. `port` is one that the test has claimed."""

    def __init__(self, port, rows):
        self.port, self.process = port, None
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.folder = self.new_folder()
        self.make_keys()
        try:
            self.take_data(SCHEMA + rows)
            self.start()
        except BaseException:
            self.close()
            raise

    def make_keys(self):
        """Of the server, whose name is localhost; of a client; and an authority that knows neither."""
        self.keys = self.folder / "keys"
        self.keys.mkdir()
        for name in ("authority", "stranger"):
            make_certificate(self.keys, name, ca=True)
        for name in ("localhost", "client"):
            make_certificate(self.keys, name, issuer="authority")
        if self.user:
            os.chown(self.keys / "localhost.key", self.user.pw_uid, self.user.pw_gid)

    def key_for(self, reader, folder):
        """The client's certificate and key where `reader` may read them, and nobody else."""
        for name in ("client.crt", "client.key"):
            shutil.copy(self.keys / name, folder / name)
            (folder / name).chmod(0o600)
            os.chown(folder / name, reader.pw_uid, reader.pw_gid)
        return folder / "client.crt", folder / "client.key"

    def new_folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-sql-"))
        folder.chmod(0o755)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        return folder

    def take_data(self, sql):
        """A copy of what was made when this was first asked for: that is most of the work."""
        made = MADE.get((self.type, sql))
        if not made:
            made = self.new_folder()
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            self.make(made, sql)
            MADE[self.type, sql] = made
        for part in ("data", "init.sql"):
            if (made / part).exists():
                subprocess.run(["cp", "-a", made / part, self.folder / part], check=True)

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def spawn(self, line):
        with open(self.folder / "log", "ab") as log:
            # It ends with the test, whatever ends that.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "QUIT", *map(str, line)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.as_user())

    def run(self, line, **options):
        done = subprocess.run([str(word) for word in line], capture_output=True, cwd=self.folder, timeout=60, **self.as_user(), **options)
        assert done.returncode == 0, f"{line[0]}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        self.each(signal.SIGSTOP)

    def resume(self):
        self.each(signal.SIGCONT)

    def each(self, number):
        """The server, and its children where it has some."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            # One that served a connection may have ended since it was listed.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cf(self, path, body, hosts=None, owner=None):
        path.write_text(f"hosts = {hosts or self.hosts()}\nuser = {USER}\npassword = {PASSWORD}\ndbname = {DATABASE}\n{body}\n")
        path.chmod(0o600)
        if owner:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        return f"{self.type}:{path}"


class MariaDB(Server):
    type = "mysql"

    @staticmethod
    def missing():
        if not pathlib.Path("/usr/sbin/mariadbd").exists() or not pathlib.Path("/usr/share/mysql/mysql_system_tables.sql").exists():
            return "mariadb-server-core is not installed"

    @staticmethod
    def base(folder):
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}/data", "--innodb-buffer-pool-size=8M",
                "--innodb-log-file-size=4M", "--key-buffer-size=1M", "--performance-schema=OFF", "--tmpdir", str(folder)]

    def make(self, folder, sql):
        (folder / "data").mkdir()
        if self.user:
            os.chown(folder / "data", self.user.pw_uid, self.user.pw_gid)
        share = pathlib.Path("/usr/share/mysql")
        text = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n" + "".join(
            (share / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"))
        self.run([*self.base(folder), "--bootstrap"], input=text.encode())
        password = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        (folder / "init.sql").write_text(
            f"CREATE DATABASE {DATABASE};\nUSE {DATABASE};\n" + "".join(line + ";\n" for line in one_line(sql)) +
            f"CREATE USER {USER}@localhost IDENTIFIED BY '{password}';\n"
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            f"GRANT SELECT ON {DATABASE}.* TO {USER}@localhost;\nGRANT SELECT ON {DATABASE}.* TO {USER}@'127.0.0.1';\n"
            f"CREATE USER {TLS_USER}@'127.0.0.1' IDENTIFIED BY '{password}' REQUIRE X509;\n"
            f"GRANT SELECT ON {DATABASE}.* TO {TLS_USER}@'127.0.0.1';\n")

    def start(self, tls=True):
        init = self.folder / "init.sql"
        once = [f"--init-file={init}"] if init.exists() else []
        self.spawn([*self.base(self.folder), f"--socket={self.folder}/socket", f"--port={self.port}", "--bind-address=127.0.0.1",
                    "--skip-name-resolve", f"--pid-file={self.folder}/pid", *once,
                    *([f"--ssl-cert={self.keys}/localhost.crt", f"--ssl-key={self.keys}/localhost.key", f"--ssl-ca={self.keys}/authority.crt"]
                      if tls else ["--skip-ssl"])])
        wait_for(lambda: "ready for connections" in (self.folder / "log").read_text().rpartition("Shutdown complete")[2][-3000:]
                 and (self.folder / "socket").exists() and self.process.poll() is None, "MariaDB", 60)
        if once:
            init.rename(self.folder / "done.sql")
            init = None

    def kill(self):
        super().kill()
        (self.folder / "log").write_text("")

    def change(self, statement):
        """As the owner of the database, through the library that the suite is built with: there is no client program."""
        library = ctypes.CDLL("libmariadb.so.3")
        library.mysql_init.restype = library.mysql_real_connect.restype = ctypes.c_void_p
        library.mysql_error.restype = ctypes.c_char_p
        connection = ctypes.c_void_p(library.mysql_init(None))
        try:
            done = library.mysql_real_connect(connection, None, b"root", b"", DATABASE.encode(), 0, f"{self.folder}/socket".encode(), ctypes.c_ulong(0))
            assert done and library.mysql_query(connection, statement.encode()) == 0, library.mysql_error(connection)
        finally:
            library.mysql_close(connection)

    def hosts(self):
        return f"unix:{self.folder}/socket"

    def secure_cf(self, path, body, certificate, key, host="localhost", authority=None, user=TLS_USER):
        """Over TLS, by name."""
        path.write_text(f"hosts = inet:{host}:{self.port}\nuser = {user}\npassword = {PASSWORD}\ndbname = {DATABASE}\n"
                        f"tls_CAfile = {authority or self.keys / 'authority.crt'}\ntls_cert_file = {certificate}\ntls_key_file = {key}\n"
                        f"tls_verify_cert = yes\n{body}\n")
        return f"{self.type}:{path}"


class PostgreSQL(Server):
    type = "pgsql"

    @staticmethod
    def missing():
        if not newest("usr/lib/postgresql/*/bin/initdb"):
            return "postgresql is not installed"

    @property
    def programs(self):
        return newest("usr/lib/postgresql/*/bin/initdb").parent

    def make(self, folder, sql):
        self.run([self.programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"])
        with open(folder / "data" / "pg_hba.conf", "w") as hba:
            hba.write("local all postgres trust\nlocal all all scram-sha-256\n"
                      f"hostssl all {TLS_USER} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nhost all {TLS_USER} all reject\n"
                      "host all all 127.0.0.1/32 scram-sha-256\n")
        password = PASSWORD.replace("'", "''")
        self.serve(folder, "")
        self.psql(folder, "postgres", f"CREATE DATABASE {DATABASE}")
        self.psql(folder, DATABASE, *one_line(sql), f"CREATE USER {USER} PASSWORD '{password}'", f"CREATE USER {TLS_USER} PASSWORD '{password}'",
                  f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}, {TLS_USER}")
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.process = None

    def serve(self, folder, address, *settings):
        words = (word for setting in ("shared_buffers=8MB", "fsync=off", "max_connections=20", *settings) for word in ("-c", setting))
        self.spawn([self.programs / "postgres", "-D", folder / "data", "-k", folder, "-p", str(self.port), "-h", address, *words])
        wait_for(lambda: self.ready(folder), "PostgreSQL", 60)

    def start(self, tls=True):
        secure = ["ssl=on", f"ssl_cert_file={self.keys}/localhost.crt", f"ssl_key_file={self.keys}/localhost.key", f"ssl_ca_file={self.keys}/authority.crt"]
        self.serve(self.folder, "127.0.0.1", *(secure if tls else ["ssl=off"]))

    def ready(self, folder):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return subprocess.run([str(self.programs / "pg_isready"), "-h", str(folder), "-p", str(self.port)], capture_output=True).returncode == 0

    def psql(self, folder, database, *statements):
        commands = [word for statement in statements for word in ("-c", statement)]
        return self.run([self.programs / "psql", "-h", folder, "-p", self.port, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, *commands])

    def change(self, statement):
        self.psql(self.folder, DATABASE, statement)

    def hosts(self):
        return f"unix:{self.folder}/.s.PGSQL.{self.port}"

    def secure_cf(self, path, body, certificate, key, host="localhost", authority=None, user=TLS_USER):
        """Over TLS, by name."""
        words = urllib.parse.urlencode({"sslmode": "verify-full", "sslrootcert": authority or self.keys / "authority.crt", "sslcert": certificate, "sslkey": key})
        path.write_text(f"hosts = postgresql://{user}:{urllib.parse.quote(PASSWORD)}@{host}:{self.port}/{DATABASE}?{words}\n{body}\n")
        return f"{self.type}:{path}"

    def kill(self):
        """At once: a killed postmaster would leave its children behind."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)
            self.process = None


def one_line(sql):
    return [" ".join(statement.split()) for statement in sql.split(";\n") if statement.strip()]


# Those of a kind run in one process, where its data is made once.
@pytest.fixture(scope="module", params=[pytest.param(kind, id=kind.type, marks=pytest.mark.xdist_group(kind.type)) for kind in (MariaDB, PostgreSQL)])
def server_kind(request):
    missing = request.param.missing()
    if missing:
        pytest.skip(missing)
    return request.param
