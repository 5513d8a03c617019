"""Extensions that checks judge: VARIANT in the environment names one, by default the right one."""

import os
import threading
import uuid

from connect.client import ClientError
from connect.eaas.core.decorators import event, schedulable
from connect.eaas.core.extension import EventsApplicationBase
from connect.eaas.core.responses import BackgroundResponse, ScheduledExecutionResponse

PENDING = ["pending"]
_lock = threading.Lock()
_seen = set()
_steps = {}


class Reference(EventsApplicationBase):
    """It approves orders, and opens a case each time its schedule says so, unless there is one."""

    @event("asset_purchase_request_processing", statuses=PENDING)
    def purchase(self, request):
        return self.process(request)

    @event("asset_change_request_processing", statuses=PENDING)
    def change(self, request):
        return self.process(request)

    @event("asset_cancel_request_processing", statuses=PENDING)
    def cancel(self, request):
        return self.process(request)

    @schedulable("Open a case", "Opens a case for a schedule, once.")
    def open_case(self, schedule):
        with _lock:
            subject = f"Report for {schedule['id']}"
            if not self.has_case(subject):
                owner = self.client.marketplaces.all().first()["owner"]["id"]
                body = {"type": "technical", "subject": subject, "description": "Please look."}
                self.client("helpdesk").cases.create(
                    {**body, "receiver": {"account": {"id": owner}}}
                )
        return ScheduledExecutionResponse.done()

    def has_case(self, subject):
        return any(case["subject"] == subject for case in self.client("helpdesk").cases.all())

    @property
    def connect(self):
        """The client of the account that has installed the extension."""
        return self.installation_client if self.installation else self.client

    def process(self, request):
        if request["status"] != "pending":
            return BackgroundResponse.skip(f"The request is {request['status']}.")
        self.approve(request)
        return BackgroundResponse.done()

    def approve(self, request):
        call = self.connect.requests[request["id"]]
        empty = [
            {"id": each["id"], "value": self.value(request, each)}
            for each in request["asset"]["params"]
            if each["phase"] == "fulfillment" and self.is_empty(each)
        ]
        if empty:
            call.update({"asset": {"params": empty}})
        call("approve").post({"template_id": request["template"]["id"]})

    def value(self, request, parameter):
        return f"{parameter['id']}-{request['id']}"

    def is_empty(self, parameter):
        return not parameter.get("value")


class WaitsForADay(Reference):
    """It looks again after countdowns that grow, until a day has passed: that is right."""

    def process(self, request):
        step = _steps.get(request["id"], 0)
        _steps[request["id"]] = step + 1
        countdowns = (30, 300, 1800, 3600, 4 * 3600, 18 * 3600)
        if step < len(countdowns):
            return BackgroundResponse.reschedule(countdowns[step])
        return super().process(request)


class FailsItsTask(Reference):
    """It gives up after an error of the API."""

    def process(self, request):
        try:
            return super().process(request)
        except ClientError as error:
            return BackgroundResponse.fail(str(error))


class SkipsWhatItHasSeen(Reference):
    """It takes a task that is sent again for a repetition."""

    def process(self, request):
        if request["id"] in _seen:
            return BackgroundResponse.skip("It was processed before.")
        _seen.add(request["id"])
        return super().process(request)


class ReschedulesForEver(Reference):
    """It waits again and again once something has failed."""

    def process(self, request):
        if request["id"] in _seen:
            return BackgroundResponse.reschedule(600)
        try:
            return super().process(request)
        except ClientError:
            _seen.add(request["id"])
            return BackgroundResponse.reschedule(600)


class ApprovesBlindly(Reference):
    """It doesn't look at the status of the request that it gets."""

    def process(self, request):
        self.approve(request)
        return BackgroundResponse.done()


class MakesNewValues(Reference):
    """It fills parameters in each run, with another value."""

    def value(self, request, parameter):
        return str(uuid.uuid4())

    def is_empty(self, parameter):
        return True


class OpensACaseEachTime(Reference):
    """It doesn't look for a case that it has opened."""

    def has_case(self, subject):
        return False


class ActsForItself(Reference):
    """It uses its own key for tasks of installations."""

    @property
    def connect(self):
        return self.client


class SkipsWhileItWorks(Reference):
    """It skips a task while another one is processed."""

    def process(self, request):
        if not _lock.acquire(blocking=False):
            return BackgroundResponse.skip("Busy.")
        try:
            return super().process(request)
        finally:
            _lock.release()


class RepeatsWhatIsRefused(Reference):
    """It approves again at once until nothing is refused."""

    def approve(self, request):
        while True:
            try:
                return super().approve(request)
            except ClientError as error:
                if error.status_code != 400:
                    raise


_VARIANTS = {each.__name__: each for each in (Reference, *Reference.__subclasses__())}
Extension = _VARIANTS[os.environ.get("VARIANT", "Reference")]
