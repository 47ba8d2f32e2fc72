"""What the benchmarks share: the line that each prints, a server to be measured against, peers."""
