"""Members and their custodial wallets."""
