"""A page without an end, for ASGI: what one visitor does to a server of coroutines.

    uvicorn endless:app
"""

import asyncio


# ANCHOR: app
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
# ANCHOR_END: app


# ANCHOR: breathes
async def breathes(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
        await asyncio.sleep(0)
# ANCHOR_END: breathes
