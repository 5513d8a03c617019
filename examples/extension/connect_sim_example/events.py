"""What the extension does with requests: fill the parameters that are empty, and approve."""

from connect.eaas.core.decorators import event, variables
from connect.eaas.core.extension import EventsApplicationBase
from connect.eaas.core.responses import BackgroundResponse


@variables([{"name": "ACTIVATION_PREFIX", "initial_value": "ACT", "secure": False}])
class Approvals(EventsApplicationBase):
    """Approves orders, changes and cancellations of subscriptions."""

    @event("asset_purchase_request_processing", statuses=["pending"])
    def purchase(self, request):
        return self.approve(request)

    @event("asset_change_request_processing", statuses=["pending"])
    def change(self, request):
        return self.approve(request)

    @event("asset_cancel_request_processing", statuses=["pending"])
    def cancel(self, request):
        return self.approve(request)

    def approve(self, request):
        """Approve a request; what an earlier run has filled stays as it is."""
        if request["status"] != "pending":
            # Somebody else was faster.
            return BackgroundResponse.skip()
        call = self.client.requests[request["id"]]
        value = f"{self.config['ACTIVATION_PREFIX']}-{request['id']}"
        empty = [
            {"id": each["id"], "value": value}
            for each in request["asset"]["params"]
            if each["phase"] == "fulfillment" and not each.get("value")
        ]
        if empty:
            call.update({"asset": {"params": empty}})
        call("approve").post({"template_id": request["template"]["id"]})
        return BackgroundResponse.done()
