"""The pages' addresses."""

from django.urls import include, path

from portal import icons, media, views
from portal.inquiry import views as inquiry
from portal.products import action_page

urlpatterns = [
    path("", include("portal.home.urls")),
    path("webhooks/", include("portal.webhooks.urls")),
    path("deliveries/", include("portal.deliveries.urls")),
    path("queues/", include("portal.queues.urls")),
    path("products/", include("portal.products.urls")),
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/<str:uid>/<str:token>", views.sign_in_by_link, name="sign-in-by-link"),
    path("password/", views.password, name="password"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("acting/", views.act_as, name="act-as"),
    path("media/product_media/<str:pk>/<str:key>/<str:name>", media.picture),
    path("media/<str:model>/<str:pk>/<str:key>/icon.svg", icons.icon),
    path("actions/<str:pk>", action_page.action, name="product-action"),
    path("forms/<str:pk>", inquiry.inquiry, name="inquiry"),
    path("forms/<str:pk>/check", inquiry.check, name="inquiry-check"),
]
