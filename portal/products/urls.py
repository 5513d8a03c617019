"""The addresses of the pages of products."""

from __future__ import annotations

from django.urls import path

from portal.products import views

urlpatterns = [
    path("", views.products, name="products"),
    path("<str:pk>/", views.product, name="product"),
    path("<str:pk>/items/", views.items, name="product-items"),
    path("<str:pk>/parameters/", views.parameters, name="product-parameters"),
    path("<str:pk>/templates/", views.templates, name="product-templates"),
    path("<str:pk>/capabilities/", views.capabilities, name="product-capabilities"),
]
