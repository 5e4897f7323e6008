"""Sphinx extension `site_head`: what search engines and other sites learn of a page, and its top files.

Each page gets its address (canonical), and for whoever links to it (Open Graph) title, description and card.
The site gets index.html, which leads to the front page, 404.html, sitemap.xml and robots.txt.

The public address is made from that of the repository, which stands in _config.yml alone: GitHub Pages shows
the site of https://github.com/OWNER/NAME at https://OWNER.github.io/NAME/. `html_baseurl` sets another.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from site_card import SIZE, draw
from sphinx.application import Sphinx
from sphinx.config import Config

NOT_FOUND = "404.html"
UNLISTED = ("search", "404")  # pages that no search engine should list
MADE = {  # descriptions of what Sphinx makes
    "genindex": "All names of the Python package rnnlit in alphabetical order: modules, classes, functions "
    "and their arguments, each with a link to its documentation.",
    "py-modindex": "All modules of the Python package rnnlit: recurrent cells in NumPy and torch, layers for "
    "work, tasks, exercises and tools, with links to their documentation.",
    "search": "Search this book on recurrent neural networks in English or Chinese: chapters, sections, the "
    "terms of the glossary, and the names of its Python package.",
    "_modules/index": "The source code of the Python package rnnlit, module by module: recurrent cells in "
    "NumPy and torch, layers for work, tasks, exercises and tools.",
}
SOURCE = (
    "The source code of the module {}, as the book on recurrent neural networks uses it and its tests check "
    "it, with links back to the documentation."
)
INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={front}">
<title>{title}</title>
{head}
</head>
<body>
<main><h1><a href="{front}">{title}</a></h1></main>
</body>
</html>
"""
# A server shows this page for any address that leads nowhere, in any folder. So it loads nothing, and its
# links start from the public address.
LOST = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="description" content="There is no page at this address. Search the book, or choose a chapter.">
<title>Page not found — {title}</title>
<base href="{address}">
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --link: #0b57a4; --paper: #fff }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e9ee; --link: #86bdf0; --paper: #14181e }} }}
body {{ max-width: 40rem; margin: 0 auto; padding: 2rem 1.2rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.62 Charter, "Bitstream Charter", Georgia, serif }}
a {{ color: var(--link) }}
li {{ margin: 0.3rem 0 }}
input, button {{ font: inherit; padding: 0.3rem 0.6rem; max-width: 100% }}
</style>
</head>
<body>
<main>
<h1>There is no page here</h1>
<p>The address may be mistyped, or the page may have moved.</p>
<form action="search.html" role="search">
<label>Search this book: <input type="search" name="q"></label> <button>Search</button>
</form>
<h2>All pages</h2>
<ul>
{links}
</ul>
</main>
</body>
</html>
"""


def pages_address(repository: str) -> str:
    """Return the address at which GitHub Pages shows the site of a repository, with a slash at its end."""
    owner, name = urlsplit(repository).path.strip("/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def settle_address(app: Sphinx, config: Config) -> None:
    """Set the public address, from that of the repository where there is no other."""
    repository = config.html_theme_options.get("repository_url", "")
    if not config.html_baseurl and repository:
        config.html_baseurl = pages_address(repository)
    if config.html_baseurl:
        config.html_baseurl = config.html_baseurl.rstrip("/") + "/"


def plain(markup: str) -> str:
    """Return a title as text."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()


def reading_order(app: Sphinx) -> list[str]:
    """Return the front page and the pages that it leads to."""
    return [app.config.root_doc, *app.env.toctree_includes.get(app.config.root_doc, [])]


def own_description(document: nodes.document | None) -> str:
    """Return the description that stands in a page's metadata, or nothing."""
    metas = document.findall(nodes.meta) if document is not None else ()
    return next((meta["content"] for meta in metas if meta.get("name") == "description"), "")


def card_name(title: str) -> str:
    """Return the file name of a title's card; it changes with what draws the card."""
    drawn_by = Path(__file__).with_name("site_card.py").read_bytes()
    return hashlib.sha256(drawn_by + title.encode()).hexdigest()[:16] + ".png"


def tags(of: dict[str, str]) -> str:
    """Return meta elements: those whose name has a colon, but for twitter's, are properties."""
    return "\n".join(
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" content="{html.escape(content)}">'
        for name, content in of.items()
        if content
    )


def open_graph(app: Sphinx, title: str, description: str, page: str, card: str) -> str:
    """Return what another site needs to show a link to a page well."""
    address = app.config.html_baseurl
    return tags(
        {
            "og:title": title,
            "og:description": description,
            "og:type": "website" if page == app.config.root_doc else "article",
            "og:url": f"{address}{page}.html",
            "og:site_name": app.config.html_title,
            "og:locale": "en",
            "og:image": f"{address}_static/cards/{card_name(card)}",
            "og:image:width": str(SIZE[0]),
            "og:image:height": str(SIZE[1]),
            "og:image:alt": f"{card}: a chain of recurrent cells, each of which hands its state to the next",
            "twitter:card": "summary_large_image",
        }
    )


def describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Put into a page's head what others learn of it."""
    titles = app.env.titles
    title = titles[page].astext() if page in titles else plain(context.get("title") or "")
    description, made = own_description(document), ""
    if not description:
        made = SOURCE.format(title) if page.startswith("_modules/rnnlit") else MADE.get(page, "")
    if page.startswith("_modules/rnnlit"):  # the module's page in the reference has its name
        context["title"] = title = f"Source of {title}"
    head = tags({"description": made, "robots": "noindex" if page in UNLISTED else ""})
    if app.config.html_baseurl:
        # What does not stand in the reading order itself has the book's card.
        card = title if page in reading_order(app)[1:] else app.config.html_title
        head += "\n" + open_graph(app, title or app.config.html_title, description or made, page, card)
    context["metatags"] = f"{context.get('metatags', '')}\n{head}\n"
    if page == app.config.root_doc:
        context["docstitle"] = app.config.site_subject  # the front page's own title is the book's


def write_if_new(path: Path, text: str) -> None:
    """Write a file unless it says so already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_top(app: Sphinx, exception: Exception | None) -> None:
    """Write the files at the site's top, and draw the cards that are not there."""
    if exception is not None or app.builder.format != "html":
        return
    site, address, book = Path(app.outdir), app.config.html_baseurl, app.config.html_title
    front = f"{app.config.root_doc}.html"
    canonical = f'<link rel="canonical" href="{address}{front}">\n' if address else ""
    front_description = own_description(app.env.get_doctree(app.config.root_doc))
    head = canonical + tags({"description": front_description})
    if front != "index.html":
        write_if_new(site / "index.html", INDEX.format(front=front, title=html.escape(book), head=head))
    if not address:
        return
    order = reading_order(app)
    titles = [app.env.titles[name].astext() for name in order]
    links = [
        f'<li><a href="{name}.html">{html.escape(title)}</a></li>'
        for name, title in zip(order, titles, strict=True)
    ]
    lost = LOST.format(title=html.escape(book), address=html.escape(address), links="\n".join(links))
    write_if_new(site / NOT_FOUND, lost)
    listed = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    listed = [name for name in listed if not name.startswith("_") and name[:-5] not in (*UNLISTED, "index")]
    urls = "".join(f"<url><loc>{html.escape(address + name)}</loc></url>\n" for name in listed)
    write_if_new(
        site / "sitemap.xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n',
    )
    write_if_new(site / "robots.txt", f"User-agent: *\nAllow: /\nSitemap: {address}sitemap.xml\n")
    cards = site / "_static" / "cards"
    cards.mkdir(parents=True, exist_ok=True)
    for card in (book, *titles[1:]):
        if not (cards / card_name(card)).is_file():
            draw(card, book).save(cards / card_name(card))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the steps, and the setting that says in a few words what the book is on."""
    app.add_config_value("site_subject", "", "html", types=[str])
    app.connect("config-inited", settle_address)
    app.connect("html-page-context", describe, priority=900)
    app.connect("build-finished", write_top, priority=850)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
