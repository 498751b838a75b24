"""The order book: accepting, storing, reading orders."""
