"""ttyd 1.7.7 for the image where upstream's release cannot be fetched: Debian's newer package, made relocatable.

One folder with its own loader and libraries (`/opt/ttyd`), interpreter and search path set in the program, so that it
is an ordinary executable: its children inherit nothing. The single thing outside is a link at the compiled-in folder
where libwebsockets looks for its event-loop plug-in; without it the server exits although `--version` works.
"""

import pathlib
import shutil

from . import host
from .machine import HERE
from .shell import run, timed

PREFIX = "/opt/ttyd"
SUITE = "sid"
PACKAGES = ["ttyd", "libwebsockets19t64", "libwebsockets-evlib-uv", "libuv1t64", "libssl3t64", "libjson-c5", "libcap2",
            "zlib1g", "libzstd1", "libc6", "libgcc-s1"]
NEEDED = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2",
          "libnss_files.so.2", "libnss_dns.so.2", "libz.so", "libzstd.so", "libcap.so", "libjson-c.so", "libssl.so",
          "libcrypto.so", "libuv.so", "libwebsockets", "libgcc_s")


def ensure(machine=HERE):
    """A folder laid out as under / of `machine`: what image/ttyd holds for `--build-arg TTYD=context`."""
    tree = host.CACHE / machine.own("ttyd")
    if not (tree / "usr/local/bin/ttyd").is_symlink():
        host.need(["patchelf"])
        timed("ttyd", lambda: _make(tree, machine))
    return tree


def _make(tree, machine):
    work = host.clean_dir(host.CACHE / machine.own("ttyd-work"))
    host.ForeignSuite(SUITE, machine=machine).download(PACKAGES, work / "debs")
    for deb in (work / "debs").glob("*.deb"):
        run(["dpkg-deb", "-x", deb, work / "x"])
    out = work / "out"
    lib, binaries = out / PREFIX.lstrip("/") / "lib", out / PREFIX.lstrip("/") / "bin"
    lib.mkdir(parents=True)
    binaries.mkdir(parents=True)
    for path in (work / "x/usr/lib" / machine.triplet).iterdir():
        if path.name.startswith(NEEDED):
            shutil.copy2(path, lib / path.name, follow_symlinks=False)
    loader = next(p for p in (work / "x").rglob(machine.loader) if p.is_file())
    shutil.copy(loader.resolve(), lib / machine.loader)
    (lib / machine.loader).chmod(0o755)
    shutil.copy(work / "x/usr/bin/ttyd", binaries / "ttyd")
    rpath = ["--force-rpath", "--set-rpath", f"{PREFIX}/lib"]
    run(["patchelf", "--set-interpreter", f"{PREFIX}/lib/{machine.loader}", *rpath, binaries / "ttyd"])
    for path in lib.iterdir():
        if not path.is_symlink() and not path.name.startswith((machine.loader, "libc.so")):
            run(["patchelf", *rpath, path])
    plugin = out / "usr/lib" / machine.triplet / "libwebsockets-evlib_uv.so"
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(f"{PREFIX}/lib/libwebsockets-evlib_uv.so")
    (out / "usr/local/bin").mkdir(parents=True)
    (out / "usr/local/bin/ttyd").symlink_to(f"{PREFIX}/bin/ttyd")
    if pathlib.Path(tree).exists():
        shutil.rmtree(tree)
    out.rename(tree)
    shutil.rmtree(work)
