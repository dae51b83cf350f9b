"""The parts of the container suite: engine, base image, product image, cases. Standard library only."""
