"""Everything that touches /proc or a volume: the prober process, its requests, and the client that drives it."""
