"""The machine that an image is made for: this one, or another whose programs the kernel hands to QEMU."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine under the names that the tools have for it."""

    name: str
    debian: str
    node: str
    loader: str

    @property
    def triplet(self):
        """Where Debian keeps its libraries."""
        return f"{self.name}-linux-gnu"

    @property
    def platform(self):
        """Docker's name for it."""
        return f"linux/{self.debian}"

    def own(self, name):
        """The name of what is kept of this machine's kind of something."""
        return name if self == HERE else f"{name}-{self.debian}"


AMD64 = Machine("x86_64", "amd64", "x64", "ld-linux-x86-64.so.2")
ARM64 = Machine("aarch64", "arm64", "arm64", "ld-linux-aarch64.so.1")
HERE = next(machine for machine in (AMD64, ARM64) if machine.name == os.uname().machine)
