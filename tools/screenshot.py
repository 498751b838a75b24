"""Takes docs/screenshot.png from a running network: `tools/screenshot.py URL OUT`.

Needs Chromium: Debian's at /usr/bin/chromium, or the one named by BANYAN_CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from playwright.sync_api import Error, FloatRect, sync_playwright

# A desk's window; the picture ends below the flows, which is what a README has room for.
WIDTH, HEIGHT, MARGIN = 1280, 900, 24
# A README is read over a phone line too.
BYTES_MAX = 300_000
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def take(url: str, out: Path, scheme: str) -> int:
    """Writes the picture and returns its size in bytes. Raises ValueError when it is none."""
    chromium = os.environ.get("BANYAN_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        try:
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme
            )
            answer = page.goto(url)
            if answer is None or not answer.ok or page.locator(".equation").count() != 1:
                raise ValueError(f"{url} is not the page of a running network")
            flows = page.locator(".panel").first.bounding_box()
            if flows is None:
                raise ValueError(f"{url} shows no flows")
            height = flows["y"] + flows["height"] + MARGIN
            clip = FloatRect(x=0, y=0, width=WIDTH, height=height)
            page.screenshot(path=out, full_page=True, clip=clip)
        finally:
            browser.close()
    size = out.stat().st_size
    if size > BYTES_MAX:
        raise ValueError(f"{out} has {size} bytes, more than {BYTES_MAX}")
    return size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the running network's page, e.g. http://127.0.0.1:8000/")
    parser.add_argument("out", type=Path, help="where the PNG goes")
    parser.add_argument("--dark", action="store_true", help="as on a screen set to dark")
    options = parser.parse_args()
    try:
        size = take(options.url, options.out, "dark" if options.dark else "light")
    except (Error, ValueError) as error:
        print(f"no screenshot: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
