"""The sidecar: looks now and then, is woken by tripwires in between, and says what became of the volume."""
