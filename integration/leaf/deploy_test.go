package leaf

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.yaml.in/yaml/v3"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The parts of deploy/leaf fit each other: the hub's configuration, its streams,
// and what the bridge is told.
func TestLeafDeploy_ThePartsFit(t *testing.T) {
	dir := filepath.Join(harness.Root(t), "deploy", "leaf")
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Command     []string
			Volumes     []string
		}
	}
	if err := yaml.Unmarshal([]byte(harness.ReadText(t, dir, "docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	hubEnv, bridgeEnv := compose.Services["hub"].Environment, compose.Services["bridge"].Environment
	for name, value := range hubEnv {
		t.Setenv(name, value)
	}
	t.Setenv("NATS_STORE_DIR", t.TempDir())
	options, err := natsserver.ProcessConfigFile(filepath.Join(dir, "hub.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if options.LeafNode.Port != 7422 || bridgeEnv["BRIDGE_NATS_LEAF_URL"] != "nats://hub:7422" {
		t.Errorf("the hub takes leaves on %d, the bridge goes to %s", options.LeafNode.Port, bridgeEnv["BRIDGE_NATS_LEAF_URL"])
	}
	hub := natstest.Serve(t, func(o *natsserver.Options) {
		*o = *options
		o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", natsserver.RANDOM_PORT, true, true
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", natsserver.RANDOM_PORT
	})
	for user, password := range map[string]string{
		"admin": hubEnv["AMI_ADMIN_PASSWORD"], bridgeEnv["BRIDGE_NATS_USER"]: bridgeEnv["BRIDGE_NATS_PASSWORD"],
	} {
		nc, err := nats.Connect(hub.ClientURL(), nats.UserInfo(user, password), nats.Timeout(harness.Patience))
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		if user == "admin" {
			hubStreams(t, nc)
		}
		nc.Close()
	}
	for _, stream := range hubStreamNames {
		if !strings.Contains(strings.Join(compose.Services["streams"].Command, " "), stream) {
			t.Errorf("nobody makes %s", stream)
		}
		if want := `"$JS.amibridge-` + bridgeEnv["BRIDGE_NODE"] + `.API"`; !strings.Contains(harness.ReadText(t, dir, stream+".json"), want) {
			t.Errorf("%s.json does not have %s", stream, want)
		}
	}
	if !slices.Contains(compose.Services["bridge"].Volumes, "bridge:"+bridgeEnv["BRIDGE_DATA_DIR"]) {
		t.Error("what the bridge stores is on no volume")
	}
	config := exec.CommandContext(t.Context(), harness.BuildBridge(t), "config")
	config.Env = config.Environ()
	for name, value := range bridgeEnv {
		config.Env = append(config.Env, name+"="+value)
	}
	if out, err := config.CombinedOutput(); err != nil {
		t.Errorf("the bridge does not take it: %v\n%s", err, out)
	}
}

// hubStreamNames are the streams of deploy/leaf.
var hubStreamNames = []string{streams.EventStream, streams.AuditStream, streams.StatusStream, streams.StateStream}

// hubStreams makes the streams of the hub as deploy/leaf has them.
func hubStreams(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for _, name := range hubStreamNames {
		config := harness.ReadText(t, harness.Root(t), "deploy", "leaf", name+".json")
		// Room for it is set aside; a test's disk may have less.
		config = strings.Replace(config, `"max_bytes": 10737418240`, `"max_bytes": 268435456`, 1)
		answer, err := nc.Request("$JS.API.STREAM.CREATE."+name, []byte(config), harness.Patience)
		if err != nil || strings.Contains(string(answer.Data), `"error"`) {
			t.Fatalf("%s: %v %+v", name, err, answer)
		}
	}
}
