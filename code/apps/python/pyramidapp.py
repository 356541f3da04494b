"""An application of Pyramid's.

    webserver2 pyramidapp:app
"""

# ANCHOR: views
from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory


def hello(request):
    return Response("Hello world from Pyramid!\n", content_type="text/plain")


def greet(request):
    return {"hello": request.POST.get("name", "stranger")}


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return {"visits": request.session["visits"]}


def not_found(request):
    text = f"There is no {request.path} here.\n"
    return Response(text, status=404, content_type="text/plain")
# ANCHOR_END: views


# ANCHOR: config
with Configurator() as config:
    config.set_session_factory(SignedCookieSessionFactory("known to every reader"))
    config.add_route("hello", "/hello")
    config.add_route("greet", "/greet", request_method="POST")
    config.add_route("visits", "/visits")
    config.add_view(hello, route_name="hello")
    config.add_view(greet, route_name="greet", renderer="json")
    config.add_view(visits, route_name="visits", renderer="json")
    config.add_notfound_view(not_found)
    app = config.make_wsgi_app()
# ANCHOR_END: config
