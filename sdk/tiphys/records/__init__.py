"""What runs left: history, models, lineage."""
