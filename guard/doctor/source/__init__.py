"""Reads files, folders and standard input as documents with line numbers. Only `reader` opens anything."""
