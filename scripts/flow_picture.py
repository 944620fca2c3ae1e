"""Draw the flow from a corpus to a served model as docs/images/flow.svg.

usage: python -m scripts.flow_picture [--check]
"""

import sys
from html import escape
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "images" / "flow.svg"
STEPS = (
    ("corpus", ("Label Studio, CoNLL,", "a hub dataset, ...")),
    ("data", ("check, relabel,", "split, fingerprint")),
    ("train", ("all weights or LoRA,", "sweeps, distillation")),
    ("evaluate", ("strict F1, intervals,", "errors, running text")),
    ("export", ("ONNX, proven against", "PyTorch, timed")),
    ("promote", ("not worse than", "the champion?")),
    ("serve", ("HTTP, files, Spark;", "no PyTorch")),
)
"""Step, and the two lines below its name."""
WIDTH, GAP, HEIGHT = 142, 22, 96
LEFT, TOP, BAR = 20, 24, 44
BLUE, PALE, INK, GREY = "#1f5a94", "#eef4fb", "#1b2733", "#4a5866"


def drawing() -> str:
    """Return the picture as SVG; its own light ground makes it readable on any page."""
    width = 2 * LEFT + len(STEPS) * WIDTH + (len(STEPS) - 1) * GAP
    height = TOP + HEIGHT + 18 + BAR + TOP
    label = "From a corpus to a served model: " + ", ".join(name for name, _ in STEPS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(label)}" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" rx="12" fill="#ffffff"/>',
    ]
    for number, (name, lines) in enumerate(STEPS):
        left = LEFT + number * (WIDTH + GAP)
        middle = left + WIDTH / 2
        parts.append(
            f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" rx="8" '
            f'fill="{PALE}" stroke="{BLUE}" stroke-width="1.5"/>'
        )
        parts.append(_text(middle, TOP + 32, name, 18, INK, "bold"))
        parts += [
            _text(middle, TOP + 56 + 18 * row, line, 13, GREY) for row, line in enumerate(lines)
        ]
        if number:
            tip, middle_y = left - 3, TOP + HEIGHT / 2
            parts.append(
                f'<path d="M{left - GAP + 3} {middle_y}H{tip - 5}" stroke="{BLUE}" '
                'stroke-width="2" fill="none"/>'
                f'<path d="M{tip} {middle_y}l-8 -5v10z" fill="{BLUE}"/>'
            )
    top = TOP + HEIGHT + 18
    parts.append(
        f'<rect x="{LEFT}" y="{top}" width="{width - 2 * LEFT}" height="{BAR}" rx="8" '
        f'fill="{BLUE}"/>'
    )
    text = "MLflow: every step a run with inputs, settings, metrics, pages; models in the registry"
    parts.append(_text(width / 2, top + 28, text, 16, "#ffffff"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, size: int, colour: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
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
