"""A cluster as a place of runs: through the Argo Server, or straight to the Kubernetes API."""
