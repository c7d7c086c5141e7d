"""Benchmarks: `make bench` measures Bindery against its targets, by real processes on a real store."""
