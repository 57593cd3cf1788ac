"""gRPC as Argo Server speaks it: the same operations as its HTTP API, which answers each call."""
