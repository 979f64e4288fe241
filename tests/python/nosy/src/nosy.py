"""A plugin that tries to reach what no plugin may: the message says what."""

import os
import random
import socket
import sys
import time

from wit_world import exports
from wit_world.imports.types import (
    Capability,
    Decision,
    Decision_Reply,
    Description,
    Event,
    Outcome,
    Part,
    Part_Text,
    Want,
)


def attempt(action) -> str:
    try:
        return f"reached {action()!r}"
    except (OSError, AttributeError) as error:
        return type(error).__name__


def files(_) -> str:
    return " ".join(
        [
            attempt(lambda: open("/etc/hostname").read()),
            attempt(lambda: open("loot", "w")),
            attempt(lambda: os.listdir("/")),
            attempt(lambda: os.listdir(".")),
        ]
    )


def environment(_) -> str:
    return f"{dict(os.environ)} {sys.argv} {sys.stdin.read()!r}"


def network(port: str) -> str:
    # A name as bytes: for one as text Python would look for its IDNA codec, which did not come along.
    return " ".join(
        [
            attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(("127.0.0.1", int(port)))),
            attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 0))),
            attempt(lambda: socket.getaddrinfo(b"localhost", port)),
        ]
    )


def clocks(_) -> str:
    before = time.time(), time.monotonic()
    time.sleep(0.02)
    return f"{before[0]:.3f} {time.time() - before[0]:.3f} {time.monotonic() - before[1]:.3f}"


def printed(words: str) -> str:
    print(f"{words} on standard output")
    print(f"{words} on standard error", file=sys.stderr)
    print(f"{words} without an end", end="", flush=True)
    return "printed"


def flood(words: str) -> str:
    for number in range(1_000):
        print(words, number)
    return "flooded"


def dice(_) -> str:
    # Nearly all of it is WASI's work: a block is much to make and one call to ask for.
    while True:
        os.urandom(64 << 10)


ACTIONS = {
    "files": files,
    "environment": environment,
    "network": network,
    "clocks": clocks,
    "dice": dice,
    "print": printed,
    "flood": flood,
    "random": lambda _: f"{os.urandom(16).hex()} {random.random()}",
    "exit": lambda _: os._exit(3),
    "raise": lambda _: 1 / 0,
    "sleep": lambda seconds: time.sleep(float(seconds)),
}


class Handler(exports.Handler):
    def describe(self) -> Description:
        clock = Want(Capability.CLOCK, False, "to see whether it runs", [])
        return Description("nosy", "1.0.0", [clock], None, [])

    def on_message(self, event: Event) -> Decision:
        action, _, rest = event.message.text.partition(" ")
        return Decision_Reply([Part_Text(str(ACTIONS[action](rest)))])

    def format_reply(self, event: Event, outcome: Outcome) -> list[Part]:
        return []
