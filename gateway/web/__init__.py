"""The pages that people look at: the network's front page and a member's own page."""
