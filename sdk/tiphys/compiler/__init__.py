"""From what an author wrote to Argo YAML. Each part is imported by itself: a run of YAML compiles nothing."""
