#!/usr/bin/env python3
"""Does the judge of growth find a slow leak, and let noise pass? Invented series, as long as real runs are."""

import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from judge import LEAST_SAMPLES, growth  # noqa: E402
from run import BETWEEN_QUIET_POINTS  # noqa: E402
from world import Broken  # noqa: E402

# The quiet points of the shortest run and of thirty minutes (docs/evidence.md).
SHORT, LONG = LEAST_SAMPLES, 313


def series(samples, kib_per_blow=0.0, descriptors_per_blow=0.0, seed=1):
    """What quiet points would show: a start that fills caches, the noise that real runs have, and this leak."""
    dice = random.Random(seed)
    made = []
    for n in range(samples):
        blows = n * BETWEEN_QUIET_POINTS
        filling = 300 * min(1, 4 * n / samples)
        made.append((
            13 + int(blows * descriptors_per_blow) + dice.choice([0, 0, 0, 1]),
            700 + int(filling + blows * kib_per_blow) + dice.randrange(-30, 30),
        ))
    return made


class Growth(unittest.TestCase):
    """Every case with many seeds of noise: none may depend on its luck."""

    def judged(self, samples, **leak):
        """How many of a hundred series are found to grow."""
        found = 0
        for seed in range(100):
            try:
                growth(series(samples, seed=seed, **leak))
            except Broken:
                found += 1
        return found

    def test_noise_passes(self):
        for samples in (SHORT, LONG):
            self.assertEqual(self.judged(samples), 0)

    def test_a_kib_per_blow_fails(self):
        for samples in (SHORT, LONG):
            self.assertEqual(self.judged(samples, kib_per_blow=1), 100)

    def test_a_descriptor_every_two_hundred_blows_fails(self):
        self.assertEqual(self.judged(LONG, descriptors_per_blow=1 / 200), 100)

    def test_memory_that_falls_passes(self):
        self.assertEqual(self.judged(LONG, kib_per_blow=-0.1), 0)

    def test_too_few_samples_are_no_proof(self):
        with self.assertRaisesRegex(Broken, "run for longer"):
            growth(series(SHORT - 1))


if __name__ == "__main__":
    unittest.main()
