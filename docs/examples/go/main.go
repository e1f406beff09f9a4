// Command go asks Asterisk servers for Actions over NATS: one server, then all.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// reply is what these examples use of one.
type reply struct {
	Server, Response string
	Fields           map[string]any
	Events           []map[string]any
	Error            *failure
}

type failure struct {
	Code                int
	Kind, Sent, Message string
	RetryAfter          int64 `json:"retry_after_ms"`
}

func (f *failure) Error() string {
	return fmt.Sprintf("%d %s (sent: %s): %s", f.Code, f.Kind, f.Sent, f.Message)
}

// ask asks once. With an error that says Sent "no" it is safe to ask again.
func ask(nc *nats.Conn, server, action string, headers map[string]any) (reply, error) {
	var r reply
	msg := nats.NewMsg("ami.actions." + server + "." + action)
	msg.Header.Set("Ami-Timeout", "10s")
	var err error
	if msg.Data, err = json.Marshal(headers); err != nil {
		return r, err
	}
	// Longer than Ami-Timeout: the bridge says more than a timeout here does.
	answer, err := nc.RequestMsg(msg, 12*time.Second)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		return r, err
	}
	if r.Error != nil {
		return r, r.Error
	}
	return r, nil
}

// askAll calls each with the reply of each server of one bridge.
func askAll(nc *nats.Conn, action string, each func(reply)) error {
	replies, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := nc.PublishRequest("ami.actions.all."+action, replies.Subject, nil); err != nil {
		return err
	}
	for {
		answer, err := replies.NextMsg(35 * time.Second)
		if err != nil {
			return err
		}
		if len(answer.Data) == 0 { // the end
			return nil
		}
		var r reply
		if err := json.Unmarshal(answer.Data, &r); err != nil {
			return err
		}
		each(r)
	}
}

func main() {
	nc, err := nats.Connect(os.Getenv("NATS_URL")) // empty: localhost
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	queues, err := ask(nc, "pbx1", "QueueStatus", map[string]any{"Queue": "support"})
	fmt.Println(queues.Server, len(queues.Events), err)
	_, err = ask(nc, "any", "Login", map[string]any{})
	fmt.Println(err)
	err = askAll(nc, "CoreStatus", func(r reply) { fmt.Println(r.Server, r.Response, r.Error) })
	fmt.Println(err)
}
