"""An application of Flask's.

    webserver2 flaskapp:app
"""

# ANCHOR: app
from hashlib import sha256

from flask import Flask, jsonify, render_template_string, request, session

app = Flask(__name__)
app.secret_key = "known to every reader of this course"

PAGE = "<!doctype html>\n<title>Flask</title>\n<h1>Hello, {{ name }}!</h1>\n"


@app.get("/hello")
def hello():
    return "Hello world from Flask!\n", {"Content-Type": "text/plain"}


@app.post("/greet")
def greet():
    return render_template_string(PAGE, name=request.form.get("name", "stranger"))


@app.get("/visits")
def visits():
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(visits=session["visits"])
# ANCHOR_END: app


# ANCHOR: upload
@app.post("/upload")
def upload():
    file = request.files["file"]
    content = file.read()
    return jsonify(name=file.filename, size=len(content), sha256=sha256(content).hexdigest())


@app.errorhandler(404)
def not_found(error):
    return f"There is no {request.path} here.\n", 404, {"Content-Type": "text/plain"}
# ANCHOR_END: upload
