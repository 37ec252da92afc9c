# SPDX-License-Identifier: Apache-2.0
"""Unpacks the same layers with umoci and with containerd's overlayfs snapshotter.

Both read one OCI layout whose layers are the unchanged tars. containerd is a daemon, so it is
started for one image, on its own directory and without its CRI plugin. It opens only a socket below
that directory and ends with this process. The caller must be in its own mount namespace and removes
the directory.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time

MEDIA = "application/vnd.oci.image."
NAME = "fidelity.test/image:1"


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def make_layout(layout, tars):
    """Makes an OCI layout of uncompressed layers, the lowest first; its image is NAME and `x`."""
    blobs = os.path.join(layout, "blobs/sha256")
    os.makedirs(blobs)

    def described(kind, digest, size):
        return {"mediaType": MEDIA + kind, "digest": "sha256:" + digest, "size": size}

    def add(kind, document):
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(data)
        return described(kind, digest, len(data))

    layers = []
    for tar in tars:
        digest = digest_of(tar)
        os.symlink(os.path.abspath(tar), os.path.join(blobs, digest))
        layers.append(described("layer.v1.tar", digest, os.stat(tar).st_size))
    architecture = run("dpkg", "--print-architecture", text=True).strip()
    diff_ids = [layer["digest"] for layer in layers]
    config = add(
        "config.v1+json",
        {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        },
    )
    image = add("manifest.v1+json", {"schemaVersion": 2, "config": config, "layers": layers})
    image["annotations"] = {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.ref.name": "x",
    }
    with open(os.path.join(layout, "index.json"), "w", encoding="ascii") as file:
        json.dump({"schemaVersion": 2, "manifests": [image]}, file)
    with open(os.path.join(layout, "oci-layout"), "w", encoding="ascii") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)


@contextlib.contextmanager
def umoci(work, layout):
    """Yields the unpacked tree."""
    bundle = os.path.join(work, "bundle")
    run("umoci", "unpack", "--image", layout + ":x", bundle)
    yield os.path.join(bundle, "rootfs")
    shutil.rmtree(bundle)


CONTAINERD_CONFIG = """version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{0}/socket"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "{0}/opt"
"""


def start_containerd(place):
    with open(place + "/config.toml", "w", encoding="utf-8") as file:
        file.write(CONTAINERD_CONFIG.format(place))
    with open(place + "/log", "wb") as log:
        daemon = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "containerd", "--config", place + "/config.toml"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    version = ["ctr", "--address", place + "/socket", "version"]
    for _ in range(200):
        # ctr waits ten seconds if the socket does not exist yet.
        if os.path.exists(place + "/socket"):
            if subprocess.run(version, capture_output=True, check=False).returncode == 0:
                return daemon
        if daemon.poll() is not None:
            break
        time.sleep(0.05)
    daemon.kill()
    daemon.wait()
    with open(place + "/log", encoding="utf-8", errors="replace") as file:
        raise RuntimeError("containerd did not start: " + file.read()[-2000:])


@contextlib.contextmanager
def containerd(work, layout):
    """Yields the tree that a container of containerd would have, mounted read-only."""
    place = os.path.join(work, "containerd")
    tree = os.path.join(place, "tree")
    os.makedirs(tree)
    daemon = start_containerd(place)
    try:
        ctr = ["ctr", "--address", place + "/socket", "images"]
        with subprocess.Popen(
            ["tar", "-C", layout, "--dereference", "-c", "."], stdout=subprocess.PIPE
        ) as archive:
            run(*ctr, "import", "-", stdin=archive.stdout)
        run(*ctr, "mount", NAME, tree)
        try:
            yield tree
        finally:
            run("umount", tree)
    finally:
        daemon.terminate()
        daemon.wait()
    shutil.rmtree(place)
