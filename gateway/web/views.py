"""The pages over HTTP: which page, in which language, with which headers. Decides nothing."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, tzinfo
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.web.facts import CursorUnknown, MemberFacts, NothingYet, WebSource
from gateway.web.formats import Formats, Language, Money
from gateway.web.member_pages import member_page
from gateway.web.pages import network_page
from gateway.web.reference import reference_of
from gateway.web.texts import LANGUAGES, NAMES, TEXTS, choose_language

# No script, frame or form, nothing from elsewhere: pages are text, one style sheet and one icon.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_STATIC_TYPES = {"banyan.css": "text/css; charset=utf-8", "mark.svg": "image/svg+xml"}
_YEAR_S = 31_536_000
# How soon a page that is not there yet asks again.
RETRY_S = 3

_log = logging.getLogger("gateway.web")

# Ids and cursors are short; longer ones are nobody's.
_ID_LENGTH_MAX = 64
_CURSOR_LENGTH_MAX = 256


class Pages:
    """Renders templates; holds what every page needs and the static files."""

    def __init__(self, *, name: str, money: Money, zone: tzinfo, prefix: str = "") -> None:
        self.name = name
        self.money = money
        self.zone = zone
        self.prefix = prefix
        self.static = {
            file: files("gateway.web").joinpath("static", file).read_bytes()
            for file in _STATIC_TYPES
        }
        self._environment = Environment(
            loader=PackageLoader("gateway.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            network_name=name,
            home_url=f"{prefix}/",
            style_url=self._static_url("banyan.css"),
            mark_url=self._static_url("mark.svg"),
            member_url=self.member_url,
        )

    def member_url(self, member_id: str) -> str:
        """Where a member's page is."""
        return f"{self.prefix}/members/{member_id}"

    def formats(self, language: Language) -> Formats:
        """Numbers and dates in this language."""
        return Formats(language, self.money, self.zone)

    def render(
        self, template: str, language: Language, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """One page, with the security headers, and not cached unless the view says so."""
        html = self._environment.get_template(template).render(
            language=language, texts=TEXTS[language], **values
        )
        headers = SECURITY_HEADERS | {
            "Content-Language": language,
            "Vary": "Accept-Language",
            "Cache-Control": "private, no-store",
        }
        return HTMLResponse(html, status_code=status, headers=headers)

    def error(self, request: Request, status: int, *, starting: bool = False) -> HTMLResponse:
        """A friendly page for what is not there (404) or went wrong (5xx), without the cause."""
        language = language_of(request)
        texts = TEXTS[language]
        kind = "starting" if starting else "error" if status >= 500 else "not_found"
        response = self.render(
            "error.html",
            language,
            status=status,
            title=texts[f"{kind}_title"],
            body=texts[f"{kind}_body"],
            retry_s=RETRY_S if starting else None,
            languages=_languages(request.url.path, {}),
        )
        if starting:
            response.headers["Retry-After"] = str(RETRY_S)
        return response

    def answer(self, request: Request, page: Callable[[], Response]) -> Response:
        """What `page` gives, or a page that says in plain words why there is none."""
        try:
            return page()
        except NothingYet:
            return self.error(request, 503, starting=True)
        except CursorUnknown:
            return self.error(request, 404)
        except Exception:
            # A person reads this page, so it is a page; the cause belongs into the log.
            _log.exception("page failed", extra={"path": request.url.path})
            return self.error(request, 500)

    def _static_url(self, file: str) -> str:
        fingerprint = hashlib.sha256(self.static[file]).hexdigest()[:12]
        return f"{self.prefix}/static/{file}?v={fingerprint}"


def language_of(request: Request) -> Language:
    """`?lang=` before Accept-Language before English."""
    return choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))


def web_router(
    source: WebSource,
    *,
    now: Callable[[], int],
    face_value: int,
    name: str = "Banyan",
    money: Money | None = None,
    zone: tzinfo = UTC,
    open_members: bool = False,
) -> APIRouter:
    """The routes `/`, `/members/{id}`, `/docs` and `/static/...`.

    Args:
        source: answers what the pages show; called in a worker thread.
        now: network time in unix seconds.
        face_value: money units per point.
        name: how the network is called on its pages.
        money: label and decimals of the settlement asset.
        zone: the time zone that dates are written in.
        open_members: show members' pages to whoever has the link, and link to them. A demo says so;
            elsewhere a member's page waits until members can sign in.
    """
    # Plain functions: the framework runs them in worker threads, so a page never holds up the API.
    router = APIRouter(include_in_schema=False)
    pages = Pages(name=name, money=money or Money(), zone=zone)
    router.add_api_route("/docs", _reference(pages), methods=["GET", "HEAD"])

    @router.api_route("/", methods=["GET", "HEAD"])
    def network(request: Request) -> Response:
        def page() -> Response:
            facts = source.network(now())
            if not open_members:
                orders = [replace(order, member=None) for order in facts.orders]
                facts = replace(facts, orders=orders)
            shown = network_page(facts, pages.formats("en"), face_value)
            return _revalidated(request, pages.render("network.html", "en", page=shown))

        return pages.answer(request, page)

    @router.api_route("/members/{member_id}", methods=["GET", "HEAD"])
    def member(request: Request, member_id: str) -> Response:
        def page() -> Response:
            cursor = request.query_params.get("before")
            too_long = len(member_id) > _ID_LENGTH_MAX or len(cursor or "") > _CURSOR_LENGTH_MAX
            if too_long or not open_members:
                return pages.error(request, 404)
            at = now()
            facts = source.member(member_id, at, cursor)
            if facts is None:
                return pages.error(request, 404)
            return _member(pages, request, facts, face_value, at, cursor)

        return pages.answer(request, page)

    @router.api_route("/static/{file}", methods=["GET", "HEAD"])
    def static(request: Request, file: str) -> Response:
        if file not in pages.static:
            return pages.error(request, 404)
        # The address carries the content's fingerprint, so a copy never goes stale.
        headers = SECURITY_HEADERS | {"Cache-Control": f"public, max-age={_YEAR_S}, immutable"}
        return Response(pages.static[file], media_type=_STATIC_TYPES[file], headers=headers)

    return router


def _reference(pages: Pages) -> Callable[[Request], Response]:
    def reference(request: Request) -> Response:
        def page() -> Response:
            document, url = request.app.openapi(), request.app.openapi_url
            shown = reference_of(document)
            rendered = pages.render("reference.html", "en", page=shown, document_url=url)
            return _revalidated(request, rendered)

        return pages.answer(request, page)

    return reference


def _member(
    pages: Pages,
    request: Request,
    facts: MemberFacts,
    face_value: int,
    at: int,
    cursor: str | None,
) -> Response:
    language = language_of(request)
    shown = member_page(facts, pages.formats(language), face_value, at)
    path = pages.member_url(facts.id)
    # A language that was chosen by hand stays chosen on the next page of the history.
    chosen: dict[str, str] = {"lang": language} if "lang" in request.query_params else {}
    older = chosen | {"before": shown.next_cursor} if shown.next_cursor else None
    return pages.render(
        "member.html",
        language,
        page=shown,
        newest_url=_url(path, chosen) if cursor else None,
        older_url=_url(path, older) if older else None,
        languages=_languages(path, {"before": cursor} if cursor else {}),
    )


def _revalidated(request: Request, response: HTMLResponse) -> Response:
    """The same page again is a 304: a screen on a wall asks often, figures change rarely."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:24]}"'
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = tag
    asked = request.headers.get("if-none-match", "")
    if tag in (each.strip().removeprefix("W/") for each in asked.split(",")):
        kept = {
            key: value
            for key, value in response.headers.items()
            if key not in ("content-length", "content-type")
        }
        return Response(status_code=304, headers=kept)
    return response


def _languages(path: str, query: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"code": each, "name": NAMES[each], "url": _url(path, query | {"lang": each})}
        for each in LANGUAGES
    ]


def _url(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
