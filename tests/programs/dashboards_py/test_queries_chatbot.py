"""The filters of the chatbot's log queries match the lines that they are for, and no others."""

from __future__ import annotations

import re

import pytest

from dashboards_py.queries import chatbot
from dashboards_py.query import Query


def matches(query: Query, line: str) -> bool:
    """Whether a line passes all line filters of a LogQL query."""
    return all(re.search(pattern, line) for pattern in re.findall(r"\|~ `([^`]*)`", query.expr))


OPENAI = 'INFO:httpx:HTTP Request: POST https://api.openai.com/v1/chat/completions "HTTP/1.1 {}"'
GEMINI = (
    "2026-03-02 10:00:00,000 - httpx - INFO - HTTP Request: POST https://generativelanguage"
    '.googleapis.com/v1beta/openai/chat/completions "HTTP/1.1 {}"'
)


@pytest.mark.parametrize("call", [OPENAI, GEMINI])
def test_a_model_call_has_one_outcome(call: str) -> None:
    outcomes = {
        "200 OK": chatbot.model_calls_answered(),
        "429 Too Many Requests": chatbot.model_calls_limited(),
        "401 Unauthorized": chatbot.model_calls_failed(),
        "503 Service Unavailable": chatbot.model_calls_failed(),
    }
    for status in outcomes:
        line = call.format(status)
        assert matches(chatbot.model_calls_in_range(), line)
        found = [q.expr for q in dict.fromkeys(outcomes.values()) if matches(q, line)]
        assert found == [outcomes[status].expr]
    other = OPENAI.format("200 OK").replace("api.openai.com", "neon.tech")
    assert not matches(chatbot.model_calls_in_range(), other)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        (
            chatbot.limits(),
            "openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
        ),
        (chatbot.limits(), "google.api_core.exceptions.ResourceExhausted: RESOURCE_EXHAUSTED"),
        (chatbot.limits(), 'INFO: 10.0.0.1:1 - "POST /api/u/chat HTTP/1.1" 429 Too Many Requests'),
        (chatbot.unreachable(), "openai.APITimeoutError: Request timed out."),
        (chatbot.unreachable(), "ERROR: the model is overloaded"),
        (chatbot.unreachable(), "Traceback\n  File openai/_base_client.py\nhttpx.ReadTimeout"),
        (chatbot.tool_errors(), "ERROR:mcp.server:Tool add_task failed"),
        (chatbot.chat_errors(), "ERROR:app.routes.chat:Error in chat endpoint"),
        (chatbot.model_trouble(), "groq.APIConnectionError: Connection error."),
    ],
)
def test_trouble_with_the_model_is_recognised(query: Query, line: str) -> None:
    assert matches(query, line)


@pytest.mark.parametrize(
    "line",
    [
        'INFO:     10.0.0.1:42912 - "GET /api/user-0123456789ab/tasks/429 HTTP/1.1" 200 OK',
        "ERROR: could not connect to the database of todo-ai-chatbot-backend",
        OPENAI.format("200 OK"),
    ],
)
def test_other_lines_are_no_trouble_with_the_model(line: str) -> None:
    trouble = [chatbot.limits(), chatbot.unreachable(), chatbot.model_trouble()]
    trouble += [chatbot.tool_errors()]
    assert [query.expr for query in trouble if matches(query, line)] == []


def test_the_chatbots_lines_are_the_applications_own() -> None:
    """Each line of a sidecar names its app, and so a chat; events name pods."""
    assert 'container!~"|daprd"' in chatbot.chat_error_lines().expr
