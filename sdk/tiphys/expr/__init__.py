"""Argo's expression languages: template tags, expr-lang, govaluate, selectors."""
