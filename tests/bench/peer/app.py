"""What a bot host in Python looks like that is built as most are: Flask takes the webhook, a thread answers it.

For each message: a fresh event loop, a fresh `ClaudeSDKClient` that resumes the room's session, and a post to the room.
Messages of a room are answered one after the other; which session a room has is kept in memory. Nothing is durable.
"""

import asyncio
import os
import threading
from collections import defaultdict, deque

import urllib3
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage
from flask import Flask, request
from waitress import serve

CAMPFIRE = os.environ["PEER_CAMPFIRE"]
CLAUDE = os.environ["PEER_CLAUDE"]
FOLDER = os.environ["PEER_FOLDER"]
PORT = int(os.environ["PEER_PORT"])

app = Flask(__name__)
# Connections to Campfire are kept, as Hearth keeps them.
campfire = urllib3.PoolManager(maxsize=32)
lock = threading.Lock()
queues: dict[str, deque] = defaultdict(deque)
busy: set[str] = set()
sessions: dict[str, str] = {}


@app.post("/webhook")
def webhook():
    event = request.get_json()
    room = event["room"]["path"]
    with lock:
        queues[room].append(event["message"]["body"]["plain"])
        if room not in busy:
            busy.add(room)
            threading.Thread(target=work, args=(room,), daemon=True).start()
    return "", 204


def work(room: str) -> None:
    """Answers what waits in a room, in order."""
    while True:
        with lock:
            if not queues[room]:
                busy.discard(room)
                del queues[room]
                return
            text = queues[room].popleft()
        asyncio.run(answer(room, text))


async def answer(room: str, text: str) -> None:
    options = ClaudeAgentOptions(
        cli_path=CLAUDE,
        cwd=FOLDER,
        resume=sessions.get(room),
        system_prompt="You help people in a chat.",
        max_turns=16,
        permission_mode="dontAsk",
        # The lean flags that Hearth uses too: without them the CLI starts more slowly.
        tools=[],
        setting_sources=[],
        strict_mcp_config=True,
        extra_args={"disable-slash-commands": None},
    )
    async with ClaudeSDKClient(options=options) as client:
        await client.query(text)
        async for message in client.receive_response():
            if isinstance(message, ResultMessage):
                sessions[room] = message.session_id
                # Posted before the client is closed: the room need not wait for that.
                post(room, message.result or "Something went wrong.")


def post(room: str, text: str) -> None:
    headers = {"Content-Type": "text/html; charset=utf-8"}
    campfire.request("POST", CAMPFIRE + room, body=text.encode(), headers=headers)


if __name__ == "__main__":
    serve(app, host="127.0.0.1", port=PORT, threads=16)
