"""The addresses of the pages of deliveries."""

from __future__ import annotations

from django.urls import path

from portal.deliveries import views

urlpatterns = [
    path("", views.deliveries, name="deliveries"),
    path("<int:pk>/", views.delivery, name="delivery"),
    path("<int:pk>/again/", views.again, name="delivery-again"),
    path("<int:pk>/change/", views.change, name="delivery-change"),
    path("<int:pk>/headers/", views.headers, name="delivery-headers"),
    path("<int:pk>/curl/", views.as_curl, name="delivery-curl"),
]
