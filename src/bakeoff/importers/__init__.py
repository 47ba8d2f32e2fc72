"""Importers of evaluations made by other tools: one module per file format, read by `reader`."""
