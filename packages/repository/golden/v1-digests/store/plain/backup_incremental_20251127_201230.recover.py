#!/usr/bin/env python3
"""Puts a backup and the incrementals on top of it together, without Salvor.

    python3 recover.py OUT FULL INCREMENTAL [INCREMENTAL ...]     oldest first

SQLite: FULL is the database of the full backup, an INCREMENTAL what its artifact decompresses to (.pages).
PostgreSQL: all are folders, each with what its artifact (.tar) was unpacked to; OUT becomes the data folder.
OUT must not exist yet; nothing else is written.
"""
import json
import os
import re
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


PAGE = 8192
MAGIC = 0xD3AE1F0D
PREFIX = "INCREMENTAL."


def label_of(folder):
    with open(os.path.join(folder, "backup_label"), encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def said(label, what):
    found = re.search("^" + what + r": (\S+)", label, re.M)
    return found and found.group(1)


def assert_chain(folders):
    """Each incremental of the server itself says on what it stands; compared pages are marked by no line."""
    labels = [label_of(folder) for folder in folders]
    for i, label in enumerate(labels):
        start = said(label, "INCREMENTAL FROM LSN")
        if start and (i == 0 or start != said(labels[i - 1], "START WAL LOCATION")):
            fail(folders[i] + " does not stand on the backup that was named before it")


def read_head(file, name):
    magic, count, least = struct.unpack("<III", exactly(file, 12, name))
    if magic != MAGIC or count > 131072 or least > 131072:
        fail(name + " is not an incremental file")
    numbers = struct.unpack("<%dI" % count, exactly(file, 4 * count, name))
    if any(a >= b for a, b in zip(numbers, numbers[1:])) or (numbers and numbers[-1] >= 131072):
        fail(name + " has pages out of order")
    if count:
        exactly(file, -(12 + 4 * count) % PAGE, name)
    return least, numbers


def combine(out, place, name, folders):
    """One file: the newest pages of every backup, newest first, down to the one that holds the whole file."""
    newest = os.path.join(folders[-1], place, PREFIX + name)
    with open(out, "xb") as into:
        with open(newest, "rb") as file:
            least, numbers = read_head(file, newest)
            into.truncate(max([least] + [n + 1 for n in numbers]) * PAGE)
            came = bytearray(least)
            for number in numbers:
                put(into, number, exactly(file, PAGE, newest))
                if number < least:
                    came[number] = 1
        for folder in reversed(folders[:-1]):
            whole = os.path.join(folder, place, name)
            if os.path.isfile(whole):
                take_whole(into, whole, came)
                return
            part = os.path.join(folder, place, PREFIX + name)
            if not os.path.isfile(part):
                break
            with open(part, "rb") as file:
                for number in read_head(file, part)[1]:
                    page = exactly(file, PAGE, part)
                    if number < least and not came[number]:
                        put(into, number, page)
                        came[number] = 1
        if not all(came):
            fail("no backup of the chain holds the whole of " + os.path.join(place, name))


def put(into, number, page):
    into.seek(number * PAGE)
    into.write(page)


def take_whole(into, name, came):
    with open(name, "rb") as file:
        for number in range(min(len(came), os.path.getsize(name) // PAGE)):
            page = exactly(file, PAGE, name)
            if not came[number]:
                put(into, number, page)


def is_relation_folder(place):
    return place == "global" or place.split(os.sep)[0] in ("base", "pg_tblspc")


def combine_folders(target, folders):
    """The files of the newest backup: as they are, or put together."""
    assert_chain(folders)
    os.mkdir(target)
    for folder, inner, names in os.walk(folders[-1]):
        place = os.path.relpath(folder, folders[-1])
        place = "" if place == "." else place
        for name in inner:
            os.mkdir(os.path.join(target, place, name))
        for name in names:
            source = os.path.join(folder, name)
            if name.startswith(PREFIX) and is_relation_folder(place):
                plain = name[len(PREFIX) :]
                combine(os.path.join(target, place, plain), place, plain, folders)
            else:
                shutil.copyfile(source, os.path.join(target, place, name))
    label = label_of(target)
    native = said(label, "INCREMENTAL FROM LSN")
    if native:
        # A server refuses to start with these lines; and the manifest is that of the increment.
        with open(os.path.join(target, "backup_label"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(re.sub("^INCREMENTAL FROM .*\n", "", label, flags=re.M))
        os.remove(os.path.join(target, "backup_manifest"))


def main():
    if len(sys.argv) < 4:
        fail("usage: recover.py OUT FULL INCREMENTAL [INCREMENTAL ...]")
    target, full, increments = sys.argv[1], sys.argv[2], sys.argv[3:]
    if os.path.lexists(target):
        fail(target + " exists already")
    os.umask(0o077)
    if os.path.isdir(full):
        combine_folders(target, [full] + increments)
    else:
        shutil.copyfile(full, target)
        with open(target, "r+b") as out:
            for name in increments:
                apply_pages(out, name)
            out.flush()
            os.fsync(out.fileno())
    print(target)


main()
