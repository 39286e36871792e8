"""Foreign text made fit to print: names and markers come from whoever can write the volume. Pure."""

#: The longest foreign text in a line, in characters.
LIMIT = 128


def printable(text: str) -> str:
    r"""Escapes what a terminal would obey and what is not UTF-8: `\n`, `\x1b`, `\u202e`, `\udcff`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def truncate(text: str, limit: int = LIMIT) -> str:
    """Printable, and at most `limit` characters long."""
    shown = printable(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def ending(text: str, limit: int) -> str:
    """Printable, and its last `limit` characters: of a traceback, where it happened."""
    shown = printable(text)
    return shown if len(shown) <= limit else "…" + shown[1 - limit :]


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
