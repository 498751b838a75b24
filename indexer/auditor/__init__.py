"""The auditor: checks a Banyan network against the chain alone, and trusts nobody.

It shares no decoder and no replay with the mirror. Of `wallet_sdk` it uses the committed ABIs, the
word types, the epoch arithmetic and the deployment file; nothing else of this house.
"""
