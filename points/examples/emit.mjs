// Points out of Node: one process takes them all, as one JSON object a line.
import { spawn } from "node:child_process";

const points = spawn("points", ["emit", "--stream", "--app", "web"], { stdio: ["pipe", "inherit", "inherit"] });
points.on("error", (error) => console.error(`points cannot be started: ${error.message}`));
points.on("close", (code) => (process.exitCode = code));

function track(name, attributes = {}, more = {}) {
  points.stdin.write(JSON.stringify({ name, attributes, ...more }) + "\n");
}

function fail(name, error, attributes = {}) {
  const frames = [...(error.stack ?? "").matchAll(/at (?:(.+?) \()?(.+?):(\d+):\d+\)?$/gm)]
    .map(([, caller, file, line]) => ({ file, line: Number(line), function: caller ?? "?" }))
    .reverse();
  track(name, attributes, { exception: { type: error.name, message: error.message, frames } });
}

track("page.viewed", { path: "/basket", milliseconds: 12.5 }, { who: "alice", where: "/basket" });
try {
  JSON.parse("{");
} catch (error) {
  fail("basket.unreadable", error);
}
points.stdin.end();
