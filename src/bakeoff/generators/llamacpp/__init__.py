"""GGUF models in this process, served by llama.cpp."""
