"""The page: what a store holds, in a browser; made here, sent whole, and read without a script.

To add a page, write a module with

- ``NAV``: the word and the path by which the navigation leads to it, such as ``("Models", "/ui/models")``; ``None`` for
  one that others lead to;
- ``routes(frame)``: its paths below ``/ui``, each with a plain function that takes the request and returns
  ``frame.show(request, "models.html", title=…, …)``; Starlette calls it in a thread, so it may read files;

and name it in ``PAGES`` of ``house.py``. The template begins ``{% extends "base.html" %}``, has its parts in the block
``main``, and imports ``parts.html`` for phases, tables of facts and empty states. What it is given is escaped, and an
unknown name is an error. ``style=`` does not work (the policy is ``default-src 'self'``): put rules into
``static/page.css``, and draw with SVG, whose attributes are no styles; drawings are given as ``frame.drawn(text)``. An
element with ``id`` and ``data-fresh`` is fetched anew when the feed that ``data-feed`` of ``main``
names tells a change.
A POST has been seen to come from a page of ours (``doors.py``) before its function is called; ``form_of`` reads it.
"""
