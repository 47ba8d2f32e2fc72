"""Models and reward models in this process, through transformers."""
