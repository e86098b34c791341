// A real browser goes to the provider, signs in and consents there, and comes back: signed in here, not
// signed in here, and by the address that is opened like a link. Run by tests/connecting/browser.rs.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { BROWSER, PACKAGES, ORIGIN, CONTROL_PLANE, COOKIE, URLS, START } = process.env;
const { chromium } = createRequire(`${PACKAGES}/`)("playwright-core");
const [first, second] = JSON.parse(URLS);
const host = new URL(ORIGIN).host;
const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", `--host-resolver-rules=MAP ${host} ${CONTROL_PLANE}`],
});
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const [name, value] = COOKIE.split("=");
  const signIn = () => context.addCookies([{ name, value, url: ORIGIN, sameSite: "Lax", httpOnly: true }]);
  const connected = () => page.waitForURL(/\/dashboard\/connections\?success=true&connectionId=/);
  const consent = async () => {
    if (await page.locator("input[name=person]").count()) await page.fill("input[name=person]", "ann");
    await page.click("button");
  };

  await signIn();
  await page.goto(first);
  await consent();
  await page.waitForSelector("h1:has-text('consent')");
  await Promise.all([connected(), consent()]);

  // Signed out in between: nothing is connected until the person has signed in and said so.
  await context.clearCookies({ name });
  await page.goto(second);
  if (await page.locator("h1:has-text('consent'), h1:has-text('login')").count()) await consent();
  await page.waitForURL(`${ORIGIN}/v1/connections/parked`);
  assert.equal(await page.locator("h1").textContent(), "Sign in to go on");
  await signIn();
  await page.goto(`${ORIGIN}/v1/connections/parked`);
  assert.equal(await page.locator("h1").textContent(), "Connect this account?");
  await Promise.all([connected(), page.click("button[value=connect]")]);

  // Opened like a link: the person is asked, and the page's own policy lets it lead on.
  await page.goto("about:blank");
  await page.goto(`${ORIGIN}${START}`);
  assert.equal(await page.locator("h1").textContent(), "Connect an account?");
  await Promise.all([page.waitForURL((url) => url.host !== host || url.search.includes("success")), page.click("button")]);
  if (!page.url().includes("success=true")) await Promise.all([connected(), consent()]);
} finally {
  await browser.close();
}
