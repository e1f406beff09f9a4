// Asks Asterisk servers for Actions over NATS: one server, then all.
import { connect, headers } from "@nats-io/transport-node";

const nc = await connect({ servers: process.env.NATS_URL });

// ask asks once. With an error whose sent is "no" it is safe to ask again.
async function ask(server, action, body = {}) {
  const h = headers();
  h.set("Ami-Timeout", "10s");
  // Longer than Ami-Timeout: the bridge says more than a timeout here does.
  const msg = await nc.request(`ami.actions.${server}.${action}`, JSON.stringify(body), { timeout: 12_000, headers: h });
  return msg.json();
}

const queues = await ask("pbx1", "QueueStatus", { Queue: "support" });
console.log(queues.server, queues.events.length);

const { error } = await ask("any", "Login");
console.log(error.code, error.kind, error.sent);

// The empty message is the end of one bridge's replies.
for await (const m of await nc.requestMany("ami.actions.all.CoreStatus", "", { strategy: "sentinel", maxWait: 35_000 })) {
  if (m.data.length > 0) console.log(m.json().server, m.json().response);
}
await nc.close();
