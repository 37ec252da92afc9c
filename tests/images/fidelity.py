#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is the tree that berth unpacks the tree that umoci unpacks?

    fidelity.py --tool UNPACK_TOOL [--work DIR] [--image NAME=TAR[,TAR...]]... [--debian]

Always: an image of three layers made here, with every kind of entry, and small files. --image adds
layers of your own, the lowest first; --debian adds a minimal Debian made by mmdebstrap (network).
Each image is unpacked layer by layer by UNPACK_TOOL, mounted as an overlay, and compared with what
`umoci unpack` makes of the same tars: names, types, modes, owners, sizes, link counts (not of
directories: overlayfs says 1), times, xattrs, link targets, device numbers, contents. Status 1 on
the first hundred differences. As root, in a mount namespace of its own.
"""

import argparse
import ctypes
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

CLONE_NEWNS = 0x20000


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


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
        one["content"] = content(path)
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


def with_umoci(work, tars):
    image = os.path.join(work, "oci") + ":x"
    run("umoci", "init", "--layout", os.path.join(work, "oci"))
    run("umoci", "new", "--image", image)
    for tar in tars:
        run("umoci", "raw", "add-layer", "--image", image, tar)
    bundle = os.path.join(work, "bundle")
    run("umoci", "unpack", "--image", image, bundle)
    return os.path.join(bundle, "rootfs")


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


def compare(name, umoci, berth):
    differences = 0
    for path in sorted(umoci.keys() | berth.keys()):
        one, other = umoci.get(path), berth.get(path)
        if one == other:
            continue
        differences += 1
        if differences > 100:
            continue
        if one is None or other is None:
            print("  %r: only %s has it" % (path, "berth" if one is None else "umoci"))
            continue
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                print("  %r: %s: umoci %r, berth %r" % (path, key, one.get(key), other.get(key)))
    verdict = "identical" if differences == 0 else "%d DIFFER" % differences
    print("fidelity: %s %d entries %s" % (name, len(umoci), verdict))
    return differences == 0


def check(name, tool, tars, work):
    here = tempfile.mkdtemp(dir=work)
    try:
        umoci = manifest(with_umoci(here, tars))
        berth = manifest(with_berth(here, tool, tars))
        return compare(name, umoci, berth)
    finally:
        subprocess.run(["umount", os.path.join(here, "merged")], stderr=subprocess.DEVNULL)
        shutil.rmtree(here)


def capability():
    """Version 2: cap_net_raw, permitted and effective."""
    return bytes([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])


def make_features(work):
    """Three layers with everything that umoci keeps too."""
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
    # umoci knows neither sparse files nor xattrs of the GNU format.
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
    path = os.path.join(work, "small.tar")
    with tarfile.open(path, "w") as tar:
        for i in range(3000):
            info = tarfile.TarInfo("usr/d%d/f%d" % (i // 50, i))
            if i % 50 == 0:
                for name in ["./", "usr"] * (i == 0) + ["usr/d%d" % (i // 50)]:
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
    if os.geteuid() != 0 or shutil.which("umoci") is None:
        print("fidelity: needs root and umoci")
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
