"""One evaluation, from configuration to results: participants, plan, cache, pipeline, session."""
