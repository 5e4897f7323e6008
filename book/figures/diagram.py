"""A few drawing primitives for the book's diagrams: boxes, operators, wires and text, written as SVG.

    canvas = Canvas("my_figure", 760, 500, title="...", desc="...")
    gate = canvas.box(200, 320, 100, 56, tone="blue")        # x, y of the centre; returns a Node
    times = canvas.operator(200, 112, "×")
    canvas.wire([gate.top, times.bottom], tone="blue", dash="gate")
    canvas.text(210, 200, "$f_t$ opens the memory")          # words, with mathematics between dollar signs
    canvas.svg()                                             # the file's text

Units are those of the viewBox; y grows downwards. Colours are named by tone, and a tone is the CSS property
`--rl-<tone>`: a page that inlines the figure sets these properties and so gives it a light or a dark theme. A
file shown by itself falls back on its own values, which follow the reader's light or dark setting. All
classes and ids begin with the figure's name, so many figures can stand on one page. A figure 760 units wide
wants 520 pixels or more; a narrower page lets it scroll.

A figure's script has a function `figures()` that returns {file name: SVG text}. Running
`python book/figures/diagram.py` writes every figure again, `python book/figures/lstm_cell.py` one.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import hypot
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

# tone: (light, dark), used only where no page sets --rl-<tone>; the accents after Okabe & Ito. Letters are
# drawn in every tone but paper and fill, so each has a contrast of 4.5:1 or more on both of these.
TONES = {
    "ink": ("#1b1f24", "#e6e9ee"),
    "muted": ("#57606a", "#a3adba"),
    "paper": ("#ffffff", "#14181e"),
    "fill": ("#f1f4f8", "#212730"),
    "blue": ("#0072b2", "#56b4e9"),
    "orange": ("#9f5f00", "#e69f00"),
    "green": ("#007d5b", "#2ebd8f"),
    "red": ("#c2302b", "#f27d66"),
    "purple": ("#a3478a", "#d99cc6"),
}
# A dash says what a wire carries, so that colour is never alone in saying it.
DASHES = {"gate": "7 4", "peephole": "2 4", "outline": "4 4"}
# KaTeX's fonts come first: where a page has them, diagram and equations share one face.
ROMAN = "KaTeX_Main,'STIX Two Text',STIXGeneral,'Times New Roman',Times,'Liberation Serif',serif"
ITALIC = "KaTeX_Math,'STIX Two Text',STIXGeneral,'Times New Roman',Times,'Liberation Serif',serif"
WORDS = (
    "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans','PingFang SC',"
    "'Microsoft YaHei','Noto Sans CJK SC','Source Han Sans SC',sans-serif"
)

Point = tuple[float, float]
Run = str | tuple[str, str]  # a text, or a text and its tone


class Node(NamedTuple):
    """A placed shape: its centre and size, and the middle of each side to tie wires to."""

    x: float
    y: float
    w: float
    h: float

    @property
    def left(self) -> Point:
        return self.x - self.w / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.w / 2, self.y

    @property
    def top(self) -> Point:
        return self.x, self.y - self.h / 2

    @property
    def bottom(self) -> Point:
        return self.x, self.y + self.h / 2


class Canvas:
    """One figure. Later shapes lie over earlier ones."""

    def __init__(
        self, name: str, width: float, height: float, *, title: str, desc: str, parts: bool = False
    ) -> None:
        """parts: whether the file says of its shapes which part they are; see `part`."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"name: expected lower-case letters, digits and underscores, got {name!r}")
        self.name, self.width, self.height, self.title, self.desc = name, width, height, title, desc
        self._shapes: list[str] = []
        self._classes: set[str] = set()
        self._parts, self._part = parts, ""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Name what is drawn meanwhile, as `data-part`, for a script that changes it; an inner name holds."""
        before, self._part = self._part, name if self._parts else ""
        yield
        self._part = before

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        tone: str = "ink",
        fill: str | None = "fill",
        weight: float = 1.6,
        radius: float = 8,
        dash: str | None = None,
    ) -> Node:
        """Draw a rounded box around the centre (x, y)."""
        self._add(
            "rect",
            self._class(tone, fill),
            x=x - w / 2,
            y=y - h / 2,
            width=w,
            height=h,
            rx=radius,
            stroke_width=weight,
            stroke_dasharray=_dash(dash),
        )
        return Node(x, y, w, h)

    def operator(
        self, x: float, y: float, sign: str, *, tone: str = "ink", weight: float = 1.8, r: float = 13
    ) -> Node:
        """Draw a circle with × (elementwise product) or + (sum) in it."""
        reach = {"+": ((0.6, 0), (0, 0.6)), "×": ((0.43, 0.43), (0.43, -0.43))}  # of the strokes, in radii
        if sign not in reach:
            raise ValueError(f"sign: expected '×' or '+', got {sign!r}")
        cross = "".join(
            f"M{_pair((x - dx * r, y - dy * r))}L{_pair((x + dx * r, y + dy * r))}" for dx, dy in reach[sign]
        )
        self._add("circle", self._class(tone, "paper"), cx=x, cy=y, r=r, stroke_width=weight)
        self._add("path", self._class(tone), d=cross, stroke_width=weight)
        return Node(x, y, 2 * r, 2 * r)

    def shade(self, x: float, y: float, w: float, h: float, share: float, *, tone: str = "blue") -> None:
        """Fill an area around the centre (x, y); share, from 0 to 1, says how much of the tone it has."""
        self._add(
            "rect", self._class(None, tone), x=x - w / 2, y=y - h / 2, width=w, height=h, fill_opacity=share
        )

    def letters(
        self, x: float, y: float, letters: str, pitch: float, *, size: float = 14, tone: str = "ink"
    ) -> None:
        """Write letters in cells as wide as `pitch`, each in the middle of its own, the first around x."""
        self._classes.add("words")
        places = " ".join(_number(x + pitch * k) for k in range(len(letters)))
        names = f"{self.name}-words {self._class(None, tone)}"
        self._add("text", names, body=escape(letters), x=places, y=y, font_size=size, text_anchor="middle")

    def dot(self, x: float, y: float, *, tone: str = "ink", r: float = 4) -> Node:
        """Draw the dot of a fork. Lines that cross without a dot do not touch."""
        self._add("circle", self._class(None, tone), cx=x, cy=y, r=r)
        return Node(x, y, 2 * r, 2 * r)

    def wire(
        self,
        points: Sequence[Point],
        *,
        tone: str = "ink",
        weight: float = 1.8,
        dash: str | None = None,
        head: bool = True,
        radius: float = 9,
        hops: Sequence[Point] = (),
    ) -> None:
        """Draw a line through the points, corners rounded, with an arrowhead at the last one.

        hops are points on straight level or upright stretches where the wire jumps over another one.
        """
        if len(points) < 2:
            raise ValueError(f"points: expected at least 2, got {len(points)}")
        ends = list(points)
        if head:
            length = 6.5 + 2 * weight
            self._arrowhead(ends[-2], ends[-1], tone, length)
            ends[-1] = _towards(ends[-1], ends[-2], 0.8 * length)
        self._add(
            "path",
            self._class(tone),
            d=_path(ends, radius, hops),
            stroke_width=weight,
            stroke_dasharray=_dash(dash),
        )

    def _arrowhead(self, start: Point, tip: Point, tone: str, length: float) -> None:
        back = _towards(tip, start, length)
        notch = _towards(tip, start, 0.75 * length)
        nx, ny = (tip[1] - back[1]) * 0.42, (back[0] - tip[0]) * 0.42
        corners = [tip, (back[0] + nx, back[1] + ny), notch, (back[0] - nx, back[1] - ny)]
        self._add("path", self._class(None, tone), d="M" + "L".join(_pair(p) for p in corners) + "Z")

    def bracket(
        self, x1: float, x2: float, y: float, *, tone: str = "muted", weight: float = 1.4, depth: float = 8
    ) -> Node:
        """Draw a bracket from x1 to x2, open above, with a tick in its middle over the place of a label."""
        middle = (x1 + x2) / 2
        top = _number(y - depth)
        d = f"M{_number(x1)} {top}V{_number(y)}H{_number(x2)}V{top}M{_pair((middle, y))}v{_number(depth)}"
        self._add("path", self._class(tone), d=d, stroke_width=weight)
        return Node(middle, y, x2 - x1, 2 * depth)

    def text(
        self,
        x: float,
        y: float,
        runs: Run | Sequence[Run],
        *,
        size: float = 14,
        anchor: str = "start",
        tone: str = "ink",
        bold: bool = False,
        lang: str | None = None,
    ) -> None:
        """Write words with the baseline at y; `$...$` holds mathematics, with `_` and `^` for scripts.

        runs is a text or a list of runs; a run (text, tone) stands out: it gets its tone, and is bold.
        anchor is start, middle or end.
        """
        pairs = [
            (run, None) if isinstance(run, str) else run
            for run in ([runs] if isinstance(runs, str | tuple) else runs)
        ]
        # A serif letter looks smaller than a sans one of its size, so mathematics among words is set larger.
        for content, _ in pairs:
            if content.count("$") % 2:
                raise ValueError(f"runs: expected dollar signs in pairs, got {content!r}")
        words = "".join(word for content, _ in pairs for word in content.split("$")[::2])
        scale = 1.12 if any(map(str.isalnum, words)) else 1.0
        spans, shift = [], 0.0
        for content, run_tone in pairs:
            for number, part in enumerate(content.split("$")):
                for piece, style, level in _mathematics(part) if number % 2 else [(part, None, 0)]:
                    if piece:
                        move, shift = _LEVELS[level] * size - shift, _LEVELS[level] * size
                        own = scale * (0.72 if level else 1) if style else 1
                        spans.append(
                            self._span(piece, style, run_tone, move, own * size if own != 1 else None)
                        )
        self._classes.add("words")
        if bold:
            self._classes.add("bold")
        names = f"{self.name}-words {self._class(None, tone)}" + (f" {self.name}-bold" if bold else "")
        self._add(
            "text",
            names,
            body="".join(spans),
            x=x,
            y=y,
            font_size=size,
            text_anchor=None if anchor == "start" else anchor,
            lang=lang,
        )

    def math(
        self,
        x: float,
        y: float,
        formula: str,
        *,
        size: float = 18,
        anchor: str = "middle",
        tone: str = "ink",
        bold: bool = False,
    ) -> None:
        """Write one formula, by default centred on x."""
        self.text(x, y, f"${formula}$", size=size, anchor=anchor, tone=tone, bold=bold)

    def svg(self) -> str:
        """Return the whole file."""
        name = self.name
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}-root" viewBox="0 0 {_number(self.width)} '
            f'{_number(self.height)}" width="100%" role="img" aria-labelledby="{name}-title {name}-desc">'
        )
        words = [
            f'<title id="{name}-title">{escape(self.title)}</title>',
            f'<desc id="{name}-desc">{escape(self.desc)}</desc>',
        ]
        return "\n".join([head, *words, f"<style>\n{self._style()}\n</style>", *self._shapes, "</svg>", ""])

    def _style(self) -> str:
        name = self.name
        light, dark = (
            ";".join(f"--rl-{tone}-own:{pair[mode]}" for tone, pair in TONES.items()) for mode in (0, 1)
        )
        rules = {
            "words": f"font-family:{WORDS}",
            "roman": f"font-family:{ROMAN}",
            "italic": f"font-family:{ITALIC};font-style:italic",
            "bold": "font-weight:700",
        }
        for tone in TONES:
            value = f"var(--rl-{tone},var(--rl-{tone}-own))"
            rules[f"s-{tone}"], rules[f"f-{tone}"] = f"stroke:{value}", f"fill:{value}"
        lines = [
            f".{name}-root{{{light};fill:none;stroke-linejoin:round}}",
            f"@media (prefers-color-scheme:dark){{.{name}-root{{{dark}}}}}",
        ]
        lines += [f".{name}-{key}{{{rule}}}" for key, rule in rules.items() if key in self._classes]
        return "\n".join(lines)

    def _span(self, piece: str, style: str | None, tone: str | None, move: float, size: float | None) -> str:
        classes = [key for key in (style, f"f-{tone}" if tone else None, "bold" if tone else None) if key]
        self._classes.update(classes)
        attributes = f' class="{" ".join(f"{self.name}-{key}" for key in classes)}"' if classes else ""
        attributes += f' dy="{_number(move)}"' if move else ""
        attributes += f' font-size="{_number(size)}"' if size else ""
        return f"<tspan{attributes}>{escape(piece)}</tspan>" if attributes else escape(piece)

    def _class(self, stroke: str | None, fill: str | None = None) -> str:
        for tone in (stroke, fill):
            if tone is not None and tone not in TONES:
                raise ValueError(f"tone: expected one of {', '.join(TONES)}, got {tone!r}")
        keys = [key for key in (stroke and f"s-{stroke}", fill and f"f-{fill}") if key]
        self._classes.update(keys)
        return " ".join(f"{self.name}-{key}" for key in keys)

    def _add(
        self, tag: str, classes: str, *, body: str | None = None, **attributes: str | float | None
    ) -> None:
        text = f'<{tag} class="{classes}"' + (f' data-part="{self._part}"' if self._part else "")
        for key, value in attributes.items():
            if value is not None:
                text += f' {key.replace("_", "-")}="{value if isinstance(value, str) else _number(value)}"'
        self._shapes.append(text + ("/>" if body is None else f">{body}</{tag}>"))


_LEVELS = {0: 0.0, 1: 0.24, 2: -0.36}  # baseline, subscript, superscript: shift in units of the text's size
_SCRIPT = re.compile(r"([_^])(?:\{([^}]*)\}|(.))")
_LETTERS = re.compile(r"([A-Za-zα-ω]+)")
_NAMES = {"tanh", "softmax", "exp", "log", "max"}  # upright, as in print; all other letters are italic


def _mathematics(formula: str) -> list[tuple[str, str, int]]:
    """Cut a formula into (text, "italic" or "roman", level)."""
    pieces, end = [], 0
    for script in _SCRIPT.finditer(formula):
        pieces += [(part, 0) for part in _LETTERS.split(formula[end : script.start()])]
        pieces += [(part, 1 if script[1] == "_" else 2) for part in _LETTERS.split(script[2] or script[3])]
        end = script.end()
    pieces += [(part, 0) for part in _LETTERS.split(formula[end:])]
    return [
        (part.replace("-", "−"), "italic" if part.isalpha() and not _upright(part, level) else "roman", level)
        for part, level in pieces
    ]


def _upright(part: str, level: int) -> bool:
    return part in _NAMES or (part == "T" and level == 2)  # a transpose


def _dash(name: str | None) -> str | None:
    if name is not None and name not in DASHES:
        raise ValueError(f"dash: expected one of {', '.join(DASHES)}, got {name!r}")
    return name and DASHES[name]


def _number(value: float) -> str:
    return f"{round(value, 2):g}"


def _pair(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _towards(start: Point, goal: Point, distance: float) -> Point:
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    share = distance / hypot(dx, dy)
    return start[0] + share * dx, start[1] + share * dy


def _path(points: Sequence[Point], radius: float, hops: Sequence[Point]) -> str:
    d = "M" + _pair(points[0])
    for before, corner, after in zip(points, points[1:], [*points[2:], None], strict=False):
        for hop in sorted(
            (h for h in hops if _between(before, h, corner)),
            key=lambda h: hypot(h[0] - before[0], h[1] - before[1]),
        ):
            d += f"L{_pair(_towards(hop, before, 7))}A7 7 0 0 1 {_pair(_towards(hop, corner, 7))}"
        if after is None:
            return d + "L" + _pair(corner)
        bend = min(
            radius,
            hypot(corner[0] - before[0], corner[1] - before[1]) / 2,
            hypot(after[0] - corner[0], after[1] - corner[1]) / 2,
        )
        d += (
            f"L{_pair(_towards(corner, before, bend))}Q{_pair(corner)} {_pair(_towards(corner, after, bend))}"
        )
    return d


def _between(a: Point, p: Point, b: Point) -> bool:
    inside = min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
    return inside and (a[0] == b[0] or a[1] == b[1])


def write(figures: Mapping[str, str]) -> None:
    """Write {file name: SVG text} beside this module, and name each file."""
    for file_name, text in figures.items():
        (Path(__file__).parent / file_name).write_text(text, encoding="utf-8", newline="\n")
        print(file_name)


def _write_all() -> None:
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder))
    for script in sorted(folder.glob("*.py")):
        if script.stem != "diagram":
            write(importlib.import_module(script.stem).figures())


if __name__ == "__main__":
    _write_all()
