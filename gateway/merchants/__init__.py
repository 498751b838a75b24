"""Merchants: onboarding, funding, reading."""
