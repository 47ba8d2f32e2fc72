"""GGUF models, served by llama.cpp in this process."""
