"""Small pieces of HTML and SVG."""

import html


def text(words: object) -> str:
    """As it may stand in markup; a percent sign stays with its number."""
    return html.escape(str(words)).replace(" %", "&nbsp;%")


def tag(name: str, *inner: str, **attributes: object) -> str:
    """An element.

    Args:
        inner: markup.
        attributes: ``class_`` is class, other underscores are hyphens; None leaves it away.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_plain(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{told}>{''.join(inner)}</{name}>"


def percent(share: float) -> str:
    """A coordinate that grows with the page."""
    return f"{share:.2f}%"


def hint(words: str) -> str:
    """What is shown where the pointer rests."""
    return tag("title", text(words))


def colour(number: int) -> str:
    """A class: one of eight colours, again from the first after them."""
    return f"c{number % 8}"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
