"""Hosted models through a provider's batch API."""
