"""The chatbot: does it answer, and if not, is it the model, a limit, or a tool?"""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import bad_from, outcome_colours, status_colours
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link, panel_link
from dashboards_py.panels import logs, show, stacked_bars, stat, timeseries
from dashboards_py.queries import chatbot
from dashboards_py.units import COUNT, REQUESTS_PER_SECOND, SHARE
from dashboards_py.variables import app_variable, namespace_variable

NO_CHAT = "no chat request"
NO_CALL = "no line about a request to a model provider"
NO_LIMIT = "no line about a limit"
NO_TROUBLE = "no line about a provider out of reach"
NO_ERROR = "no error line"

# Reasons of `allow_empty`.
WITHIN_LIMITS = "the model provider refuses nothing"
IN_REACH = "the model provider answers in time"
NO_FAULT = "nothing fails"

SAME_LINES = data_link(
    "All lines of ${__field.labels.app}", "todo-logs", "namespace", app="${__field.labels.app}"
)
ERROR_LINES = data_link(
    "Error lines of ${__field.labels.app}",
    "todo-logs",
    "namespace",
    app="${__field.labels.app}",
    level="error",
)
OBJECTIVE = data_link("What it costs the objective", "todo-slo")
OUTCOMES, TROUBLE = "Model calls by outcome", "Limits, and providers out of reach"
CALLS = panel_link("When", "todo-chatbot", OUTCOMES, "namespace", "app")
SILENT = panel_link("What the provider said", "todo-chatbot", TROUBLE, "namespace", "app")
MODEL_LINES = data_link("Lines about calls", "todo-logs", "namespace", "app", search="HTTP Request")
API = data_link("All routes", "todo-api", "namespace", "app", source="access_log")

now = row(
    stat(
        "Chat requests",
        show(chatbot.chat_rate(), "requests"),
        description="Is anybody chatting? Mean of five minutes, by the access log.",
        unit=REQUESTS_PER_SECOND,
        links=[API],
        no_value=NO_CHAT,
    ),
    stat(
        "Chat requests failing",
        show(chatbot.chat_error_share(), "{{app}}"),
        description="Does the chatbot answer? Share of chat requests answered with 5xx. An answer "
        "that apologises is a 200: whether it is a good one cannot be seen from outside.",
        unit=SHARE,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[OBJECTIVE],
        no_value=NO_CHAT,
    ),
    stat(
        "Model calls",
        show(chatbot.model_calls_in_range(), "calls"),
        description="Does the backend ask its model? Lines of httpx in the time range, which tell "
        "of each request to a provider. Tokens, cost and the model's name are in no log and no "
        "metric of the application.",
        unit=COUNT,
        width=4,
        links=[CALLS],
        no_value=NO_CALL,
    ),
    stat(
        "Calls limited",
        show(chatbot.model_calls_limited_share(), "limited", allow_empty=WITHIN_LIMITS),
        description="Does the provider refuse? Share of the model calls in the time range that a "
        "rate limit or quota refused, with status 429; the client tries a few of them again.",
        unit=SHARE,
        width=4,
        thresholds=bad_from(warning=0.05, critical=0.2),
        links=[CALLS],
        no_value="no call was limited",
    ),
    stat(
        "Out of reach",
        show(chatbot.unreachable_share(), "lines", allow_empty=IN_REACH),
        description="Does the provider answer? Lines in the time range that name a model or "
        "provider and a timeout, an overload or a broken connection, for each model call.",
        unit=SHARE,
        links=[SILENT],
        thresholds=bad_from(warning=0.1, critical=0.5),
        no_value=NO_TROUBLE,
    ),
    height=4,
)

route = row(
    timeseries(
        "Chat requests by status class",
        show(chatbot.chat_rate("status_class"), "{{status_class}}"),
        description="How are chats answered? Mean of five minutes, by the access log, which has no "
        "durations: how long people wait is not known, unless an ingress routes /chat by itself.",
        unit=REQUESTS_PER_SECOND,
        colours=status_colours(),
        links=[API],
        no_value=NO_CHAT,
    ),
    timeseries(
        "Failing chat requests",
        show(chatbot.chat_error_share(), "{{app}}"),
        description="Since when does it fail? Share answered with 5xx; nothing is drawn while "
        "nobody chats.",
        unit=SHARE,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[ERROR_LINES, OBJECTIVE],
        no_value=NO_CHAT,
    ),
    timeseries(
        "Share of all requests",
        show(chatbot.chat_share_of_all(), "chat"),
        description="How much of the traffic is chat? Each chat request costs seconds and money; a "
        "sudden rise may be a script.",
        unit=SHARE,
        width=6,
        links=[API],
        no_value=NO_CHAT,
    ),
    timeseries(
        "Conversations",
        show(chatbot.conversation_rate(), "{{method}} {{route}}"),
        description="Do people read and delete conversations? Routes of the API beside the chat.",
        unit=REQUESTS_PER_SECOND,
        width=6,
        links=[API],
        no_value="no request for a conversation",
    ),
    title="Chat",
)

model = row(
    stacked_bars(
        OUTCOMES,
        show(chatbot.model_calls_answered(), "answered"),
        show(chatbot.model_calls_limited(), "limited", allow_empty=WITHIN_LIMITS),
        show(chatbot.model_calls_failed(), "failed", allow_empty=IN_REACH),
        description="What do providers answer? Lines of httpx in each bar. A call that never got "
        "an answer is in none: see the provider out of reach. Nothing where httpx logs nothing "
        "below level warning.",
        colours=outcome_colours(),
        links=[MODEL_LINES],
        no_value=NO_CALL,
    ),
    stacked_bars(
        "Limits by app",
        show(chatbot.limits(), "{{app}}", allow_empty=WITHIN_LIMITS),
        description="Who runs into a rate limit or quota? Lines in each bar; one refusal may write "
        "several.",
        links=[SAME_LINES],
        no_value=NO_LIMIT,
    ),
    stacked_bars(
        "Out of reach by app",
        show(chatbot.unreachable(), "{{app}}", allow_empty=IN_REACH),
        description="Who waits in vain for a provider? Lines in each bar.",
        links=[SAME_LINES],
        no_value=NO_TROUBLE,
    ),
    title="Why not: the model, as the log tells it",
)

agent = row(
    stacked_bars(
        "Errors around the chat",
        show(chatbot.chat_errors(), "{{app}}", allow_empty=NO_FAULT),
        description="Does the chat's own code fail? Error lines that name the chat, a "
        "conversation, an agent or a provider, in each bar.",
        width=6,
        links=[ERROR_LINES],
        no_value=NO_ERROR,
    ),
    stacked_bars(
        "Errors of tools",
        show(chatbot.tool_errors(), "{{app}}", allow_empty=NO_FAULT),
        description="Can the chatbot act? Error lines that name MCP or a tool, in each bar. What a "
        "tool was asked to do, and whether the model chose the right one, is not known.",
        width=6,
        links=[ERROR_LINES],
        no_value=NO_ERROR,
    ),
    logs(
        "Errors of chat and tools",
        chatbot.chat_error_lines(),
        description="What exactly failed?",
        empty="no such error in this time range",
        allow_empty=NO_FAULT,
    ),
    height=9,
    title="Why not: chat and tools",
)

trouble = row(
    logs(
        TROUBLE,
        chatbot.model_trouble(),
        description="What exactly did the provider say?",
        empty="no such line in this time range",
        allow_empty=f"{WITHIN_LIMITS}, and {IN_REACH}",
    ),
    height=9,
)

DASHBOARD = dashboard(
    uid="todo-chatbot",
    title="Todo chatbot",
    description="Does the chatbot answer, and if not, is it the model, a limit or a tool?",
    folder=Folder.TODO,
    variables=[namespace_variable(), app_variable()],
    annotations=rollouts_and_alerts(),
    rows=[now, route, model, agent, trouble],
)
