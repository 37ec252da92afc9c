#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile layers, which try to escape from their directory or to exceed limits.

    hostile_layers.py [--full] [--only NAME] --outside DIR OUT    writes OUT/NAME.tar and OUT/cases
    hostile_layers.py --seeds OUT                   small ones only, as seeds of a fuzz target

--outside is the directory that layers try to change; it contains a file "witness". OUT/cases has
one line for each layer: name, "refused" or "accepted", part of the error's text. --full makes large
layers in their full size; without it they are smaller, for CI.
"""

import argparse
import io
import os
import struct
import sys
import tarfile

BLOCK = 512


class Layer:
    """A tar written entry by entry. tarfile does not check the entries."""

    def __init__(self, form=tarfile.PAX_FORMAT):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(
            fileobj=self.bytes, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
        )

    def entry(self, name, kind, contents=b"", **attributes):
        info = tarfile.TarInfo(name)
        info.type = kind
        info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
        info.size = len(contents)
        info.mtime = 1_000_000
        for key, value in attributes.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(contents))
        return self

    def file(self, name, contents=b"x", **attributes):
        return self.entry(name, tarfile.REGTYPE, contents, **attributes)

    def dir(self, name, **attributes):
        return self.entry(name, tarfile.DIRTYPE, **attributes)

    def link(self, name, target):
        return self.entry(name, tarfile.SYMTYPE, linkname=target)

    def hard(self, name, target):
        return self.entry(name, tarfile.LNKTYPE, linkname=target)

    def node(self, name, kind, major, minor):
        return self.entry(name, kind, devmajor=major, devminor=minor)

    def raw(self, data):
        """Inserts bytes between two entries."""
        self.tar.fileobj.write(data)
        self.tar.offset += len(data)
        return self

    def finish(self):
        self.tar.close()
        return self.bytes.getvalue()


def header(name, size=0, kind=b"0", magic=b"ustar\x0000", fields=()):
    """A ustar header with a correct checksum; fields are (offset, bytes) that overwrite it."""
    block = bytearray(BLOCK)

    def put(offset, value):
        block[offset : offset + len(value)] = value

    put(0, name)
    put(100, b"0000644\0" + b"0000000\0" * 2)
    put(124, b"%011o\0" % size)
    put(136, b"%011o\0" % 1_000_000)
    put(156, kind)
    put(257, magic)
    for offset, value in fields:
        put(offset, value)
    put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(block))
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def sparse_old_gnu(name, real, extents):
    """One file of `real` bytes: each extent is (offset, bytes)."""
    data = b"".join(contents for _, contents in extents)
    fields = []
    for i, (offset, contents) in enumerate(extents[:4]):
        place = struct.pack(">12s12s", number(offset), number(len(contents)))
        fields.append((386 + 24 * i, place))
    fields.append((483, number(real)))
    return header(name, len(data), b"S", b"ustar  \0", fields) + padded(data)


def number(value):
    """A number of a GNU header, in base 256 when it is too large for octal."""
    if value < 8**11:
        return b"%011o\0" % value
    return b"\x80" + value.to_bytes(11, "big")


CASES = []


def case(verdict, text=""):
    def add(function):
        CASES.append((function.__name__, verdict, text, function))
        return function

    return add


# ---- names


@case("refused", "entry `../outside/new`")
def dot_dot(_):
    return Layer().file("../outside/new")


@case("refused", "entry `a/../../outside/new`")
def dot_dot_in_the_middle(_):
    return Layer().dir("a").file("a/../../outside/new")


@case("refused", "entry `../`")
def dot_dot_as_directory(_):
    return Layer().dir("..", mode=0o777, uid=1000)


@case("refused", "entry `/../../etc/new`")
def dot_dot_after_a_slash(_):
    return Layer().file("/../../etc/new")


@case("refused", "`..`")
def dot_dot_by_pax_header(_):
    return Layer().file("harmless", pax_headers={"path": "../outside/new"})


@case("accepted")
def dot_dot_inside(_):
    return Layer().file("x/a/../b").hard("h", "./x/a/../b").file("x/../.wh.gone")


@case("accepted")
def names_that_differ_in_composition(_):
    layer = Layer().file("caf\u00e9").file("cafe\u0301", b"other").link("l", "cafe\u0301")
    return layer.file("\u1112\u1161\u11ab").file("\ud55c")


@case("accepted")
def absolute_names(outside):
    return Layer().file(outside + "/witness", b"stolen").file("//etc//berth-escape")


@case("accepted")
def newline_and_controls(_):
    return Layer().file("new\nline").file("esc\x1b[31mred").file("tab\tbell\a").dir(" ")


@case("accepted")
def not_utf8_pax(_):
    return Layer().file("bad\udcff\udcfe/\udc80").link("l\udcff", "t\udcff")


@case("accepted")
def not_utf8_gnu(_):
    return Layer(tarfile.GNU_FORMAT).file("bad\udcff\udcfe/\udc80").link("l\udcff", "t\udcff")


@case("accepted")
def three_hundred_characters(_):
    name = "/".join(["n" * 150] * 2)
    layer = Layer(tarfile.GNU_FORMAT).file(name + "-gnu").link("gnu-link", name)
    return layer.link("d" * 200, "x" * 300)


@case("refused", "ENAMETOOLONG")
def one_part_too_long(_):
    return Layer().file("x" * 256)


@case("refused", "ENAMETOOLONG")
def path_too_long(_):
    return Layer().file("d/" * 3000 + "f")


@case("refused", "the root of the layer")
def root_is_a_file(_):
    return Layer().file(".")


@case("refused", "the root of the layer")
def root_is_a_link(outside):
    return Layer().link("./", outside)


# ---- links


@case("accepted")
def write_through_absolute_link(outside):
    return Layer().link("abs", outside).file("abs/new").file("abs/witness").dir("abs", mode=0o777)


@case("accepted")
def write_through_relative_link(outside):
    layer = Layer().link("up", "../" * 40 + outside.lstrip("/")).file("up/new")
    return layer.file("up/witness", b"stolen").link("up/l", "..").file("up/l/other")


@case("accepted")
def parent_swapped_for_a_link(outside):
    layer = Layer().dir("d").file("d/one").link("d", outside).file("d/two")
    return layer.dir("d/sub").file("d/.wh.witness").file("d/.wh..wh..opq")


@case("accepted")
def link_behind_link_behind_link(outside):
    layer = Layer().link("a", "b/c").link("b", ".").link("c", outside)
    return layer.file("a/new").file("a/witness")


@case("accepted")
def file_then_link_then_file(outside):
    layer = Layer().file("f", b"1").link("f", outside + "/witness").file("f", b"2", mode=0o4755)
    return layer.link("f", outside + "/witness").hard("g", "f").file("g", b"3", uid=12345)


@case("accepted")
def magic_links_of_proc(_):
    layer = Layer().link("p", "/proc/self/cwd").file("p/berth-escape")
    return layer.link("q", "/proc/self/root").file("q/berth-escape").link("r", "/proc/1/fd/1")


@case("accepted")
def attributes_through_a_link(outside):
    layer = Layer().dir("d", mode=0o777, uid=1000).link("d", outside)
    return layer.entry("d", tarfile.SYMTYPE, linkname=outside, uid=1000, mtime=5)


@case("refused", "ELOOP")
def loop_of_links(_):
    return Layer().link("a", "b").link("b", "a").file("a/in")


@case("refused", "hard link to")
def hard_link_absolute(outside):
    return Layer().hard("stolen", outside + "/witness")


@case("refused", "hard link to `etc/passwd`")
def hard_link_to_passwd(_):
    return Layer().hard("stolen", "/etc/passwd").file("stolen", b"root::0:0::/:/bin/sh\n")


@case("refused", "entry `stolen`")
def hard_link_dot_dot(_):
    return Layer().hard("stolen", "../outside/witness")


@case("refused", "hard link to")
def hard_link_through_a_link(outside):
    return Layer().link("abs", outside).hard("stolen", "abs/witness")


@case("refused", "link `d`: EPERM")
def hard_link_to_a_directory(_):
    return Layer().dir("d").hard("h", "d")


@case("accepted")
def hard_link_to_itself(_):
    return Layer().file("f").hard("f", "f").hard("f", "./f")


@case("accepted")
def many_hard_links(_):
    layer = Layer().file("f")
    for i in range(1000):
        layer.hard("h%d" % i, "f" if i == 0 else "h%d" % (i - 1))
    return layer


# ---- whiteouts


@case("refused", "a whiteout of `..`")
def whiteout_of_dot_dot(_):
    return Layer().dir("d").file("d/.wh...")


@case("refused", "a whiteout of `.`")
def whiteout_of_dot(_):
    return Layer().file(".wh..")


@case("refused", "a whiteout of ``")
def whiteout_of_nothing(_):
    return Layer().file(".wh.")


@case("accepted")
def whiteout_through_a_link(outside):
    return Layer().link("l", outside).file("l/.wh.witness").file("l/.wh..wh..opq")


@case("accepted")
def whiteouts_in_any_order(_):
    layer = Layer().file(".wh.a").file("a").file("b").file(".wh.b").file("c/in").file(".wh.c")
    return layer.file(".wh.d").file("d/e/f").file("d/e/.wh..wh..opq").file(".wh.base").dir("base")


@case("accepted")
def marks_of_overlayfs(_):
    headers = {
        "SCHILY.xattr.trusted.overlay.redirect": "/../../etc",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.trusted.overlay.origin": "x",
        "SCHILY.xattr.user.overlay.opaque": "y",
    }
    layer = Layer().dir("base", pax_headers=headers).file("f", pax_headers=headers)
    return layer.node("zero", tarfile.CHRTYPE, 0, 0)


# ---- kinds and attributes


@case("accepted")
def devices_and_fifos(_):
    layer = Layer().node("sda", tarfile.BLKTYPE, 8, 0).node("mem", tarfile.CHRTYPE, 1, 1)
    return layer.entry("fifo", tarfile.FIFOTYPE).file("fifo").entry("fifo", tarfile.FIFOTYPE)


@case("refused", "entry `huge`: mknod")
def device_number_too_large(_):
    return Layer().node("huge", tarfile.CHRTYPE, 0o7777777, 0o7777777)


@case("accepted")
def setuid(_):
    layer = Layer().file("suid", mode=0o6755, uid=0).file("other", mode=0o4711, uid=1000)
    return layer.dir("sgid", mode=0o2777, gid=1000).file("sgid/f")


@case("accepted")
def directories_that_forbid_everything(_):
    layer = Layer().dir("d", mode=0).dir("d/e", mode=0).file("d/e/f", mode=0)
    return layer.dir("r", mode=0o500).file("r/in").dir(".", mode=0o111).file("last")


@case("accepted")
def large_owners_and_odd_times(_):
    layer = Layer().file("a", uid=70_000, gid=3_000_000_000).file("b", mtime=-5.5)
    return layer.file("c", mtime=253402300800.25).file("d", uid=4294967294, gid=4294967294)


@case("refused", "owner")
def owner_out_of_range(_):
    return Layer().file("f", uid=4294967295)


@case("refused", "owner")
def owner_far_out_of_range(_):
    return Layer().file("f", gid=1 << 40)


@case("accepted")
def file_directory_and_back(_):
    layer = Layer()
    for _ in range(50):
        layer.file("x", b"file").dir("x", mode=0o700).file("x/y/z/f").link("x/l", "..")
    return layer.file("x", b"file at last")


@case("accepted")
def duplicate_directories(_):
    layer = Layer()
    for i in range(60):
        path = "/".join("d" for _ in range(1 + i % 30))
        layer.dir(path, mode=0o700 + i % 8, mtime=i)
    return layer.file("d/" * 30 + "f")


@case("accepted")
def deep_tree_replaced(_):
    return Layer().file("d/" * 1000 + "f").file("d", b"gone")


@case("refused", "ENOTDIR")
def name_below_a_file(_):
    return Layer().file("f").file("f/in")


@case("accepted")
def order_matters(_):
    layer = Layer().file("a/late").dir("a", mode=0o711, mtime=7).hard("b", "a/late")
    return layer.file("a/late", b"second").file("b2").hard("b2", "b").dir("a", mode=0o700, mtime=8)


# ---- malformed tars


@case("accepted")
def end_left_out(_):
    return header(b"a", 3) + padded(b"abc") + header(b"b", 5) + b"hello"


@case("refused", "the tar is cut short within the contents")
def cut_in_contents(_):
    return Layer().file("whole").file("cut", b"c" * 100_000).finish()[:60_000]


@case("refused", "the tar is damaged")
def garbage(_):
    return b"garbage " * 1000


@case("refused", "the tar is damaged")
def wrong_checksum(_):
    data = bytearray(Layer().file("f").finish())
    data[148:156] = b"0000000\0"
    return bytes(data)


@case("refused", "damaged")
def negative_size(_):
    return header(b"f", fields=[(124, b"\xff" * 12)]) + bytes(1024)


@case("refused")
def enormous_size(_):
    return header(b"f", fields=[(124, number(1 << 62))]) + bytes(4096)


@case("refused")
def enormous_pax_header(_):
    return header(b"p", 1 << 33, b"x") + bytes(4096)


@case("refused", "beyond its size")
def sparse_map_beyond_the_size(_):
    return sparse_old_gnu(b"s", 4096, [(0, b"y" * 512), (8192, b"x" * 512)]) + bytes(1024)


@case("refused", "beyond its size")
def sparse_map_far_beyond_the_size(_):
    return sparse_old_gnu(b"s", 4096, [((1 << 62) + 512, b"x" * 512)]) + bytes(1024)


@case("accepted")
def sparse_map_out_of_order(_):
    return sparse_old_gnu(b"s", 10_000, [(8192, b"x" * 512), (0, b"y" * 512)]) + bytes(1024)


# ---- limits


@case("accepted")
def sparse_100_gib(_):
    size = 100 << 30
    extents = [(0, b"a" * 512), (size - 512, b"z" * 512)]
    return sparse_old_gnu(b"sparse", size, extents) + bytes(1024)


@case("refused", "more than the limit")
def sparse_beyond_the_limit(_):
    return sparse_old_gnu(b"s", 1 << 41, [(0, b"a" * 512)]) + bytes(1024)


@case("accepted")
def many_empty_files(_):
    layer = Layer(tarfile.USTAR_FORMAT).dir("empty")
    for i in range(1_000_000 if FULL else 20_000):
        layer.file("empty/%d" % i, b"")
    return layer


@case("accepted")
def many_directories(_):
    layer = Layer(tarfile.USTAR_FORMAT)
    for i in range(100_000 if FULL else 3_000):
        layer.dir("d%d/e%d" % (i % 100, i), mode=0o711, mtime=i)
    return layer


# The user of the file compresses it. Larger than the size from which the ratio is checked.
@case("refused", "inflates")
def bomb(_):
    return Bomb(2 << 30 if FULL else 400 << 20)


class Bomb:
    """One file of zeros, written without holding it in memory."""

    def __init__(self, size):
        self.size = size

    def write(self, file):
        file.write(header(b"zeros", self.size))
        for _ in range(self.size >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))


FULL = False


def write(path, layer):
    with open(path, "wb") as file:
        if isinstance(layer, Bomb):
            layer.write(file)
        else:
            file.write(layer if isinstance(layer, bytes) else layer.finish())


def trim(path):
    """Removes the zeros that fill a tar's last record. Deletes files that are too large."""
    with open(path, "rb") as file:
        data = file.read()
    data = padded(data.rstrip(b"\0")) + bytes(2 * BLOCK)
    os.unlink(path)
    if len(data) <= 32 << 10:
        with open(path, "wb") as file:
            file.write(data)


def main():
    global FULL
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--seeds", action="store_true")
    parser.add_argument("--outside", default="/mnt/outside")
    parser.add_argument("out")
    arguments = parser.parse_args()
    FULL = arguments.full
    os.makedirs(arguments.out, exist_ok=True)
    lines = []
    for name, verdict, text, make in CASES:
        if arguments.only not in (None, name):
            continue
        if arguments.seeds and name in ("many_empty_files", "many_directories", "bomb"):
            continue
        layer = make(arguments.outside)
        path = os.path.join(arguments.out, name + ".tar")
        write(path, layer)
        if arguments.seeds:
            trim(path)
        lines.append("%s\t%s\t%s\n" % (name, verdict, text))
    if not arguments.seeds:
        with open(os.path.join(arguments.out, "cases"), "w", encoding="utf-8") as file:
            file.writelines(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
