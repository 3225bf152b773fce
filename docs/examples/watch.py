#!/usr/bin/env python3
"""A client of archy.v1 that is not ours: prints live state, and installs an app if one is named.

    ARCHY_TOKEN=... python3 watch.py http://127.0.0.1:8420 [app-to-install]

It needs the package websockets (Debian: python3-websockets). It ends when the install has failed or the app runs;
without one it goes on. A program that stays connected should also come back with `resume` after a loss: this one shows the least.
"""

import asyncio
import json
import os
import sys
import urllib.request

import websockets

KEYS = {"apps": "id", "ops": "id", "tree": "path", "gates": "id", "node": "key", "metrics": "app"}


def command(base, token, body):
    request = urllib.request.Request(
        base + "/api/v1/commands",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Stream:
    """The rows of one stream, by the rule of the protocol."""

    def __init__(self, name):
        self.key, self.rows, self.parts, self.seq = KEYS[name], {}, [], None

    def snapshot(self, frame):
        if frame["part"] == 0:
            self.parts = []
        self.parts += frame["items"]
        if not frame["last"]:
            return False
        self.rows = {row[self.key]: row for row in self.parts}
        self.seq = frame["seq"]
        return True

    def delta(self, frame):
        """False where rows are missing: subscribe anew."""
        if self.seq is None or frame["from"] > self.seq:
            return False
        if frame["seq"] > self.seq:
            for op in frame["ops"]:
                if op["op"] == "put":
                    self.rows[op["v"][self.key]] = op["v"]
                else:
                    self.rows.pop(op["key"], None)
            self.seq = frame["seq"]
        return True


async def main(base, app):
    token = os.environ["ARCHY_TOKEN"]
    streams = {name: Stream(name) for name in ("apps", "ops")}
    address = base.replace("http", "ws", 1) + "/api/v1/ws"
    headers = {"Authorization": "Bearer " + token}
    # The name of this argument changed with version 14 of the package.
    modern = int(websockets.__version__.split(".")[0]) >= 14
    named = {"additional_headers" if modern else "extra_headers": headers}
    async with websockets.connect(address, subprotocols=["archy.v1.json"], **named) as socket:

        async def say(frame):
            await socket.send(json.dumps(frame))

        await say({"t": "sub", "ref": 1, "streams": [{"stream": name} for name in streams]})
        wanted = command(base, token, {"command": "install", "app": app})["op_id"] if app else None
        async for text in socket:
            frame = json.loads(text)
            kind = frame["t"]
            if kind == "bye":
                sys.exit(f"closed: {frame['reason']} ({frame['code']})")
            if kind not in ("snapshot", "delta"):
                continue
            stream = streams[frame["stream"]]
            if kind == "snapshot":
                whole = stream.snapshot(frame)
            else:
                whole = stream.delta(frame)
                if not whole:
                    await say({"t": "sub", "ref": 2, "streams": [{"stream": frame["stream"]}]})
            if not whole:
                continue
            if frame["stream"] == "apps":
                for row in stream.rows.values():
                    print(row["id"], row["phase"], flush=True)
            elif wanted in stream.rows:
                op = stream.rows[wanted]
                print("install", op["state"], flush=True)
                if op["state"] in ("failed", "cancelled", "interrupted"):
                    return 1
            # Streams are apart: the row of the app may come before or after that of the operation.
            done = streams["ops"].rows.get(wanted, {}).get("state") == "succeeded"
            if done and streams["apps"].rows.get(app, {}).get("phase") == "running":
                return 0
            # After it was shown: the node sends the next frame of this stream only now.
            await say({"t": "ack", "stream": frame["stream"], "seq": frame["seq"]})


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else None)))
