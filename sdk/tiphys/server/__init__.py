"""A store for ``argo``, ``kubectl``, Hera and Argo's own UI, which take it for a cluster; and its page.

Behind all of them are the ``Desk`` (what the server has and does), the ``Board`` (runs, whose every change has a
number) and ``KeptObjects`` (templates, CronWorkflows, ConfigMaps). In front: ``kube`` is the Kubernetes API, ``argo``
Argo Server's, ``rpc`` the same by gRPC, ``page`` and ``views`` what a browser shows; ``app`` puts them together,
``access``, ``users`` and ``audit`` say who may ask, ``process`` runs it, and ``clock`` starts what ``crons`` says is
due.
"""
