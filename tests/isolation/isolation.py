# SPDX-License-Identifier: ISC
"""
make isolation: the table of attempts inside the processes of Postern, Dovecot and Postfix, side by side. Prints Markdown, as it stands in
docs/isolation.md. Needs root. --details names for each attempt that works what exactly worked.
"""
import argparse
import os
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "tests/isolation")]

import table  # noqa: E402
from others import Others, wait_for  # noqa: E402
from postern import DOMAIN, Instance  # noqa: E402

MARKS = {table.REFUSED: "–", table.ABSENT: "", table.OWN: "yes"}
DETAIL_MOST = 60


def cell(result):
    """What stands in the table: a dash for a refusal, else what worked."""
    how, detail = result
    if how != table.WORKS:
        return MARKS[how]
    # Names of files of this run tell nobody anything.
    parts = {re.sub(r"[0-9a-f]{12,}.*|:\d+$", "", part.rsplit("/", 1)[-1]) for part in detail.split(", ")} if detail else set()
    detail = ", ".join(sorted(parts))
    if len(detail) > DETAIL_MOST:
        detail = detail[:DETAIL_MOST].rsplit(", ", 1)[0] + ", …"
    return f"**works**: {detail}" if detail else "**works**"


def postern_columns(tool, binaries):
    instance = Instance(binaries)
    try:
        instance.start()
        instance.send(to=["one", "two"])
        wait_for(lambda: instance.delivered_files("one") and instance.delivered_files("two"), "both mailboxes")
        clients = {(kind, user): getattr(instance, kind)(user) for kind in ("imap", "pop3") for user in ("one", "two")}
        for user in ("one", "two"):
            clients["imap", user].select("INBOX")
        smtp = instance.smtp()
        instance.run("sendmail", "-i", "-f", f"one@{DOMAIN}", "far@elsewhere.test", input="Subject: waits\n\nbody\n")
        wait_for(lambda: table.first_file(instance.path / "queue/deferred"), "a message in the queue")
        sessions = {kind: sorted(set(instance.processes(f"{kind}d-session")) - set(instance.daemons(f"{kind}d-session")))
                    for kind in ("imap", "pop3", "smtp")}
        # The sessions of "one" came first.
        for kind in ("imap", "pop3"):
            yield f"{kind} session", table.run(tool, sessions[kind][0], table.postern(instance, "one", "two", sessions[kind][1]))
        yield "smtp session", table.run(tool, sessions["smtp"][0], table.postern(instance, session=sessions["imap"][1]))
        for name in ("imapd", "tlsd", "keyd", "authd", "cleanup", "qmgr", "virtual"):
            yield name, table.run(tool, instance.daemons(name)[0], table.postern(instance, session=sessions["imap"][1]))
        smtp.quit()
    finally:
        instance.close()


def other_columns(tool, base):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="isolation-"))
    folder.chmod(0o755)
    others = Others(folder, base)
    try:
        others.start()
        clients, pids = {}, {}
        for program in ("imap", "pop3"):
            for user in ("one", "two"):
                before = set(others.dovecot_pids(program))
                clients[program, user] = getattr(others, program)(user)
                pids[program, user] = wait_for(lambda: set(others.dovecot_pids(program)) - before, f"{program} of {user}").pop()
        for program in ("imap", "pop3"):
            yield f"Dovecot {program}", table.run(tool, pids[program, "one"], others.world("one", pids[program, "two"], False))
        login = others.smtp(), __import__("socket").create_connection(("127.0.0.1", others.imap_port))
        waiting = wait_for(lambda: others.dovecot_pids("imap-login"), "an imap-login")
        yield "Dovecot imap-login", table.run(tool, waiting[0], others.world(None, pids["imap", "two"], False))
        yield "Dovecot auth", table.run(tool, others.dovecot_pids("auth")[0], others.world(None, pids["imap", "two"], False))
        for program in ("smtpd", "cleanup", "qmgr", "virtual"):
            pid = others.postfix_pid(program)
            if pid:
                yield f"Postfix {program}", table.run(tool, pid, others.world(None, pids["imap", "two"], True))
        login[1].close()
    finally:
        others.stop()
        shutil.rmtree(folder, ignore_errors=True)


def markdown(title, rows, columns, names):
    yield f"### {title}"
    yield ""
    yield "| attempt | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for name, (what, _) in rows.items():
        yield f"| {what} | " + " | ".join(cell(columns[each].get(name, (table.ABSENT, ""))) for each in names) + " |"
    yield ""


def counts(columns, names, rows):
    for each in names:
        told = [how for name, (how, _) in columns[each].items() if name in rows and not rows[name][1]]
        yield f"- {each}: {told.count(table.REFUSED)} refused, {told.count(table.WORKS)} work"


GROUPS = [("With a user's mailbox open", ["Postern imap session", "Postern pop3 session", "Dovecot imap", "Dovecot pop3"]),
          ("Before anybody is trusted", ["Postern smtp session", "Postern imapd", "Postern tlsd", "Postfix smtpd", "Dovecot imap-login"]),
          ("Behind them", ["Postern authd", "Postern keyd", "Dovecot auth", "Postern cleanup", "Postfix cleanup", "Postern qmgr", "Postfix qmgr",
                           "Postern virtual", "Postfix virtual"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--base", type=int, default=21000, help="ports of Postfix and Dovecot begin here")
    parser.add_argument("--only", choices=["postern", "others"])
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("make isolation runs system calls inside other processes and starts Postfix and Dovecot: as root only")
    tool = ROOT / "build/release/tests/attempts"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bin-"))
    folder.chmod(0o755)
    columns = {}
    try:
        for program in (ROOT / "build/release/bin").iterdir():
            shutil.copy2(program, folder / program.name, follow_symlinks=False)
        if options.only != "others":
            columns.update((f"Postern {name}", result) for name, result in postern_columns(tool, folder))
        if options.only != "postern":
            columns.update(other_columns(tool, options.base))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = table.descriptions(tool)
    for title, names in GROUPS:
        names = [name for name in names if name in columns]
        print("\n".join([*markdown(title, rows, columns, names), *counts(columns, names, rows), ""]))
    if options.details:
        for each, result in columns.items():
            print(f"{each}:")
            for name, (how, detail) in result.items():
                print(f"  {name}: {how} {detail}")


if __name__ == "__main__":
    main()
