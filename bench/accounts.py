# SPDX-License-Identifier: ISC
"""Many users: how long their import takes, and an answer of directoryd about one of them."""
import time

from systems import DOMAIN, ROOT, password_hash, run


def account_figures(folder, users, lookups):
    """Seconds of the import, and [(question, 1/s one by one, median, 99th, 100th percentile in microseconds, 1/s when many are under way)]."""
    instance, programs = folder / "accounts", ROOT / "build/release/bin"
    run(programs / "postern", "init", instance, "--domain", DOMAIN, "--port-base", 41000)
    hashed = password_hash()
    lines = "".join(f"user{n}@{DOMAIN} hash={hashed}\n" for n in range(users))
    begin = time.perf_counter()
    run(programs / "postern", "-c", instance / "etc", "user", "add", "-", input=lines)
    imported = time.perf_counter() - begin
    told = run(ROOT / "build/release/bench/directory", programs, instance, users, lookups)
    rows = [line.split("\t") for line in told.splitlines()]
    return imported, [(name, *map(float, values)) for name, *values in rows]
