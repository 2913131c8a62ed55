# SPDX-License-Identifier: Apache-2.0
"""Curves over a logarithmic axis as an SVG that stands alone and is read in light and dark."""
import html
import math

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 48, 58
COLOURS = ["#0969da", "#bc4c00", "#1a7f37", "#8250df"]
STYLE = ("text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;fill:#24292f}"
         ".grid{stroke:#d0d7de}.axis{stroke:#57606a}"
         "@media(prefers-color-scheme:dark){text{fill:#8b949e}.title{fill:#e6edf3}.grid{stroke:#30363d}}")


def count_text(value):
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def step_for(top):
    """Of the axis upwards: about six lines, in round numbers."""
    rough = top / 6
    power = 10 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def curve_svg(title, x_name, y_name, curves):
    """curves: {name: [(x, y), …]}, x > 0."""
    xs = sorted({x for points in curves.values() for x, _ in points})
    top = max(y for points in curves.values() for _, y in points) * 1.08
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def place(x, y):
        share = (math.log10(x) - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
           f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
           f'<text class="title" x="{LEFT}" y="26">{html.escape(title)}</text>']
    step = step_for(top)
    for i in range(int(top / step) + 1):
        y = place(xs[0], i * step)[1]
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{i * step:g}</text>')
    floor = HEIGHT - BOTTOM
    for value in xs:
        x = place(value, 0)[0]
        out.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 5}"/>'
                   f'<text x="{x:.1f}" y="{floor + 19}" text-anchor="middle">{count_text(value)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 16}" text-anchor="middle">{html.escape(x_name)}</text>'
               f'<text transform="translate(18 {(TOP + floor) / 2}) rotate(-90)" text-anchor="middle">'
               f"{html.escape(y_name)}</text>")
    for (name, points), colour in zip(curves.items(), COLOURS):
        places = [place(x, y) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{html.escape(name)}: '
                f"{count_text(value)}: {figure:.1f}</title></circle>"
                for (x, y), (value, figure) in zip(places, sorted(points))]
        out.append(f'<text x="{places[-1][0] + 9:.1f}" y="{places[-1][1] + 4:.1f}" style="fill:{colour}">'
                   f"{html.escape(name)}</text>")
    return "\n".join(out) + "\n</svg>\n"
