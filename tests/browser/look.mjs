// Opens reports in Chromium and looks at them as a reader would: nothing on the console, no request that leaves the file,
// no accessibility violation (axe) in light and in dark, no sideways scrolling of the page, pictures at three widths, and
// a PDF. First it looks at a page with planted faults and must find every one of them.
//
//   node look.mjs --out DIR [--pictures] NAME=FILE.html ...
//
// Exit code 0: nothing found. 1: something was found, and is printed. 2: wrong usage.

import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const WIDTHS = [400, 800, 1400];
// How much of a page is in a picture: the first screens, not the whole report.
const HEIGHTS = { 400: 1500, 800: 1700, 1400: 2000 };
const PICTURE_BYTES_MAX = 300_000;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// The faults, each with a word that what is found must contain.
const PLANTED = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>planted</title></head><body>
<main><h1>planted</h1><p style="color:#ccc;background:#fff">hardly to be read</p><img src="https://example.org/x.png" alt="x">
<table style="width:3000px"><tr><td>wide</td></tr></table></main><script>console.log("words on the console")</script></body></html>`;
const FAULTS = ["color-contrast", "https://example.org/x.png", "words on the console", "scrolls sideways"];

async function look(browser, file, { pictures, out, name }) {
  const found = [];
  const page = await browser.newPage();
  const url = pathToFileURL(resolve(file)).href;
  page.on("console", (message) => found.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => found.push(`error: ${error.message}`));
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    if (request.url() === url) return request.continue();
    found.push(`request: ${request.url()}`);
    return request.abort();
  });
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
      await page.goto(url, { waitUntil: "load" });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) found.push(`${width} px: the page scrolls sideways by ${wider} px`);
      if (pictures && (scheme === "light" || width === 1400)) {
        await picture(page, join(out, `${name}-${width}${scheme === "dark" ? "-dark" : ""}.webp`), width, found);
      }
    }
    // Closed parts are looked at as well.
    await page.evaluate(() => document.querySelectorAll("details").forEach((part) => (part.open = true)));
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const { id, help, nodes } of violations) {
      found.push(`axe, ${scheme}: ${id}: ${help}: ${nodes.length} times, first ${nodes[0].html.slice(0, 200)}`);
    }
  }
  if (out) {
    const pdf = await page.pdf({ format: "A4", preferCSSPageSize: true, printBackground: true });
    await writeFile(join(out, `${name}.pdf`), pdf);
  }
  await page.close();
  return found;
}

async function picture(page, path, width, found) {
  const height = Math.min(HEIGHTS[width], await page.evaluate(() => document.documentElement.scrollHeight));
  await page.screenshot({ path, type: "webp", quality: 70, clip: { x: 0, y: 0, width, height }, captureBeyondViewport: true });
  const { size } = await stat(path);
  if (size > PICTURE_BYTES_MAX) found.push(`${path} has ${size} bytes`);
}

function usage(why) {
  console.error(`${why}\nusage: node look.mjs --out DIR [--pictures] NAME=FILE.html ...`);
  process.exit(2);
}

const words = process.argv.slice(2);
const at = words.indexOf("--out");
const out = at >= 0 ? words.splice(at, 2)[1] : usage("no --out");
const pictures = words.includes("--pictures");
const files = words.filter((word) => word !== "--pictures").map((word) => word.split("="));
if (!out || files.length === 0 || files.some((pair) => pair.length !== 2)) usage("no reports");
await mkdir(out, { recursive: true });

const profile = await mkdtemp(join(tmpdir(), "assay-browser-"));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  userDataDir: profile,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--font-render-hinting=none"],
});
let bad = 0;
try {
  const planted = join(profile, "planted.html");
  await writeFile(planted, PLANTED);
  const seen = await look(browser, planted, {});
  for (const fault of FAULTS.filter((fault) => !seen.some((line) => line.includes(fault)))) {
    console.error(`planted and not found: ${fault}`);
    bad += 1;
  }
  for (const [name, file] of files) {
    const found = await look(browser, file, { pictures, out, name });
    const { size } = await stat(file);
    if (size > 1_000_000) found.push(`${size} bytes are too many to mail`);
    console.log(`${name}: ${size} bytes, ${found.length === 0 ? "nothing found" : `${found.length} found`}`);
    found.forEach((line) => console.error(`  ${line}`));
    bad += found.length;
  }
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
process.exit(bad === 0 ? 0 : 1);
