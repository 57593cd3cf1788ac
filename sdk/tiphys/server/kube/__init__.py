"""The Kubernetes API, as far as Argo's tools and kubectl use it."""
