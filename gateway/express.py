"""Plain POSTs past the framework's general machinery.

FastAPI finds the route by trying one pattern after the other, and works out at every request what
an endpoint is to be handed; that is three quarters of what a single issue costs the event loop.
Both are known beforehand for a POST to a fixed path whose dependencies are coroutines that read
nothing but the request. Such requests are carried out here: the same dependencies in the same
order, the same validation, the same errors. Whatever is not plain goes the usual way.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from gateway.auth.dependencies import known
from gateway.strict import StrictRequest, StrictRoute

_PLAIN_BODY = (b"content-type", b"application/json")
_NOTHING: Any = object()
_MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


@dataclass(frozen=True, slots=True)
class _Step:
    """One call: a dependency, or last the endpoint. `inputs` are (name, number of the step)."""

    call: Callable[..., Any]
    request_name: str | None
    inputs: tuple[tuple[str, int], ...]


class Express(BaseRoute):
    """Stands before all other routes and takes what is plain."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._plans: dict[str, tuple[APIRoute, Sequence[_Step]]] = {}
        for route in routes:
            if isinstance(route, StrictRoute) and route.methods == {"POST"}:
                steps = _plan(route)
                if steps is not None and "{" not in route.path:
                    self._plans[route.path] = (route, steps)

    @property
    def paths(self) -> set[str]:
        """The paths that are served here."""
        return set(self._plans)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is a plain one to a path that is served here."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return Match.NONE, {}
        if scope["query_string"]:
            # None of these routes has parameters; the usual way says so.
            return Match.NONE, {}
        found = self._plans.get(scope["path"])
        if found is None or _PLAIN_BODY not in scope["headers"]:
            return Match.NONE, {}
        route = found[0]
        return Match.FULL, {"route": route, "endpoint": route.endpoint, "path_params": {}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. What is raised becomes a problem where all errors do."""
        route, steps = self._plans[scope["path"]]
        request = StrictRequest(scope, receive)
        await known(request)
        sent = await request.json() if await request.body() else _NOTHING
        values: list[Any] = []
        for step in steps[:-1]:
            values.append(await step.call(**_handed(step, values, request)))
        last = steps[-1]
        handed = _handed(last, values, request)
        if route.body_field is not None:
            handed[route.body_field.name] = _validated(route.body_field, sent, request)
        response = await last.call(**handed)
        await response(scope, receive, send)


def _handed(step: _Step, values: Sequence[Any], request: StrictRequest) -> dict[str, Any]:
    handed = {name: values[number] for name, number in step.inputs}
    if step.request_name is not None:
        handed[step.request_name] = request
    return handed


def _validated(field: Any, sent: Any, request: StrictRequest) -> Any:
    """The body as the endpoint wants it. Raises RequestValidationError."""
    if sent is _NOTHING and field.field_info.is_required():
        raise RequestValidationError([_MISSING])
    value, errors = field.validate(sent, {}, loc=("body",))
    if errors:
        raise RequestValidationError(errors, body=sent)
    return value


def _plan(route: APIRoute) -> Sequence[_Step] | None:
    """Dependencies first, each once, and the endpoint last; None: the route is not plain."""
    steps: list[_Step] = []
    if _add(route.dependant, steps, {}, bodies=1) is None:
        return None
    return steps


def _add(
    dependant: Dependant, steps: list[_Step], known: dict[Any, int], bodies: int = 0
) -> int | None:
    """Adds what the dependant needs, then itself; its number, or None where it is not plain."""
    call = dependant.call
    foreign = (
        dependant.path_params,
        dependant.query_params,
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params[bodies:],
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
        dependant.websocket_param_name,
    )
    if any(foreign) or not iscoroutinefunction(call) or not dependant.use_cache:
        return None
    if call in known:
        return known[call]
    inputs: list[tuple[str, int]] = []
    for inner in dependant.dependencies:
        number = _add(inner, steps, known)
        if number is None:
            return None
        if inner.name is not None:
            inputs.append((inner.name, number))
    request_name = dependant.request_param_name or dependant.http_connection_param_name
    steps.append(_Step(call, request_name, tuple(inputs)))
    known[call] = len(steps) - 1
    return known[call]
