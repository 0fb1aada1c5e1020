"""A WebSocket server, and a client of one, that do as they are told.

socket.py serve PORT     by path: echoes; /bye closes; /cut ends without a word; /refuse answers 404; /first speaks at once
socket.py echo URL N     sends a text and N bytes, and says what came back; then closes as it should
socket.py hear URL       says each message, and how the connection ended
"""
import asyncio
import hashlib
import http
import logging
import os
import sys

import websockets

BIG = 1 << 24


async def serve(port):
    async def talk(socket, path):
        fields = {name.lower(): value for name, value in socket.request_headers.raw_items()}
        told(f"open {path} host={fields.get('host')} origin={fields.get('origin')} "
             f"token={fields.get('authorization')} other={fields.get('x-other')}")
        try:
            if path.endswith("/bye"):
                await socket.send("last words")
                await socket.close(4001, "enough")
            elif path.endswith("/cut"):
                await socket.send("half")
                socket.transport.abort()
            elif path.endswith("/first"):
                await socket.send("first")
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            await asyncio.sleep(0)
            told(f"closed {path} {socket.close_code}")

    async def refuse(path, fields):
        if path.endswith("/refuse"):
            return http.HTTPStatus.NOT_FOUND, [("Content-Type", "text/plain")], b"no socket here\n"
        if path.endswith("/plain"):
            told(f"plain {path} upgrade={fields.get('upgrade')}")
            return http.HTTPStatus.OK, [], b"plain\n"
        return None

    async with websockets.serve(
        talk, "127.0.0.1", port, process_request=refuse, max_size=BIG, subprotocols=["chat.v2"]
    ):
        await asyncio.Future()


def told(line):
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def options(arguments):
    fields = [pair.split("=", 1) for pair in arguments]
    origin = dict(fields).get("origin")
    return {
        "max_size": BIG,
        "origin": origin,
        "subprotocols": ["chat.v1", "chat.v2"],
        "extra_headers": [("X-Other", "2")],
    }


async def echo(url, length, *more):
    async with websockets.connect(url, **options(more)) as socket:
        print("protocol", socket.subprotocol, flush=True)
        print("compressed", bool(socket.extensions), flush=True)
        await socket.send("grüße")
        print("text", await socket.recv(), flush=True)
        sent = os.urandom(int(length))
        await socket.send(sent)
        back = await socket.recv()
        print("bytes", len(back), hashlib.sha256(back).digest() == hashlib.sha256(sent).digest(), flush=True)
    print("closed", socket.close_code, flush=True)


async def hear(url, *more):
    try:
        async with websockets.connect(url, **options(more)) as socket:
            print("open", flush=True)
            try:
                async for message in socket:
                    print("heard", message, flush=True)
            except websockets.ConnectionClosed:
                pass
            print("ended", socket.close_code, socket.close_reason, flush=True)
    except websockets.InvalidStatusCode as fault:
        print("refused", fault.status_code, flush=True)


if __name__ == "__main__":
    logging.getLogger("websockets").addHandler(logging.NullHandler())
    command, *rest = sys.argv[1:]
    asyncio.run({"serve": serve, "echo": echo, "hear": hear}[command](*rest))
