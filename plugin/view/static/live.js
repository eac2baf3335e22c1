// The connection to the server.

const patienceMs = 5000; // the server sends a frame every second
const waitsMs = [500, 1000, 2000, 5000, 10000];

// Live calls onFrame with each frame, and onState with "live", "stale" or "waiting" and a text.
export class Live {
  constructor(onFrame, onState) {
    this.onFrame = onFrame;
    this.onState = onState;
    this.tries = 0;
    this.last = 0;
    setInterval(() => this.check(), 1000);
    this.connect();
  }

  connect() {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener("message", (event) => {
      this.tries = 0;
      this.last = performance.now();
      this.onFrame(JSON.parse(event.data));
      this.onState("live", "Live");
    });
    socket.addEventListener("close", (event) => {
      const wait = waitsMs[Math.min(this.tries++, waitsMs.length - 1)];
      const why = event.reason ? " (" + event.reason + ")" : "";
      this.onState("waiting", "Not connected" + why + ", trying again");
      setTimeout(() => this.connect(), wait);
    });
  }

  // check tells when nothing comes though the connection is open.
  check() {
    const since = performance.now() - this.last;
    if (this.socket.readyState !== WebSocket.OPEN || since < patienceMs) return;
    this.onState("stale", "No news for " + Math.round(since / 1000) + " s");
  }

  // watch asks for the heatmap of a stream.
  watch(id) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ watch: id }));
  }
}

// post sends JSON and returns the answer, or throws an Error whose text is for people.
export async function post(path, body) {
  let response, answer;
  try {
    response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer.");
  }
  try {
    answer = await response.json();
  } catch {
    throw new Error("The server answered with status " + response.status + ".");
  }
  if (!response.ok) throw new Error(answer.error || "The server answered with status " + response.status + ".");
  return answer;
}
