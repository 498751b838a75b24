"""The relay: sealed batches onto the chain, exactly once, whatever dies in between."""
