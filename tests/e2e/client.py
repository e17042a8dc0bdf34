"""An application of a newcomer: `python client.py MODEL_URL API_URL ROUTE QUESTIONS` asks each line, and publishes.

With the OpenAI SDK installed it is wrapped; without, both bodies of each call are published as they are.
"""

import json
import sys
import urllib.request

from keelwatch_client import Publisher, wrap

MODEL = "harbour-chat"

try:
    from openai import OpenAI
except ImportError:
    OpenAI = None


def by_sdk(model_url, publisher):
    client = wrap(OpenAI(base_url=model_url, api_key="none"), publisher)
    return lambda messages: client.chat.completions.create(model=MODEL, messages=messages)


def by_bodies(model_url, publisher):
    def ask(messages):
        request = {"model": MODEL, "messages": messages}
        body = json.dumps(request).encode()
        post = urllib.request.Request(
            f"{model_url}/chat/completions", body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(post, timeout=30) as answer:
            publisher.publish({"request": request, "response": json.load(answer)})

    return ask


def main(model_url, api_url, route, file):
    with Publisher(api_url, route=route) as publisher:
        ask = (by_bodies if OpenAI is None else by_sdk)(model_url, publisher)
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                ask([{"role": "user", "content": json.loads(line)}])
        if not publisher.flush(120):
            sys.exit(f"not delivered: {publisher.stats()}")
        print(publisher.stats())


if __name__ == "__main__":
    main(*sys.argv[1:])
