// The official clients of Node, as they come: a base URL and a key is all that they are told. Prints
// what each of them got, one object a line.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { PACKAGES, BASE, KEY } = process.env;
const load = async (name) => {
  const require = createRequire(pathToFileURL(`${PACKAGES}/`));
  return import(pathToFileURL(require.resolve(name)));
};
const say = (what, value) => console.log(JSON.stringify({ what, ...value }));

const { default: OpenAI } = await load("openai");
const { default: Anthropic } = await load("@anthropic-ai/sdk");
const { GoogleGenAI } = await load("@google/genai");

const openai = new OpenAI({ baseURL: `${BASE}/openai`, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "hello from node" }];
const chat = await openai.chat.completions.create({ model: "gpt-5", messages });
say("openai.chat", { text: chat.choices[0].message.content, tokens: chat.usage.total_tokens });

let text = "";
const stream = await openai.chat.completions.create({ model: "gpt-5", messages, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
say("openai.chat.stream", { text });

const response = await openai.responses.create({ model: "gpt-5", input: "hello from node" });
say("openai.responses", { text: response.output_text });
text = "";
for await (const event of await openai.responses.create({ model: "gpt-5", input: "hello from node", stream: true })) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
say("openai.responses.stream", { text });

const anthropic = new Anthropic({ baseURL: `${BASE}/anthropic`, apiKey: KEY, maxRetries: 0 });
const asked = { model: "claude-sonnet-4-5", max_tokens: 64, messages };
const message = await anthropic.messages.create(asked);
say("anthropic.messages", { text: message.content[0].text, tokens: message.usage.output_tokens });
const whole = await anthropic.messages.stream(asked).finalMessage();
say("anthropic.messages.stream", { text: whole.content[0].text, tokens: whole.usage.output_tokens });

const genai = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: `${BASE}/gemini` } });
const wish = { model: "gemini-3-pro", contents: "hello from node" };
const content = await genai.models.generateContent(wish);
say("gemini.generate", { text: content.text });
text = "";
for await (const chunk of await genai.models.generateContentStream(wish)) text += chunk.text;
say("gemini.generate.stream", { text });

// What we refuse is raised as the client's own kind of error, with our text.
const refused = async (what, call) => {
  try {
    await call();
    say(what, { error: null });
  } catch (error) {
    say(what, { status: error.status, error: error.message, kind: error.constructor.name });
  }
};
await refused("openai.refused", () => openai.chat.completions.create({ model: "forbidden-1", messages }));
await refused("anthropic.refused", () => anthropic.messages.create({ ...asked, model: "forbidden-1" }));
await refused("gemini.refused", () => genai.models.generateContent({ ...wish, model: "forbidden-1" }));

// What a person must decide is told by the model.
const risky = { model: "risky-1" };
const gate = await openai.chat.completions.create({ ...risky, messages });
say("openai.asks", { text: gate.choices[0].message.content });
text = "";
for await (const chunk of await openai.chat.completions.create({ ...risky, messages, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
say("openai.asks.stream", { text });
const answer = await openai.responses.create({ ...risky, input: "hello" });
say("openai.responses.asks", { text: answer.output_text });
text = "";
for await (const event of await openai.responses.create({ ...risky, input: "hello", stream: true })) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
say("openai.responses.asks.stream", { text });
const held = await anthropic.messages.create({ ...asked, ...risky });
say("anthropic.asks", { text: held.content[0].text });
const final = await anthropic.messages.stream({ ...asked, ...risky }).finalMessage();
say("anthropic.asks.stream", { text: final.content[0].text });
const wait = await genai.models.generateContent({ ...wish, ...risky });
say("gemini.asks", { text: wait.text });
text = "";
for await (const chunk of await genai.models.generateContentStream({ ...wish, ...risky })) text += chunk.text;
say("gemini.asks.stream", { text });

// A key that is none.
const stranger = new OpenAI({ baseURL: `${BASE}/openai`, apiKey: "ah5t_nonsense", maxRetries: 0 });
await refused("openai.stranger", () => stranger.chat.completions.create({ model: "gpt-5", messages }));
const other = new Anthropic({ baseURL: `${BASE}/anthropic`, apiKey: "ah5t_nonsense", maxRetries: 0 });
await refused("anthropic.stranger", () => other.messages.create(asked));
