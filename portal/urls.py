"""The pages' addresses."""

from django.urls import path

from portal import icons, views
from portal.inquiry import views as inquiry

urlpatterns = [
    path("sign-in/<str:uid>/<str:token>", views.sign_in_by_link, name="sign-in-by-link"),
    path("media/<str:model>/<str:pk>/<str:key>/icon.svg", icons.icon),
    path("forms/<str:pk>", inquiry.inquiry, name="inquiry"),
    path("forms/<str:pk>/check", inquiry.check, name="inquiry-check"),
]
