from django.http import HttpResponse, JsonResponse
from django.shortcuts import render


def hello(request):
    return HttpResponse("Hello world from Django!\n", content_type="text/plain")


def greet(request):
    return render(request, "greet.html", {"name": request.POST.get("name")})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def not_found(request, exception):
    text = f"There is no {request.path} here.\n"
    return HttpResponse(text, status=404, content_type="text/plain")
