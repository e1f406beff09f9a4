"""Asks Asterisk servers for Actions over NATS: one server, then all."""

import asyncio
import json
import os

import nats


async def ask(nc, server, action, body=None):
    """Ask once. With an error whose sent is "no" it is safe to ask again."""
    # Longer than Ami-Timeout: the bridge says more than a timeout here does.
    msg = await nc.request(f"ami.actions.{server}.{action}", json.dumps(body or {}).encode(),
                           timeout=12, headers={"Ami-Timeout": "10s"})
    return json.loads(msg.data)


async def main():
    nc = await nats.connect(os.environ["NATS_URL"])
    queues = await ask(nc, "pbx1", "QueueStatus", {"Queue": "support"})
    print(queues["server"], len(queues["events"]))

    error = (await ask(nc, "any", "Login"))["error"]
    print(error["code"], error["kind"], error["sent"])

    inbox = nc.new_inbox()
    replies = await nc.subscribe(inbox)
    await nc.publish("ami.actions.all.CoreStatus", reply=inbox)
    while (msg := await replies.next_msg(timeout=35)).data:  # empty: the end of one bridge's replies
        reply = json.loads(msg.data)
        print(reply["server"], reply["response"])
    await nc.close()


asyncio.run(main())
