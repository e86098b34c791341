// A real browser with a virtual authenticator registers a passkey, signs out, signs in by it and
// proves itself anew. Run by tests/browser.rs, which says where everything is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { BROWSER, PACKAGES, ORIGIN, CONTROL_PLANE, EMAIL, PASSWORD } = process.env;
const { chromium } = createRequire(`${PACKAGES}/`)("playwright-core");
const bundle = `${PACKAGES}/@simplewebauthn/browser/dist/bundle/index.umd.min.js`;
const library = readFileSync(bundle, "utf8");

// The page is the installation's public origin; there is no front door here, so the browser is told
// where that is.
const host = new URL(ORIGIN).host;
const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", `--host-resolver-rules=MAP ${host} ${CONTROL_PLANE}`],
});
try {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(`${ORIGIN}/health`);
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.addScriptTag({ content: library });
  await page.addScriptTag({ content: `globalThis.ask = ${ask}` });

  const credentials = { email: EMAIL, password: PASSWORD };
  await page.evaluate((body) => ask("POST", "/sign-in/email", body), credentials);

  const made = await page.evaluate(async () => {
    const optionsJSON = await ask("GET", "/passkey/generate-register-options");
    const response = await SimpleWebAuthnBrowser.startRegistration({ optionsJSON });
    return ask("POST", "/passkey/verify-registration", { response, name: "Laptop" });
  });
  assert.equal(made.name, "Laptop");
  const kept = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
  assert.equal(kept.credentials.length, 1);
  assert.equal(kept.credentials[0].isResidentCredential, true);
  assert.equal(kept.credentials[0].rpId, new URL(ORIGIN).hostname);

  await page.evaluate(() => ask("POST", "/sign-out", {}));
  assert.equal(await page.evaluate(() => ask("GET", "/get-session")), null);

  const signedIn = await page.evaluate(async () => {
    const optionsJSON = await ask("GET", "/passkey/generate-authenticate-options");
    const response = await SimpleWebAuthnBrowser.startAuthentication({ optionsJSON });
    await ask("POST", "/passkey/verify-authentication", { response });
    return ask("GET", "/get-session");
  });
  assert.equal(signedIn.user.email, EMAIL);

  const proven = await page.evaluate(async () => {
    const { method, options } = await ask("GET", "/reauthenticate/options");
    const response = await SimpleWebAuthnBrowser.startAuthentication({ optionsJSON: options });
    return { method, ...(await ask("POST", "/reauthenticate", { response })) };
  });
  assert.deepEqual(proven, { method: "passkey", status: true });

  // An authenticator that cannot tell who touches it is not enough: the browser itself refuses.
  await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  const refused = await page.evaluate(async () => {
    const optionsJSON = await ask("GET", "/passkey/generate-authenticate-options");
    return SimpleWebAuthnBrowser.startAuthentication({ optionsJSON }).then(
      () => "answered",
      (error) => error.name,
    );
  });
  assert.equal(refused, "NotAllowedError");
} finally {
  await browser.close();
}

// Runs in the page.
async function ask(method, path, body) {
  const response = await fetch(`/api/auth${path}`, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}
