"""Custody: keys of members, merchants, relayers and the operator, sealed at rest."""

from gateway.custody.keys import Custody, Purpose
from gateway.custody.master import MasterKey

__all__ = ["Custody", "MasterKey", "Purpose"]
