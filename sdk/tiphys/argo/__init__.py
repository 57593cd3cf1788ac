"""What Argo says of its objects, as pure functions over JSON."""
