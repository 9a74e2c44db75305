/**
 * `<stem>.recover.py`, beside every incremental: puts a chain together with Python 3 alone, from what the commands of each
 * RECOVERY.md leave. Written out here as it is stored; docs/format.md sections 11 and 12 are what it reads.
 */
export const RECOVER_SCRIPT: Buffer = Buffer.from(`#!/usr/bin/env python3
"""Puts a backup and the incrementals on top of it together, without Salvor.

    python3 recover.py OUT FULL INCREMENTAL [INCREMENTAL ...]     oldest first

SQLite: FULL is the database of the full backup, an INCREMENTAL what its artifact decompresses to (.pages).
OUT must not exist yet; nothing else is written.
"""
import json
import os
import shutil
import struct
import sys


def fail(reason):
    sys.exit("recover.py: " + reason)


def exactly(file, size, name):
    data = file.read(size)
    if len(data) != size:
        fail(name + " ends too early")
    return data


def apply_pages(out, name):
    """One file of changed pages onto a database file."""
    with open(name, "rb") as pages:
        head = json.loads(pages.readline())
        if head.get("format") != "salvor-pages" or head.get("version") != 1:
            fail(name + " is not a file of changed pages")
        size = head["page_size"]
        while True:
            (count,) = struct.unpack(">I", exactly(pages, 4, name))
            if count == 0:
                break
            numbers = struct.unpack(">%dI" % count, exactly(pages, 4 * count, name))
            for number in numbers:
                if not 1 <= number <= head["page_count"]:
                    fail(name + " names a page that is not in the database")
                out.seek((number - 1) * size)
                out.write(exactly(pages, size, name))
        out.truncate(head["page_count"] * size)


def main():
    if len(sys.argv) < 4:
        fail("usage: recover.py OUT FULL INCREMENTAL [INCREMENTAL ...]")
    target, full, increments = sys.argv[1], sys.argv[2], sys.argv[3:]
    if os.path.lexists(target):
        fail(target + " exists already")
    os.umask(0o077)
    shutil.copyfile(full, target)
    with open(target, "r+b") as out:
        for name in increments:
            apply_pages(out, name)
        out.flush()
        os.fsync(out.fileno())
    print(target)


main()
`)
