"""What relabel promises and servers cannot keep, in sentences for whoever begins a run. Knows nothing else."""

from __future__ import annotations

OF_ALL = (
    "which weights answer is known by the name of the model alone",
    "a row's text may depend on its batch, on which server wrote it, and on the server's version",
    "a row that a server computed and could not answer is computed again",
    "prompts leave this machine",
)
OF_CHATS = (
    "prompts are made by the server's chat template: preview shows that of model.path",
    "a control token that a row spells out may act as one",
    "texts are checked afterwards, and held to nothing but a JSON schema as far as the server does so",
    "there are no probabilities",
    "a seed is a wish",
)


def not_kept(api: str) -> tuple[str, ...]:
    """The promises that servers of this kind do not keep."""
    return (*OF_ALL, *OF_CHATS) if api == "chat" else OF_ALL
