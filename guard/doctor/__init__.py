"""The doctor: reads Kubernetes objects, never a cluster, and says why a volume would be lost or reset."""
