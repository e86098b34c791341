# The official clients of Python, as they come: a base URL and a key is all that they are told. Prints
# what each of them got, one object a line.
import json
import os

import anthropic
import openai
from google import genai

base, key = os.environ["BASE"], os.environ["KEY"]


def say(what, **values):
    print(json.dumps({"what": what, **values}), flush=True)


client = openai.OpenAI(base_url=f"{base}/openai", api_key=key, max_retries=0)
messages = [{"role": "user", "content": "hello from python"}]
chat = client.chat.completions.create(model="gpt-5", messages=messages)
say("openai.chat", text=chat.choices[0].message.content, tokens=chat.usage.total_tokens)
stream = client.chat.completions.create(model="gpt-5", messages=messages, stream=True)
say("openai.chat.stream", text="".join(c.choices[0].delta.content or "" for c in stream if c.choices))
response = client.responses.create(model="gpt-5", input="hello from python")
say("openai.responses", text=response.output_text)

claude = anthropic.Anthropic(base_url=f"{base}/anthropic", api_key=key, max_retries=0)
asked = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": messages}
message = claude.messages.create(**asked)
say("anthropic.messages", text=message.content[0].text, tokens=message.usage.output_tokens)
with claude.messages.stream(**asked) as stream:
    say("anthropic.messages.stream", text="".join(stream.text_stream))

google = genai.Client(api_key=key, http_options={"base_url": f"{base}/gemini"})
wish = {"model": "gemini-3-pro", "contents": "hello from python"}
say("gemini.generate", text=google.models.generate_content(**wish).text)
stream = google.models.generate_content_stream(**wish)
say("gemini.generate.stream", text="".join(chunk.text or "" for chunk in stream))

try:
    client.chat.completions.create(model="forbidden-1", messages=messages)
except openai.PermissionDeniedError as error:
    say("openai.refused", status=error.status_code, error=str(error))
try:
    claude.messages.create(**{**asked, "model": "forbidden-1"})
except anthropic.PermissionDeniedError as error:
    say("anthropic.refused", status=error.status_code, error=str(error))
try:
    google.models.generate_content(model="forbidden-1", contents="hello")
except genai.errors.ClientError as error:
    say("gemini.refused", status=error.code, error=str(error))
