"""The demo: a coalition on a year of real purchases, through the same doors as a till."""
