package env

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestEnvFile_IsLikeTheEnvironmentWhichWins(t *testing.T) {
	name := envtest.File(t, "\xef\xbb\xbf# the servers\r\n\r\n  BRIDGE_SERVERS = pbx1 \r\n\tBRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038\n#BRIDGE_NODE=x\n"+
		"BRIDGE_SERVER_PBX1_USERNAME=bridge\nBRIDGE_SERVER_PBX1_SECRET="+envtest.Canary+"=# $x\nBRIDGE_AMI_READ_TIMEOUT=40s\n"+
		"BRIDGE_AMI_PING_INTERVAL=5s\nBRIDGE_HTTP_ADDR=\nBRIDGE_DATA_DIR=\nBRIDGE_ACTIONS_RULES=Hangup: Channel matches \";\"\nBRIDGE_GROUP_X=pbx1\n"+
		"BRIDGE_AMI_ACTIONS_DENY=Command\nBRIDGE_STATUS_INTERVAL=7s")
	envtest.Set(t, "BRIDGE_ENV_FILE="+name, "BRIDGE_AMI_PING_INTERVAL=6s", "BRIDGE_STATUS_INTERVAL=", "BRIDGE_AMI_ACTIONS_DENY=")
	before := os.Environ()
	s, problems := Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	server := &s.Bridge.Servers[0]
	if string(server.Secret) != envtest.Canary+"=# $x" || server.ReadTimeout != 40*time.Second || s.Bridge.HTTPAddr != "" || s.DataDir != "./data" ||
		s.Bridge.ActionsRules.String() != `Hangup: Channel matches ";"` || len(s.Bridge.Groups) != 1 {
		t.Errorf("the file is not in force: %v %q %q %q", server.ReadTimeout, s.Bridge.HTTPAddr, s.DataDir, s.Bridge.ActionsRules)
	}
	// An empty variable of the environment is as good as none, but where empty means something.
	if server.PingInterval != 6*time.Second || len(server.ActionsDeny) != 0 || s.Bridge.StatusInterval != 7*time.Second {
		t.Errorf("the environment does not win: %v %q %v", server.PingInterval, server.ActionsDeny, s.Bridge.StatusInterval)
	}
	if want := []string{"BRIDGE_AMI_ACTIONS_DENY", "BRIDGE_AMI_PING_INTERVAL"}; !slices.Equal(s.Hidden, want) {
		t.Errorf("hidden are %q, want %q", s.Hidden, want)
	}
	from := map[string]string{}
	for _, r := range s.Rows() {
		from[r.Name] = r.From
	}
	for name, want := range map[string]string{
		"BRIDGE_SERVERS": "BRIDGE_ENV_FILE", "BRIDGE_AMI_PING_INTERVAL": "set", "BRIDGE_STATUS_INTERVAL": "BRIDGE_ENV_FILE",
		"BRIDGE_ENV_FILE": "set", "BRIDGE_DATA_DIR": "default", "BRIDGE_SERVER_PBX1_READ_TIMEOUT": "BRIDGE_AMI_READ_TIMEOUT",
		"BRIDGE_SERVER_PBX1_SECRET": "BRIDGE_ENV_FILE", "BRIDGE_GROUP_X": "BRIDGE_ENV_FILE",
	} {
		if from[name] != want {
			t.Errorf("%s is from %s, want %s", name, from[name], want)
		}
	}
	after := os.Environ()
	slices.Sort(before)
	slices.Sort(after)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error("the process's environment (-before +after):", diff)
	}
}

func TestEnvFile_ReportsAllProblemsWithoutValues(t *testing.T) {
	for content, want := range map[string][]string{
		envtest.Canary + "\nexport BRIDGE_NODE=x\nBRIDGE_NODE=a\nBRIDGE_NODE=b\nbridge_node=" + envtest.Canary + "\n= x\n": {
			"BRIDGE_ENV_FILE: line 1 wants NAME=value", "BRIDGE_ENV_FILE: line 2 wants NAME=value", "BRIDGE_ENV_FILE: line 4 sets BRIDGE_NODE again",
			"BRIDGE_ENV_FILE: line 5 wants NAME=value", "BRIDGE_ENV_FILE: line 6 wants NAME=value",
		},
		"BRIDGE_NODE='" + envtest.Canary + "'\n\nBRIDGE_ENV_FILE=/x\nNATS_URL=" + envtest.Canary: {
			"BRIDGE_ENV_FILE: line 1 has BRIDGE_NODE in quotes, which would be part of its value: leave them out",
			"BRIDGE_ENV_FILE: line 3 sets BRIDGE_ENV_FILE itself, which only the environment can",
			"BRIDGE_ENV_FILE: line 4 sets NATS_URL, which is not a setting; the nearest is BRIDGE_NATS_URL",
		},
		"BRIDGE_NATS_ULR=" + envtest.Canary + "\nBRIDGE_SERVICE_PORT=1\nBRIDGE_SERVER_PBX9_ADDR=x:1": {
			"BRIDGE_NATS_ULR: is not a setting; the nearest is BRIDGE_NATS_URL",
			"BRIDGE_SERVER_PBX9_ADDR: no server PBX9 in BRIDGE_SERVERS=pbx1",
			"BRIDGE_SERVICE_PORT: is not a setting; the nearest is BRIDGE_SERVERS",
		},
		"BRIDGE_NODE=\x00":               {"BRIDGE_ENV_FILE: its file holds NUL: it is not text in UTF-8"},
		strings.Repeat("#", 1<<20) + "#": {"BRIDGE_ENV_FILE: its file cannot be read: it is larger than 1MiB"},
	} {
		envtest.Set(t, envtest.One("BRIDGE_ENV_FILE="+envtest.File(t, content))...)
		_, problems := Load()
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%.60q (-want +got): %s", content, diff)
		}
	}
	envtest.Set(t, envtest.One("BRIDGE_ENV_FILE="+t.TempDir())...)
	if _, problems := Load(); !slices.Equal(problems, []string{"BRIDGE_ENV_FILE: its file cannot be read: it is a directory"}) {
		t.Errorf("a directory: %q", problems)
	}
}

// What is in force may have been so for a year and for hundreds of files, with each of which one
// more server came: none of them is kept for the sake of it.
func TestEnvFile_IsNotKept(t *testing.T) {
	const files, size = 64, 1 << 19
	name := envtest.File(t, "BRIDGE_NODE=b1\n#"+strings.Repeat("x", size))
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	var kept [files]map[string]string
	for i := range kept {
		kept[i], _ = readEnvFile(name)
	}
	if after := live(); after > before+files*size/2 {
		t.Errorf("%d files of %d bytes: %d bytes are kept", files, size, after-before)
	}
	if kept[files-1]["BRIDGE_NODE"] != "b1" {
		t.Errorf("%v", kept[files-1])
	}
}
