"""Argo's expression languages: template tags, expr-lang, govaluate, durations and times."""
