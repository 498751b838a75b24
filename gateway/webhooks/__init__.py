"""Webhooks: what happens to an order, told to its merchant's own servers (Standard Webhooks)."""
