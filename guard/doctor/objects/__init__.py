"""Kubernetes objects as typed views of foreign trees, and what one object shows by itself. Pure."""
