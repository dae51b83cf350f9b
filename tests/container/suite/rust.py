"""The builder image without an image registry: a stand-in for rust:1-bookworm.

Debian's C toolchain over the base image, and this machine's own Rust toolchain, for the Dockerfile's default stage that compiles the
binaries. With SKILL_INIT_TEST_RUST_IMAGE the real one (or any other) is used instead.
"""

import os
import pathlib
import shutil

from . import base, host
from .shell import CommandError, run, timed

TAG = "rust:1-bookworm"
CARGO_HOME = "/usr/local/cargo"
# What a build needs of a toolchain; the rest is documentation.
PARTS = ("bin", "lib", "libexec")


def ensure(engine):
    """The tag of a builder image that `engine` has."""
    given = base.chosen(engine, "SKILL_INIT_TEST_RUST_IMAGE")
    if given:
        return given
    version = run(["rustc", "--version"]).text
    if engine.image_label(TAG, "toolchain") != version:
        timed("builder image", lambda: _make(engine, version))
    return TAG


def _make(engine, version):
    folder = host.clean_dir(host.CACHE / "rust-context")
    toolchain = pathlib.Path(run(["rustc", "--print", "sysroot"]).text)
    if not (toolchain / "bin/cargo").exists():
        raise CommandError(f"{toolchain} holds no cargo: the stand-in is made from a rustup toolchain")
    for part in PARTS:
        if (toolchain / part).exists():
            shutil.copytree(toolchain / part, folder / "toolchain" / part, symlinks=True)
    # Where this machine's cargo finds crates, if it is told so by a file.
    (folder / "cargo").mkdir()
    own = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo") / "config.toml"
    if own.exists():
        shutil.copy(own, folder / "cargo")
    lines = [f"FROM {base.ensure(engine)}",
             "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev"
             " && rm -rf /var/lib/apt/lists/*",
             f"COPY cargo {CARGO_HOME}", "COPY toolchain /usr/local/rust",
             f"ENV CARGO_HOME={CARGO_HOME} PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    if host.extra_authorities():
        lines.append(f"ENV CARGO_HTTP_CAINFO={base.BUNDLE}")
    lines.append(f'LABEL toolchain="{version}"')
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
    engine.docker("build", "--network", "host", "-t", TAG, folder, timeout=1200)
    shutil.rmtree(folder)
