"""TensorFlow Serving's REST API: its paths, its JSON, its errors."""
