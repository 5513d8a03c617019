"""URLs of all pages."""

from django.urls import path

from portal import api_keys, media, views
from portal.deliveries import bulk_views as resends
from portal.deliveries import views as deliveries
from portal.home import views as home
from portal.inquiry import views as inquiry
from portal.live import views as live
from portal.palette import views as palette
from portal.products import views as products
from portal.queues import bulk
from portal.queues import views as queues
from portal.queues import write_views as queue_writes
from portal.webhooks import secret_views as webhook_secrets
from portal.webhooks import views as webhooks
from portal.webhooks import wizard

urlpatterns = [
    path("portal.css", media.stylesheet, name="stylesheet"),
    path("portal.js", media.script, name="script"),
    path("live/", live.live, name="live"),
    path("", home.home, name="home"),
    path("home/live/", home.live, name="home-live"),
    path("home/reveal/", home.reveal, name="home-reveal"),
    path("home/webhook/", home.create_webhook, name="home-webhook"),
    path("home/hide/", home.hide_steps, name="home-hide"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/new/", wizard.new, name="webhook-new"),
    path("webhooks/new/<slug:key>/<slug:name>/", wizard.step, name="webhook-new-step"),
    path("webhooks/<slug:pk>/", webhooks.general, name="webhook"),
    path("webhooks/<slug:pk>/health/", webhooks.health_line, name="webhook-health"),
    path("webhooks/<slug:pk>/deliveries/", webhooks.deliveries, name="webhook-deliveries"),
    path("webhooks/<slug:pk>/statistics/", webhooks.statistics, name="webhook-statistics"),
    path("webhooks/<slug:pk>/http/", webhooks.http, name="webhook-http"),
    path("webhooks/<slug:pk>/data/", webhooks.data, name="webhook-data"),
    path("webhooks/<slug:pk>/last/<slug:outcome>/", webhooks.response, name="webhook-response"),
    path("webhooks/<slug:pk>/edit/", webhooks.edit, name="webhook-edit"),
    path("webhooks/<slug:pk>/delete/", webhooks.delete, name="webhook-delete"),
    path("webhooks/<slug:pk>/do/<slug:name>/", webhooks.run_action, name="webhook-action"),
    path("webhooks/<slug:pk>/secret/", webhook_secrets.reveal, name="webhook-secret"),
    path("webhooks/<slug:pk>/secret/new/", webhook_secrets.renew, name="webhook-secret-new"),
    path("deliveries/", deliveries.deliveries, name="deliveries"),
    path("deliveries/export/<slug:name>/", deliveries.export, name="deliveries-export"),
    path("deliveries/again/", resends.send_many, name="deliveries-again"),
    path("deliveries/again/<int:pk>/", resends.job, name="deliveries-again-job"),
    path("deliveries/again/<int:pk>/start/", resends.start, name="deliveries-again-start"),
    path("deliveries/again/<int:pk>/cancel/", resends.cancel, name="deliveries-again-cancel"),
    path("deliveries/<int:pk>/", deliveries.delivery, name="delivery"),
    path("deliveries/<int:pk>/again/", deliveries.send_again, name="delivery-resend"),
    path("deliveries/<int:pk>/change/", deliveries.change, name="delivery-change"),
    path("deliveries/<int:pk>/headers/", deliveries.headers, name="delivery-headers"),
    path("deliveries/<int:pk>/curl/", deliveries.as_command, name="delivery-curl"),
    path("queues/", queues.queues, name="queues"),
    path("queues/<str:name>/", queues.queue, name="queue"),
    path("queues/<str:name>/new/", queue_writes.new, name="queue-new"),
    path("queues/<str:name>/bulk/", bulk.run, name="queue-bulk"),
    path("queues/<str:name>/<str:pk>/", queues.queue_object, name="queue-object"),
    path("queues/<str:name>/<str:pk>/json/", queues.source, name="queue-source"),
    path(
        "queues/<str:name>/<str:pk>/attachments/<str:file>/",
        queues.attachment,
        name="queue-attachment",
    ),
    path("queues/<str:name>/<str:pk>/edit/", queue_writes.edit, name="queue-edit"),
    path("queues/<str:name>/<str:pk>/assign/", queue_writes.assign, name="queue-assign"),
    path("queues/<str:name>/<str:pk>/message/", queue_writes.write_message, name="queue-message"),
    path("queues/<str:name>/<str:pk>/validate/", queue_writes.validate, name="queue-validate"),
    path(
        "queues/<str:name>/<str:pk>/actions/<str:action>/",
        queue_writes.run_action,
        name="queue-action",
    ),
    path("products/", products.products, name="products"),
    path("products/<str:pk>/", products.product, name="product"),
    path("products/<str:pk>/delete/", products.delete, name="product-delete"),
    path("products/<str:pk>/items/", products.items, name="product-items"),
    path("products/<str:pk>/parameters/", products.parameters, name="product-parameters"),
    path("products/<str:pk>/templates/", products.templates, name="product-templates"),
    path("products/<str:pk>/capabilities/", products.capabilities, name="product-capabilities"),
    path("search/", palette.search, name="search"),
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/<str:uid>/<str:token>", views.sign_in_by_link, name="sign-in-by-link"),
    path("password/", views.password, name="password"),
    path("keys/", api_keys.api_keys, name="api-keys"),
    path("keys/<str:pk>/modules/", api_keys.modules, name="api-key-modules"),
    path("keys/<str:pk>/revoke/", api_keys.revoke, name="api-key-revoke"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("alarms/dismiss/", views.dismiss_alarms, name="alarms-dismiss"),
    path("acting/", views.act_as, name="act-as"),
    path("media/product_media/<str:pk>/<str:key>/<str:name>", media.picture),
    path("media/<str:model>/<str:pk>/<str:key>/icon.svg", media.icon),
    path("actions/<str:pk>", products.action, name="product-action"),
    path("forms/<str:pk>", inquiry.inquiry, name="inquiry"),
    path("forms/<str:pk>/check", inquiry.check, name="inquiry-check"),
]
