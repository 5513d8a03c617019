"""The pages' addresses."""

from django.urls import path

from portal import icons, views

urlpatterns = [
    path("sign-in/<str:uid>/<str:token>", views.sign_in_by_link, name="sign-in-by-link"),
    path("media/<str:model>/<str:pk>/<str:key>/icon.svg", icons.icon),
]
