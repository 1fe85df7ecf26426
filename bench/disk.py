# SPDX-License-Identifier: ISC
"""
A new file system for each system in each round. On a used one figures differ by a factor of two for no fault of the system that is measured:
ext4 looks past every inode that was removed in the last minutes, and where a run's folders come to stand is chance (docs/performance.md).
"""
import contextlib
import pathlib
import subprocess
import time

MEGABYTES = 4096


class Disk:
    """An image file on the disk that is there, behind a loop device without a second cache, with what mkfs.ext4 makes by default."""

    def __init__(self, folder):
        self.image = pathlib.Path(folder) / "image"
        self.mounted = pathlib.Path(folder) / "disk"
        self.mounted.mkdir()
        # Written once, so that no round pays for blocks that the file had not had before.
        subprocess.run(["dd", "if=/dev/zero", f"of={self.image}", "bs=1M", f"count={MEGABYTES}", "conv=fsync", "status=none"], check=True)
        self.device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", str(self.image)],
                                     check=True, capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def fresh(self):
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.device], check=True)
        subprocess.run(["mount", "-o", "nodiscard", self.device, str(self.mounted)], check=True)
        try:
            self.mounted.chmod(0o755)
            yield self.mounted
        finally:
            self._unmount()

    def _unmount(self, timeout=20):
        """Children of what was stopped may still be on their way out."""
        deadline = time.monotonic() + timeout
        while subprocess.run(["umount", str(self.mounted)], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.mounted} is still in use: see fuser -m")
            time.sleep(0.1)

    def close(self):
        subprocess.run(["losetup", "--detach", self.device], check=True)
        self.image.unlink()


class Folder:
    """The disk as it is, a new folder for each system in each round; nothing is deleted before the end."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.number = 0

    @contextlib.contextmanager
    def fresh(self):
        self.number += 1
        place = self.folder / f"round{self.number}"
        place.mkdir()
        place.chmod(0o755)
        yield place

    def close(self):
        """Whoever made the folder removes it."""
