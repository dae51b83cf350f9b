#!/usr/bin/env python3
"""Does the judge find a slow leak and a lost status, and let noise pass? Invented series, as long as real runs are."""

import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from judge import LEAST_SAMPLES, ends, growth, unaccounted  # noqa: E402
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


def change(old, new, reason, pid=None):
    """A line of the log."""
    return {"from": old, "to": new, "reason": reason} | ({"pid": pid} if pid else {})


class Accounts(unittest.TestCase):
    """Ends as the log tells them, beside what the flapper wrote down."""

    LIFE = [
        change("starting", "ready", "running", 10), change("ready", "backoff", "restarting after: exit 66"),
        change("backoff", "starting", "restarting after: exit 66"), change("starting", "ready", "running", 24),
        change("ready", "stopping", "restarted by operator", 24), change("stopping", "starting", "restarted by operator (exit 7)"),
        change("starting", "ready", "running", 47), change("ready", "stopping", "stopped by operator", 47),
        change("stopping", "stopped", "stopped by operator (signal 15 (SIGTERM))"),
    ]

    def test_each_process_has_its_end(self):
        self.assertEqual(ends(self.LIFE), [(10, "exit 66"), (24, "exit 7"), (47, "signal 15")])

    def test_ends_of_every_kind_are_accounted_for(self):
        for written in ([(10, 66), (24, 7), (47, 3)], [(10, 66)], [(24, 7)], []):
            self.assertEqual(unaccounted(written, ends(self.LIFE)), [])

    def test_one_that_is_missing_is_one(self):
        self.assertEqual(unaccounted([(10, 66), (12, 5), (24, 7)], ends(self.LIFE)), [(12, 5)])
        self.assertEqual(unaccounted([(10, 65), (24, 7)], ends(self.LIFE)), [(10, 65)])

    def test_a_pid_that_comes_again_counts_twice(self):
        twice = [(10, "exit 1"), (10, "signal 9"), (10, "exit 2")]
        self.assertEqual(unaccounted([(10, 1), (10, 2)], twice), [])
        self.assertEqual(unaccounted([(10, 2), (10, 1)], twice), [(10, 1)])
        self.assertEqual(unaccounted([(10, 1), (10, 1)], twice[:1]), [(10, 1)])


if __name__ == "__main__":
    unittest.main()
