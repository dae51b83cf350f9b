"""What every case is given: the engine, the image, and short ways to start containers and volumes."""

import itertools
import tempfile

from . import product
from .container import Container

_volumes = itertools.count(1)


class World:
    """The engine with the product's image in it."""

    def __init__(self, engine, image):
        self.engine = engine
        self.image = image
        self.scratch = tempfile.TemporaryDirectory(prefix="skill-init-test.")

    def start(self, *options, command=(), skills=True, image=None, workers=False, network="none"):
        """A container with the documented mounts; use it in a `with` block."""
        mounts = ["-v", f"{product.SKILLS}:/app/skills:ro"] if skills else []
        if workers:
            mounts += ["-v", f"{product.WORKERS}:/workers:ro"]
        return Container(self.engine, image or self.image, [*mounts, *options], command, network)

    def worker(self, script, *options, **more):
        """A container whose API worker is a script of tests/container/workers."""
        return self.start("-e", f"SKILL_INIT_API_COMMAND=python3 -u /workers/{script}", *options, workers=True, **more)

    def volume(self):
        """A fresh named volume."""
        return self.engine.docker("volume", "create", f"skill-init-volume-{next(_volumes)}").text

    def folder(self, name):
        """A fresh folder on this machine, for bind mounts."""
        return tempfile.mkdtemp(prefix=f"{name}.", dir=self.scratch.name)

    def run(self, *argv, timeout=300, check=True, network="none"):
        """`docker run --rm`: one-off, its Result."""
        return self.engine.docker("run", "--rm", "--network", network, *argv, timeout=timeout, check=check)

    def close(self):
        """Remove the scratch folder and the volumes."""
        left = self.engine.docker("volume", "ls", "-q", "-f", "name=skill-init-volume-", check=False).out.split()
        if left:
            self.engine.docker("volume", "rm", "-f", *left, check=False)
        self.scratch.cleanup()
