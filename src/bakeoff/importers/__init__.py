"""Importers of evaluations by other tools: `reader`, and a module for each file format."""
