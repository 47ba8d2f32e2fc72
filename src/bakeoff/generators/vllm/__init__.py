"""Models in a vLLM server that bakeoff starts."""
