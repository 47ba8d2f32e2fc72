"""Shared parts of the benchmarks: result lines, loopback servers, synthetic data, peer drivers."""
