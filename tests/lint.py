# SPDX-License-Identifier: ISC
"""Style and structure: layering of lib/, banned functions, functions nobody calls, file heads, lengths, formatting."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ["base", "os", "sandbox", "ipc", "service", "config", "table", "mail", "queue", "store", "sieve"]
DAEMONS = ["master", "smtpd", "cleanup", "qmgr", "local", "bounce", "directory", "auth", "imapd", "pop3d", "cli"]
# What one folder of daemons may take from another: shared code that stands with its owner.
BORROWED = {
    "cli": {"directory", "auth", "master", "qmgr", "smtpd", "cli"},
    "master": set(DAEMONS),
}
# Their chapters call each other downwards only: what is below is given a callback when it has something to tell.
LAYERED = ["auth", "bounce", "cleanup", "cli", "local", "pop3d", "qmgr", "smtpd", *sorted(f"lib/{layer}" for layer in LAYERS)]
BANNED = re.compile(
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|system|popen|atoi|atol|mktemp|tmpnam|rand|srand|scanf|alloca)\s*\(")
# What cells refuse, and what is called instead.
REFUSED = re.compile(r"\bF_SETFL\b")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)/', re.M)
# A function of a header.
DECLARED = re.compile(r"^(?![\s#}]|typedef|static)[\w \t*]+?\b(\w+)\(", re.M)
DEFINED = re.compile(r"^(static )?(?:inline )?[A-Za-z_][\w \t*]*?\b(\w+)\([^;{}]*\)\n\{", re.M)
# Public for the tests alone: to look inside, and to let go of what a process keeps to its end.
FOR_TESTS = {"cache_count", "clients_count", "directory_hits", "loop_free", "penalties_count", "penalties_free", "schemes_hashes",
             "tickets_free", "turns_close", "waiting_count"}
faults = []


def fault(path, line, text):
    faults.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def code_only(text):
    """Comments and strings blanked, so that words in them do not count."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"',
                  lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def check_layers(path, text):
    parts = path.relative_to(ROOT).parts
    for match in INCLUDE.finditer(text):
        target, line = match.group(1), text.count("\n", 0, match.start()) + 1
        if parts[0] == "lib":
            if target in DAEMONS or (target in LAYERS and LAYERS.index(target) > LAYERS.index(parts[1])):
                fault(path, line, f"lib/{parts[1]} includes {target}, which does not stand below it")
        elif parts[0] in DAEMONS and target in DAEMONS and target != parts[0] and target not in BORROWED.get(parts[0], set()):
            fault(path, line, f"{parts[0]} includes {target}: a daemon takes only from lib")


def check_file(path):
    text = path.read_text(errors="replace")
    lines = text.split("\n")
    if not lines[0].startswith("// SPDX-License-Identifier: ISC"):
        fault(path, 1, "no SPDX line")
    if len(lines) > 1001:
        fault(path, 1, f"{len(lines) - 1} lines: a file is a chapter, past a thousand lines it is two")
    code = code_only(text)
    for number, line in enumerate(code.split("\n"), 1):
        if match := BANNED.search(line):
            fault(path, number, f"{match.group(1)} is not used here")
        # The stand-in for libraries that call it themselves knows it, too.
        if REFUSED.search(line) and path.relative_to(ROOT).parts[0] != "tests" and path.name != "proxymap_fcntl.c":
            fault(path, number, "cells refuse F_SETFL: os_set_blocking does it")
    for number, line in enumerate(lines, 1):
        if LEFT_OVER.search(line):
            fault(path, number, "left-over note")
        if line != line.rstrip():
            fault(path, number, "space at the end of the line")
    check_layers(path, text)


def check_called(files):
    """Every function of a header is called, or stands in a table, somewhere but in tests."""
    declared, called = {}, set()
    for path in files:
        if path.relative_to(ROOT).parts[0] in ("tests", "bench"):
            continue
        code = code_only(path.read_text(errors="replace"))
        if path.suffix == ".h":
            for match in DECLARED.finditer(code):
                declared.setdefault(match.group(1), (path, code.count("\n", 0, match.start()) + 1))
        for line in code.split("\n"):
            # A declaration or definition begins at the margin; what is called stands further in, or in a macro.
            if line[:1].isspace() or line.startswith("#"):
                called.update(re.findall(r"\w+", line))
    for name, place in declared.items():
        if name not in called and name not in FOR_TESTS:
            fault(*place, f"{name} is called by nobody but tests")


def chapters(folder):
    """Of each file of a folder: the functions it offers to others, and the names it calls that are not its own."""
    found = {}
    for path in sorted((ROOT / folder).glob("*.c")):
        code = code_only(path.read_text(errors="replace"))
        own = [(match.group(2), bool(match.group(1))) for match in DEFINED.finditer(code)]
        calls = {name for line in code.split("\n") if line[:1].isspace() for name in re.findall(r"\b(\w+)\(", line)}
        found[path] = {name for name, static in own if not static}, calls - {name for name, _ in own}
    return found


def check_circles(folder):
    found = chapters(folder)
    below = {path: {other for other, (offered, _) in found.items() if other != path and calls & offered} for path, (_, calls) in found.items()}
    # Lowest and highest ones are taken away until only circles are left.
    while ends := {path for path, others in below.items() if not others & below.keys() or not any(path in o for o in below.values())}:
        below = {path: others for path, others in below.items() if path not in ends}
    for path, others in below.items():
        fault(path, 1, "calls back into " + ", ".join(sorted(other.name for other in others & below.keys())) + ": chapters call downwards only")


def check_format(files):
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, files)], capture_output=True, text=True)
    seen = set()
    for match in re.finditer(r"^(.*?):(\d+):\d+: error: code should be clang-formatted", result.stderr, re.M):
        if match.group(1) not in seen:
            seen.add(match.group(1))
            fault(pathlib.Path(match.group(1)), int(match.group(2)), "not formatted: make format")


def main():
    listed = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.def"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]
    for path in files:
        check_file(path)
    check_called(files)
    for folder in LAYERED:
        check_circles(folder)
    check_format([path for path in files if path.suffix in (".c", ".h")])
    print("\n".join(faults) or f"{len(files)} files are as they should be")
    return 1 if faults else 0


sys.exit(main())
