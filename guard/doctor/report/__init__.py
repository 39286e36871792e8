"""Runs the rules and writes what they find: table, JSON, SARIF, workflow commands. Pure."""
