"""Custody: keys of members, merchants, relayers and the operator, sealed at rest or kept in KMS,
and what each of them may sign.
"""

from gateway.custody.charges import Caps
from gateway.custody.guard import GuardedSigner
from gateway.custody.keys import Custody
from gateway.custody.making import Made
from gateway.custody.masters import MasterKind, MasterSources
from gateway.custody.purposes import Place, Purpose
from gateway.custody.ring import MasterChanged, MasterRing

__all__ = [
    "Caps",
    "Custody",
    "GuardedSigner",
    "Made",
    "MasterChanged",
    "MasterKind",
    "MasterRing",
    "MasterSources",
    "Place",
    "Purpose",
]
