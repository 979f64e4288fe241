"""A bot that counts working days. "workdays 2027-03-01 2027-04-01" and "today + 10" are answered at once; anything else
goes to the agent, which has the same calendar as tools.

Build it with `hearth build plugins/examples/python`, from the repository; more is in README.md beside src.
"""

import json
import re
from datetime import date, datetime, timezone

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.toolbox import Tool, ToolError, ToolErrorKind, ToolOutput
from wit_world.imports import settings
from wit_world.imports.types import (
    BotError,
    Cause,
    Decision,
    Decision_Ask,
    Decision_Reply,
    Description,
    Event,
    Outcome,
    Outcome_Completed,
    Part,
    Part_Markdown,
    Prompt,
)

from working_calendar import Calendar, Problem

HELP = """\
Say `workdays 2027-03-01 2027-04-01` for the working days between two dates, or `today + 10` for the date ten working \
days from now; `2027-03-01 - 5` counts backwards. Or ask me in your own words."""

SETTINGS = {
    "type": "object",
    "properties": {
        "holidays": {"type": "array", "items": {"type": "string", "format": "date"}},
        "weekend": {
            "type": "array",
            "items": {"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
            "maxItems": 6,
        },
    },
    "additionalProperties": False,
}

# As people write it in front of a reckoning. "GPT-4" and "COVID-19" are none, and go to the agent.
DATE = r"(today|\d{4}-\d\d?-\d\d?)"
WORKDAYS = re.compile(rf"workdays\s+{DATE}\s+(?:to\s+|until\s+)?{DATE}", re.IGNORECASE)
SHIFTED = re.compile(rf"{DATE}\s*([+-])\s*(\d+)(?:\s*(?:work|working )?days?)?", re.IGNORECASE)

DAY = {"type": "string", "description": "A date such as 2027-03-01, or `today` (in UTC)."}


def schema(**properties: object) -> str:
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


class Handler(exports.Handler):
    def describe(self) -> Description:
        return Description("workdays", "1.0.0", [], json.dumps(SETTINGS), [])

    def on_message(self, event: Event) -> Decision:
        text = event.message.text
        if text == "" or text.lower() == "help":
            return reply(HELP)
        try:
            calendar, today = configured(), day_of(event.received_at)
        except Problem as problem:
            raise Err(BotError(str(problem), [])) from problem
        try:
            if asked := WORKDAYS.fullmatch(text):
                return reply(between(calendar, read(asked[1], today), read(asked[2], today)))
            if asked := SHIFTED.fullmatch(text):
                start, days = read(asked[1], today), int(asked[2] + asked[3])
                return reply(f"{spoken(calendar.add(start, days))}.")
        except Problem as problem:
            return reply(str(problem))
        return Decision_Ask(Prompt(f"{event.user.name} says: {text}", None, None, []))

    def format_reply(self, event: Event, outcome: Outcome) -> list[Part]:
        answered = isinstance(outcome, Outcome_Completed)
        return [Part_Markdown(outcome.value.text if answered else outcome.value.sentence)]


class Toolbox(exports.Toolbox):
    def list_tools(self) -> list[Tool]:
        return [
            Tool(
                "count_workdays",
                "Counts the working days from one date up to, and without, another. Knows weekends and this team's "
                "holidays. Answers JSON.",
                schema(start=DAY, end=DAY),
                True,
                [],
            ),
            Tool(
                "add_workdays",
                "The date so many working days after a date, or before it if `days` is negative. Knows weekends and "
                "this team's holidays. Answers JSON.",
                schema(start=DAY, days={"type": "integer", "description": "How many; at most 10,000 either way."}),
                True,
                [],
            ),
        ]

    def call_tool(self, cause: Cause, name: str, input: str) -> ToolOutput:
        asked, today = json.loads(input), day_of(cause.value.received_at)
        try:
            calendar = configured()
        except Problem as problem:
            raise Err(ToolError(ToolErrorKind.FAILED, str(problem), [])) from problem
        try:
            match name:
                case "count_workdays":
                    days = calendar.count(read(asked["start"], today), read(asked["end"], today))
                    answer = {"workdays": days}
                case "add_workdays":
                    day = calendar.add(read(asked["start"], today), asked["days"])
                    answer = {"date": day.isoformat(), "weekday": day.strftime("%A")}
                case _:
                    raise Err(ToolError(ToolErrorKind.NOT_FOUND, f"There is no tool {name!r}.", []))
        except Problem as problem:
            raise Err(ToolError(ToolErrorKind.INVALID_INPUT, str(problem), [])) from problem
        return ToolOutput(json.dumps(answer), [])


def configured() -> Calendar:
    """The calendar of `[bots.<name>.settings]`; raises a `Problem` if those have a date that is none."""
    try:
        return Calendar(**json.loads(settings.get()))
    except Problem as problem:
        raise Problem(f"In the settings, {problem}") from problem


def day_of(received_at: int) -> date:
    return datetime.fromtimestamp(received_at / 1000, timezone.utc).date()


def read(word: str, today: date) -> date:
    if word.lower() == "today":
        return today
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise Problem(f"{word!r} is no date; write one as 2027-03-01, or `today`.") from None


def between(calendar: Calendar, start: date, end: date) -> str:
    days = calendar.count(start, end)
    return f"{days} working day{'' if days == 1 else 's'} from {spoken(start)} up to {spoken(end)}."


def spoken(day: date) -> str:
    return f"{day:%A}, {day.isoformat()}"


def reply(markdown: str) -> Decision:
    return Decision_Reply([Part_Markdown(markdown)])
