"""`make diff-mcp`: let an assistant ask what a change does, by three tools that only read.

Run as `python -m scripts.diff.mcp [FOLDER]`: an MCP client starts it and talks to it over standard
input and output. FOLDER is where `make diff DIFF=--output=FOLDER` has written its report; a report
that is made anew is read anew. Nothing else is read, nothing is written, and no network is asked
once the SDK's packages are there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.core.findings import execute, interruptible, progress
from scripts.diff.mcp.report_file import ReportFile
from scripts.diff.mcp.tools import INSTRUCTIONS, TOOLS, call
from scripts.tools import packages

NAME = "make-diff"


async def serve(file: ReportFile) -> None:
    """Answer until the client closes standard input; the SDK must be on `sys.path`."""
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    only_reads = types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    listed = [
        types.Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.schema,
            annotations=only_reads,
        )
        for tool in TOOLS.values()
    ]

    async def list_tools(_context: Any, _parameters: Any) -> Any:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_context: Any, parameters: Any) -> Any:
        text, wrong = call(file, parameters.name, parameters.arguments or {})
        return types.CallToolResult(content=[types.TextContent(text=text)], is_error=wrong)

    server: Any = Server(
        NAME, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the client ends it; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.diff.mcp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=tools.ROOT / "build/diff", help="of report.json"
    )
    folder = parser.parse_args(arguments).folder.resolve()
    # At the end: what this project has itself comes first.
    sys.path.append(str(packages.mcp_sdk()))
    if sys.stdin.isatty():
        progress("an MCP client starts this, and talks to it here; Ctrl+C ends it")
    asyncio.run(serve(ReportFile(folder)))
    return 0


if __name__ == "__main__":
    execute(lambda: interruptible(main, "ended"))
