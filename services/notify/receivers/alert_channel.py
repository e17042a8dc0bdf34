"""What services that page people have in common: an incident is an alert there, opened and closed as it is here."""

from __future__ import annotations

from abc import ABC, abstractmethod

from services.notify.channel import EventChannel, MessageRef, NotAccepted
from services.notify.incident_event import AlertAction, IncidentEvent, actions_of
from services.notify.message import RenderedMessage


class AlertChannel(EventChannel, ABC):
    """Asks for what becomes of the alert of an incident, one call each; all of them can be repeated."""

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send what the notification asks for; nothing for news of an open incident that call nobody."""
        event, answer = self.event_of(message), ""
        for action in actions_of(event):
            try:
                answer = await self.ask(event, action)
            except NotAccepted as trouble:
                if event.kind == "test" and action == "resolve":
                    told = f"{trouble}; the alert {event.incident} stays open there: resolve it by hand"
                    raise NotAccepted(told, trouble.reach, trouble.after, trouble.slow) from trouble
                raise
        return MessageRef(answer=answer)

    @abstractmethod
    async def ask(self, event: IncidentEvent, action: AlertAction) -> str:
        """What was answered to one call.

        Raises:
            NotAccepted: if it was not accepted.
        """
