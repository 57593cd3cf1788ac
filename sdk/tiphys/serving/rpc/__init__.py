"""TensorFlow Serving's gRPC API: PredictionService, ModelService, and gRPC's health service."""
