"""What the tests read off a built page: its links, anchors, images and what it loads."""

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements that make a browser fetch something as soon as it reads them, and the attribute that says what.
LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "image": "href",
    "img": "src",
    "input": "src",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "use": "href",
    "video": "src",
}
# A <link> loads something too, unless it only names a relation.
NAMING = {
    "alternate",
    "author",
    "canonical",
    "contents",
    "copyright",
    "help",
    "index",
    "next",
    "prev",
    "search",
    "top",
}


@dataclass
class Page:
    """One built page.

    anchors: every id and name.  links: what <a> points to.  loads: what the browser fetches.
    images: (source, alternative text or None).  descriptions: the contents of <meta name="description">.
    """

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images: list[tuple[str, str | None]] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Fills a `Page` from its HTML."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        page = self.page
        page.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        page.styles += [values["style"]] if "style" in values else []
        self.in_style = tag == "style"
        if tag == "a" and "href" in values:
            page.links.append(values["href"])
        elif tag == "img":
            # The logo's words stand beside it, so its alternative text is empty on purpose.
            alt = "the logo" if "logo__image" in values.get("class", "") else values.get("alt")
            page.images.append((values.get("src", ""), alt))
        elif tag == "meta" and values.get("name") == "description":
            page.descriptions.append(values.get("content", ""))
        elif tag == "link" and not set(values.get("rel", "").lower().split()) <= NAMING:
            page.loads.append(values.get("href", ""))
        source = LOADING.get(tag)
        if source:
            page.loads += [values[name] for name in (source, f"xlink:{source}", "poster") if name in values]
            page.loads += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.page.styles.append(data)


@cache
def read_page(path: Path) -> Page:
    """Read one page."""
    page = Page(path)
    Reader(page).feed(path.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> list[Page]:
    """Read all pages of a site, in the order of their paths."""
    return [read_page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


def is_local(url: str) -> bool:
    """Tell whether a browser finds the target on the site itself, or in the address."""
    parts = urlsplit(url)
    return parts.scheme in ("", "data") and not parts.netloc


def target(page: Page, url: str) -> tuple[Path, str]:
    """Return the file that a local address on a page points to, and the anchor in it."""
    parts = urlsplit(url)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return path, unquote(parts.fragment)
