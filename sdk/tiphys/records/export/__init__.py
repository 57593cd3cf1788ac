"""What is known of runs, in the words of other systems: OpenLineage and MLflow."""
