"""What can be said of a wish without knowing anything."""

from gateway.errors import InvalidRequest, PointsInvalid, PurchaseInvalid
from gateway.model import POINTS_MAX, REFERENCE_LENGTH_MAX, NewOrder, OrderKind


def check_line(line: NewOrder) -> None:
    """Raises PurchaseInvalid, PointsInvalid, InvalidRequest."""
    if line.unearned is not None:
        raise PurchaseInvalid(line.unearned)
    check_points(line.points)
    check_reference(line.reference)
    if line.kind is OrderKind.JOIN:
        raise InvalidRequest("a member joins by being made a member, not by an order")
    if line.kind is OrderKind.TRANSFER and line.member == line.to_member:
        raise InvalidRequest("a transfer goes to another member", member=line.member)


def check_points(points: int) -> None:
    """Raises PointsInvalid."""
    # bool is an int in Python: `points=True` is a mistake, not one point.
    if type(points) is not int or not 1 <= points <= POINTS_MAX:
        raise PointsInvalid(f"points are a whole number from 1 to {POINTS_MAX}, got {points!r:.40}")


def check_reference(reference: str) -> None:
    """Raises InvalidRequest."""
    if not 1 <= len(reference) <= REFERENCE_LENGTH_MAX or not reference.isprintable():
        raise InvalidRequest(
            f"a reference has 1 to {REFERENCE_LENGTH_MAX} printable characters",
            reference=reference[:REFERENCE_LENGTH_MAX],
        )
