"""A store behind the Kubernetes API: ``argo``, ``kubectl`` and Argo's own UI take it for a cluster that has Argo."""
