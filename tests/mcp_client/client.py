"""Ask an MCP server with the reference client of the protocol, PyPI's `mcp`.

Standard input has `server`, an entry as clients have it in their configuration, and `calls`, pairs
of a tool and its arguments. Standard output has the server's tools and the answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


def transport(entry: dict[str, Any]) -> Any:
    if "command" in entry:
        return StdioServerParameters(**entry)
    client = create_mcp_http_client(headers=entry["headers"])
    return streamable_http_client(entry["url"], http_client=client)


async def ask(entry: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    async with Client(transport(entry)) as client:
        listed = await client.list_tools()
        tools = [tool.model_dump(mode="json", by_alias=True) for tool in listed.tools]
        answers = []
        for name, arguments in calls:
            try:
                result = await client.call_tool(name, arguments)
            except Exception as error:
                answers.append({"isError": True, "content": [{"type": "text", "text": str(error)}]})
            else:
                answers.append(result.model_dump(mode="json", by_alias=True))
    return {"tools": tools, "answers": answers}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(asyncio.run(ask(given["server"], given["calls"])), sys.stdout)
