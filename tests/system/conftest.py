# SPDX-License-Identifier: ISC
"""Real running instances for the system tests: each with its own folder and ports, on loopback, stopped by its own pid."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from postern import Instance

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / os.environ.get("POSTERN_BIN", "build/test/bin")
SANITIZED = BUILT.parent.name == "sanitize"
ORDINARY = "postern-tester"


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the long rounds too")


def pytest_configure(config):
    config.addinivalue_line("markers", "core: also run with the suite started by an ordinary user")
    config.addinivalue_line("markers", "long: only with --long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="a long round: make check-long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


def pytest_generate_tests(metafunc):
    """As root: everything with one uid for each class, and what is marked core once more under one ordinary uid."""
    if "mode" in metafunc.fixturenames:
        if os.geteuid() != 0:
            modes = ["user"]
        elif metafunc.definition.get_closest_marker("core"):
            modes = ["root", "user"]
        else:
            modes = ["root"]
        metafunc.parametrize("mode", modes, scope="session")


@pytest.fixture(scope="session")
def binaries():
    """A copy that every uid may execute, wherever the checkout stands."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bin-"))
    folder.chmod(0o755)
    for program in BUILT.iterdir():
        shutil.copy2(program, folder / program.name, follow_symlinks=False)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ordinary_user():
    """Somebody without any right, for the rootless runs; the caller himself when that is not root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ORDINARY)
    except KeyError:
        made = subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ORDINARY])
        # Another worker may have been faster.
        assert made.returncode in (0, 9)
    return pwd.getpwnam(ORDINARY)


@pytest.fixture
def make_instance(mode, binaries, ordinary_user):
    """A function that makes instances; all are aborted at the end and their folders removed."""
    with contextlib.ExitStack() as made:
        def make(**options):
            instance = Instance(binaries, ordinary_user if mode == "user" else None, **options)
            made.callback(instance.close)
            return instance

        yield make


@pytest.fixture
def instance(make_instance, request):
    """A running instance with one@example.test and two@example.test, and the INSTANCE_SETTINGS of its file."""
    made = make_instance(settings=getattr(request.module, "INSTANCE_SETTINGS", None))
    made.start()
    return made


@pytest.fixture(scope="module")
def shared_instance(mode, binaries, ordinary_user):
    """One running instance for all tests of a file that do not disturb each other."""
    made = Instance(binaries, ordinary_user if mode == "user" else None)
    made.start()
    yield made
    made.close()
