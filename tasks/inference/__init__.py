"""What a trained network makes of images, without TensorFlow: read from its file, computed by NumPy."""
