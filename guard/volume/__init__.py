"""What lies under a path: the mount in force, the marker, the ledger, the count, and the judgement over them."""
