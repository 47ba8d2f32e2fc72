"""Hosted models and other HTTP servers: requests, retries, rate limits and cost."""
