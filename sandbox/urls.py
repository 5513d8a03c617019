"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from django.urls import path

from sandbox import api

urlpatterns = [
    path("clock", api.ClockView.as_view()),
    path("clock/advance", api.AdvanceView.as_view()),
    path("queue/samples", api.SamplesView.as_view()),
    path("queue/moves", api.MovesView.as_view()),
    path("queue/validate", api.ValidateView.as_view()),
]
