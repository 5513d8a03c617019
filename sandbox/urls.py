"""`/sandbox/…`: what is ours and not Connect's; absent under the server profile."""

from django.urls import path

from sandbox import api

urlpatterns = [
    path("clock", api.ClockView.as_view()),
    path("clock/advance", api.AdvanceView.as_view()),
    path("queue/samples", api.SamplesView.as_view()),
    path("queue/moves", api.MovesView.as_view()),
    path("queue/validate", api.ValidateView.as_view()),
]
