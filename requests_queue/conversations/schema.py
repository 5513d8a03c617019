"""The types of conversations and messages in the OpenAPI document."""

from typing import Literal, NotRequired, Required, TypedDict

from requests_queue.schema import AnyReference, Documented, Pictured, Stamp


class Said(TypedDict):
    """A moment, and whose; the platform's own is by nobody's account."""

    at: Stamp
    by: AnyReference


class SaidEvents(TypedDict):
    """The moments of a conversation or a message."""

    created: Said
    updated: NotRequired[Said]


class Message(TypedDict):
    """Something said."""

    id: str
    conversation: str
    created: Stamp
    creator: AnyReference
    text: str
    type: Literal["message", "state_change", "private"]
    events: SaidEvents
    account: NotRequired[Pictured]


class Conversation(TypedDict):
    """What is said about an object of a queue."""

    id: str
    instance_id: str
    topic: str
    type: str
    status: Literal["open", "closed"]
    accounts: list[Pictured]
    creator: AnyReference
    created: Stamp
    events: SaidEvents


class ConversationDetail(Conversation):
    """A conversation with its last 1,000 messages."""

    messages: list[Message]


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


CONVERSATIONS = Documented(
    "Conversations", "conversation", ConversationDetail, listed=Conversation,
    bodies={"create": ConversationCreate},
)  # fmt: skip
MESSAGES = Documented(
    "Conversations", "message", Message,
    bodies={"create": MessageCreate, "update": MessageUpdate},
)  # fmt: skip
