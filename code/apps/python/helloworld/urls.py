from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import path, re_path

from . import views

urlpatterns = [
    path("hello", views.hello),
    path("greet", views.greet),
    path("visits", views.visits),
    path("admin/", admin.site.urls),
    # Django leaves this to other servers, and calls doing it itself insecure.
    re_path("^static/(?P<path>.*)$", serve, {"insecure": True}),
]
handler404 = views.not_found
