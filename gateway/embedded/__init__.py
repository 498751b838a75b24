"""The embedded chain: one process, one data folder, no node to set up."""

from gateway.embedded.chain import EmbeddedChain
from gateway.embedded.folder import DataFolder, read_status
from gateway.embedded.replay import MinedBlock

__all__ = ["DataFolder", "EmbeddedChain", "MinedBlock", "read_status"]
