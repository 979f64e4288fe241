"""Answers "ping" by itself, and has the agent answer everything else."""

from wit_world import exports
from wit_world.imports.types import (
    Decision,
    Decision_Ask,
    Decision_Reply,
    Description,
    Event,
    Outcome,
    Outcome_Completed,
    Part,
    Part_Markdown,
    Part_Text,
    Prompt,
)

from answers import answer


class Handler(exports.Handler):
    def describe(self) -> Description:
        return Description("@BOT@", "1.0.0", [], None, [])

    def on_message(self, event: Event) -> Decision:
        said = answer(event.message.text)
        if said is not None:
            return Decision_Reply([Part_Text(said)])
        return Decision_Ask(Prompt(f"{event.user.name} says: {event.message.text}", None, None, []))

    def format_reply(self, event: Event, outcome: Outcome) -> list[Part]:
        answered = isinstance(outcome, Outcome_Completed)
        return [Part_Markdown(outcome.value.text if answered else outcome.value.sentence)]
