"""The sidecar: checks the volume at an interval and after events of its tripwire, and reports what changed."""
