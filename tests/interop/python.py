"""What the official Python SDK makes of the server: told in one line of JSON. Its argument says how to reach it."""
import asyncio
import json
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

how = json.loads(sys.argv[1])


def server():
    if "url" in how:
        http = httpx2.AsyncClient(headers={"Authorization": "Bearer " + how["token"]}, timeout=30)
        return streamable_http_client(how["url"], http_client=http)
    program, *arguments = how["command"]
    return StdioServerParameters(command=program, args=arguments)


async def main():
    progress = []

    async def moved(now, total, message):
        progress.append(message)

    async with Client(server(), mode=how["mode"], read_timeout_seconds=30) as client:
        tools = await client.list_tools()
        tail = await client.call_tool("log-tail", {"service": "web", "lines": 2})
        slow = await client.call_tool("test-sh", {"name": "slow"}, progress_callback=moved)
        denied = await client.call_tool("log-tail", {"service": "elsewhere"})
        share = await client.read_resource("openscope://share")
        print(
            json.dumps(
                {
                    "tools": [tool.name for tool in tools.tools],
                    "stdout": tail.structured_content["stdout"],
                    "text": tail.content[0].text,
                    "slow": slow.structured_content["stdout"],
                    "progress": [message for message in progress if message],
                    "denied": denied.is_error,
                    "share": json.loads(share.contents[0].text)["schema"],
                }
            )
        )


asyncio.run(main())
