"""Reads what was made before the fork, and says what that has cost.

    webserver3h readapp:app
"""

# ANCHOR: app
WORDS = [f"word {number}" for number in range(500_000)]


def own():
    """Memory that this process shares with no other, in kB."""
    with open("/proc/self/smaps_rollup") as rollup:
        return next(line.split()[1] for line in rollup if line.startswith("Private_Dirty"))


def app(environ, start_response):
    before = own()
    longest = max(len(word) for word in WORDS)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"longest: {longest}; own memory: {before} kB, and after reading {own()} kB\n".encode()]
# ANCHOR_END: app
