"""The peer's routes: django-push-notifications' own view of APNs devices."""

from django.http import HttpResponse
from django.urls import include, path
from push_notifications.api.rest_framework import APNSDeviceAuthorizedViewSet
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("device/apns", APNSDeviceAuthorizedViewSet)
urlpatterns = [path("livez", lambda _: HttpResponse("ok")), path("", include(router.urls))]
