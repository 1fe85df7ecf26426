# SPDX-License-Identifier: ISC
"""
Side by side in one run: SMTP into a mailbox for the floor, Postern, Postfix with virtual(8), and Postfix with Dovecot's LMTP; the
IMAP and POP3 steps for Postern and Dovecot, with memory; TLS and logins for Postern, Postfix and Dovecot, the latter in both of its modes;
accounts for Postern alone. Prints tables of figures and ratios. Every system gets a new file system for each
round (or, with --disk folder, a new folder on the disk that is there).
"""
import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import accounts
import mail
import tls
from disk import Disk, Folder
from systems import Floor, Postern, Postfix, PostfixDovecot, PostfixDovecotKept

BASE = 21025
STEP_BASE = 9225


def cpu_seconds():
    fields = list(map(int, open("/proc/stat").readline().split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def smtp_round(kind, folder, base, messages, size, sessions):
    system = kind(folder, base)
    system.start()
    try:
        subprocess.run(["smtp-source", "-s", "1", "-m", "20", "-l", "4096", "-f", "a@elsewhere.test", "-t", "one@example.test",
                        f"127.0.0.1:{system.smtp_port}"], check=True)
        wait_delivered(system, 20)
        cpu, begin = cpu_seconds(), time.perf_counter()
        subprocess.run(["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", "a@elsewhere.test",
                        "-t", "one@example.test", f"127.0.0.1:{system.smtp_port}"], check=True)
        accepted = time.perf_counter() - begin
        wait_delivered(system, messages + 20)
        whole = time.perf_counter() - begin
        used = cpu_seconds() - cpu
        pids = system.processes()
        return messages / accepted, messages / whole, used / messages * 1000, mail.memory(pids) / 1024, len(pids)
    finally:
        system.stop()


def wait_delivered(system, number, timeout=300):
    deadline = time.monotonic() + timeout
    while not (system.delivered() >= number and system.idle()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{system.name}: {system.delivered()} of {number} messages delivered in {timeout} s")
        time.sleep(0.01)


def smtp_table(disk, options):
    kinds = [Floor, Postern, Postfix, PostfixDovecot]
    figures = {kind.name: [] for kind in kinds}
    base = BASE
    for number in range(options.rounds):
        for kind in kinds:
            base += 200
            print(f"  round {number + 1} of {options.rounds}: {kind.name}", file=sys.stderr, flush=True)
            with disk.fresh() as folder:
                figures[kind.name].append(smtp_round(kind, folder, base, options.messages, options.size, options.sessions))
    middle = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    print(f"\nSMTP to mailbox: {options.messages} messages of {options.size} bytes, {options.sessions} sessions, median of {options.rounds} rounds")
    print(f"{'system':<18}{'accepted/s':>12}{'end to end/s':>14}{'CPU ms/msg':>12}{'Pss MB':>9}{'processes':>11}{'postern is':>12}{'rounds, end to end/s':>26}")
    for name, (accepted, whole, cpu, megabytes, processes) in middle.items():
        ratio = middle["postern"][1] / whole
        print(f"{name:<18}{accepted:>12.0f}{whole:>14.0f}{cpu:>12.2f}{megabytes:>9.1f}{processes:>11.0f}{ratio:>11.2f}x"
              + "".join(f"{value:.0f}".rjust(9) for _, value, *_ in figures[name]))


def imap_column(system, options, rows):
    system.start()
    try:
        for step, unit, value in mail.imap_steps(system, options.imap_messages):
            rows.setdefault(step, [unit]).append(value)
        awake, asleep = mail.idle_memory(system, options.idle, 8)
        rows.setdefault("memory per connection in IDLE, awake", ["KB"]).append(awake)
        rows.setdefault("memory per connection in IDLE, after 8 s", ["KB"]).append(asleep)
    finally:
        system.stop()


def imap_table(disk, options):
    rows = {}
    base = BASE + 20000
    for kind in (PostfixDovecot, Postern):
        print(f"  IMAP and POP3: {kind.name}", file=sys.stderr, flush=True)
        base += 200
        with disk.fresh() as folder:
            imap_column(kind(folder, base), options, rows)
    print(f"\nIMAP and POP3: one client, {options.imap_messages} messages of about 2.5 KB")
    print(f"{'step':<42}{'unit':>7}{'Dovecot':>13}{'Postern':>13}{'ratio':>9}")
    for step, (unit, dovecot, postern) in rows.items():
        better = dovecot / postern if unit == "KB" and postern > 0 else postern / dovecot
        print(f"{step:<42}{unit:>7}{dovecot:>13.1f}{postern:>13.1f}{better:>8.2f}x")


def step_column(system, options, steps):
    system.start()
    try:
        return steps(system, options)
    finally:
        system.stop()


def step_table(title, disk, options, steps):
    """The median of some rounds of `steps` for Dovecot in both of its modes and for Postern, in turn."""
    kinds = {"Dovecot": PostfixDovecot, "Dovecot kept": PostfixDovecotKept, "Postern": Postern}
    figures, units, base = {}, {}, STEP_BASE
    for number in range(options.rounds):
        for name, kind in kinds.items():
            # Below the ports that clients get; one after the other, so two are enough.
            base = STEP_BASE + 200 if base == STEP_BASE else STEP_BASE
            print(f"  {title}: round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            with disk.fresh() as folder:
                for step, unit, value in step_column(kind(folder, base), options, steps):
                    units[step] = unit
                    figures.setdefault(step, {}).setdefault(name, []).append(value)
    print(f"{'step':<62}{'unit':>7}" + "".join(f"{name:>14}" for name in kinds) + f"{'ratio':>9}{'kept':>9}")
    for step, columns in figures.items():
        middle = {name: statistics.median(values) for name, values in columns.items()}
        ratios = "".join(f"{ratio(units[step], middle[other], middle['Postern']):>9}" for other in ("Dovecot", "Dovecot kept"))
        print(f"{step:<62}{units[step]:>7}" + "".join(f"{middle[name]:>14.2f}" for name in kinds) + ratios)


def ratio(unit, other, postern):
    """How many times better Postern is: more of what is done in a time, less of what it costs."""
    if unit == "%" or min(other, postern) <= 0:
        return ""
    return f"{other / postern if unit in ('KB', 'ms') else postern / other:.2f}x"


def tls_table(disk, options):
    print(f"\nTLS 1.3 (TLS_AES_256_GCM_SHA384, X25519): {options.clients} clients at a time, {options.seconds} s each, median of {options.rounds} "
          "rounds; \"Dovecot\" is Postfix where it says SMTP, \"kept\" is Dovecot with service_count = 0")
    step_table("tls", disk, options, tls.tls_steps)
    print(f"Beside that: one TCP connection over loopback, both ends, is {tls.bare_connection():.1f} KB of kernel memory")


def login_table(disk, options):
    print(f"\nLogins by IMAP (connect, LOGIN, close), the same hash for everybody, {options.seconds} s each, median of {options.rounds} rounds")
    step_table("logins", disk, options, tls.login_steps)
    print(f"The hash itself takes one core {1000 / tls.hash_rate():.2f} ms")


def account_table(disk, options):
    print(f"  accounts: {options.users} users", file=sys.stderr, flush=True)
    with disk.fresh() as folder:
        imported, rows = accounts.account_figures(folder, options.users, options.lookups)
    print(f"\nAccounts: {options.users} users with their hashes imported in {imported:.1f} s; directoryd asked {options.lookups} times")
    print(f"{'question':<44}{'1/s in turn':>13}{'median us':>11}{'99 % us':>10}{'most us':>10}{'1/s at most':>13}")
    for name, one_by_one, median, most_of_them, longest, together in rows:
        print(f"{name:<44}{one_by_one:>13.0f}{median:>11.1f}{most_of_them:>10.1f}{longest:>10.1f}{together:>13.0f}")


TABLES = {"smtp": smtp_table, "imap": imap_table, "tls": tls_table, "logins": login_table, "accounts": account_table}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imap-messages", type=int, default=5000)
    parser.add_argument("--idle", type=int, default=100, help="idle IMAP connections for the memory figure")
    parser.add_argument("--idle-tls", type=int, default=500, help="the same before login, over TLS")
    parser.add_argument("--clients", type=int, default=20, help="at a time, for handshakes and logins")
    parser.add_argument("--seconds", type=float, default=4, help="of each figure of handshakes and logins")
    parser.add_argument("--large", type=int, default=32, help="MB of the large message")
    parser.add_argument("--times", type=int, default=5, help="the large message")
    parser.add_argument("--users", type=int, default=100000)
    parser.add_argument("--lookups", type=int, default=100000)
    parser.add_argument("--only", choices=TABLES)
    parser.add_argument("--disk", choices=("fresh", "folder"), default="fresh",
                        help="a new ext4 in an image file for each system and round, or a folder on the disk that is there")
    options = parser.parse_args()
    # Stopped from outside, it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench-"))
    folder.chmod(0o755)
    disk = Disk(folder) if options.disk == "fresh" else Folder(folder)
    try:
        for name, table in TABLES.items():
            if options.only in (None, name):
                table(disk, options)
    finally:
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
