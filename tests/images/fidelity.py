#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that berth unpacks the same tree as umoci and containerd.

    fidelity.py --tool UNPACK_TOOL [--work DIR] [--image NAME=TAR[,TAR...]]... [--debian]

It always checks a generated image of three layers with every kind of entry, and one with many small
files. --image adds other layers, the lowest first (scripts/debian-images.sh makes some); --debian
adds a minimal Debian made by mmdebstrap (needs a network). Each image is unpacked layer by layer by
UNPACK_TOOL, mounted as an overlay, and compared with the trees that umoci and containerd (peers.py)
unpack from the same tars: names, types, modes, owners, sizes, link counts (not of directories,
where overlayfs reports 1), times, xattrs, link targets, device numbers, contents. Not compared: the
mtime of containerd's root, which is the time of the unpacking. Status 1 if anything differs. Must
be run as root; uses its own mount namespace.
"""

import argparse
import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

import peers
from peers import run

CLONE_NEWNS = 0x20000


def xattrs(path):
    found = {}
    for name in os.listxattr(path, follow_symlinks=False):
        if not name.startswith(("trusted.overlay.", "user.rootlesscontainers")):
            found[name] = os.getxattr(path, name, follow_symlinks=False)
    return found


def facts(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    one = {
        "type": stat.filemode(status.st_mode)[0],
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": "%d:%d" % (status.st_uid, status.st_gid),
        "mtime": status.st_mtime_ns,
        "xattrs": xattrs(path),
    }
    if kind != stat.S_IFDIR:
        one["links"] = status.st_nlink
        one["size"] = status.st_size
    if kind == stat.S_IFREG:
        one["content"] = peers.digest_of(path)
    if kind == stat.S_IFLNK:
        one["target"] = os.readlink(path)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        one["device"] = status.st_rdev
    return one


def manifest(root):
    root = os.fsencode(root)
    found = {b".": facts(root)}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = facts(path)
    return found


def with_berth(work, tool, tars):
    """Returns the mounted tree."""
    layers = []
    for i, tar in enumerate(tars):
        layer = os.path.join(work, "layer%d" % i)
        os.mkdir(layer)
        lowers = [argument for below in layers for argument in ("--lower", below)]
        run(tool, *lowers, tar, layer)
        layers.insert(0, layer)
    if len(layers) == 1:
        return layers[0]
    merged = os.path.join(work, "merged")
    os.mkdir(merged)
    run("mount", "-t", "overlay", "-o", "ro,lowerdir=" + ":".join(layers), "overlay", merged)
    return merged


def compare(image, peer, theirs, berth):
    """Prints at most a hundred entries that differ."""
    differences = 0
    for path in sorted(theirs.keys() | berth.keys()):
        one, other = theirs.get(path), berth.get(path)
        if one == other:
            continue
        differences += 1
        if differences > 100:
            continue
        if one is None or other is None:
            print("  %r: only %s has it" % (path, "berth" if one is None else peer))
            continue
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                values = (path, key, peer, one.get(key), other.get(key))
                print("  %r: %s: %s %r, berth %r" % values)
    verdict = "identical" if differences == 0 else "%d DIFFER" % differences
    print("fidelity: %s, %s: %d entries %s" % (image, peer, len(theirs), verdict), flush=True)
    return differences == 0


def without_root_time(tree):
    """containerd ignores entries for the root: its mtime is the time of the unpacking."""
    return {**tree, b".": {key: tree[b"."][key] for key in tree[b"."] if key != "mtime"}}


def check(name, tool, tars, work):
    here = tempfile.mkdtemp(dir=work)
    layout = os.path.join(here, "oci")
    same = True
    try:
        berth = manifest(with_berth(here, tool, tars))
        peers.make_layout(layout, tars)
        for peer in (peers.umoci, peers.containerd):
            with peer(here, layout) as tree:
                theirs = manifest(tree)
            if peer is peers.containerd:
                theirs, berth = without_root_time(theirs), without_root_time(berth)
            same &= compare(name, peer.__name__, theirs, berth)
        return same
    finally:
        subprocess.run(["umount", os.path.join(here, "merged")], stderr=subprocess.DEVNULL)
        shutil.rmtree(here)


def capability():
    """Version 2: cap_net_raw, permitted and effective."""
    return bytes([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])


def make_features(work):
    """Three layers with every feature that umoci also keeps; the lower two have an entry "."."""
    tree = os.path.join(work, "features")

    def write(path, data=b"data", mode=0o644, uid=0, gid=0):
        full = os.path.join(tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        os.chown(full, uid, gid)
        os.chmod(full, mode)
        return full

    write("bin/suid", mode=0o4755)
    write("bin/sgid", mode=0o2711, gid=33)
    os.setxattr(write("bin/ping"), "security.capability", capability())
    os.setxattr(write("etc/note"), "user.note", b"a\0b")
    write("etc/owned", uid=70_000, gid=3_000_000)
    write("n" * 150 + "/" + "m" * 150 + "/f")
    write(os.fsdecode(b"bad\xff\n/f"))
    write("old/removed")
    write("old/kept")
    write("opaque/hidden")
    write("closed/in")
    os.chmod(os.path.join(tree, "closed"), 0)
    os.makedirs(os.path.join(tree, "tmp"))
    os.chmod(os.path.join(tree, "tmp"), 0o1777)
    os.link(os.path.join(tree, "etc/note"), os.path.join(tree, "etc/linked"))
    os.symlink("../etc/note", os.path.join(tree, "bin/link"))
    os.mkfifo(os.path.join(tree, "etc/pipe"), 0o622)
    os.mknod(os.path.join(tree, "etc/null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    with open(write("etc/sparse"), "r+b") as file:
        file.seek(5 << 20)
        file.write(b"middle")
        file.truncate(9 << 20)
    tars = []
    common = ["--numeric-owner", "--sort=name", "-C", tree]
    # umoci supports neither sparse files nor xattrs in the GNU format.
    for form in (["--format=gnu"], ["--format=pax", "--sparse", "--xattrs", "--xattrs-include=*"]):
        tars.append(os.path.join(work, "features%d.tar" % len(tars)))
        run("tar", "-cf", tars[-1], *common, *form, ".")
    tars.append(os.path.join(work, "features2.tar"))
    with tarfile.open(tars[-1], "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("old", "opaque", "etc"):
            tar.add(os.path.join(tree, name), name, recursive=False)
        for name in ("old/.wh.removed", "opaque/.wh..wh..opq"):
            tar.addfile(tarfile.TarInfo(name))
        for name in ("opaque/fresh", "etc/owned"):
            info = tarfile.TarInfo(name)
            info.mtime = 1234567.5
            tar.addfile(info)
    return tars


def make_small(work):
    """Many small files, without an entry for the root."""
    path = os.path.join(work, "small.tar")
    with tarfile.open(path, "w") as tar:
        for i in range(3000):
            info = tarfile.TarInfo("usr/d%d/f%d" % (i // 50, i))
            if i % 50 == 0:
                for name in ["usr"] * (i == 0) + ["usr/d%d" % (i // 50)]:
                    directory = tarfile.TarInfo(name)
                    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                    directory.mtime = 1000 + i
                    tar.addfile(directory)
            info.size, info.mtime, info.mode = 0, i, 0o600 + i % 64
            tar.addfile(info)
    return [path]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--work")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--debian", action="store_true")
    arguments = parser.parse_args()
    missing = [name for name in ("umoci", "containerd", "ctr") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        print("fidelity: needs root, umoci and containerd")
        return 77
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        print("fidelity: unshare:", os.strerror(ctypes.get_errno()))
        return 77
    run("mount", "--make-rprivate", "/")
    work = tempfile.mkdtemp(prefix="berth-fidelity.", dir=arguments.work)
    try:
        images = [("features", make_features(work)), ("small", make_small(work))]
        for given in arguments.image:
            name, tars = given.split("=", 1)
            images.append((name, tars.split(",")))
        if arguments.debian:
            tar = os.path.join(work, "debian.tar")
            run("mmdebstrap", "--variant=minbase", "bookworm", tar)
            images.append(("debian", [tar]))
        results = [check(name, arguments.tool, tars, work) for name, tars in images]
        return 0 if all(results) else 1
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
