"""Argo Server's API, in HTTP/1.1 and JSON: ``argo`` with ``ARGO_HTTP1``, Hera and Argo's own page ask for it.

Paths, names in queries, and bodies are those of Argo 4.1.2 (api/openapi-spec/swagger.json).
"""
