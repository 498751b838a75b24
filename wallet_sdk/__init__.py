"""Wallet SDK of Banyan: signs orders, decodes events, reads contracts, talks to the gateway."""
