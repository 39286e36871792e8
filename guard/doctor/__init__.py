"""The doctor: reads Kubernetes objects, never a cluster, and reports why a volume would be lost or reset."""
