"""volume-guard: an application starts only on the right volume, and a wipe is known within seconds."""

__version__ = "0.1.0"
