// A queue board: who waits in each queue of a server, and what its agents do.
import { connect } from "@nats-io/transport-node";
import { Kvm } from "@nats-io/kv";

const server = process.argv[2] ?? "pbx1";
const nc = await connect({ servers: process.env.NATS_URL, maxReconnectAttempts: -1 });
const bucket = await new Kvm(nc).open("AMI_STATE");
const up = new Map(); // by key

function draw() {
  const all = (kind) => [...up].filter(([key]) => key.startsWith(`${server}.${kind}.`)).map(([, value]) => value);
  const about = up.get(`${server}.server`);
  console.log(`${server} is ${about?.state ?? "stale"}`);
  for (const { Queue } of all("queue")) {
    const callers = all("caller").filter((c) => c.Queue === Queue).sort((a, b) => a.Position - b.Position);
    const agents = all("member").filter((m) => m.Queue === Queue);
    console.log(`${Queue}: ${callers.length} waiting`);
    for (const c of callers) console.log(`  ${c.Position}. ${c.CallerIDNum} since ${c.Since}`);
    for (const m of agents) console.log(`  ${m.MemberName}: ${m.Paused === "1" ? "paused" : m.Status === "1" ? "free" : "busy"}`);
  }
}

// First what is up now, then each change.
let timer;
for await (const e of await bucket.watch({ key: [`${server}.queue.>`, `${server}.member.>`, `${server}.caller.>`, `${server}.server`] })) {
  if (e.operation === "PUT") up.set(e.key, e.json());
  else up.delete(e.key);
  clearTimeout(timer);
  timer = setTimeout(draw, 50); // many changes, one picture
}
