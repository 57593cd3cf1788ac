"""The code that runs inside the steps of the Fashion-MNIST pipeline; plain typed functions, usable without Argo.

Each step is a module with a function of the same name: ``fingerprint``, ``ingest``, ``train``, ``evaluate``,
``select``, ``claim``, ``predict``. Importing one needs neither numpy nor TensorFlow: a compiler that only reads
the signatures stays fast.
"""
