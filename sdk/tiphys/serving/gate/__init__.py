"""What stands before serving: a candidate is loaded in the very server and measured before any client meets it.

``rules`` is what is asked and what came out, ``golden`` what the training answered to fixed inputs, ``compare`` the
pure comparisons, ``candidate`` the server that is started for it, ``judge`` the step.
"""
