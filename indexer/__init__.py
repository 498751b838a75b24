"""Mirror of the chain in SQL: sync, queries, statements, and the verifier."""
