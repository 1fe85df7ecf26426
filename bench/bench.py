# SPDX-License-Identifier: ISC
"""
Side by side in one run: SMTP into a mailbox for the floor, Postern, Postfix with virtual(8), and Postfix with Dovecot's LMTP; then the
IMAP and POP3 steps for Postern and Dovecot; then memory. Prints a table of figures and ratios. Every system gets a new file system for each
round (or, with --disk folder, a new folder on the disk that is there).
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import mail
from disk import Disk, Folder
from systems import Floor, Postern, Postfix, PostfixDovecot

BASE = 21025


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imap-messages", type=int, default=5000)
    parser.add_argument("--idle", type=int, default=100, help="idle IMAP connections for the memory figure")
    parser.add_argument("--only", choices=("smtp", "imap"))
    parser.add_argument("--disk", choices=("fresh", "folder"), default="fresh",
                        help="a new ext4 in an image file for each system and round, or a folder on the disk that is there")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench-"))
    folder.chmod(0o755)
    disk = Disk(folder) if options.disk == "fresh" else Folder(folder)
    try:
        if options.only != "imap":
            smtp_table(disk, options)
        if options.only != "smtp":
            imap_table(disk, options)
    finally:
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
