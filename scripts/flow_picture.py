"""Draw the flow from a corpus to a served model as docs/images/flow.svg.

usage: python -m scripts.flow_picture [--check]
"""

import sys
from html import escape
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "images" / "flow.svg"
STEPS = (
    ("corpus", ("Label Studio, CoNLL,", "a hub dataset, ...")),
    ("data", ("check, relabel, split,", "fingerprint")),
    ("train", ("all weights or LoRA,", "sweeps, distillation")),
    ("evaluate", ("strict F1, intervals,", "errors, running text")),
    ("export", ("ONNX, timed, and", "proven on validation")),
    ("promote", ("only if not worse", "than the champion")),
    ("serve", ("HTTP, files or Spark,", "without PyTorch")),
)
"""Step, and the two lines below its name."""
COLUMNS = 4
WIDTH, HEIGHT, GAP, ROW_GAP = 166, 92, 26, 40
LEFT, TOP, BAR = 20, 20, 40
BLUE, PALE, INK, GREY = "#1f5a94", "#eef4fb", "#1b2733", "#4a5866"


def drawing() -> str:
    """Return the picture as SVG; its own light ground makes it readable on any page."""
    width = 2 * LEFT + COLUMNS * WIDTH + (COLUMNS - 1) * GAP
    rows = -(-len(STEPS) // COLUMNS)
    bar_top = TOP + rows * HEIGHT + (rows - 1) * ROW_GAP + 22
    height = bar_top + BAR + TOP
    label = "From a corpus to a served model: " + ", ".join(name for name, _ in STEPS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(label)}" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>',
    ]
    for number, (name, lines) in enumerate(STEPS):
        left, top = _corner(number)
        middle = left + WIDTH / 2
        parts += [
            f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8" '
            f'fill="{PALE}" stroke="{BLUE}" stroke-width="1.5"/>',
            _text(middle, top + 30, name, 18, INK, "bold"),
            *(_text(middle, top + 54 + 19 * row, line, 14, GREY) for row, line in enumerate(lines)),
        ]
        if number:
            parts.append(_arrow(number))
    parts += [
        f'<rect x="{LEFT}" y="{bar_top}" width="{width - 2 * LEFT}" height="{BAR}" rx="8" '
        f'fill="{BLUE}"/>',
        _text(
            width / 2,
            bar_top + 26,
            "MLflow: each step is a run with its inputs, settings, metrics and pages",
            14.5,
            "#ffffff",
        ),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _corner(number: int) -> tuple[int, int]:
    row, column = divmod(number, COLUMNS)
    return LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + ROW_GAP)


def _arrow(number: int) -> str:
    """Return the arrow that ends at a step: from its left, or from the row above."""
    left, top = _corner(number)
    if number % COLUMNS:
        y, tip = top + HEIGHT / 2, left - 3
        line = f"M{left - GAP + 3} {y:g}H{tip - 5}"
        head = f"M{tip} {y:g}l-8 -5v10z"
    else:
        before, above = _corner(number - 1)
        x, tip = left + WIDTH / 2, top - 3
        line = f"M{before + WIDTH / 2:g} {above + HEIGHT + 3}V{top - ROW_GAP / 2:g}H{x:g}V{tip - 5}"
        head = f"M{x:g} {tip}l-5 -8h10z"
    return (
        f'<path d="{line}" stroke="{BLUE}" stroke-width="2" fill="none"/>'
        f'<path d="{head}" fill="{BLUE}"/>'
    )


def _text(x: float, y: float, text: str, size: float, colour: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="middle">{escape(text)}</text>'
    )


def main() -> None:
    """Write the picture, or compare it."""
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") != drawing():
            sys.exit(f"{PAGE} is not up to date: run python -m scripts.flow_picture")
    else:
        PAGE.write_text(drawing(), encoding="utf-8")


if __name__ == "__main__":
    main()
