package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// stateBucket is a bucket with what is up at pbx1, whose bridge lives, and at pbx9,
// which nobody writes.
func stateBucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	url := natstest.Serve(t, nil).ClientURL()
	envtest.Set(t, "BRIDGE_NATS_URL="+url)
	nc, err := nats.Connect(url, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket, LimitMarkerTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	put(t, kv, "pbx1.server", `{"state":"live","since":"2026-01-02T14:00:00.000000Z","session":"s","node":"b1","kinds":["queue"],"not_kept":{"agent":"denied","device":"off"}}`)
	put(t, kv, "pbx1.caller.sales.1=2E1", `{"Queue":"sales","Uniqueid":"1.1","Position":"1","CallerIDNum":"0301\u001b[31m","CallerIDName":"Zoë"}`)
	put(t, kv, "pbx1.queue.server", `{"Queue":"server","Strategy":"ringall","Calls":"0"}`)
	put(t, kv, "pbx9.channel.9=2E1", `{"Channel":"PJSIP/a","CallerIDNum":"0309"}`)
	return kv
}

func put(t *testing.T, kv jetstream.KeyValue, key, value string) {
	t.Helper()
	if _, err := kv.PutString(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// stated runs the command and returns what it says and its exit code.
func stated(args string) (out string, code int) {
	var all strings.Builder
	code = run(append([]string{"x", "state"}, strings.Fields(args)...), stdio{"x", &all, &all})
	return all.String(), code
}

func TestState_PrintsWhatIsUp(t *testing.T) {
	kv := stateBucket(t)
	for args, want := range map[string][]string{
		"": {"pbx1: live since 2026-01-0", ", by node b1; not kept: agent (denied)\n", "1 caller\n  Queue  Position  CallerIDNum", "sales  1 ", "Zoë",
			"1 queue\n", "pbx9: nobody writes it: take it for stale\n\n1 channel\n"},
		"pbx1 queue":          {"pbx1: live", "1 queue\n  Queue   Strategy  Calls\n  server  ringall   0\n"},
		"pbx1 server -o json": {`{"key":"pbx1.server","value":{"state":"live"`},
		"pbx9 -o json":        {`{"key":"pbx9.channel.9=2E1","value":{"Channel":"PJSIP/a","CallerIDNum":"0309"}}` + "\n"},
		"pbx1 caller -o json": {`"Position":"1"`},
	} {
		out, code := stated(args)
		if code != 0 {
			t.Errorf("state %s: %d, %s", args, code, out)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("state %s lacks %q:\n%s", args, text, out)
			}
		}
		if !strings.Contains(args, "json") && strings.Contains(out, "\x1b") {
			t.Errorf("state %s hands control characters on", args)
		}
		if strings.HasPrefix(args, "pbx1 queue") && strings.Contains(out, "sales") {
			t.Errorf("state %s: of another kind: %s", args, out)
		}
	}
	if out, code := stated("pbx8"); code != 1 || !strings.Contains(out, "nothing is up there") {
		t.Errorf("%d, %s", code, out)
	}
	for _, args := range []string{"pbx1.caller", "pbx1 *", "pbx1 caller --purge", "--purge", "pbx9 --purge --confirm pbx9 -o json", "pbx9 --confirm pbx9"} {
		if out, code := stated(args); code != 2 {
			t.Errorf("state %s: %d, %s", args, code, out)
		}
	}
	changes := make(chan string, 1)
	go func() {
		out, code := stated("pbx1 caller --watch --count 2 -o json")
		changes <- fmt.Sprint(code, out)
	}()
	deadline := time.Now().Add(patience)
	for {
		put(t, kv, "pbx1.caller.sales.1=2E2", `{"Position":"2"}`)
		if err := kv.Purge(t.Context(), "pbx1.caller.sales.1=2E2"); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-changes:
			if !strings.Contains(got, `{"key":"pbx1.caller.sales.1=2E2","value":null}`) {
				t.Errorf("changes are %s", got)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("no change was seen")
		}
	}
}

// A server that is gone for good is purged if its name is said twice, and never while a
// bridge writes it.
func TestState_PurgesWhatIsGone(t *testing.T) {
	kv := stateBucket(t)
	if out, code := stated("pbx1 --purge --confirm pbx1"); code != 1 || !strings.Contains(out, "a bridge writes pbx1") {
		t.Errorf("%d, %s", code, out)
	}
	for _, confirm := range []string{"", " --confirm pbx1"} {
		if out, code := stated("pbx9 --purge" + confirm); code != 2 || !strings.Contains(out, "1 keys of pbx9 would go") {
			t.Errorf("%d, %s", code, out)
		}
	}
	if _, err := kv.Get(t.Context(), "pbx9.channel.9=2E1"); err != nil {
		t.Fatal(err)
	}
	if out, code := stated("pbx9 --purge --confirm pbx9"); code != 0 || out != "1 keys of pbx9 are gone\n" {
		t.Errorf("%d, %s", code, out)
	}
	if e, err := kv.Get(t.Context(), "pbx9.channel.9=2E1"); err == nil {
		t.Errorf("%s is there", e.Key())
	}
	if _, err := kv.Get(t.Context(), "pbx1.caller.sales.1=2E1"); err != nil {
		t.Error(err)
	}
}

func TestState_WithoutABucket(t *testing.T) {
	envtest.Set(t, "BRIDGE_NATS_URL="+natstest.Serve(t, nil).ClientURL())
	if out, code := stated(""); code != 1 || !strings.Contains(out, "there is no bucket AMI_STATE") {
		t.Errorf("%d, %s", code, out)
	}
}

// Each kind has its columns.
func TestState_ColumnsAreOfEachKind(t *testing.T) {
	for k := range present.Kinds {
		if stateColumns[k.String()] == nil {
			t.Errorf("%v has none", k)
		}
	}
	if len(stateColumns) != int(present.Kinds) {
		t.Errorf("columns of %d kinds", len(stateColumns))
	}
}
