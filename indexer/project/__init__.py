"""From logs to rows: who moved which points of whom, and what that did to every table.

`project` is a pure fold over blocks but for reading what it continues from; it writes nothing. The
same code serves backfill, the head and a rebuild.
"""

from indexer.project.fold import Projection, project
from indexer.project.header import Header
from indexer.project.rows import Batch
from indexer.project.state import Memory, Network

__all__ = ["Batch", "Header", "Memory", "Network", "Projection", "project"]
