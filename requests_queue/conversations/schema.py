"""The types of conversations and messages in the OpenAPI document."""

from typing import Literal, Required, TypedDict


class ConversationCreate(TypedDict, total=False):
    """A new conversation about an object that has none."""

    instance_id: Required[str]
    topic: str
    type: Literal["conversation"]


class MessageCreate(TypedDict, total=False):
    """Something to say; private for the own account alone."""

    text: Required[str]
    type: Literal["message", "state_change", "private"]


class MessageUpdate(TypedDict, total=False):
    """The text, or who reads it, as it should have been."""

    text: str
    type: Literal["message", "private"]
