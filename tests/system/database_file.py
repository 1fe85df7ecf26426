# SPDX-License-Identifier: ISC
"""accounts.db or credentials.db of an instance, taken away, damaged, replaced and put back."""
import os

BROKEN = {"empty": b"", "garbage": b"this is no database at all. " * 400}
WAYS = ["away", *BROKEN]


class DatabaseFile:
    def __init__(self, instance, name):
        self.instance = instance
        self.path = instance.path / "data" / name
        self.owner = self.path.stat()

    def stop_with_all_in_the_file(self):
        """What it holds, as a backup would."""
        self.instance.stop()
        assert not self.path.with_name(self.path.name + "-wal").exists()
        return self.path.read_bytes()

    def put(self, data):
        """Another file in its place."""
        new = self.path.with_name("new")
        new.write_bytes(data)
        os.chown(new, self.owner.st_uid, self.owner.st_gid)
        new.chmod(0o600)
        new.rename(self.path)

    def spoil(self, what):
        """Of WAYS."""
        if what == "away":
            self.path.unlink()
        else:
            self.put(BROKEN[what])

    def damage(self, good):
        """All but its first page."""
        page = int.from_bytes(good[16:18], "big")
        self.path.write_bytes(good[:page] + b"\xff" * (len(good) - page))
