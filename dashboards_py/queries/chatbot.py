"""The chatbot: requests to its routes, and log lines about calls to model providers.

The application exports no metric of its model calls. But httpx, which the SDKs of the providers
use, logs a line for each request, and failures are logged as errors.
"""

from __future__ import annotations

import attrs

from dashboards_py import logql
from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries.lines import ERROR_LEVELS, SIDECAR, WARNING_LEVEL
from dashboards_py.queries.matchers import APP, NAMESPACE
from dashboards_py.queries.traffic import ACCESS_LOG, SERVER_ERROR
from dashboards_py.query import Matcher, Query, regex

# Route templates of base/application; only the access log counts requests by these.
CHAT = regex(".*/chat(/.*)?")
CONVERSATIONS = regex(".*/conversations(/.*)?")

_PROVIDERS = "|".join(
    (
        r"openai\.com",
        r"openai\.azure\.com",
        r"generativelanguage\.googleapis\.com",
        r"anthropic\.com",
        r"groq\.com",
        r"openrouter\.ai",
        r"mistral\.ai",
        r"cohere\.(com|ai)",
        r"deepseek\.com",
    )
)
# A plain text filter first: Loki is much faster with it than with a regular expression.
_REQUEST = "HTTP Request: POST"
_ANSWER = rf'https?://[^ ]*({_PROVIDERS})[^ ]* "HTTP/[0-9.]+ '
# Without level info: most lines are access lines, which have that level.
_TROUBLE_LEVELS = f"{WARNING_LEVEL}|{ERROR_LEVELS}"
_LIMITS = r"rate.?limit|too many requests|resource.?exhausted|\bquota|(code|status)\W{1,3}429\b"
# A provider, then a failure, also on different lines of a traceback.
_UNREACHABLE = (
    r"(?s:(openai|gemini|anthropic|groq|litellm|\bllm|\bmodel\b|completion).*"
    r"(time.?d? ?out|deadline|overloaded|unavailable|connection ?(error|reset|refused)))"
)
_CHAT = r"\bchat\b|conversation|\bagents?\b|openai|gemini|anthropic|groq|litellm"
_TOOLS = r"\bmcp\b|\btools?\b|function.?call"


def chat_rate(*by: str) -> Vector:
    """Requests per second to the chat route."""
    return _requests(CHAT).sum(*by)


def chat_error_share() -> Vector:
    """Share of chat requests answered with 5xx; no result without chat requests."""
    total = chat_rate("app")
    failed = _requests(CHAT, status_class=SERVER_ERROR).sum("app").or_zero_for(total)
    return failed.ratio_to(total.where("> 0"))


def chat_share_of_all() -> Vector:
    """Share of all requests that are chat requests."""
    return chat_rate().ratio_to(_requests(regex(".+")).sum().where("> 0"))


def conversation_rate() -> Vector:
    """Requests per second to the routes that read and delete conversations."""
    return _requests(CONVERSATIONS).sum("method", "route")


def model_calls_answered() -> Query:
    """Requests to a model provider that were answered, in each step of the graph."""
    return _calls("2").count()


def model_calls_limited() -> Query:
    """Requests to a model provider that were refused by a rate limit or quota."""
    return _calls("429").count()


def model_calls_failed() -> Query:
    """Requests to a model provider that failed for another reason."""
    return _calls("(40|41|42[0-8]|5)").count()


def model_calls_in_range() -> Query:
    """Requests to model providers in the whole time range."""
    return _calls("").count(over=logql.WHOLE_RANGE)


def limits() -> Query:
    """Lines about a rate limit or quota, in each step of the graph."""
    return _lines(_TROUBLE_LEVELS).containing(_LIMITS).count("app")


def model_calls_limited_share() -> Query:
    """Share of the requests to model providers that were refused by a limit, in the whole range."""
    return _share_of_calls(_calls("429").count(over=logql.WHOLE_RANGE))


def unreachable() -> Query:
    """Lines about a model provider that is unreachable or too slow, in each step of the graph."""
    return _lines(_TROUBLE_LEVELS).containing(_UNREACHABLE).count("app")


def unreachable_share() -> Query:
    """Lines about a provider that is unreachable or too slow, for each model call, in the range."""
    lines = _lines(_TROUBLE_LEVELS).containing(_UNREACHABLE).count(over=logql.WHOLE_RANGE)
    return _share_of_calls(lines)


def model_trouble() -> Query:
    """The lines about limits, and about providers that are unreachable."""
    return _lines(_TROUBLE_LEVELS).containing(f"{_LIMITS}|{_UNREACHABLE}").lines()


def chat_errors() -> Query:
    """Error lines that name the chat or a provider, in each step of the graph."""
    return _lines(ERROR_LEVELS).containing(_CHAT).count("app")


def chat_error_lines() -> Query:
    """Error lines that name the chat, a provider or a tool."""
    return _lines(ERROR_LEVELS).containing(f"{_CHAT}|{_TOOLS}").lines()


def tool_errors() -> Query:
    """Error lines that name MCP or a tool, in each step of the graph."""
    return _lines(ERROR_LEVELS).containing(_TOOLS).count("app")


def _requests(route: Matcher, **matchers: str) -> Vector:
    requests = m.HTTP_REQUESTS(
        namespace=NAMESPACE, app=APP, route=route, source=ACCESS_LOG, **matchers
    )
    return requests.value()


def _share_of_calls(some: Query) -> Query:
    return attrs.evolve(some, expr=f"{some.expr} / {model_calls_in_range().expr}")


def _calls(status: str) -> logql.Stream:
    return _lines().with_text(_REQUEST).containing(_ANSWER + status)


def _lines(levels: str = "") -> logql.Stream:
    """Lines of the application's own containers."""
    # Not those of Dapr's sidecars, whose lines name their app and would match; and not Kubernetes
    # events, which have no container.
    matchers: dict[str, str | Matcher] = {"app": APP, "container": Matcher("!~", f"|{SIDECAR}")}
    if levels:
        matchers["level"] = regex(levels)
    return logql.stream(NAMESPACE, **matchers)
