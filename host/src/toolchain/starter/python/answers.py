"""What the bot answers by itself. Nothing here needs Hearth, so that any Python can test it."""


def answer(text: str) -> str | None:
    return "pong" if text.strip().lower() == "ping" else None
